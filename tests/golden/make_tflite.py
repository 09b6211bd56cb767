"""Writes the golden .tflite files of this version, and what they answer.

    PYTHONPATH=tests python tests/golden/make_tflite.py

A version adds its own files and never changes those of another.
"""

import json
import pathlib

import numpy as np
import reference

import made_tf
from made_tf import export

FOLDER = pathlib.Path(__file__).parent / "tflite"
NAMES = [{"name": name} for name in ("colour", "size", "shape", "price")]


def answers(path):
    device = export.LiteSampler(path)
    rows = device.sample(12, seed=-7)
    found = {
        "seed": -7,
        "rows": rows.tolist(),
        "log_prob": device.log_prob(rows).tolist(),
        "conditionals": {k: v.tolist() for k, v in device.conditionals(rows[:2]).items()},
        "event_size": device.event_size,
    }
    if "impute" in device.signatures:
        gaps = np.where(np.eye(12, rows.shape[1]) > 0, np.nan, rows)
        found["gaps"] = [[None if np.isnan(v) else v for v in row] for row in gaps.tolist()]
        found["filled"] = device.impute(gaps, seed=5).tolist()
    return found


def main():
    FOLDER.mkdir(exist_ok=True)
    classes = reference.small_model("ragged", 4, hidden_units=(8,))
    any_order = reference.small_model("bernoulli", 5, hidden_units=(8,), num_masks=None)
    models = {
        "bits": (reference.small_model("bernoulli", 6, hidden_units=(8,)), {}),
        "classes": (classes, {"weights": "int8", "variables": NAMES, "licence": "CC0-1.0"}),
        "any-order": (any_order, {"weights": "float16"}),
        "numbers": (reference.small_model("scaled_normal", 3, hidden_units=(8,)), {}),
    }
    for name, (model, options) in models.items():
        path = FOLDER / f"{made_tf.__version__}-{name}.tflite"
        if path.exists():
            raise SystemExit(f"{path} exists: a golden file is never renewed")
        export.to_tflite(model, path, **options)
        path.with_suffix(".json").write_text(json.dumps(answers(path)))


if __name__ == "__main__":
    main()
