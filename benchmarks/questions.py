"""Any question of one network: against one order, fresh masks, and importance sampling.

    KERAS_BACKEND=jax python benchmarks/questions.py --data-dir DIR [--sets digits,mushrooms]
    python benchmarks/questions.py --data-dir DIR --models FOLDER --particles 1000

Of networks trained with the same units, on binary rows, on validation rows:

- `joint`: NLL of whole rows under one order, in nats;
- `known`: mean log p(unknown | known), what is known being of random size, 64 patterns;
- `one`, `two`: mean absolute error of the probabilities that one or two columns are 1, against
  counts of the training rows;
- with `--particles` (TensorFlow), `known` of 256 rows, of one order by importance sampling, and of
  whole rows by the network for questions with `--proposals` draws.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib
import tempfile

import keras
import numpy as np
from keras import ops
from unknown import load

from made_tf import MADE, Bernoulli
from made_tf.data.splits import Splits
from made_tf.networks.mask_sets import StackedSets
from made_tf.training.members import train_member
from made_tf.training.recipe import Recipe

_ONE = {"evidence_units": []}
_FIRST = {
    "num_masks": None,
    "resample": "evidence",
    "mask_weights": True,
    "hidden_degrees": "early",
}
#: What differs from the recipe `questions`; and whether the network tells unknown from zero.
VARIANTS = {
    "one order": (_ONE, False),
    "one order, early degrees": (_ONE | {"hidden_degrees": "early"}, False),
    "fresh masks": ({"num_masks": None}, False),
    "fresh, tells unknown": ({"num_masks": None}, True),
    "fresh, both": ({"num_masks": None, "mask_weights": True, "resample": "order"}, True),
    "evidence first": (_FIRST, True),
    "evidence first, equal degrees": (_FIRST | {"hidden_degrees": "equal"}, True),
    "evidence first, no mask weights": (_FIRST | {"mask_weights": False}, True),
    "evidence first, zero is unknown": (_FIRST, False),
    "evidence": ({}, True),
    "evidence, few count less": ({"few_weight": 0.25}, True),
    "evidence, zero is unknown": ({}, False),
}
_PATTERNS = 64
_PAIRS = 200


def trained(
    splits: Splits, name: str, variant: str, seed: int, smoke: bool, folder: pathlib.Path
) -> tuple[MADE, float]:
    """Returns a model and the CPU seconds that its training took, 0 where its file is there."""
    path = folder / f"{name}-{variant.replace(' ', '-').replace(',', '')}-{seed}.keras"
    if path.exists():
        return keras.saving.load_model(path), 0.0
    changes, tells_unknown = VARIANTS[variant]
    recipe = Recipe.load("questions").overridden(**changes)
    if smoke:
        recipe = recipe.overridden(looks=2, steps=5, hidden_units=[16, 16])
    recipe = next(iter(recipe.candidates_for(*splits.train.shape).values()))
    family = Bernoulli(tells_unknown=tells_unknown)
    model, member = train_member(recipe, splits, path, seed, family, progress=False)
    model.save(path)
    return model, member.cpu_seconds


class Terms:
    """The log-probability of each variable of rows given others, `[N, D]`."""

    def __init__(self, model: MADE):
        self.model = model
        self.sets = None if model.mask_sets.is_fixed else model.mask_sets.first(1)

    def given(self, x, known: np.ndarray):
        """Those of what is not known, given what is and what comes before."""
        if self.model.reads_evidence:
            return self._of(x, self.model.parameters_given(x, self._flags(x, known)))
        return self._under(x, known)

    def alone(self, x, asked: np.ndarray):
        """Those of what is asked for, of which nothing else is known."""
        if self.model.reads_evidence:
            flags = self._flags(x, np.zeros_like(asked)), self._flags(x, asked)
            return self._of(x, self.model.parameters_given(x, *flags))
        return self._under(x, asked)

    def _under(self, x, first: np.ndarray):
        degrees = None
        if self.sets is not None:
            degrees = StackedSets(self.sets.evidence_first(first)).at(0)
        return self._of(x, self.model.parameters(x, None, degrees))

    def _of(self, x, params):
        return ops.convert_to_numpy(self.model.conditionals.log_prob(params, x))

    def _flags(self, x, variables: np.ndarray):
        return np.broadcast_to(variables, x.shape).astype(np.float32)


def known_patterns(event_size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, event_size, _PATTERNS)
    return np.stack([rng.permutation(event_size) < size for size in sizes])


def measures(model: MADE, splits: Splits) -> dict[str, float]:
    terms, x = Terms(model), splits.valid[:1000]
    size = x.shape[1]
    found = {"joint": -terms.given(x, np.zeros(size, bool)).sum(axis=1).mean()}
    if not model.answers_all:
        return found
    found["known"] = np.mean(
        [terms.given(x, known)[:, ~known].sum(axis=1).mean() for known in known_patterns(size)]
    )
    ones, counts = np.ones((1, size), np.float32), splits.train
    each = np.eye(size, dtype=bool)
    found["one"] = np.mean(
        [abs(np.exp(terms.alone(ones, own)[0, own].sum()) - counts[:, own].mean()) for own in each]
    )
    pairs = list(itertools.combinations(range(size), 2))
    rng = np.random.default_rng(1)
    chosen = rng.choice(len(pairs), min(_PAIRS, len(pairs)), replace=False)
    errors = []
    for first, second in (pairs[index] for index in chosen):
        own = each[first] | each[second]
        probability = np.exp(terms.alone(ones, own)[0, own].sum())
        errors.append(abs(probability - counts[:, own].all(axis=1).mean()))
    found["two"] = np.mean(errors)
    return found


def of_few_rows(model: MADE, splits: Splits, count: int, proposals: int) -> dict[str, float]:
    """Mean log p(unknown | known) of four rows for each pattern.

    Of one order it is log p(x) less the estimate of log p(known) by particles: that is too large on
    average, the more the fewer particles there are. With the row itself among the particles it is
    too small, and below the log-density of rows that are drawn from particles by their weights
    (Grosse, Ghahramani and Adams 2015, arXiv:1511.02543, section 3). So is it of whole rows'
    density of a network for questions, whose own conditionals propose the particles.
    """
    patterns = known_patterns(splits.valid.shape[1])
    rows = splits.valid[: 4 * len(patterns)]
    parts = np.array_split(rows, len(patterns))
    known = np.repeat(patterns, [len(part) for part in parts], axis=0)
    terms, found, options = Terms(model), {}, {"num_particles": count}
    nothing = np.zeros(rows.shape[1], bool)
    proposed = np.where(known, 0.0, terms.given(rows, nothing))
    if model.answers_all:
        each = zip(parts, patterns, strict=True)
        proposed = np.concatenate([terms.given(x, own) * ~own for x, own in each])
        found = {"known, of few rows": np.mean(proposed.sum(axis=1))}
        options = {"num_particles": proposals, "of_whole_rows": True}
    from made_tf.queries.subsets import Queries

    evidence = Queries(model, **options).log_marginal(np.where(known, rows, np.nan))
    joint = terms.given(rows, nothing).sum(axis=1)
    own_weight, size = joint - proposed.sum(axis=1), options["num_particles"]
    effective = evidence.effective_sample_size
    with_row = np.logaddexp(np.log(size) + evidence.log_prob, own_weight) - np.log(size + 1)
    return found | {
        f"by {size} particles, above": np.mean(joint - evidence.log_prob),
        "below": np.mean(joint - with_row),
        "effective": np.median(effective[np.isfinite(effective)]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--sets", default="digits")
    parser.add_argument("--variants", default=",".join(VARIANTS).replace(", ", "; "))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--particles", type=int, default=0)
    parser.add_argument("--proposals", type=int, default=64, help="of a network for questions")
    parser.add_argument("--models", type=pathlib.Path, help="Where models are kept, or are found.")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options, options.models or pathlib.Path(folder))


def compare(options: argparse.Namespace, folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    variants = [name.replace("; ", ", ") for name in options.variants.split(",")]
    for name in options.sets.split(","):
        splits = load(name, options.data_dir)
        for variant, seed in itertools.product(variants, range(options.seeds)):
            keras.utils.clear_session()
            model, seconds = trained(splits, name, variant, seed, options.smoke, folder)
            found = measures(model, splits)
            if options.particles:
                found |= of_few_rows(model, splits, options.particles, options.proposals)
            shown = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
            print(f"{name:10} {variant:26} seed {seed}: {shown} ({seconds:.0f} CPU s)", flush=True)


if __name__ == "__main__":
    main()
