"""What it saves to stop candidates that cannot win, and whether it would ever stop the winner.

    python benchmarks/race.py

Goes through the training curves of the default recipe on record (`benchmarks/records`, of full
length), candidate after candidate as `train_ensemble` does. Curves there have 40 points at most; in
between the last point counts.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib

from made_tf.training.race import is_beaten
from made_tf.training.recipe import Recipe

RECORDS = pathlib.Path(__file__).parent / "records"


def values_of(curve: list[list[float]]) -> list[float]:
    """Returns the validation NLL at each look."""
    values: list[float] = []
    for look, _, value in curve:
        values += [values[-1] if values else value] * (int(look) - len(values) - 1) + [value]
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="makes no difference: it is quick")
    parser.parse_args()
    recipe = Recipe.load("default")
    order = list(recipe.candidates)
    total = saved = 0.0
    for path in sorted(RECORDS.glob("*-default-*.json")):
        record = json.loads(path.read_text())
        firsts = [record["training"][0], *record["rejected"]]
        rival, told = math.inf, []
        for member in sorted(firsts, key=lambda each: order.index(each["candidate"])):
            values = values_of(member["curve"])
            steps = range(1, len(values) + 1)
            is_judged = recipe.candidate(member["candidate"]).looks_judge
            beaten = (n for n in steps if is_judged and is_beaten(values[:n], rival))
            stop = next(beaten, len(values))
            wins = member["candidate"] == record["candidate"]
            total += member["wall_seconds"]
            saved += member["wall_seconds"] * (1 - stop / len(values))
            mistaken = stop < len(values) and (wins or min(values) < rival)
            told.append(
                f"{member['candidate']} {stop} of {len(values)} looks"
                + (", MISTAKEN" if mistaken else "")
            )
            rival = min(rival, member["valid_nll"])
        print(f"{record['set']:16} {'; '.join(told)}")
    print(f"saved: {saved:.0f} of {total:.0f} s")


if __name__ == "__main__":
    main()
