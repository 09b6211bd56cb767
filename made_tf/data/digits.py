"""The handwritten digits that scikit-learn ships, binarized."""

from __future__ import annotations

import numpy as np

from made_tf.data.optional import optional_module
from made_tf.data.splits import Splits

__all__ = ["DIGITS_THRESHOLD", "load_digits"]

#: A pixel of the digits (0..16) is 1 where it is at least this bright.
DIGITS_THRESHOLD = 8


def load_digits(seed: int = 0) -> Splits:
    """Returns the 1797 handwritten digits of scikit-learn, 8x8 pixels, binarized.

    A pixel is 1 where its brightness (0..16) is at least `DIGITS_THRESHOLD`.

    Args:
        seed: seed of the shuffle before the split.

    Returns:
        `Splits` of 1257, 180 and 360 rows, D = 64.

    Raises:
        ModuleNotFoundError: if scikit-learn is not installed.
    """
    images = optional_module("sklearn.datasets", "scikit-learn", "demo").load_digits().data
    x = (images >= DIGITS_THRESHOLD).astype(np.float32)
    x = x[np.random.default_rng(seed).permutation(len(x))]
    train, valid, test = np.split(x, [1257, 1437])
    columns = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    return Splits(train, valid, test, columns)
