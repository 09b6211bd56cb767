"""Tables of made-up rides, and small models of them that several tests ask."""

import contextlib
import functools
import itertools
import os
import pathlib
import warnings

import numpy as np
import pandas as pd

from made_tf import MADE
from made_tf.data.table_schema import TableSchema
from made_tf.export import to_tflite
from made_tf.tables import TableModel
from made_tf.tables.families import families_of
from made_tf.training.recipe import Recipe

CONTENT = {
    "model": {"hidden_units": [24, 24], "residual": True},
    "training": {"batch_size": 64, "learning_rate": 5e-3, "steps": 60, "looks": 2, "patience": 2},
}
JOINT = Recipe.from_dict("joint", CONTENT)
QUESTIONS = Recipe.from_dict(
    "questions",
    {
        **CONTENT,
        "model": {**CONTENT["model"], "num_masks": "fresh", "mask_weights": True},
    },
)


def rides(count=400, seed=0):
    """A table with a sum, an order, a dependency, an identifier and cells that are missing."""
    rng = np.random.default_rng(seed)
    pickup = pd.Timestamp("2019-03-01") + pd.to_timedelta(rng.integers(0, 50_000, count), "min")
    minutes = 1 + rng.poisson(12, count)
    fare = np.round(2.5 + 0.9 * minutes + rng.gamma(1, 2, count), 2)
    tip = np.round(fare * rng.choice([0, 0.15, 0.2], count), 2)
    zone = rng.choice(["Astoria", "Chelsea", "Harlem", "Jamaica"], count)
    payment = rng.choice(["card", "cash", None], count, p=[0.6, 0.3, 0.1])
    return pd.DataFrame(
        {
            "ride": [f"r{number:05}" for number in range(count)],
            "pickup": pickup,
            "dropoff": pickup + pd.to_timedelta(minutes, "min"),
            "zone": zone,
            "borough": np.where(np.isin(zone, ["Astoria", "Jamaica"]), "Queens", "Manhattan"),
            "fare": fare,
            "tip": np.where(payment == "cash", 0.0, tip),
            "total": np.round(fare + np.where(payment == "cash", 0.0, tip), 2),
            "payment": payment,
            "passengers": np.where(rng.random(count) < 0.1, np.nan, rng.integers(1, 5, count)),
            "shared": rng.random(count) < 0.3,
        }
    )


def facts_hold(frame):
    """Returns whether the facts of `rides` hold in each row."""
    total = (frame["fare"] + frame["tip"] - frame["total"]).abs() < 1e-6
    order = frame["dropoff"] >= frame["pickup"]
    queens = frame["zone"].isin(["Astoria", "Jamaica"])
    borough = frame["borough"] == np.where(queens, "Queens", "Manhattan")
    return total & order & borough


@functools.cache
def fitted_rides():
    """A model of `rides`, trained a little."""
    return _fitted(rides)


def grades(count=300, seed=0):
    """A table of few states: two categories, an ordered one, missing cells, a dependency."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 3, count)
    colour = np.where(rng.random(count) < 0.2 + 0.3 * level, "red", "blue").astype(object)
    colour[rng.random(count) < 0.15] = None
    names = np.array(["low", "mid", "high"])
    return pd.DataFrame(
        {
            "colour": colour,
            "level": pd.Categorical(names[level], names, ordered=True),
            "big": level == 2,
            "side": rng.choice(["left", "right"], count),
        }
    )


def all_grades():
    """All states of `grades`, those that contradict the dependency left out."""
    levels = ["low", "mid", "high"]
    rows = [
        (colour, level, level == "high", side)
        for colour, level, side in itertools.product(
            ["red", "blue", None], levels, ["left", "right"]
        )
    ]
    frame = pd.DataFrame(rows, columns=["colour", "level", "big", "side"])
    frame["level"] = pd.Categorical(frame["level"], levels, ordered=True)
    return frame


@functools.cache
def fitted_grades():
    """A model of `grades`, trained a little."""
    return _fitted(grades)


def _fitted(make):
    """Trains a model of a table, or reads the one that another worker of these tests trained."""
    with contextlib.ExitStack() as held:
        folder = os.environ.get("MADE_TF_TESTS_SHARE")
        path = pathlib.Path(folder or "", f"{make.__name__}.keras")
        if folder:
            import fcntl

            lock = held.enter_context(open(path.with_suffix(".lock"), "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed, whatever happens
            if path.exists():
                return TableModel.load(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the identifier
            model = TableModel(recipe=JOINT, questions=QUESTIONS).fit(make())
        if folder:
            model.save(path)
    return model


def schema_of(frame):
    """What a frame's columns are, without a word about identifiers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return TableSchema.infer(frame)


def untrained(frame, path, num_masks=1, **options):
    """Exports a network over a table's columns that has learned nothing but their families."""
    schema = schema_of(frame)
    x = schema.encode_frame(frame).x
    model = MADE(
        x.shape[1],
        (24, 24),
        conditionals=families_of(schema, x),
        num_masks=num_masks,
        mask_weights=num_masks is None,
        seed=0,
    )
    to_tflite(model, path, schema=schema.to_dict(), **options)
