"""Writes a small golden file of each kind of model, and what it answered.

Run once with version 0.1.0 (commit de8cf29), Keras 3.15.1 and TensorFlow 2.21.0, from the root:

    PYTHONPATH=.:tests python tests/golden/make_kinds.py

A version adds its own files and never changes those of another. Weights are random numbers, off
the masks too: opening a file, and the forward pass, must mask them.
"""

import pathlib

import numpy as np
import reference

import made_tf
from made_tf import export

FOLDER = pathlib.Path(__file__).parent / "kinds"
SEED = 7  # of all that is drawn
CLASSES = made_tf.Categorical([2, 5, 3, 4, 2])
NUMBERS = made_tf.Normal([3.0, -1.0, 0.0, 20.0, 0.5], [0.5, 2.0, 1.0, 8.0, 0.1])
GROUPS = [0, 0, 0, 1, 1, 2, 3, 3]

#: D, the widths of the hidden layers, and further arguments of `MADE`.
MODELS = {
    "mixture": (7, (16,), {"num_masks": 4, "num_orders": 3}),
    "mask-weights": (7, (12,), {"num_masks": 4, "num_orders": 3, "mask_weights": True}),
    "fresh": (6, (14,), {"num_masks": None, "num_orders": 2}),
    "groups": (8, (14,), {"num_masks": None, "num_orders": 3, "order_groups": GROUPS}),
    "residual": (6, (12, 12, 12), {"input_order": "random", "residual": True}),
    "early": (6, (16, 14), {"hidden_degrees": "early", "activation": "tanh"}),
    "int8": (9, (16,), {}),
    "classes": (5, (12,), {"conditionals": CLASSES, "input_order": [2, 5, 1, 3, 4]}),
    "numbers": (5, (12,), {"conditionals": NUMBERS, "input_order": "random"}),
    "any-order-classes": (5, (12,), {"conditionals": CLASSES, "num_masks": None, "num_orders": 2}),
    "any-order-numbers": (5, (12,), {"conditionals": NUMBERS, "num_masks": None}),
}
#: Models to export, with further arguments of `to_tflite`.
EXPORTS = {"mixture": {}, "any-order-classes": {}, "residual": {}, "int8": {"weights": "int8"}}


def make_model(name, seed=1):
    event_size, hidden_units, options = MODELS[name]
    model = made_tf.MADE(event_size, hidden_units, seed=seed, **options)
    rng = np.random.default_rng(seed)
    scale = 0.5 if model.conditionals.is_discrete else 0.3  # large ones amplify rounding
    for variable in model.trainable_variables:  # kernels, biases, kernels of masks
        variable.assign(rng.normal(scale=scale, size=variable.shape))
    if name == "int8":
        model.quantize("int8")
    return model


def with_gaps(x):
    """Leaves values out: all of the first row, none of the second, some of the others."""
    missing = np.random.default_rng(SEED).random(x.shape) < 0.5
    missing[0], missing[1] = True, False
    return np.where(missing, np.nan, x).astype(np.float32)


def host_answers(model, x):
    if isinstance(model, made_tf.Ensemble):
        dist = made_tf.EnsembleDistribution(model)
        return {"log_prob": model.log_prob(x), "sample": dist.sample(32, seed=SEED)}
    dist = made_tf.MADEDistribution(model)
    found = {"log_prob": model.log_prob(x), "sample": dist.sample(32, seed=SEED)}
    if model.num_orders > 1:
        found |= model.order_statistics(x)._asdict()
    if model.any_order:
        found["gaps"] = with_gaps(x)
        found["filled"] = dist.impute(found["gaps"], seed=SEED)
    return found


def device_answers(device, x):
    found = {"log_prob": device.log_prob(x), "sample": device.sample(32, seed=SEED)}
    found |= {f"conditionals.{name}": v for name, v in device.conditionals(x).items()}
    if "impute" in device.signatures:
        found["gaps"] = with_gaps(x)
        found["filled"] = device.impute(found["gaps"], seed=SEED)
    return found


def new_path(name, suffix):
    path = FOLDER / f"{made_tf.__version__}-{name}{suffix}"
    if path.exists():
        raise SystemExit(f"{path} exists: a golden file is never renewed")
    return path


def keep(path, x, found):
    arrays = {"x": x} | {name: np.asarray(values) for name, values in found.items()}
    assert all(np.isfinite(values).all() for name, values in arrays.items() if name != "gaps")
    np.savez_compressed(f"{path}.npz", **arrays)


def main():
    FOLDER.mkdir(exist_ok=True)
    models = {name: make_model(name) for name in MODELS}
    models["ensemble"] = made_tf.Ensemble([models["early"], make_model("residual", seed=2)])
    for name, model in models.items():
        x = reference.rows(model.conditionals, 16, model.event_size)
        path = new_path(name, ".keras")
        model.save(path)
        keep(path, x, host_answers(model, x))
        if name in EXPORTS:
            path = new_path(name, ".tflite")
            export.to_tflite(model, path, **EXPORTS[name])
            keep(path, x, device_answers(export.LiteSampler(path), x))


if __name__ == "__main__":
    main()
