"""What tests of the commands share: running them, rows, options for a training of a second."""

import functools

import numpy as np
from click.testing import CliRunner

from made_tf.cli import main


def run(*arguments, exit_code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def fails(*arguments, exit_code=2):
    """Returns the one line that a failing command writes to stderr."""
    result = run(*arguments, exit_code=exit_code)
    lines = [line for line in result.stderr.split("\n") if line]
    assert lines[-1].startswith("Error: ")
    assert all(line.startswith(("Warning: ", "\rtraining:")) for line in lines[:-1])
    assert result.stdout == ""
    return lines[-1]


def save_each_epoch(arguments):
    """As the command does, but that every epoch is saved, however short."""
    from made_tf.training import by_recipe

    by_recipe.train_ensemble = functools.partial(by_recipe.train_ensemble, save_seconds=0)
    main(arguments)


def make_rows(rows, seed):
    """Chains of six bits, each of which mostly repeats the one before."""
    rng = np.random.default_rng(seed)
    flips = (rng.random([rows, 6]) < 0.1).astype(np.uint8)
    flips[:, 0] = rng.integers(0, 2, rows)
    return (flips.cumsum(axis=1) % 2).astype(np.uint8)


SMALL = ("--recipe", "single", "--hidden-units", "16")
TINY = (*SMALL, "--epochs", "3", "--learning-rate", "0.01")
