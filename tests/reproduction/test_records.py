"""The records of the published sets, which say what today's recipes gave."""

import dataclasses
import json
import pathlib

import pytest

from made_tf.reproduction.benchmark_sets import BenchmarkSet, set_names
from made_tf.reproduction.records import read_records
from made_tf.training.recipe import Recipe

FOLDER = pathlib.Path(__file__).parents[2] / "benchmarks" / "records"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the tests are not in a checkout")
def test_the_records_are_those_of_the_recipes():
    records = read_records(FOLDER)
    assert {record.set for record in records} == set(set_names())
    for record in records:
        assert record.file_name in {path.name for path in FOLDER.iterdir()}
        then, now = Recipe.from_dict(record.recipe, record.settings), Recipe.load(record.recipe)
        # Candidates for other tables may have come since.
        entry = BenchmarkSet.named(record.set)
        rows = entry.rows[0], entry.variables
        assert _plain(now.candidates_for(*rows)) == _plain(then.candidates_for(*rows))


def _plain(candidates):
    return {name: dataclasses.replace(each, about="") for name, each in candidates.items()}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the tests are not in a checkout")
@pytest.mark.parametrize(
    "entry", [{"recipe": ["x"]}, {"seed": "0"}, {"test_nll": None}, {"training": [1]}, {"set": {}}]
)
def test_records_of_odd_types_are_named(entry, tmp_path):
    path = sorted(FOLDER.glob("*.json"))[0]
    (tmp_path / "odd.json").write_text(json.dumps({**json.loads(path.read_text()), **entry}))
    with pytest.raises(ValueError, match=rf"odd\.json is not a record: `{next(iter(entry))}` must"):
        read_records(tmp_path)
