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


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    splits = make_smoke_set()
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(path, train=splits.train, valid=splits.valid, test=splits.test)
    return path


@pytest.fixture(scope="module")
def searched(tmp_path_factory, rows):
    """A search of one trial: its folder, and what it told."""
    pytest.importorskip("optuna")
    folder = tmp_path_factory.mktemp("searched")
    command = ("tune", rows, "-o", folder / "best.toml", "--looks", 2, "--trials", 1)
    return folder, run(*command)


@pytest.fixture
def command(tmp_path, rows, searched):
    """The search's command without the number of trials, its files in the test's own folder."""
    shutil.copytree(searched[0], tmp_path, dirs_exist_ok=True)
    return ("tune", rows, "-o", tmp_path / "best.toml", "--looks", 2, "--trials")


def test_tune_finds_a_recipe_and_goes_on(tmp_path, rows, searched, command):
    first, output = searched[1], tmp_path / "best.toml"
    assert first.stdout.count("  trial ") == 1
    more = run(*command, 2)
    assert more.stdout.count("  trial ") == 1 and "  trial 2: " in more.stdout
    values = [
        float(line.split("NLL ")[1].split(":")[0])
        for line in (first.stdout + more.stdout).splitlines()
        if line.startswith("  trial ")
    ]
    assert f"validation NLL  {min(values):.4f}" in more.stdout
    recipe = Recipe.load(output)
    assert f"{min(values):.4f}" in recipe.about and recipe.training.looks == 2
    assert "with other settings" in fails(*command, 3, "--seed", 1)
    shutil.copy(output, tmp_path / "copy.toml")
    run("train", rows, "-o", tmp_path / "m.keras", "--recipe", tmp_path / "copy.toml")
    nll = -np.mean(keras.saving.load_model(tmp_path / "m.keras").log_prob(make_smoke_set().valid))
    assert nll == pytest.approx(min(values), abs=2e-3)


def test_a_search_of_another_space_is_refused(tmp_path, command):
    import optuna
    from optuna.storages.journal import JournalFileBackend

    file = JournalFileBackend(str(tmp_path / "best.trials"))
    storage = optuna.storages.JournalStorage(file)
    (study,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=study, storage=storage)
    study.set_user_attr("space", 1)  # as that of an older version
    assert "with other settings" in fails(*command, 2)


def test_a_recipe_that_could_not_be_named_is_not_searched_for(tmp_path, rows):
    message = fails("tune", rows, "-o", tmp_path / "my recipe.toml")
    assert "names of letters, digits, _, - and (not first) . alone" in message
    assert list(tmp_path.iterdir()) == []


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
