"""What each part of a recipe is worth: the recipe, and the recipe but for one thing.

    KERAS_BACKEND=jax python benchmarks/ablation.py --data-dir DIR [NAME ...]

Trains single models (members of an ensemble) by each set's own recipe and by
variants that differ from it in one setting, with the same seeds, and prints the
mean test NLL in nats, the difference to the recipe seed by seed with its standard
error, and the mixture of the seeds' models. Finished models are kept in --output, and
found there by the next call.
"""

import argparse
import dataclasses
import inspect
import pathlib
import sys
import tempfile

import numpy as np

from made_tf import MADE, Ensemble
from made_tf.masks import make_degrees
from made_tf.reproduction.benchmark_sets import load_set, make_smoke_set
from made_tf.scoring import mean_nll
from made_tf.training.by_recipe import train_member
from made_tf.training.recipe import Recipe

NAMES = ("adult", "mushrooms", "dna")
AS_IT_IS = "as the recipe says"
DEFAULTS = {key: each.default for key, each in inspect.signature(MADE).parameters.items()}
OPTIMIZERS = {
    "adam": (1, 3),
    "adamax": (1, 3),
    "nadam": (1,),
    "lion": (0.1, 0.3),
    "muon": (1,),
}  # each with its learning rates, in thousandths; of fresh masks three times as high
HEADER = "| set | variant | valid NLL | test NLL | worse by | s.e. | mixture | looks | seconds |"


def variants(recipe, event_size):
    """Yields names and recipes: the recipe itself, then each change that changes something."""
    for name, changed, training in changes(recipe, event_size):
        model = {**recipe.model, **changed}
        training = dataclasses.replace(recipe.training, **training)
        same = {**DEFAULTS, **model} == {**DEFAULTS, **recipe.model}
        if same and training == recipe.training and name != AS_IT_IS:
            continue
        orders = recipe.num_orders
        if "num_masks" in changed:
            orders, few = (1, 1) if changed["num_masks"] == 1 else (64, 4)
            training = dataclasses.replace(training, validation_orders=few)
        yield name, dataclasses.replace(recipe, model=model, training=training, num_orders=orders)


def changes(recipe, event_size):
    """Yields names, and what differs in `model` and in `training`."""
    layers = recipe.model["hidden_units"]
    width = layers[0]
    yield AS_IT_IS, {}, {}
    yield "no direct connections", {"direct_connections": False}, {}
    for rate in (0.0, 0.3, 0.5):
        yield f"dropout {rate:g}", {"dropout": rate}, {}
    for rate in (0.0, 0.1, 0.2):
        yield f"input_dropout {rate:g}", {"input_dropout": rate}, {}
    yield "twice the width", {"hidden_units": [2 * units for units in layers]}, {}
    for depth in (1, 2, 4):
        plain = {"hidden_units": [width] * depth, "residual": False}
        layers_text = f"{depth} layers" if depth > 1 else "1 layer"
        yield layers_text, plain, {}
        if depth > 1:
            yield f"{layers_text}, residual", {**plain, "residual": True}, {}
    for activation in ("relu", "silu"):
        yield activation, {"activation": activation}, {}
    for kind in ("equal", "early"):
        yield f"degrees {kind}", {"hidden_degrees": kind}, {}
    late = [late_degrees(units, event_size) for units in layers]
    yield "degrees late", {"hidden_degrees": late}, {}
    for order in ("natural", "random"):
        one = {"input_order": order, "num_masks": 1, "order_groups": None}
        yield f"{order} order", one, {}
    yield "fresh masks, 64 orders", {"num_masks": "fresh", "resample": "both"}, {}
    yield "fresh orders alone", {"num_masks": "fresh", "resample": "order"}, {}
    for optimizer, factors in OPTIMIZERS.items():
        for factor in factors:
            rate = factor * 1e-3 * (3 if recipe.model.get("num_masks") == "fresh" else 1)
            changed = {"optimizer": optimizer, "learning_rate": rate}
            yield f"{optimizer}, {rate:g}", {}, changed
    yield "weight decay 0.02", {}, {"weight_decay": 0.02}
    yield "weights not averaged", {}, {"average_steps": 1}


def late_degrees(units, event_size):
    """The mirror image of `hidden_degrees="early"`."""
    (early,) = make_degrees(event_size, (units,), hidden_degrees="early").hidden
    return sorted((event_size - early).tolist())


def measure(name, splits, recipe, folder, seeds, only):
    ways = dict(variants(recipe, splits.train.shape[1]))
    if unknown := sorted(set(only or ()) - set(ways)):
        sys.exit(f"--only must name variants among {list(ways)}. Received: {', '.join(unknown)}")
    base = None
    for variant, changed in ways.items():
        if only and variant not in only and base is not None:
            continue
        models, members = [], []
        for seed in range(seeds):
            path = folder / f"{name}-{variant.replace(' ', '-').replace(',', '')}-{seed}.keras"
            model, member = train_member(changed, splits, path, seed, progress=False)
            models.append(model)
            members.append(member)
        valid = np.mean([member.valid_nll for member in members])
        nll = np.array([mean_nll(model, splits.test)[0] for model in models])
        base = nll if base is None else base
        worse = nll - base
        error = worse.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
        mixture = mean_nll(Ensemble(models), splits.test)[0]
        looks = np.mean([member.best_look for member in members])
        seconds = np.mean([member.wall_seconds for member in members])
        print(
            f"| {name} | {variant} | {valid:.3f} | {nll.mean():.3f} | {worse.mean():+.3f} | "
            f"{error:.3f} | {mixture:.3f} | {looks:.0f} | {seconds:.0f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--data-dir", type=pathlib.Path, help="folder with binary/*.npz")
    parser.add_argument("--output", type=pathlib.Path, help="where models are kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="variants beside the recipe itself")
    parser.add_argument("--smoke", action="store_true", help="two variants on made-up rows")
    args = parser.parse_args()
    if not args.smoke and args.data_dir is None:
        parser.error("--data-dir is needed (or --smoke)")
    if args.smoke:
        args.names, args.seeds, args.only = ["smoke"], 2, ["dropout 0.3"]
    print(HEADER + "\n" + "|---" * (HEADER.count("|") - 1) + "|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.output or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in args.names:
            splits = make_smoke_set() if args.smoke else load_set(name, args.data_dir)
            recipe = dataclasses.replace(Recipe.load(name), candidates={})
            measure(name, splits, recipe, folder, args.seeds, args.only)


if __name__ == "__main__":
    main()
