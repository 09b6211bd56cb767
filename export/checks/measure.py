"""What a written file is measured by: leaks, total probability, time, bytes."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from made_tf.export.checks.host import SEED
from made_tf.export.runtime import LiteSampler
from made_tf.masks import degrees_to_mask
from made_tf.models.density_model import DensityModel
from made_tf.models.made import MADE
from made_tf.portable.files import PathLike
from made_tf.verification import row_pairs, sum_of_states

__all__ = ["leak", "live_weight_bytes", "load_ms", "sample_ms", "total_probability"]

_ROWS_AT_ONCE = 256
_MAX_STATES = 4096
_BATCHES = (1, 16, 256)
_SECONDS = 0.2  # at most, for each batch size
_BYTES = {"float32": 4, "float16": 2, "int8": 1, "static_int8": 1}


def leak(model: MADE, device: LiteSampler, **given: Any) -> float:
    """Returns the largest change of a parameter when a variable that it must not see changes.

    In each row another variable is changed, and each parameter of the variables
    up to it is compared with its value before: bit by bit, so that any leak is
    more than 0. A NaN counts as infinite.

    Args:
        model: the model.
        device: its file.
        **given: one `context`, of a model that has one; also for the functions below.
    """
    rows, others = row_pairs(model, np.random.default_rng(SEED), 1)
    size, degrees = model.event_size, model.degrees.inputs
    largest = 0.0
    for start in range(0, size, _ROWS_AT_ONCE):
        changed = np.arange(start, min(start + _ROWS_AT_ONCE, size))
        base = np.repeat(rows, len(changed), axis=0).astype(np.float32)
        moved = base.copy()
        moved[np.arange(len(changed)), changed] = others[0, changed]
        before, after = (device.conditionals(each, **given) for each in (base, moved))
        hidden = ~degrees_to_mask(degrees[changed], degrees, strict=True)  # [rows, D]
        for name, values in before.items():
            difference = np.abs(after[name] - values).reshape(*hidden.shape, -1)[hidden]
            largest = max(largest, float(np.nan_to_num(difference, nan=np.inf).max(initial=0)))
    return largest


def total_probability(model: DensityModel, device: LiteSampler, **given: Any) -> float | None:
    """Sums the probabilities of all states; `None` where there are too many."""
    states = [values for values in model.conditionals.states() if values is not None]
    if len(states) < model.event_size or math.prod(map(len, states)) > _MAX_STATES:
        return None
    return sum_of_states(
        states, lambda rows: device.log_prob(rows, batch_size=_MAX_STATES, **given)
    )


def load_ms(path: PathLike, **given: Any) -> float:
    """Returns how long it takes from the file to the first sample, in milliseconds."""
    started = time.perf_counter()
    LiteSampler(path).sample(1, **given)
    return round(1e3 * (time.perf_counter() - started), 1)


def sample_ms(device: LiteSampler, **given: Any) -> dict[int, float]:
    """Returns how long batches take, in milliseconds: the shortest of several runs."""
    times = {}
    for rows in _BATCHES:
        device.sample(rows, **given)
        started = time.perf_counter()
        taken: list[float] = []
        while len(taken) < 3 or time.perf_counter() - started < _SECONDS:
            before = time.perf_counter()
            device.sample(rows, **given)
            taken.append(time.perf_counter() - before)
        times[rows] = round(1e3 * min(taken), 3)
    return times


def live_weight_bytes(model: MADE, weights: str) -> int:
    """Returns what the weights that the masks leave take, with the biases in float32."""
    total = 0
    for layer in model.masked_layers():
        live = layer.mask.numpy() if model.mask_sets.is_fixed else np.ones(layer.mask.shape)
        total += int(live.sum()) * _BYTES[weights]
        total += 4 * layer.units if layer.bias is not None else 0
    for layer in (*model.context_layers, *model.evidence_layers):
        size = _BYTES[weights] if model.reads_evidence else 4
        total += size * int(np.prod(layer.kernel.shape))
        total += 4 * layer.units if layer.use_bias else 0
    if (family := model.family_weights) is not None:
        small = sum(int(np.prod(table.shape)) for table in family.tables)
        total += small * _BYTES[weights] + 4 * (family.count_params() - small)
    return total
