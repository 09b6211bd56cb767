"""What an exported file can be asked: one table of inputs, one of signatures.

A further signature is a method of `made_tf.export.networks.ExportedNetwork`, a check in
`made_tf.export.checks.answers`, and a row of `SIGNATURES` that names them. A further input is a
row of `INPUTS`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from made_tf.export.checks import answers
from made_tf.export.checks.host import SEED, Drawn
from made_tf.export.contexts import context_shape
from made_tf.export.members import network_of
from made_tf.export.networks import num_uniforms
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.arguments import integer

__all__ = [
    "INPUTS",
    "SIGNATURES",
    "Chosen",
    "Input",
    "Signature",
    "Signatures",
    "choose_signatures",
    "example_inputs",
    "make_signatures",
]

Signatures = dict[str, tf.types.experimental.PolymorphicFunction]


class Sizes(NamedTuple):
    """The sizes of a file.

    Attributes:
        event_size: D, the number of variables.
        num_uniforms: U, how many uniforms a row is made from.
        context: the shape of a row's context; `None` without one.
    """

    event_size: int
    num_uniforms: int
    context: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of signatures, with a value for each row.

    Attributes:
        dtype: its dtype.
        shape: from a file's sizes to the shape of one row's value.
        example: from rows and what they were drawn from to values to compare
            signatures by, one for each row.
    """

    dtype: tf.DType
    shape: Callable[[Sizes], Any]
    example: Callable[[Drawn], Any]


def _half_observed(drawn: Drawn) -> npt.NDArray[np.int64]:
    return np.random.default_rng(SEED).integers(0, 2, drawn.rows.shape)


#: All inputs by name.
INPUTS: dict[str, Input] = {
    "x": Input(tf.float32, lambda sizes: (sizes.event_size,), lambda drawn: drawn.rows),
    "seeds": Input(tf.int32, lambda sizes: (2,), lambda drawn: drawn.seeds),
    "uniforms": Input(tf.float32, lambda sizes: (sizes.num_uniforms,), lambda drawn: drawn.inputs),
    "temperature": Input(tf.float32, lambda sizes: (), lambda drawn: np.full(len(drawn.rows), 0.5)),
    "observed": Input(tf.int32, lambda sizes: (sizes.event_size,), _half_observed),
    "context": Input(tf.float32, lambda sizes: sizes.context, lambda drawn: drawn.context),
}


@dataclasses.dataclass(frozen=True)
class Signature:
    """One question that a file answers.

    Attributes:
        name: its name, which is that of the method of `ExportedNetwork` that
            answers it.
        inputs: the names of its inputs, in the order of the method's arguments.
        check: compares a file's answers with the model's
            (`made_tf.export.checks.answers`).
        is_standard: whether a file has it unless told otherwise.
        draws: whether it runs the sampler's loops.
        needs_all_answers: whether the model must answer any question exactly.
        has_fixed_sizes: whether it also exists with a fixed number of rows.
        is_of_ensembles: whether an ensemble has it, too.
    """

    name: str
    inputs: tuple[str, ...]
    check: answers.Check
    is_standard: bool = False
    draws: bool = True
    needs_all_answers: bool = False
    has_fixed_sizes: bool = True
    is_of_ensembles: bool = True


#: All signatures by name, in the order in which a file has them.
SIGNATURES: dict[str, Signature] = {
    signature.name: signature
    for signature in (
        Signature("sample", ("seeds",), answers.check_sample, is_standard=True),
        Signature("log_prob", ("x",), answers.check_log_prob, is_standard=True, draws=False),
        Signature(
            "conditionals",
            ("x",),
            answers.check_conditionals,
            is_standard=True,
            draws=False,
            has_fixed_sizes=False,
            is_of_ensembles=False,
        ),
        Signature(
            "impute",
            ("x", "observed", "seeds"),
            answers.check_impute,
            is_standard=True,
            needs_all_answers=True,
        ),
        Signature("sample_and_log_prob", ("seeds",), answers.check_sample_and_log_prob),
        Signature(
            "sample_at_temperature", ("seeds", "temperature"), answers.check_sample_at_temperature
        ),
        Signature(
            "sample_from_uniforms",
            ("uniforms",),
            answers.check_sample_from_uniforms,
            is_of_ensembles=False,
        ),
    )
}


class Chosen(NamedTuple):
    """A signature of a file.

    Attributes:
        signature: what it does.
        inputs: the names of its inputs, the last one being the context of a model that has one.
        rows: its fixed number of rows; `None` for any number.
    """

    signature: Signature
    inputs: tuple[str, ...]
    rows: int | None = None


def choose_signatures(
    model: MADE | Ensemble,
    signatures: str | Sequence[str] | None = None,
    batch_sizes: Sequence[int] = (),
) -> dict[str, Chosen]:
    """Returns which signatures a file gets, by name.

    Args:
        model: the model, or an ensemble, which has neither `conditionals` nor
            `sample_from_uniforms`.
        signatures: names; `None` for `sample`, `log_prob`, `conditionals` and,
            where the model knows all orders, `impute`; `"all"` for all that the
            model can have.
        batch_sizes: numbers of rows n for which each signature but
            `conditionals` exists a second time, as `NAME_n`, with fixed shapes.

    Raises:
        ValueError: if a name is unknown or not to be had, or a size not a
            positive integer.
    """
    possible = {
        name: signature
        for name, signature in SIGNATURES.items()
        if (model.answers_all or not signature.needs_all_answers)
        and (model.conditionals.has_temperature or "temperature" not in signature.inputs)
        and (signature.is_of_ensembles or not isinstance(model, Ensemble))
    }
    if signatures is None:
        names = [name for name, signature in possible.items() if signature.is_standard]
    elif isinstance(signatures, str) and signatures == "all":
        names = list(possible)
    else:
        names = [signatures] if isinstance(signatures, str) else list(signatures)
        unknown = [name for name in names if name not in possible]
        if unknown or not names or len(set(names)) < len(names):
            of_ensemble = " for an ensemble" if isinstance(model, Ensemble) else ""
            raise ValueError(
                f"`signatures` must be 'all' or different ones of {list(possible)}{of_ensemble}. "
                f"Received: signatures={signatures!r}"
            )
    sizes = [integer("batch_sizes", size) for size in batch_sizes]
    of_any_size = [possible[name] for name in names]
    of_fixed_size = [signature for signature in of_any_size if signature.has_fixed_sizes]
    further = () if model.conditioning is None else ("context",)

    def chosen(signature: Signature, rows: int | None = None) -> Chosen:
        return Chosen(signature, (*signature.inputs, *further), rows)

    return {signature.name: chosen(signature) for signature in of_any_size} | {
        f"{signature.name}_{size}": chosen(signature, size)
        for size in sizes
        for signature in of_fixed_size
    }


def make_signatures(
    model: MADE | Ensemble,
    chosen: dict[str, Chosen],
    block_length: int | None = None,
    batch_size: int | None = None,
    num_orders: int = 1,
) -> Signatures:
    """Returns the signatures of a model, its weights frozen into them.

    Args:
        model: the model, or an ensemble.
        chosen: which ones, from `choose_signatures`.
        block_length: how many variables the sampler solves at once; `None`
            chooses.
        batch_size: for how many rows at a time `None` chooses.
        num_orders: M, over how many of the model's mask sets the density is
            averaged.

    Returns:
        `sample(seeds int32 [n, 2]) -> x float32 [n, D]`: row i from seeds[i];
        `sample_and_log_prob(seeds) -> x, log_prob float32 [n]`;
        `sample_at_temperature(seeds, temperature float32 [n]) -> x`: from the
        conditionals to the power 1 / temperature;
        `sample_from_uniforms(uniforms float32 [n, U]) -> x`, U being D, or D + 1
        where the last one chooses an order;
        `log_prob(x float32 [n, D]) -> log_prob float32 [n]`, in nats, NaN for
        a row with a value that is no state of its variable;
        `conditionals(x float32 [n, D])` -> the parameters by name, each
        `[n, D, ...]`, under the model's own order; for a model that answers all questions
        `impute(x float32 [n, D], observed int32 [n, D], seeds int32 [n, 2]) ->
        x float32 [n, D]`: where `observed` is 0, a draw given the rest of the
        row; NaN for a row with an observed value that is no state.
        Of a model with a context all have one more input, `context` float32
        `[n, W]` (or what the model's encoder takes), the last one.
    """
    network = network_of(model, num_orders, block_length, batch_size)
    sizes = Sizes(model.event_size, num_uniforms(model, num_orders), context_shape(model))

    def function(signature: Signature, inputs: tuple[str, ...], rows: int | None):
        specs = [
            tf.TensorSpec([rows, *INPUTS[name].shape(sizes)], INPUTS[name].dtype, name)
            for name in inputs
        ]
        return tf.function(getattr(network, signature.name), specs, autograph=False)

    return {name: function(*each) for name, each in chosen.items()}


def example_inputs(chosen: Chosen, drawn: Drawn, num_rows: int) -> dict[str, Any]:
    """Returns values for the inputs of a signature, by name: so many rows of each."""
    inputs = {}
    for name in chosen.inputs:
        values = np.asarray(INPUTS[name].example(drawn))
        some = np.resize(values, (num_rows, *values.shape[1:]))
        inputs[name] = some.astype(INPUTS[name].dtype.as_numpy_dtype)
    return inputs
