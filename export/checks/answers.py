"""The check of each signature: what a file answers must be what its model does.

Each takes the model, the file and rows; and gives the largest difference of a
log-probability in nats, where there is one. `made_tf.export.signatures` says which
signature has which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from made_tf.export.checks.compare import (
    check_log_probs,
    check_parameters,
    check_samples,
    same_values,
)
from made_tf.export.checks.host import SEED, AnyHost, Drawn
from made_tf.export.checks.report import ExportError
from made_tf.export.runtime import LiteSampler

__all__ = [
    "Check",
    "check_conditionals",
    "check_fixed_size",
    "check_impute",
    "check_log_prob",
    "check_sample",
    "check_sample_and_log_prob",
    "check_sample_at_temperature",
    "check_sample_from_uniforms",
]

#: From a model, its file and rows to the largest difference of a log-probability, or `None`.
Check = Callable[[AnyHost, LiteSampler, Drawn], float | None]

_NUM_IMPUTED = 24
_NUM_PATTERNS = 4
_TEMPERATURES = (0.5, 1.0, 2.0)


def check_sample(host: AnyHost, device: LiteSampler, drawn: Drawn) -> None:
    """Rows are the model's, however many are drawn."""
    check_samples(host, drawn.rows, drawn.uniforms, drawn.sets, **drawn.given())
    for size in (1, 3):
        rows = device.sample(size, SEED, **drawn.given(slice(size)))
        if not same_values(rows, drawn.rows[:size], host.model.conditionals.is_discrete):
            raise ExportError(f"The file gives other rows at batch size {size}.")


def check_log_prob(host: AnyHost, device: LiteSampler, drawn: Drawn) -> float:
    """Log-probabilities of rows are the model's."""
    given = drawn.given()
    return check_log_probs(host, device.log_prob(drawn.rows, **given), drawn.rows, **given)


def check_conditionals(host: AnyHost, device: LiteSampler, drawn: Drawn) -> None:
    """Parameters of rows are the model's."""
    for member, own, _ in host.by_member(drawn.sets):
        rows, given = drawn.rows[own], drawn.given(own)
        check_parameters(member, device.conditionals(rows, **given), rows, **given)


def check_sample_and_log_prob(host: AnyHost, device: LiteSampler, drawn: Drawn) -> float:
    """Rows and their log-probabilities are the model's."""
    given = drawn.given()
    x, log_prob = device.sample_and_log_prob(drawn.seeds, **given)
    check_samples(host, x, drawn.uniforms, drawn.sets, **given)
    return check_log_probs(host, log_prob, x, **given)


def check_sample_at_temperature(host: AnyHost, device: LiteSampler, drawn: Drawn) -> None:
    """Rows of several temperatures are the model's."""
    temperature = np.resize(np.array(_TEMPERATURES, np.float32), len(drawn.seeds))
    given = drawn.given()
    x = device.sample_at_temperature(drawn.seeds, temperature, **given)
    check_samples(host, x, drawn.uniforms, drawn.sets, temperature=temperature, **given)


def check_sample_from_uniforms(host: AnyHost, device: LiteSampler, drawn: Drawn) -> None:
    """Rows that are made from uniforms are the model's."""
    x = device.sample_from_uniforms(drawn.inputs, **drawn.given())
    check_samples(host, x, drawn.uniforms, drawn.sets, **drawn.given())


def check_impute(host: AnyHost, device: LiteSampler, drawn: Drawn) -> None:
    """Values that are filled in, in rows that lack the same ones and others, are the model's."""
    rows = drawn.rows[:_NUM_IMPUTED]
    shape = (_NUM_PATTERNS, host.model.event_size)
    patterns = np.random.default_rng(SEED).random(shape) < 0.5
    known = patterns[np.arange(len(rows)) % _NUM_PATTERNS]
    given = drawn.given(slice(len(rows)))
    filled = device.impute(np.where(known, rows, np.nan), SEED, **given)
    if not np.array_equal(filled[known], rows[known]):
        raise ExportError("The file changes observed values in `impute`.")
    for first, pattern in enumerate(patterns):
        own = np.arange(first, len(rows), _NUM_PATTERNS)
        some = drawn.some(own)
        sets = host.sets_given(some, pattern)
        check_samples(host, filled[own], some.uniforms, sets, pattern, **some.given())


def check_fixed_size(
    host: AnyHost, device: LiteSampler, name: str, kind: str, inputs: Mapping[str, npt.NDArray]
) -> None:
    """A signature of a fixed number of rows gives what the one of any number, `kind`, gives."""
    fixed, free = device.run(name, **inputs), device.run(kind, **inputs)
    for key, values in fixed.items():
        exact = host.model.conditionals.is_discrete if key == "x" else False
        if not same_values(values, free[key], exact):
            raise ExportError(f"The file gives other values in {name!r} than in {kind!r}.")
