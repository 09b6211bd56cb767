import gc
import os
import pathlib
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Matrices are small, and there are as many workers as cores: threads, which spin while they wait,
# would take the cores from each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
sys.path.insert(0, str(pathlib.Path(__file__).parent))  # for `import reference`

import pytest

gc.set_threshold(1_000_000)  # imports make objects that stay
pytest.register_assert_rewrite("reference")

# Folders and files of many small graphs, each of which takes TensorFlow longer to optimise than to
# run. What its optimiser makes of the package's graphs shows in the others and in OPTIMISED.
GRAPHS_AS_TRACED = (
    "cli",
    "distributions",
    "networks",
    "quality",
    "queries",
    "reproduction",
    "sampling",
    "tables",
    "test_table.py",
    "training",
)
OPTIMISED = (
    "test_composition.py",
    "test_evidence_first.py",
    "test_probability.py",
    "test_recipe.py",
    "test_averaging.py",
    "test_staircase.py",
)
# Folders of many short files, so that no worker is left alone with a long one at the end.
LAST = ("portable", "data", "distributions", "conditionals")


def pytest_configure(config):
    """Lets workers take files in the order of the folders.

    By default those of the fewest tests come last, some of which take longest: one worker waits.
    """
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_addoption(parser):
    parser.addoption(
        "--data-dir",
        default=os.environ.get("MADE_TF_DATA"),
        help="folder of benchmark data sets (default: the environment variable MADE_TF_DATA)",
    )


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LAST, start=1)}
    items.sort(key=lambda item: places.get(item.path.parent.name, 0))


def pytest_collection_finish():
    """Keeps the million objects of imports out of each collection that follows.

    And makes collections rarer: graphs and models are tens of thousands of objects each.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def data_dir(request):
    folder = request.config.getoption("--data-dir")
    if not folder or not pathlib.Path(folder).is_dir():
        pytest.skip("needs benchmark data: --data-dir=DIR or MADE_TF_DATA")
    return pathlib.Path(folder)


@pytest.fixture(scope="session", autouse=True)
def no_wait_for_disks():
    """What a file holds is handed over to the system, and no test waits until a disk has it.

    That it is asked for before a file gets its name is tested in `portable/test_files.py`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_stack_of_each_operation():
    """What TensorFlow keeps of where an operation was made: a tenth of all time below pytest."""
    from tensorflow.python.util import tf_stack

    stack = tf_stack.extract_stack()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf_stack, "extract_stack", lambda stacklevel=1: stack)
        yield


@pytest.fixture(scope="session", autouse=True)
def iterators_that_end_at_once():
    """Those of tf.data without a thread that tunes them, for which each waits when it ends."""
    import tensorflow as tf
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    options, init = tf.data.Options(), OwnedIterator.__init__
    options.autotune.enabled = False

    def of_a_dataset(self, dataset=None, **kwargs):
        init(self, None if dataset is None else dataset.with_options(options), **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OwnedIterator, "__init__", of_a_dataset)
        yield


@pytest.fixture(scope="session", autouse=True)
def briefly():
    """Files are timed by three runs of each batch: no test is about how long they take."""
    from made_tf.export.checks import measure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def share(tmp_path_factory):
    """Tells `example_tables` of a folder that all workers of xdist see."""
    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ and sys.platform != "win32":
            patch.setenv("MADE_TF_TESTS_SHARE", str(tmp_path_factory.getbasetemp().parent))
        yield


@pytest.fixture(scope="module", autouse=True)
def optimiser(request):
    """TensorFlow's optimiser of graphs, on or off for the tests of a file."""
    import tensorflow as tf

    names = request.path.parent.name, request.path.name
    off = any(name in GRAPHS_AS_TRACED for name in names) and names[1] not in OPTIMISED
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": off})


@pytest.fixture(autouse=True)
def seed():
    """Seeds all generators.

    Whenever TensorFlow's is seeded, all that was compiled is dropped, to be compiled again when
    another test calls it. So that one is seeded only where something has drawn from it.
    """
    import keras
    from tensorflow.python.eager import context

    generator = getattr(context.context(), "_rng", None)
    with pytest.MonkeyPatch.context() as patch:
        if generator is not None and generator.getstate() == random.Random(0).getstate():
            patch.setattr("tensorflow.random.set_seed", lambda seed: None)
        keras.utils.set_random_seed(0)
    return 0
