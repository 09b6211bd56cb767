"""The examples in docstrings do what they show."""

import doctest
import importlib
import pathlib

import example_tables
import pytest
import reference

import made_tf
from made_tf import export

PACKAGE = pathlib.Path(made_tf.__file__).parent


def modules():
    """Yields the names of the modules that have examples, those behind the link to export/ too."""
    for folder in (PACKAGE, PACKAGE / "export"):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(PACKAGE).with_suffix("").parts
            if (parts[0] == "export") == (folder != PACKAGE) and ">>> " in path.read_text("utf-8"):
                yield ".".join(["made_tf", *parts])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, unverified):
    """Holds the files that examples open."""
    folder = tmp_path_factory.mktemp("examples")
    with unverified():
        export.to_tflite(reference.small_model("bernoulli", 64), folder / "digits.tflite")
        example_tables.untrained(example_tables.grades(), folder / "grades.tflite")
    return folder


@pytest.mark.parametrize("name", sorted(set(modules())))
def test_examples_do_what_they_show(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0  # what failed is printed
    assert result.attempted > 0


def test_each_wing_is_looked_at():
    wings = {name.split(".")[1] for name in modules()}
    assert {"models", "distributions", "tables", "export", "masks", "queries"} <= wings
