"""What README and the pages of docs/ state as code runs, or is at least a command that there is."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import click
import pytest
import run_page

import made_tf
from made_tf.cli import main

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*/*.md"))]
pytestmark = pytest.mark.skipif(
    not (ROOT / "README.md").is_file(), reason="of a checkout: a wheel has no pages"
)


def test_readme_runs_as_printed_in_a_fresh_interpreter(tmp_path):
    program = pathlib.Path(run_page.__file__)
    result = subprocess.run(
        [sys.executable, str(program), str(ROOT / "README.md")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert {"made.tflite", "rides.keras", "rides.tflite"} <= {p.name for p in tmp_path.iterdir()}
    assert len(result.stdout.splitlines()) < 30  # nobody wants to read a table of numbers


def test_a_page_that_fails_says_where(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\n\nnot_defined + x\n```\n")
    (tmp_path / "other.md").write_text('```{include} page.md\n:start-after: "# Page"\n```\n')
    assert [line for _, line, _ in run_page.python_blocks(page)] == [3]
    assert [line for _, line, _ in run_page.python_blocks(tmp_path / "other.md")] == [3]
    with pytest.raises(NameError, match="not_defined") as failure:
        run_page.run(page, {})
    assert failure.traceback[-1].lineno == 5  # counted from 0


def commands():
    """Yields the lines of shell blocks that start made-tf, with their pages."""
    for page in PAGES:
        for file, _, language, code in run_page.blocks(page):
            for line in code.splitlines() if language == "sh" and file == page else ():
                command = re.search(r"\bmade-tf (.*)", line.split(" #")[0].strip())
                if command:
                    yield pytest.param(command.group(1), id=f"{page.name}: {command.group(1)}")


@pytest.mark.parametrize("line", list(commands()))
def test_commands_are_those_that_there_are(line, tmp_path, monkeypatch):
    """Names, options and values are checked as by the command itself, which is not started."""
    monkeypatch.chdir(tmp_path)
    name, *arguments = shlex.split(line)
    for argument in arguments:
        if re.search(r"\.\w+$", argument) and not argument.startswith("-"):
            path = tmp_path / argument
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        elif argument.endswith("/"):
            (tmp_path / argument).mkdir(exist_ok=True)
    (tmp_path / "DIR").mkdir()
    top = click.Context(main, info_name="made-tf")
    command = main.get_command(top, name)
    assert command is not None, f"there is no command {name!r}"
    command.make_context(name, arguments, parent=top)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_to_files(name):
    """Those of docs/ are checked when the site is built."""
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / name).read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (ROOT / link).exists()] == []
    assert local or name != "README.md"


def test_each_public_module_has_a_place_in_the_reference():
    reference = (ROOT / "docs" / "reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in reference)
    documented = set(re.findall(r"automodule:: made_tf\.(\w+)$", text, re.M))
    package = pathlib.Path(made_tf.__file__).parent
    there = {path.stem for path in package.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert documented == there & set(made_tf.__all__)


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {made_tf.__version__}\n" in text


def test_type_checkers_are_told():
    assert (pathlib.Path(made_tf.__file__).parent / "py.typed").is_file()
