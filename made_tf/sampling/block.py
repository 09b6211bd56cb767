"""One block of the sampler: a small triangle of the network and its fixed point."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from made_tf.conditionals import Conditionals
from made_tf.models.made import MADE

__all__ = ["Block", "columns_of", "drawer_at", "join", "make_block", "plus_product"]


_CONCATENATED = 4  # tensors at once: of many, LiteRT's fast kernels (XNNPACK) take none


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """One block of the network: small triangles, from its variables to their parameters."""

    family: Conditionals
    transform: Callable  # (family, parameters, noise) -> values
    activation: Callable
    layers: list[tuple[tuple[int, Any], ...]]  # of each layer: (level, triangle)
    residual: bool

    def finish(self, starts: list, x):
        """Passes the block's variables `[n, B]` through: its units by level, its parameters."""
        return self._through(starts, self.family.encode(x), x)

    def solve(self, starts: list, noise):
        """Solves x = transform(finish(x), noise): values, units by level, parameters.

        It ends: pass k makes the first k variables final (by induction, since
        parameter k is a function of the variables before k alone), and what is
        final is computed from equal numbers by equal operations ever after. So
        after B passes nothing changes, and pass B + 1 finds that. Only where
        activations overflow does a later variable reach an earlier one (zero
        times infinity): there the bound on the passes ends the loop.

        The first pass sees no variable of the block; it may, since the first
        variable depends on none and the others are not final before.

        The values carry no gradient: units and parameters are functions of the
        weights at these values, as in `log_prob`.
        """

        def keep_going(count, changed, _):
            return tf.logical_and(changed, count <= noise.shape[1])

        def body(count, _, x):
            new = self.transform(self.family, self.finish(starts, x)[1], noise)
            # Not `reduce_any`, which microcontrollers lack.
            changed = tf.reduce_max(tf.cast(new != x, tf.float32)) > 0
            return count + 1, changed, new

        rows = noise if len(noise.shape) == 2 else noise[..., 0]
        first = self.transform(self.family, self._through(starts, None, rows)[1], noise)
        if noise.shape[1] == 1:  # the only variable depends on none of the block
            x = tf.stop_gradient(first)
            return x, *self.finish(starts, x)
        state = (tf.constant(1), tf.constant(True), first)
        x = tf.stop_gradient(tf.while_loop(keep_going, body, state)[2])
        return x, *self.finish(starts, x)

    def _through(self, starts: list, features, rows):
        """Passes features (or none) through; `rows` is any tensor `[n, 1 or more]`."""
        units = [features]
        for start, sources in zip(starts, self.layers, strict=True):
            total = start
            for source, triangle in sources:
                total = plus_product(total, units[source], triangle)
            if total is not None and len(total.shape) == 1:  # a bias alone: [units] -> [n, units]
                total = total + tf.zeros_like(rows[:, :1])
            if len(units) == len(self.layers):
                break
            new = total if total is None else self.activation(total)
            if self.residual and len(units) > 1 and new is not None:
                new = new + units[-1]  # as many, since the layers' degrees are the same
            units.append(new)
        return units, total


def make_block(
    model: MADE,
    family: Conditionals,
    variables,
    triangles: list,
    transform: Callable | None = None,
) -> Block:
    """Returns a block of a model.

    Args:
        model: the model.
        family: its family, with the weights that count.
        variables: those of the block: `[B]`, or a tensor `[n, B]` where each row has its own.
        triangles: of each layer (level, triangle).
        transform: (family, parameters, noise) -> values; plain draws by default.
    """
    return Block(
        family.select(variables),
        transform or _draw,
        model.activation,
        triangles,
        model.residual,
    )


def _draw(family: Conditionals, params, noise):
    return family.transform(params, noise)


def drawer_at(temperature) -> Callable:
    """Returns a drawer from conditionals to the power 1 / T: T float32 `[n, 1]`."""
    return lambda family, params, noise: family.transform_at(params, noise, temperature)


def columns_of(values, columns: slice):
    """Returns some of the columns of `[n, ...]`."""
    # LiteRT's fast kernels (XNNPACK) take this form of a slice, and not `tf.slice`.
    return values[:, columns]


def plus_product(total, x, kernel):
    """Adds `x @ kernel`, unless one of them is empty (LiteRT has no empty tensors)."""
    if total is None or x is None or 0 in kernel.weights.shape:
        return total
    if len(kernel.weights.shape) == 3:  # [n, in, out]: a kernel for each row
        product = tf.matmul(x[:, None], kernel.weights, transpose_b=kernel.transposed)
        return total + product[:, 0]
    return total + tf.matmul(x, kernel.weights, transpose_b=kernel.transposed)


def join(parts: list):
    """Puts columns side by side; `None` where there are none."""
    parts = [part for part in parts if part is not None]
    while len(parts) > 1:
        groups = [parts[i : i + _CONCATENATED] for i in range(0, len(parts), _CONCATENATED)]
        parts = [tf.concat(group, axis=1) if len(group) > 1 else group[0] for group in groups]
    return parts[0] if parts else None
