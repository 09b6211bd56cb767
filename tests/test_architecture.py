"""The house: which wing may import which, without circles, in files of one job."""

import ast
import functools
import pathlib
import shutil

import pytest

import made_tf

#: What each wing may import, beside itself and what these may import in turn. The one table of
#: rules: a new wing is a new line.
RULES = {
    "portable": (),
    "parquet": ("portable",),
    "masks": ("portable",),
    "conditionals": ("portable",),
    "networks": ("masks", "conditionals"),
    "models": ("networks",),
    "scoring": ("models",),
    "verification": ("models",),
    "sampling": ("models",),
    "queries": ("sampling",),
    "distributions": ("queries",),
    "data": ("conditionals", "parquet"),
    "training": ("scoring", "data"),
    "plotting": ("scoring",),
    "quality": ("data", "plotting"),
    "export.runtime": ("portable",),
    "batch": ("export.runtime", "parquet"),
    "export": ("sampling", "scoring", "verification", "export.runtime"),
    "tables": ("training", "distributions", "export", "quality"),
    "reproduction": ("training", "plotting", "distributions", "export"),
    "cli": ("reproduction", "tables", "batch"),
}
#: The front door: it names everything, and imports it when it is asked for.
DOOR = ("made_tf", "made_tf.moved", "made_tf.saved_classes")

#: The first wing that may import a library when it is imported itself (not in a function).
LIBRARIES = {
    "keras": "conditionals",
    "tensorflow": "sampling",
    "tensorflow_probability": "sampling",
    "ai_edge_litert": "export.runtime",
    "matplotlib": None,
    "pandas": None,
    "sklearn": "tables",
    "narwhals": None,
    "apache_beam": "batch",
    "pyarrow": "parquet",
    "pyspark": None,
    "optuna": None,
}

LINES = 350
#: Longer files, each with its reason.
LONGER: dict[str, str] = {}

ROOT = pathlib.Path(made_tf.__file__).resolve().parent.parent


parsed = functools.cache(ast.parse)  # copies of the house differ in one file


class House:
    """The modules of a checkout and what they import, read from their text."""

    def __init__(self, root):
        self.files = {}
        for folder, package in (("made_tf", "made_tf"), ("export", "made_tf.export")):
            for path in sorted((root / folder).rglob("*.py")):
                inner = path.relative_to(root / folder)
                linked = any(
                    (root / folder / part).is_symlink() for part in [*inner.parents, inner]
                )
                if not linked:
                    parts = [package, *inner.with_suffix("").parts]
                    self.files[".".join(parts).removesuffix(".__init__")] = path
        self.trees = {
            module: parsed(path.read_text(encoding="utf-8")) for module, path in self.files.items()
        }
        self.packages = {
            module for module, path in self.files.items() if path.name == "__init__.py"
        }

    def imports(self, module):
        """Yields (imported name, whether it is imported at once) of a module."""
        for node, at_once in imports_of(self.trees[module]):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                base = self._base(module, node)
                names = [f"{base}.{alias.name}" for alias in node.names]
            yield from ((name, at_once) for name in names)

    def _base(self, module, node):
        if not node.level:
            return node.module
        up = module.split(".")
        up = up[: len(up) - node.level + (module in self.packages)]
        return ".".join([*up, *([node.module] if node.module else [])])

    def target(self, name):
        """Returns the module that an imported name is, or is in; `None` for foreign ones."""
        name = name.replace("made_tf.export.runtime.portable", "made_tf.portable")  # the link
        while name and name not in self.files:
            name = name.rpartition(".")[0]
        return name or None

    def arrows(self):
        """Yields (module, imported module) within the house."""
        for module in self.files:
            targets = {self.target(name) for name, _ in self.imports(module)}
            yield from ((module, target) for target in sorted(targets - {None, module}))


@functools.cache
def imports_of(tree):
    """Returns the imports in a file, and whether each is done at once."""
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) or _is_type_checking(node)
        for inner in ast.walk(node)
    }
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return [(node, id(node) not in lazy) for node in nodes]


@functools.cache
def functions_that_compare(tree):
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and "less_equal" in ast.unparse(node)
    ]


def _is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def wing(module):
    inner = module.removeprefix("made_tf.")
    return "export.runtime" if inner.startswith("export.runtime") else inner.split(".")[0]


@functools.cache
def allowed(name):
    return {name, *RULES[name], *(deeper for below in RULES[name] for deeper in allowed(below))}


def against_the_rules(house):
    """Lists the imports that reach up or sideways, and wings without a rule."""
    found = []
    for module, target in house.arrows():
        if module in DOOR:
            continue
        if wing(module) not in RULES:
            found.append(f"{module}: the wing {wing(module)} has no rule")
        elif target in DOOR or wing(target) not in allowed(wing(module)):
            found.append(f"{module} must not import {target}")
    return found


def against_the_libraries(house):
    """Lists the libraries that are imported too low in the house, or before they are needed."""
    found = []
    for module in house.files:
        for name, at_once in house.imports(module):
            library = name.split(".")[0]
            if library not in LIBRARIES or not at_once:
                continue
            first = LIBRARIES[library]
            if module in DOOR or first is None or first not in allowed(wing(module)):
                found.append(f"{module} must not import {library}")
    return found


def circle(house):
    """Returns modules that import one another in a circle, lazily or not; none if there is none."""
    targets = {}
    for module, target in house.arrows():
        if module not in DOOR:
            targets.setdefault(module, []).append(target)
    done, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        path.append(module)
        for target in targets.get(module, []):
            if found := visit(target):
                return found
        path.pop()
        done.add(module)
        return []

    for module in house.files:
        if found := visit(module):
            return found
    return []


def compares_degrees(house):
    """Lists the functions that compare numbers as masks do: with `<=` or `<` of whole arrays."""
    return [
        f"{module}.{name}"
        for module, tree in house.trees.items()
        for name in functions_that_compare(tree)
    ]


needs_checkout = pytest.mark.skipif(
    not (ROOT / "export").is_dir(), reason="the folders are as here in a checkout alone"
)


@pytest.fixture(scope="module")
def house():
    return House(ROOT)


@needs_checkout
def test_no_wing_reaches_up_or_sideways(house):
    assert len(house.files) > 100
    assert against_the_rules(house) == []


@needs_checkout
def test_libraries_begin_where_they_should(house):
    assert against_the_libraries(house) == []


@needs_checkout
def test_there_is_no_circle(house):
    assert circle(house) == []


@needs_checkout
def test_every_rule_has_its_wing(house):
    assert set(RULES) == {wing(module) for module in house.files if module not in DOOR}


@needs_checkout
def test_no_file_is_long_without_a_reason(house):
    counts = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in house.files.values()
    }
    assert {name: count for name, count in counts.items() if count > LINES} == LONGER


@needs_checkout
def test_one_place_in_numpy_and_one_on_tensors_compare_degrees(house):
    assert compares_degrees(house) == [
        "made_tf.masks.degrees_to_mask",
        "made_tf.networks.kernel_mask.connected",
    ]


@needs_checkout
@pytest.mark.parametrize(
    ("file", "line", "check", "told"),
    [
        (
            "made_tf/masks.py",
            "from made_tf.models import MADE",
            against_the_rules,
            "made_tf.masks must not import made_tf.models",
        ),
        (
            "made_tf/sampling/plan.py",
            "def late():\n    from made_tf.queries import estimate",
            against_the_rules,
            "made_tf.sampling.plan must not import made_tf.queries.estimate",
        ),
        (
            "made_tf/data/writers.py",
            "from made_tf import plotting",
            against_the_rules,
            "made_tf.data.writers must not import made_tf.plotting",
        ),
        (
            "made_tf/portable/files.py",
            "import made_tf",
            against_the_rules,
            "made_tf.portable.files must not import made_tf",
        ),
        (
            "export/runtime/files.py",
            "from ..convert import to_tflite",
            against_the_rules,
            "made_tf.export.runtime.files must not import made_tf.export.convert",
        ),
        (
            "made_tf/batch/parts.py",
            "from made_tf.data import readers",
            against_the_rules,
            "made_tf.batch.parts must not import made_tf.data.readers",
        ),
        (
            "made_tf/batch/model.py",
            "import keras",
            against_the_libraries,
            "made_tf.batch.model must not import keras",
        ),
        (
            "made_tf/attic/old.py",
            "from made_tf import masks",
            against_the_rules,
            "made_tf.attic.old: the wing attic has no rule",
        ),
        (
            "made_tf/networks/masking.py",
            "import tensorflow as tf",
            against_the_libraries,
            "made_tf.networks.masking must not import tensorflow",
        ),
        (
            "made_tf/networks/kernel_mask.py",
            "from made_tf.networks.masked_dense import MaskedDense",
            circle,
            "made_tf.networks.masked_dense",
        ),
        (
            "made_tf/conditionals/normal.py",
            "def again(a, b):\n    return np.less_equal(a, b)",
            compares_degrees,
            "made_tf.conditionals.normal.again",
        ),
    ],
)
def test_a_broken_copy_is_found_out(tmp_path, file, line, check, told):
    for folder in ("made_tf", "export"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=ignored)
    assert told not in check(House(tmp_path))
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")
    assert told in check(House(tmp_path))
