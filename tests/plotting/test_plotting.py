import sys

import numpy as np
import pytest

import made_tf
from made_tf import plotting
from made_tf.models.paths import path_spread


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


def test_images_in_a_file(tmp_path):
    rows = np.arange(4).reshape(2, 2)
    plotting.save_images(tmp_path / "x.png", rows, (1, 2))
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="needs rows of 4 values"):
        plotting.save_images(tmp_path / "y.png", rows, (2, 2))
    with pytest.raises(ValueError, match=r"needs rows of 2 values. Received: .* \(0, 2\)"):
        plotting.save_images(tmp_path / "y.png", rows[:0], (1, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_all_images_are_drawn(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    real = Figure.savefig

    def savefig(figure, *args, **kwargs):
        drawn.append(figure)
        real(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    plotting.save_images(tmp_path / "x.png", np.ones([100, 1]), (1, 1))
    picture = drawn[0].axes[0].get_images()[0].get_array()
    assert np.isfinite(np.ma.filled(picture, np.nan)).sum() == 100
    with pytest.raises(ValueError, match="at most 1024 rows, to be drawn. Received: 1025"):
        plotting.save_images(tmp_path / "x.png", np.ones([1025, 1]), (1, 1))


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


def picture(axis):
    return np.asarray(axis.get_images()[0].get_array())


def test_completions_tell_known_from_drawn_pixels():
    nan = np.nan
    evidence = [[1, nan], [nan, nan], [0, 1]]
    completions = np.array([[[1, 0], [1, 1], [0, 1]], [[1, 1], [0, 1], [0, 1]]])
    figure = plotting.plot_completions(evidence, completions, (1, 2), truth=completions[0])
    assert [axis.get_title() for axis in figure.axes] == ["known", "drawn", "true"]
    known, drawn, true = (picture(axis) for axis in figure.axes)
    assert known.shape == (5, 2, 3)  # one row of pixels for each picture, white lines between
    assert drawn.shape == (5, 5, 3)
    assert true.shape == known.shape
    assert (known[[1, 3]] == 1).all()
    assert (drawn[:, 2] == 1).all()
    dark, light = known[0, 0], known[4, 0]
    assert dark.max() < 0.5 < light.min()
    grey = known[0, 1]
    np.testing.assert_array_equal(known[2], [grey, grey])
    assert not (grey == dark).all()
    assert not (grey == light).all()
    # In the drawn ones known pixels stay as they are; the others are red or its paper.
    np.testing.assert_array_equal(drawn[0, [0, 3]], [dark, dark])
    np.testing.assert_array_equal(drawn[4], [light, dark, [1, 1, 1], light, dark])
    red, paper = drawn[0, 4], drawn[0, 1]
    assert red[0] > 0.6 > red[1]
    assert paper.min() > 0.8
    np.testing.assert_array_equal(drawn[2], [red, red, [1, 1, 1], paper, red])
    np.testing.assert_array_equal(true[2], [dark, dark])


def test_completions_without_truth_or_contrast():
    figure = plotting.plot_completions([[np.nan] * 4], np.ones([3, 1, 4]), (2, 2), title="ones")
    assert [axis.get_title() for axis in figure.axes] == ["known", "drawn"]
    assert picture(figure.axes[1]).shape == (2, 8, 3)
    assert np.isfinite(picture(figure.axes[1])).all()


@pytest.mark.parametrize(
    ("evidence", "completions", "truth", "message"),
    [
        (np.zeros([2, 5]), np.zeros([1, 2, 5]), None, r"rows of 4 values.*shape=\(2, 5\)"),
        (np.zeros([0, 4]), np.zeros([1, 0, 4]), None, "rows of 4 values"),
        (np.zeros([2, 4]), np.zeros([2, 4]), None, r"completions.shape=\(2, 4\)"),
        (np.zeros([2, 4]), np.zeros([0, 2, 4]), None, r"completions.shape=\(0, 2, 4\)"),
        (np.zeros([2, 4]), np.zeros([1, 3, 4]), None, r"rows drawn must have it"),
        (np.zeros([2, 4]), np.full([1, 2, 4], np.nan), None, "rows drawn .* finite values"),
        (np.zeros([2, 4]), np.zeros([1, 2, 4]), np.zeros([1, 4]), "rows true must have it"),
    ],
)
def test_bad_completions(evidence, completions, truth, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_completions(evidence, completions, (2, 2), truth)


def test_order_spread_draws_what_the_model_says():
    model = made_tf.MADE(5, hidden_units=(12,), num_masks=None, seed=0)
    x = np.random.default_rng(0).integers(0, 2, [20, 5])
    left, right = plotting.plot_order_spread(model, x, num_orders=6).axes
    alone, together = right.get_lines()
    np.testing.assert_array_equal(together.get_xdata(), [1, 2, 3, 4, 5, 6])
    for orders, nll in zip(*together.get_data(), strict=True):
        assert nll == pytest.approx(-np.mean(model.log_prob(x, int(orders))), rel=1e-5)
    sets = model.mask_sets.first(6)
    for number, nll in enumerate(alone.get_ydata()):
        params = model(x, degrees=sets.at(number))
        assert nll == pytest.approx(-np.mean(model.row_log_prob(x, params)), rel=1e-5)
    spread = np.asarray(model.order_statistics(x, 6).spread)
    assert sum(bar.get_height() for bar in left.patches) == 20
    edges = [bar.get_x() for bar in left.patches]
    assert edges[0] == pytest.approx(spread.min(), rel=1e-4)
    assert [text.get_text() for text in left.texts] == [f" mean {spread.mean():.2f}"]


def test_path_spread_draws_what_the_model_says():
    model = made_tf.MADE(5, (12,), num_masks=None, resample="evidence", mask_weights=True, seed=0)
    x = np.random.default_rng(0).integers(0, 2, [20, 5])
    (axis,) = plotting.plot_path_spread(model, x, num_subsets=7, seed=3).axes
    found = path_spread(model, x, num_subsets=7, seed=3)
    dots, mean = axis.get_lines()
    np.testing.assert_array_equal(dots.get_data(), [found.sizes, found.spread])
    assert mean.get_ydata()[0] == pytest.approx(found.spread.mean())
    assert [text.get_text() for text in axis.texts] == [f"mean {found.spread.mean():.3f}"]


def test_order_spread_of_few_orders_and_rows():
    model = made_tf.MADE(3, hidden_units=(8,), num_masks=2, seed=0)
    _, right = plotting.plot_order_spread(model, [[0, 1, 0]], num_orders=2).axes
    assert right.get_xscale() == "linear"
    assert list(right.get_xticks()) == [1, 2]


def test_bad_order_spreads():
    model = made_tf.MADE(3, hidden_units=(8,), num_masks=2, seed=0)
    x = [[0, 1, 0]]
    with pytest.raises(ValueError, match="`num_orders` must be at least 2"):
        plotting.plot_order_spread(model, x, num_orders=1)
    with pytest.raises(ValueError, match="`num_orders` must be at most .*num_masks=2"):
        plotting.plot_order_spread(model, x, num_orders=3)
    with pytest.raises(ValueError, match="0 or 1 only"):
        plotting.plot_order_spread(model, [[0, 2, 0]], num_orders=2)
    model.output_layer.bias.assign(np.full(3, np.nan))
    with pytest.raises(ValueError, match="must give finite log-probabilities"):
        plotting.plot_order_spread(model, x, num_orders=2)


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
