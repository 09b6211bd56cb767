"""When a candidate in training can no longer overtake one that has come out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

__all__ = ["is_beaten"]

_LOOKS, _HOPE = 10, 2.0


def is_beaten(values: Sequence[float], rival: float) -> bool:
    """Returns whether a training curve is too far behind to win.

    Curves flatten: of what the last ten looks gained, all that are to come will hardly gain more
    than twice. (`benchmarks/RESULTS.md` has what that saves and that it mistook none.)

    Args:
        values: the validation NLL at each look so far.
        rival: what must be reached.
    """
    best = list(itertools.accumulate(values, min))
    if len(best) <= _LOOKS:
        return False
    return best[-1] - _HOPE * (best[-1 - _LOOKS] - best[-1]) > rival
