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
import pathlib
import tempfile

import numpy as np

from made_tf import Ensemble
from made_tf.reproduction.benchmark_sets import load_set, make_smoke_set
from made_tf.reproduction.ensemble_training import mean_nll, train_member
from made_tf.reproduction.recipe import Recipe

NAMES = ("adult", "mushrooms", "dna")
HEADER = ("set", "variant", "test NLL", "worse by", "s.e.", "mixture", "looks", "seconds")


def variants(recipe):
    """Yields names and recipes: the recipe itself, then each change that changes something."""
    model, training = recipe.model, recipe.training
    layers = model["hidden_units"]
    fresh = model.get("num_masks") == "fresh"
    order = model.get("input_order", "natural")
    changed = {
        "as the recipe says": {},
        "no direct connections": {"direct_connections": False},
        "no dropout": {"dropout": 0.0},
        "twice the width": {"hidden_units": [2 * width for width in layers]},
        "another layer" if len(layers) == 1 else "one layer": {
            "hidden_units": layers * 2 if len(layers) == 1 else layers[:1]
        },
        "silu": {"activation": "silu"},
        "input_dropout 0.1": {"input_dropout": 0.1},
    }
    if fresh:
        changed["no input_dropout"] = {"input_dropout": 0.0}
        changed["one fixed order"] = {"num_masks": 1, "input_order": "random"}
    else:
        changed["natural order" if order == "random" else "random order"] = {
            "input_order": "natural" if order == "random" else "random"
        }
        changed["fresh masks, 64 orders"] = {"num_masks": "fresh"}
    for name, change in changed.items():
        masks = {**model, **change}.get("num_masks", 1)
        orders = {"num_orders": 1} if masks == 1 else {"num_orders": 64}
        looks = {"validation_orders": 1 if masks == 1 else 4}
        yield (
            name,
            dataclasses.replace(
                recipe,
                model={**model, **change},
                training=dataclasses.replace(training, **looks),
                **orders,
            ),
        )
    yield (
        "weight decay 0.02",
        dataclasses.replace(recipe, training=dataclasses.replace(training, weight_decay=0.02)),
    )
    yield (
        "weights not averaged",
        dataclasses.replace(recipe, training=dataclasses.replace(training, average_steps=1)),
    )


def measure(name, splits, recipe, folder, seeds, only):
    base = None
    for variant, changed in variants(recipe):
        if only and variant not in only and base is not None:
            continue
        models, members = [], []
        for seed in range(seeds):
            path = folder / f"{name}-{variant.replace(' ', '-').replace(',', '')}-{seed}.keras"
            model, member = train_member(changed, splits, path, seed, progress=False)
            models.append(model)
            members.append(member)
        nll = np.array([mean_nll(model, splits.test)[0] for model in models])
        base = nll if base is None else base
        worse = nll - base
        error = worse.std(ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
        mixture = mean_nll(Ensemble(models), splits.test)[0]
        looks = np.mean([member.best_look for member in members])
        seconds = np.mean([member.wall_seconds for member in members])
        print(
            f"| {name} | {variant} | {nll.mean():.3f} | {worse.mean():+.3f} | {error:.3f} | "
            f"{mixture:.3f} | {looks:.0f} | {seconds:.0f} |",
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
        args.names, args.seeds, args.only = ["smoke"], 2, ["no dropout"]
    print("| " + " | ".join(HEADER) + " |\n" + "|---" * len(HEADER) + "|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.output or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in args.names:
            splits = make_smoke_set() if args.smoke else load_set(name, args.data_dir)
            recipe = dataclasses.replace(Recipe.load(name), candidates={})
            measure(name, splits, recipe, folder, args.seeds, args.only)


if __name__ == "__main__":
    main()
