"""The digits that scikit-learn ships."""

import sys

import numpy as np
import pytest

from made_tf import data


def test_digits_are_split_with_a_seed():
    splits = data.load_digits(seed=3)
    assert [part.shape for part in splits[:3]] == [(1257, 64), (180, 64), (360, 64)]
    assert set(np.unique(splits.train)) == {0.0, 1.0}
    assert splits.train.dtype == np.float32
    assert len(splits.columns) == 64
    np.testing.assert_array_equal(splits.test, data.load_digits(seed=3).test)
    assert not np.array_equal(splits.test, data.load_digits(seed=4).test)


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"scikit-learn.*pip install 'made-tf\[demo\]'"):
        data.load_digits()
