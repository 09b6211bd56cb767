"""Writes the model file and the numbers that later versions must reproduce.

Run it once for each version that changes the file format, from the repository's root:
`python tests/golden/make_golden.py`. It refuses to overwrite: a golden file is never renewed.
"""

import pathlib

import keras
import numpy as np

import made_tf

FOLDER = pathlib.Path(__file__).parent


def main():
    path = FOLDER / f"made-{made_tf.__version__}.keras"
    if path.exists():
        raise SystemExit(f"{path} exists")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.integers(0, [2, 4, 3, 2, 5], (200, 5)).astype(np.float32)
    x[:, 3] = x[:, 0]
    model = made_tf.MADE(
        5,
        hidden_units=(12, 9),
        conditionals=made_tf.Categorical([2, 4, 3, 2, 5]),
        input_order="random",
        hidden_degrees="random",
        dropout=0.1,
        kernel_regularizer="l2",
    )
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(x, epochs=5, verbose=0)
    model.save(path)
    rows = x[:20]
    np.savez(path.with_suffix(".npz"), x=rows, params=model(rows), log_prob=model.log_prob(rows))


if __name__ == "__main__":
    main()
