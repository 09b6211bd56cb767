"""Few rows of many binary columns: the default recipe beside the published MADE and mixtures.

    KERAS_BACKEND=jax python benchmarks/small_wide.py [--data-dir DIR]

400 rows to learn from, 100 to choose by, 1,240 to test on, of 500 to 900 columns: words of
documents (`wide_sets.py`), with `--data-dir` also pixels of binarized_mnist, and the set NIPS-0-12
where it is there. Each model sees the same rows:

- the default recipe, with what each of its candidates had and took,
- MADE as published (Germain et al. 2015): one or two layers of 500 ReLU units, direct connections,
  no dropout, a random order, batches of 100; one mask, 32, or a new one for each batch; training
  ends after 30 epochs without a better validation NLL; of all these and of two learning rates the
  best on validation rows; averaged over its masks, over 300 where they are new each time. (Adam and
  Glorot's initial weights in place of Adadelta and orthogonal ones.)
- a mixture of Bernoullis by EM, smoothed towards the mean of the columns; validation rows choose
  the number of components, the strength and when to end,
- independent columns.

"behind" is the test NLL less that of the default recipe, row by row, with its standard error.
"""

import argparse
import itertools
import pathlib
import tempfile
import time

import numpy as np
import wide_sets

from made_tf.scoring import log_prob
from made_tf.training.by_recipe import train_ensemble, train_member
from made_tf.training.recipe import Recipe

HEADER = ("set", "split", "model", "validation", "test", "behind", "%", "CPU s", "chosen")
LAYERS, MASKS, RATES = (1, 2), (1, 32, "fresh"), (1e-3, 3e-3)
LOOK_ORDERS, TEST_ORDERS = 8, 300  # in training at most; of fresh masks in the end
COMPONENTS, STRENGTHS, EM_STEPS = (5, 10, 20, 40), (1.0, 5.0), 40


def default_recipe(splits, seed, smoke):
    """Returns test log-probabilities, the validation NLL and what was chosen."""
    recipe = Recipe.load("smoke" if smoke else "default")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "parts"
        trained = train_ensemble(recipe, splits, path, seed, echo=lambda line: None, progress=False)
    for each in sorted([trained.members[0], *trained.rejected], key=lambda each: each.valid_nll):
        ending = "" if each.beaten_by is None else ", stopped"
        print(
            f"    {each.candidate or recipe.name}: validation NLL {each.valid_nll:.2f}, best of "
            f"{each.looks} looks at {each.best_look}{ending}, {each.cpu_seconds:.1f} CPU s"
        )
    return log_prob(trained.ensemble, splits.test), trained.valid_nll, trained.origin.split(",")[1:]


def published(masks, rates):
    """The recipe whose candidates are the networks and trainings of the paper."""
    candidates = {}
    for layers, number, rate in itertools.product(LAYERS, masks, rates):
        orders = TEST_ORDERS if number == "fresh" else number
        candidates[f"{layers}x500-{number}-{rate:g}"] = {
            "model": {"hidden_units": [500] * layers, "num_masks": number},
            "training": {"learning_rate": rate, "validation_orders": min(orders, LOOK_ORDERS)},
            "num_orders": orders,
        }
    content = {
        "model": {"input_order": "random", "hidden_degrees": "random"},
        "training": {"batch_size": 100, "steps": 0, "average_steps": 0, "patience": 30},
        "candidates": candidates,
    }
    return Recipe.from_dict("published", content)


def published_made(splits, seed, smoke):
    """Trains them all, none stopped by another one; returns the best one's."""
    recipe = published((1,) if smoke else MASKS, RATES[-1:] if smoke else RATES)
    best = np.inf, None, ""
    for name in recipe.candidates:
        candidate = recipe.candidate(name)
        if smoke:
            candidate = candidate.overridden(looks=2, hidden_units=[20])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "member.keras"
            model, member = train_member(candidate, splits, path, seed, progress=False)
        if member.valid_nll < best[0]:
            best = member.valid_nll, model, f"{name}, epoch {member.best_look}"
    return log_prob(best[1], splits.test), best[0], [best[2]]


def mixture_of_bernoullis(splits, seed, smoke):
    """Mixtures by EM; returns the best one's."""
    train, valid, test = (part.astype(np.float64) for part in splits[:3])
    mean, best = _mean(train), (np.inf, None, "")
    for count, strength in itertools.product(COMPONENTS[:1] if smoke else COMPONENTS, STRENGTHS):
        rng = np.random.default_rng(seed)
        parts = 0.9 * np.eye(count)[rng.integers(count, size=len(train))] + 0.1 / count
        for _ in range(EM_STEPS):
            sizes = parts.sum(axis=0)
            weights = (sizes + 1) / (len(train) + count)
            means = (parts.T @ train + strength * mean) / (sizes[:, np.newaxis] + strength)
            joint = _joint(train, weights, means)
            parts = np.exp(joint - _total(joint)[:, np.newaxis])
            nll = -_total(_joint(valid, weights, means)).mean()
            if nll < best[0]:
                best = nll, (weights, means), f"{count} components, strength {strength:g}"
    return _total(_joint(test, *best[1])), best[0], [best[2]]


def independent(splits, seed, smoke):
    """Each column by itself, half a row of each value added."""
    del seed, smoke
    one = np.ones(1), _mean(splits.train)[np.newaxis]
    return _total(_joint(splits.test, *one)), -_total(_joint(splits.valid, *one)).mean(), []


def _mean(x):
    return (x.sum(axis=0) + 0.5) / (len(x) + 1)


def _joint(x, weights, means):
    return np.log(weights) + x @ np.log(means).T + (1 - x) @ np.log1p(-means).T  # [N, K]


def _total(joint):
    return np.logaddexp.reduce(joint, axis=1)


MODELS = {
    "default recipe": default_recipe,
    "MADE as published": published_made,
    "mixture of Bernoullis": mixture_of_bernoullis,
    "independent columns": independent,
}


def measure(name, split, args):
    """Prints a row for each model of a set, the default recipe first."""
    splits = wide_sets.load(name, split, args.data_dir)
    base = None
    for label in [next(iter(MODELS)), *(list(MODELS)[1:] if args.peers is None else args.peers)]:
        started = time.process_time()
        found, valid, chosen = MODELS[label](splits, split, args.smoke)
        seconds = time.process_time() - started
        base = found if base is None else base
        behind = base.astype(np.float64) - found
        error = behind.std() / np.sqrt(len(behind))
        row = (
            *(name, split, label, f"{valid:.2f}", f"{-found.mean():.2f}"),
            *(f"{behind.mean():+.2f} ± {error:.2f}", f"{100 * behind.mean() / -base.mean():+.1f}"),
            *(f"{seconds:.0f}", ",".join(chosen).strip()),
        )
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--sets", nargs="+", choices=[*wide_sets.NAMES, "nips"])
    parser.add_argument("--splits", type=int, nargs="+", default=[0], help="seeds of the splits")
    parser.add_argument("--peers", nargs="*", choices=list(MODELS)[1:], help="all, if not given")
    parser.add_argument("--smoke", action="store_true", help="a small set, to see that it runs")
    args = parser.parse_args()
    available = wide_sets.available(args.data_dir)
    names = args.sets or available
    missing = set(names) - set(available)
    if missing:
        parser.error(f"--data-dir must have {', '.join(sorted(missing))}")
    names = ["smoke"] if args.smoke else names
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    for name, split in itertools.product(names, args.splits):
        measure(name, split, args)


if __name__ == "__main__":
    main()
