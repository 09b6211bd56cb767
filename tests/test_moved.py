"""Old names of modules still work, and say where to go."""

import importlib
import sys

import pytest

import made_tf
from made_tf.moved import MOVED

#: Names that users of 0.1.0 import, by what its README and notebooks show and by what is public.
PUBLIC = [
    ("made_tf.callbacks", "fit_resumably", "made_tf.training"),
    ("made_tf.callbacks", "ResumableTraining", "made_tf.training"),
    ("made_tf.callbacks", "ShuffledRows", "made_tf.training"),
    ("made_tf.constraints", "MaskConstraint", "made_tf"),
    ("made_tf.ensembles", "Ensemble", "made_tf"),
    ("made_tf.initializers", "MaskedInitializer", "made_tf"),
    ("made_tf.layers", "MaskedDense", "made_tf"),
    ("made_tf.random", "uniforms", "made_tf.sampling.random"),
    ("made_tf.runs", "load_run", "made_tf.training.runs"),
    ("made_tf.resampling", "MaskSets", "made_tf.networks"),
    ("made_tf.resampling", "evidence_first", "made_tf.masks"),
    ("made_tf.reproduction.recipe", "Recipe", "made_tf.training.recipe"),
]


def fresh(name):
    sys.modules.pop(name, None)
    return importlib.import_module(name)


@pytest.mark.parametrize(("old", "name", "new"), PUBLIC)
def test_a_name_is_found_in_its_old_module(old, name, new):
    with pytest.warns(DeprecationWarning, match=f"{old} has moved"):
        module = fresh(old)
    assert getattr(module, name) is getattr(importlib.import_module(new), name)
    assert name in module.__all__


@pytest.mark.parametrize("old", sorted(MOVED))
def test_the_table_leads_somewhere(old):
    homes = [importlib.import_module(f"made_tf.{home}") for home in MOVED[old].split()]
    with pytest.warns(DeprecationWarning, match="has moved, and will go: import from made_tf"):
        module = fresh(f"made_tf.{old}")
    assert set(module.__all__) == {name for home in homes for name in home.__all__}
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_a_name_that_was_never_there_is_an_attribute_error():
    with pytest.warns(DeprecationWarning):
        module = fresh("made_tf.layers")
    with pytest.raises(AttributeError, match="module 'made_tf.layers' has no attribute 'Dense'"):
        module.Dense  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"made_tf\.attic"):
        importlib.import_module("made_tf.attic")


def test_the_warning_points_to_the_line_that_imports():
    sys.modules.pop("made_tf.layers", None)
    code = "import made_tf\n\nfrom made_tf.layers import MaskedDense\n"
    with pytest.warns(DeprecationWarning, match="made_tf.layers has moved") as found:
        exec(compile(code, "program.py", "exec"), {"__name__": "__main__"})
    assert [(warning.filename, warning.lineno) for warning in found] == [("program.py", 3)]


def test_attributes_of_the_package_lead_there_too():
    sys.modules.pop("made_tf.layers", None)
    vars(made_tf).pop("layers", None)
    with pytest.warns(DeprecationWarning, match=r"import from made_tf\.networks\.masked_dense"):
        assert made_tf.layers.MaskedDense is made_tf.MaskedDense
