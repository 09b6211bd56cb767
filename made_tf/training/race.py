"""When training has no more to give: a curve that is flat, or behind for good."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["is_beaten", "is_flat"]

_LOOKS, _HOPE = 10, 2.0
_LEAST, _PATIENCES = 1e-3, 3


def is_flat(values: Sequence[float], patience: int) -> bool:
    """Returns whether a training curve creeps: few rows may improve by ever less for hours.

    Args:
        values: the validation NLL at each look so far. Less than a thousandth of a nat in three
            times the patience is nothing.
        patience: after how many looks without any improvement training stops.
    """
    looks = _PATIENCES * patience
    return len(values) > looks and min(values[:-looks]) - min(values) < _LEAST


def is_beaten(values: Sequence[float], rival: float) -> bool:
    """Returns whether a training curve is too far behind to win.

    Curves flatten: of what the last ten looks gained, all that are to come will hardly gain more
    than twice. (`benchmarks/RESULTS.md` has what that saves and that it mistook none.)

    Args:
        values: the validation NLL at each look so far.
        rival: what must be reached.
    """
    if len(values) <= _LOOKS:
        return False
    before, now = min(values[:-_LOOKS]), min(values)
    return now - _HOPE * (before - now) > rival
