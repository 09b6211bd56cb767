"""Rows for training, validation and testing, checked before anything is trained."""

import numpy as np
import pytest

from made_tf import data


@pytest.fixture
def x():
    return np.arange(12, dtype=np.float32).reshape(4, 3)


def test_npz_splits(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, train=x.astype(np.uint8), valid=x[:2], test=x[2:])
    splits = data.load_splits(path)
    np.testing.assert_array_equal(splits.train, x)
    np.testing.assert_array_equal(splits.valid, x[:2])
    np.testing.assert_array_equal(splits.test, x[2:])
    np.testing.assert_array_equal(data.load_rows(path), x[2:])
    np.testing.assert_array_equal(data.load_rows(path, "valid"), x[:2])
    with pytest.raises(ValueError, match=r"has no array 'fold'. It holds: \['test', 'train'"):
        data.load_rows(path, "fold")


def test_validation_rows_are_split_off(tmp_path):
    x = np.arange(20, dtype=np.float32)[:, None]
    path = tmp_path / "x.npz"
    np.savez(path, train=x, test=x[:3])
    splits = data.load_splits(path, validation_fraction=0.25, seed=1)
    assert [len(part) for part in splits[:3]] == [15, 5, 3]
    assert sorted([*splits.train[:, 0], *splits.valid[:, 0]]) == list(range(20))
    np.savez(path, anything=x)
    again = data.load_splits(path, validation_fraction=0.25, seed=1)
    np.testing.assert_array_equal(again.train, splits.train)
    assert again.test.shape == (0, 1)
    other = data.load_splits(path, validation_fraction=0.25, seed=2)
    assert not np.array_equal(other.train, splits.train)


def test_one_array_among_several(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, data=x, fold=np.arange(4))
    with pytest.raises(ValueError, match=r"It holds: \['data', 'fold'\]"):
        data.load_splits(path)
    assert len(data.load_splits(path, 0.5, array="data").train) == 2
    with pytest.raises(ValueError, match=r"array 'fold' must be numeric, of shape \[rows, col"):
        data.load_splits(path, array="fold")
    with pytest.raises(ValueError, match=r"`array` is for .npz files only. Received: array='data'"):
        (tmp_path / "x.csv").write_text("1\n")
        data.load_table(tmp_path / "x.csv", array="data")


def test_splits_that_contradict(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, train=x, valid=x[:, :2])
    with pytest.raises(ValueError, match="equal widths"):
        data.load_splits(path)
    np.savez(path, x=x[:1])
    with pytest.raises(ValueError, match="leaves no rows"):
        data.load_splits(path)
    with pytest.raises(ValueError, match="`validation_fraction` must lie between 0 and 1"):
        data.load_splits(path, validation_fraction=1.0)


def test_shared_tables(data_dir):
    splits = data.load_splits(data_dir / "binary" / "adult.npz")
    assert [part.shape for part in splits[:3]] == [(5000, 123), (1414, 123), (26147, 123)]
    wine = data.load_splits(data_dir / "tabular" / "red_wine_10fold.npz", array="data")
    assert len(wine.train) + len(wine.valid) == 1599
    with pytest.raises(ValueError, match="column 'cut' is not numeric"):
        data.load_table(data_dir / "tabular" / "diamonds.csv")
    with pytest.raises(ValueError, match="column 'species' is not numeric"):
        data.load_table(data_dir / "tabular" / "penguins.csv")


@pytest.mark.parametrize("member", ["train", "valid", "test"])
def test_values_outside_the_support_are_named(tmp_path, x, member):
    path = tmp_path / "x.npz"
    arrays = {name: np.zeros([5, 3]) for name in ("train", "valid", "test")}
    arrays[member][3, 1] = 2.5
    np.savez(path, **arrays)
    data.load_splits(path)
    data.load_splits(path, conditionals="normal")
    for family in ("bernoulli", "categorical"):
        message = rf"x.npz, array '{member}' must contain, for {family}.*Received: 2.5 in row 4 "
        with pytest.raises(ValueError, match=message + r"\(the first is 1\), column 'x1'"):
            data.load_splits(path, conditionals=family)


def test_rows_are_counted_before_the_shuffle(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "0,1\n" * 30 + "0,7\n" + "1,1\n" * 30)
    with pytest.raises(ValueError, match=r"x.csv must contain.*7.0 in row 31 .*column 'b'; 1 such"):
        data.load_splits(path, conditionals="bernoulli")


def test_values_known_in_part_are_checked():
    from made_tf import Categorical

    x = np.array([[0, np.nan], [1, 2]], np.float32)
    data.check_support("x.csv", x, ["a", "b"], Categorical([2, 3]))
    with pytest.raises(ValueError, match=r"x.csv must .* 2.0 in row 2 .*column 'b'; 1 such"):
        data.check_support("x.csv", x, ["a", "b"], Categorical([2, 2]))


@pytest.mark.parametrize("name", ["valid", "val", "validation", "dev"])
def test_validation_rows_are_found_under_their_usual_names(tmp_path, x, name):
    path = tmp_path / "x.npz"
    np.savez(path, **{"train": x, name: x[:1] + 5})
    splits = data.load_splits(path)
    np.testing.assert_array_equal(splits.train, x)
    np.testing.assert_array_equal(splits.valid, x[:1] + 5)


def test_two_arrays_of_validation_rows_are_one_too_many(tmp_path, x):
    path = tmp_path / "x.npz"
    np.savez(path, train=x, valid=x[:1], dev=x[1:])
    with pytest.raises(ValueError, match=r"one array of validation rows.*\['valid', 'dev'\]"):
        data.load_splits(path)


def test_far_numbers_are_no_classes(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=np.stack([np.arange(40) % 2, 90_000 + np.arange(40)], axis=1))
    with pytest.raises(ValueError, match=r"40 different values up to 90039 in column 1. Number"):
        data.load_splits(path, conditionals="categorical")
