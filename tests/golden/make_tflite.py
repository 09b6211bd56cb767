"""Writes the `.tflite` files of this version that later versions must open.

Run once for each version: `python tests/golden/make_tflite.py`.
"""

import pathlib

import keras
import numpy as np

import made_tf

FAMILIES = {
    "bernoulli": made_tf.Bernoulli(),
    "categorical": made_tf.Categorical([2, 4, 3, 2, 5]),
    "normal": made_tf.Normal([1.0, 0.0, -2.0, 0.5, 3.0], [1.0, 2.0, 0.5, 1.0, 1.0]),
}

folder = pathlib.Path(__file__).parent
for name, family in FAMILIES.items():
    keras.utils.set_random_seed(1)
    model = made_tf.MADE(5, (12,), family, input_order=[3, 1, 5, 2, 4])
    stem = f"{made_tf.__version__}-{name}"
    made_tf.export.to_tflite(model, folder / f"made-{stem}.tflite")
    x = made_tf.MADEDistribution(model).sample(20, seed=7).numpy()
    np.savez(folder / f"tflite-{stem}.npz", x=x, log_prob=model.log_prob(x).numpy())
