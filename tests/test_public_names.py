import ast
import importlib
import importlib.metadata
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

import made_tf

HEAVY = ("tensorflow", "keras", "tensorflow_probability", "tf_keras", "jax", "scipy", "matplotlib")
CLASSES = {
    "Ensemble",
    "EnsembleDistribution",
    "MADE",
    "MADEBijector",
    "MADEDistribution",
    "MaskConstraint",
    "MaskedDense",
    "MaskedInitializer",
    "Bernoulli",
    "Binned",
    "Categorical",
    "Conditionals",
    "Count",
    "Discretized",
    "Embedded",
    "Inflated",
    "Interval",
    "LogisticMixture",
    "Mixed",
    "Normal",
    "NormalMixture",
    "Ordinal",
    "TableModel",
    "TableSchema",
}
MODULES = {
    "batch",
    "conditionals",
    "data",
    "distributions",
    "export",
    "masks",
    "models",
    "networks",
    "plotting",
    "quality",
    "queries",
    "sampling",
    "scoring",
    "tables",
    "training",
    "verification",
}
#: Public modules of 0.1.0 that have moved: see test_moved.py.
MOVED = {"callbacks", "constraints", "ensembles", "initializers", "layers", "random"}


def python(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_public_names_are_these():
    assert set(made_tf.__all__) == CLASSES | MODULES | MOVED | {"__version__"}
    assert dir(made_tf) == sorted(made_tf.__all__)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_class_is_at_hand_and_documented(name):
    item = getattr(made_tf, name)
    assert isinstance(item, type)
    assert item.__name__ == name
    assert item.__doc__


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_module_lists_names_that_exist(name):
    module = getattr(made_tf, name)
    assert module is importlib.import_module(f"made_tf.{name}")
    assert module.__doc__
    assert module.__all__
    for public in module.__all__:
        assert getattr(module, public) is not None


def test_type_checkers_see_the_names_that_there_are():
    tree = ast.parse(pathlib.Path(made_tf.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body for alias in node.names}
    assert seen == CLASSES | MODULES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'made_tf' has no attribute 'MAD'"):
        made_tf.MAD  # noqa: B018


def test_the_version_is_that_of_the_installed_package():
    assert made_tf.__version__ == importlib.metadata.version("made-tf")


@pytest.mark.parametrize("code", ["import made_tf", "import made_tf; dir(made_tf)"])
def test_importing_the_package_imports_nothing_heavy(code):
    loaded = python(f"{code}\nimport sys\nprint(*sys.modules)").split()
    assert "made_tf" in loaded
    assert not set(HEAVY) & set(loaded)


def test_masks_need_numpy_alone():
    loaded = python("import made_tf.masks, sys\nprint(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)


def test_the_model_needs_no_tensorflow_probability_and_leaves_keras_and_generators_alone():
    loaded = python(
        "import random, sys, numpy as np, keras\n"
        "before = random.getstate(), np.random.get_state()[1].tolist()\n"
        "settings = keras.config.floatx(), keras.config.dtype_policy().name\n"
        "import made_tf\n"
        "made_tf.MADE, made_tf.MaskedDense, made_tf.Normal\n"
        "assert before[0] == random.getstate()\n"
        "assert before[1] == np.random.get_state()[1].tolist()\n"
        "assert settings == (keras.config.floatx(), keras.config.dtype_policy().name)\n"
        "print(*sys.modules)"
    ).split()
    assert "keras" in loaded
    assert not {"tensorflow_probability", "tf_keras", "ai_edge_litert"} & set(loaded)


@pytest.mark.parametrize("name", sorted(CLASSES - {"Conditionals"}))
def test_each_argument_of_a_class_is_explained_there_or_in_its_base(name):
    own = getattr(made_tf, name)
    parameters = inspect.signature(own.__init__).parameters.values()
    named = {each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD}
    texts = [inspect.cleandoc(each.__doc__ or "") for each in own.__mro__]
    texts = texts[:1] if "Args:" in texts[0] else texts
    explained = re.findall(r"^    (\w+)(?: \([^)]*\))?:", "\n".join(texts), re.MULTILINE)
    assert named - {"self"} <= set(explained)
