"""Models of tables that lie in Parquet files."""

import numpy as np
import pytest
from example_tables import JOINT, grades

from made_tf.data import survey
from made_tf.tables import TableModel, training


def fit(rows, folder=None, **options):
    return TableModel(recipe=JOINT, questions=None, **options).fit_in(rows, folder)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grades")
    frame = grades(2000)
    for part in range(4):
        own = frame[part * 500 : (part + 1) * 500]
        own.to_parquet(folder / f"{part}.parquet", row_group_size=200)
    return folder


@pytest.fixture(scope="module")
def fitted(rows):
    return fit(str(rows / "*.parquet"))


def test_it_learns(fitted):
    nll = [look["val_nll"] for look in fitted.history_]
    assert nll[-1] < nll[0]
    new = -fitted.log_prob(grades(500, seed=9))
    assert new.mean() == pytest.approx(fitted.validation_nll_, abs=4 * new.std() / np.sqrt(200))


def test_frames_come_out_as_pandas(fitted):
    drawn = fitted.sample(20, seed=1)
    assert (drawn["big"] == (drawn["level"] == "high")).all()
    assert drawn.dtypes.map(str).tolist() == grades(5).dtypes.map(str).tolist()
    assert drawn["level"].cat.categories.tolist() == ["low", "mid", "high"]


def test_what_was_found_in_the_files_is_not_sought_again(rows, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_member", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(rows, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["survey.npz"]
        monkeypatch.setattr(survey, "RowSample", None)  # none is drawn a second time


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"memory": "a lot"}, "`memory` must be a size"),
        ({"memory": "10MB"}, "`memory` must be 256MB at least"),
        ({"validation_fraction": 0.0}, "must leave rows for training and for validation"),
    ],
)
def test_settings_that_cannot_be_are_told(rows, options, told):
    with pytest.raises(ValueError, match=told):
        fit(rows, **options)


def test_a_path_without_files_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="No Parquet files"):
        fit(tmp_path / "nothing")
