import sys

import numpy as np
import pytest

import made_tf
from made_tf import plotting


def test_masks_appear_as_staircases():
    model = made_tf.MADE(6, hidden_units=(20, 10), input_order="random", seed=0)
    figure = plotting.plot_masks(model)
    assert [axis.get_title().split("\n")[0] for axis in figure.axes] == [
        "hidden_1",
        "hidden_2",
        "output",
        "direct",
    ]
    for axis in figure.axes:
        (image,) = axis.get_images()
        mask = np.asarray(image.get_array(), int)
        assert (np.diff(mask, axis=0) <= 0).all()  # sorted: live weights in the upper right
        assert (np.diff(mask, axis=1) >= 0).all()


def test_images_lie_side_by_side():
    rows = np.arange(12).reshape(3, 4)
    figure = plotting.plot_images({"a": rows, "b": rows[:1]}, (2, 2), title="both")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    first = np.ma.filled(figure.axes[0].get_images()[0].get_array(), np.nan)
    np.testing.assert_array_equal(
        first,
        [
            [0, 1, np.nan, 4, 5],
            [2, 3, np.nan, 6, 7],
            [np.nan] * 5,
            [8, 9, np.nan, np.nan, np.nan],
            [10, 11, np.nan, np.nan, np.nan],
        ],
    )


def test_constant_images_and_the_limit():
    figure = plotting.plot_images({"a": np.zeros([100, 1])}, (1, 1), max_images=4)
    assert figure.axes[0].get_images()[0].get_array().shape == (3, 3)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "at least one group"),
        ({"a": np.zeros([0, 4])}, "needs rows of 4 values"),
        ({"a": np.zeros([2, 5])}, r"2x2 needs rows of 4 values. Received: 'a' of shape \(2, 5\)"),
        ({"a": np.zeros(4)}, "needs rows of 4 values"),
    ],
)
def test_bad_images(groups, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_images(groups, (2, 2))


def test_history_marks_the_best_epoch():
    history = [
        {"epoch": epoch, "nll": 3.0 / epoch, "val_nll": abs(epoch - 3) + 1.0}
        for epoch in range(1, 6)
    ]
    (axis,) = plotting.plot_history(history).axes
    assert [text.get_text() for text in axis.texts] == ["best: 1.00 (epoch 3)"]
    assert plotting.plot_history([{"epoch": 1, "nll": 2.0}]).axes  # one epoch, no validation
    with pytest.raises(ValueError, match="at least one epoch"):
        plotting.plot_history([])


def test_saving(tmp_path):
    figure = plotting.plot_history([{"epoch": 1, "nll": 2.0}])
    plotting.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="nonsense"):
        plotting.save(figure, tmp_path / "a.nonsense")
    with pytest.raises(FileNotFoundError):
        plotting.save(figure, tmp_path / "missing" / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_no_global_state():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plotting.plot_history([{"epoch": 1, "nll": 2.0}])
    assert dict(mpl.rcParams) == before


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"matplotlib.*pip install 'made-tf\[demo\]'"):
        plotting.plot_history([{"epoch": 1, "nll": 2.0}])


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([{"epoch": 1, "val_nll": 2.0}], "must have `epoch` and `nll` in each row"),
        ([{"epoch": 1, "nll": 2.0}, {"epoch": 2, "nll": 1.0, "val_nll": 1.0}], "all or none"),
        ([{"epoch": 1, "nll": np.nan}], "must have finite values. Received: .*nan"),
        ({"nll": [1.0, 2.0], "val_nll": [1.0, np.inf]}, "must have finite values"),
        ({"loss": [1.0]}, "must have `epoch` and `nll`"),
    ],
)
def test_bad_histories(history, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_history(history)
