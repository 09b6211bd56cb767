"""`made-tf tune`: the recipe that is the best on the validation rows."""

import shutil
import types

import keras
import numpy as np
import pytest
from command_line import fails, run

from made_tf.reproduction.benchmark_sets import make_smoke_set
from made_tf.training import search
from made_tf.training.recipe import Recipe


@pytest.fixture
def rows(tmp_path):
    splits = make_smoke_set()
    path = tmp_path / "rows.npz"
    np.savez(path, train=splits.train, valid=splits.valid, test=splits.test)
    return path


def test_tune_finds_a_recipe_and_goes_on(tmp_path, rows):
    pytest.importorskip("optuna")
    output = tmp_path / "best.toml"
    command = ("tune", rows, "-o", output, "--looks", 2, "--trials")
    first = run(*command, 2)
    assert first.stdout.count("  trial ") == 2
    more = run(*command, 4)
    assert more.stdout.count("  trial ") == 2 and "  trial 3: " in more.stdout
    values = [
        float(line.split("NLL ")[1].split(":")[0])
        for line in (first.stdout + more.stdout).splitlines()
        if line.startswith("  trial ")
    ]
    assert f"validation NLL  {min(values):.4f}" in more.stdout
    recipe = Recipe.load(output)
    assert f"{min(values):.4f}" in recipe.about and recipe.training.looks == 2
    assert "with other settings" in fails(*command, 5, "--seed", 1)
    shutil.copy(output, tmp_path / "copy.toml")
    run("train", rows, "-o", tmp_path / "m.keras", "--recipe", tmp_path / "copy.toml")
    nll = -np.mean(keras.saving.load_model(tmp_path / "m.keras").log_prob(make_smoke_set().valid))
    assert nll == pytest.approx(min(values), abs=2e-3)


def test_a_search_of_another_space_is_refused(tmp_path, rows):
    optuna = pytest.importorskip("optuna")
    from optuna.storages.journal import JournalFileBackend

    command = ("tune", rows, "-o", tmp_path / "best.toml", "--looks", 1, "--trials")
    run(*command, 1)
    file = JournalFileBackend(str(tmp_path / "best.trials"))
    storage = optuna.storages.JournalStorage(file)
    (study,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=study, storage=storage)
    study.set_user_attr("space", 1)  # as that of an older version
    assert "with other settings" in fails(*command, 2)


def test_a_recipe_that_could_not_be_named_is_not_searched_for(tmp_path, rows):
    message = fails("tune", rows, "-o", tmp_path / "my recipe.toml")
    assert "names of letters, digits, _, - and (not first) . alone" in message
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npz"]


def test_a_search_that_was_cut_off_ends_as_one_that_was_not(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    splits, calls = make_smoke_set(), []

    def train(recipe, *args):
        """Is interrupted in the 2nd and in the 5th trial, and diverges in the last but one."""
        calls.append(recipe)
        if cuts and len(calls) in cuts:
            raise KeyboardInterrupt
        if recipe.training.learning_rate == diverging:
            raise FloatingPointError
        nll = recipe.model["dropout"] + recipe.training.learning_rate
        return None, types.SimpleNamespace(valid_nll=nll)

    def run_search(name):
        return search.search(splits, tmp_path / name, 6, looks=1, echo=said.append)

    monkeypatch.setattr(search, "train_member", train)
    cuts, diverging, said = (), None, []
    run_search("whole.trials")
    recipes = list(calls)
    assert len(recipes) == 6
    diverging, wanted = recipes[4].training.learning_rate, []
    for cuts in ((), (2, 5)):
        calls.clear()
        said = []
        while True:
            try:
                best = run_search(f"search-{len(cuts)}.trials")
                break
            except KeyboardInterrupt:
                continue
        wanted.append((best[0].model, best[0].training, best[1], said))
        assert len(said) == 6 and sum("diverges" in line for line in said) >= 1
    assert len(calls) == 8 and wanted[0] == wanted[1]
