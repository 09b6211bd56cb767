"""`keras.saving.load_model` opens what was saved, without an import of its class."""

import importlib
import pathlib
import subprocess
import sys

import keras
import pytest

import made_tf
from made_tf import saved_classes

GOLDEN = pathlib.Path(__file__).parent / "golden"
FILES = [GOLDEN / "made-0.1.0.keras", *sorted((GOLDEN / "kinds").glob("*ensemble.keras"))]
NAMES = {
    f"made_tf>{name}": home
    for home, names in saved_classes.CLASSES.items()
    for name in names.split()
}


@pytest.fixture
def registered(monkeypatch):
    """Keras' table of registered names, put back after the test."""
    known = keras.saving.get_custom_objects()
    for name in list(known):
        monkeypatch.setitem(known, name, known[name])
    return known


def test_a_fresh_interpreter_opens_models_after_the_import_of_the_package_alone():
    code = (
        "import importlib.util, sys, made_tf\n"
        "assert importlib.util.find_spec('keras').name == 'keras'  # looks, and imports nothing\n"
        "assert 'keras' not in sys.modules\n"
        "import keras\n"
        "assert type(keras.__spec__.loader).__module__ == '_frozen_importlib_external'\n"
        "assert not {'made_tf.models', 'made_tf.conditionals'} & set(sys.modules)\n"
        "print(*(keras.saving.load_model(file).event_size for file in sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, FILES)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(keras.saving.load_model(file).event_size) for file in FILES]


def test_names_are_registered_at_once_where_keras_is_there(registered):
    for name in NAMES:
        del registered[name]
    saved_classes.install()
    stand_in = registered["made_tf>MADE"]
    assert stand_in is not made_tf.MADE
    assert stand_in.from_config == made_tf.MADE.from_config
    assert type(keras.saving.load_model(FILES[0])) is made_tf.MADE
    assert type(stand_in(event_size=2)) is made_tf.MADE


def test_classes_that_have_been_imported_stay(registered):
    saved_classes.install()
    assert registered["made_tf>MADE"] is made_tf.MADE


def test_the_table_names_every_class_that_keras_saves():
    homes = {name: importlib.import_module(f"made_tf.{home}") for name, home in NAMES.items()}
    known = keras.saving.get_custom_objects()
    ours = {
        name
        for name, found in known.items()
        if name.startswith("made_tf>") and found.__module__.startswith("made_tf.")
    }
    assert ours == set(NAMES)
    for name, home in homes.items():
        assert known[name] is getattr(home, name.removeprefix("made_tf>"))
