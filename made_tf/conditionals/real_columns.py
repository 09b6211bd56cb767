"""What the network sees of a real number: its standardised value, and which of many hats it fills.

A value alone is a poor input: what a network has to say changes fast where the data are dense, and
hardly elsewhere. So beside it stand soft bins, hat functions on quantiles of the data: the network
can say something else in each of them, and something in between where two of them meet. They add
up to 1, so that an unknown value, whose inputs are all 0, is no value that occurs. Few hats are
better than many: with 33 of them networks learn rows by heart (benchmarks/RESULTS.md, Hats).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from keras import ops

from made_tf.conditionals.lines import Lines
from made_tf.conditionals.numbers_of_columns import (
    check_numbers,
    check_positive,
    spread,
    spread_lists,
)
from made_tf.conditionals.truncated import LARGEST
from made_tf.portable.arguments import integer

__all__ = ["RealColumns", "quantile_knots"]

_INPUT_BOUND = 1e3  # of the standardised values that the network sees
_NUM_KNOTS = 33
_SHARE = 1 / 3  # of a column that one number has; on diamonds, whose tables have less, no gain
_RECURS = 3  # times that a number occurs: fewer are chance
_NUM_HATS = 5
_LARGEST = float(np.finfo(np.float32).max)


class RealColumns(Lines):
    """Variables on the real line, whatever their conditionals are.

    Args:
        data_loc: where the data lie, a number or one for each variable.
        data_scale: how far they spread, a positive number or one for each.
        knots: for each variable increasing numbers, as many for all, where the hat functions peak
            that the network sees beside the standardised value; `None` for none.
        num_hats: how many of the knots, at even distances from the first to the last, have hat
            functions; `None` for all.

    Raises:
        ValueError: if a number is not finite, a scale not positive, or knots do not increase or are
            fewer than hats.
    """

    support = "a finite number"
    per_column: tuple[str, ...] = ("data_loc", "data_scale", "knots")

    def __init__(self, data_loc=0.0, data_scale=1.0, knots=None, num_hats=None):
        self.data_loc = check_numbers("data_loc", data_loc)
        self.data_scale = check_positive("data_scale", data_scale)
        self.knots = None if knots is None else [check_numbers("knots", each) for each in knots]
        sizes = {len(each) for each in self.knots or []}
        if self.knots is not None and (
            len(sizes) != 1
            or min(sizes) < 2
            or any(np.any(np.diff(each) <= 0) for each in self.knots)
        ):
            raise ValueError(
                "`knots` must be increasing numbers, two at least and as many for each variable. "
                f"Received: {sorted(sizes)} of them"
            )
        most = len(self.knots[0]) if self.knots else 0
        if num_hats and not most:
            raise ValueError(
                "`num_hats` must be None or 0 where there are no `knots`. Received: "
                f"num_hats={num_hats!r}"
            )
        self._hats = most if num_hats is None else integer("num_hats", num_hats, 0, most + 1)
        if num_hats == 1:
            raise ValueError("`num_hats` must be 0, or 2 at least. Received: num_hats=1")
        self.num_hats = num_hats

    def together_with(self):
        return (
            f"{super().together_with()} {self._hats} of {len(self.knots[0]) if self.knots else 0}"
        )

    @property
    def num_features(self) -> int:
        """How many features each variable has."""
        return 1 + self._hats

    def make_constants(self, event_size):
        loc = spread("data_loc", self.data_loc, event_size)
        scale = spread("data_scale", self.data_scale, event_size)
        constants = {"data_loc": loc, "data_scale": scale}
        if self._hats:
            places = self.knot_places(event_size)
            chosen = np.linspace(0, places.shape[1] - 1, self._hats).round().astype(int)
            places = places[:, chosen]
            # One way more at each end: below any value lies all of the first, nothing of the last.
            beyond, one = np.full((event_size, 1), 2 * _INPUT_BOUND), np.ones((event_size, 1))
            begins = np.concatenate([-beyond, places[:, :-1], beyond], axis=1)
            slopes = np.concatenate([one, 1 / np.diff(places), one], axis=1)
            constants["knots"] = begins.astype(np.float32)
            constants["slopes"] = slopes.astype(np.float32)
        return constants

    def knot_places(self, event_size: int) -> npt.NDArray[np.float64]:
        """Returns the standardised knots, `[D, H]`."""
        loc = spread("data_loc", self.data_loc, event_size)
        scale = spread("data_scale", self.data_scale, event_size)
        knots = np.asarray(spread_lists("knots", self.knots, event_size), np.float64)
        return ((knots.T - loc) / scale).T

    @property
    def is_discrete(self):
        return np.zeros(self.event_size, bool)

    def encode(self, x):
        # Bounded, so that no product with a masked weight is 0 times infinity.
        z = ops.clip(self.standardise(x), -_INPUT_BOUND, _INPUT_BOUND)
        if not self._hats:
            return z
        z = ops.expand_dims(z, -1)
        # How much of the way from each knot to the next lies below z; a hat is what is left of
        # the way from the knot before.
        ramps = ops.clip((z - self.constant("knots")) * self.constant("slopes"), 0.0, 1.0)
        hats = ramps[..., :-1] - ramps[..., 1:]
        features = ops.concatenate([z, hats], axis=-1)  # [N, D, 1 + H]
        return ops.reshape(features, (-1, self.layout.features.total))

    def standardise(self, x):
        """Returns (x - data_loc) / data_scale."""
        return (x - self.constant("data_loc")) / self.constant("data_scale")

    def standardised_ends(self, low, high):
        """Returns where intervals begin and end, standardised and finite, and how wide they are."""
        low, high = (ops.clip(end, -_LARGEST, _LARGEST) for end in (low, high))
        ends = (ops.clip(self.standardise(end), -LARGEST, LARGEST) for end in (low, high))
        # Of the ends themselves, of which a difference hardly rounds.
        width = (high - low) / self.constant("data_scale")
        return (*ends, ops.clip(width, 0.0, 2.0 * LARGEST))

    def in_support(self, x):
        return ops.isfinite(x)

    @classmethod
    def of_table(cls, x, **options):
        """Takes each variable's mean and standard deviation (1 for a constant), and quantiles."""
        x = np.asarray(x, np.float64)
        return cls(**cls.chosen(cls.arguments_of(x), options)).bind(x.shape[1])

    @staticmethod
    def chosen(arguments: dict, options: dict) -> dict:
        """Returns what data determine, where nothing else is asked for; of own knots all count."""
        if "knots" in options:
            others = {"num_hats"} if options["knots"] else {"num_hats", "local_start"}
            arguments = {name: each for name, each in arguments.items() if name not in others}
        return {**arguments, **options}

    @classmethod
    def arguments_of(cls, x: npt.NDArray[np.float64]) -> dict:
        """Returns the constructor's arguments that data `[N, D]` determine."""
        scale = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)
        return {
            "data_loc": x.mean(axis=0).tolist(),
            "data_scale": scale.tolist(),
            "knots": [cls.knots_of(column) for column in x.T],
            "num_hats": _NUM_HATS,
        }

    @staticmethod
    def knots_of(values: npt.NDArray[np.float64]) -> list[float]:
        """Returns where the hats of one variable may peak."""
        return quantile_knots(values)

    def get_config(self):
        config = {"data_loc": self.data_loc, "data_scale": self.data_scale, "knots": self.knots}
        return config if self.num_hats is None else {**config, "num_hats": self.num_hats}


def quantile_knots(
    values: npt.NDArray[np.float64], count: int = _NUM_KNOTS, recurring: bool = False
) -> list[float]:
    """Returns `count` increasing numbers: quantiles of the data, and between them what is missing.

    Repeated quantiles are one knot; the widest gaps between knots are halved until there are
    enough. Of a `recurring` column, of which one number is a third or more, other numbers that
    recur come first, the most frequent ones: where nine of ten are zero each other one may say
    something of its own.
    """
    knots = np.unique(np.quantile(values, np.linspace(0, 1, count), method="closest_observation"))
    if recurring and len(knots) < count:
        knots = np.union1d(knots, _frequent(values, knots, count - len(knots)))
    # Knots that float32 cannot tell apart, once standardised, would divide by zero.
    spread = max(float(knots[-1] - knots[0]), float(np.abs(knots).max()) * 1e-3, 1e-3)
    knots = knots[np.concatenate([[True], np.diff(knots) > 1e-5 * spread])]
    if len(knots) == 1:
        # As far away as the values of a constant column count as spread.
        knots = np.append(knots, knots + max(np.ptp(values) or 1.0, 4 * np.spacing(abs(knots[0]))))
    while len(knots) < count:
        widest = int(np.argmax(np.diff(knots)))
        knots = np.insert(knots, widest + 1, knots[widest : widest + 2].mean())
    return knots.tolist()


def _frequent(values, knots, most: int) -> npt.NDArray[np.float64]:
    """Returns the most frequent numbers beside the knots; none where no number dominates."""
    numbers, counts = np.unique(values, return_counts=True)
    if counts.max() < _SHARE * len(values):
        return knots[:0]
    is_other = ~np.isin(numbers, knots) & (counts >= _RECURS)
    order = np.argsort(-counts[is_other], kind="stable")
    return numbers[is_other][order[:most]]
