"""Durations and times of day in words."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["UNITS", "duration_text", "time_text"]

#: How many units a day has.
UNITS = {"D": 1, "s": 86_400, "ms": 86_400 * 10**3, "us": 86_400 * 10**6, "ns": 86_400 * 10**9}
_PARTS = (("d", 86_400), ("h", 3600), ("min", 60))


def duration_text(ticks: float, unit: str) -> str:
    """Returns a duration as people write it: 3 h 20 min, 1.5 s.

    Args:
        ticks: how many units it has.
        unit: one of `UNITS`.
    """
    seconds = Fraction(ticks) * 86_400 / UNITS[unit]
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    texts = []
    for name, size in _PARTS:
        count, seconds = divmod(seconds, size)
        if count:
            texts.append(f"{count} {name}")
    if seconds or not texts:
        texts.append(f"{float(seconds):.9f}".rstrip("0").rstrip(".") + " s")
    return sign + " ".join(texts)


def time_text(ticks: float, unit: str) -> str:
    """Returns a time of day, counted from midnight: 08:30, 17:05:01.5."""
    minutes, seconds = divmod(Fraction(ticks) * 86_400 / UNITS[unit], 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{float(seconds):012.9f}".rstrip("0").rstrip(".") if seconds else text
