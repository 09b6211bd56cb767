"""Variables with many classes, each of which is a short vector that is learned."""

from __future__ import annotations

import numpy as np
from keras import ops

from made_tf.conditionals.base import as_float32, register
from made_tf.conditionals.classes import IMPOSSIBLE, Classes, number_of_steps_at
from made_tf.conditionals.layout import Layout
from made_tf.conditionals.starts import log_frequencies
from made_tf.portable.arguments import integer

__all__ = ["Embedded"]

_FEW = 16  # columns


@register
class Embedded(Classes):
    """Variables with many classes 0..K-1: zones, products, words; E parameters each.

    A `Categorical` gives each class a feature and a logit of its own, so that two columns of K
    classes cost K^2 weights. Here each class is a vector of E numbers in a table that trains with
    the model. The network sees the vector of a column's value, and what it gives for the column, z,
    is held against the vectors of all classes (the same ones, so that classes that are alike behind
    the column are also alike before it):

        log P(x = k) = z . v_k + b_k - log sum over j of exp(z . v_j + b_j)

    All E features of a column have its degree: the table belongs to one column and connects no two.

    Args:
        num_classes: K for all variables, or a sequence with the K of each; at least 2.
        embedding_size: E.

    Raises:
        ValueError: if a number of classes is not an integer of at least 2, or `embedding_size` not
            a positive integer.

    Example:
        >>> from made_tf import MADE, Bernoulli, Embedded
        >>> model = MADE(2, conditionals=[Embedded(10_000), Bernoulli()])
        >>> model.conditionals.layout.features.sizes
        array([32,  1])

    References:
        Bengio, Ducharme, Vincent, Jauvin 2003, A neural probabilistic language model (JMLR 3): the
        vectors. Press, Wolf 2017, Using the output embedding to improve language models,
        arXiv:1608.05859: one table for inputs and outputs.
    """

    name = "embedded"

    def __init__(self, num_classes, embedding_size=32):
        super().__init__(num_classes)
        self.embedding_size = integer("embedding_size", embedding_size)

    def make_layout(self, event_size):
        sizes = np.full(event_size, self.embedding_size)
        return Layout.of_sizes(sizes, sizes)

    def make_constants(self, event_size):
        # Which vectors of the table are a column's own; a selection keeps the whole table.
        columns = np.arange(event_size, dtype=np.int32)
        return {**super().make_constants(event_size), "column": columns}

    def make_weights(self, event_size, rng):
        size = int(self.check_event_size(event_size).max()), self.embedding_size
        vectors = rng.standard_normal((event_size * size[0], size[1]), np.float32)
        return {
            "vectors": vectors / np.float32(size[1] ** 0.5),
            "class_bias": np.zeros((event_size, size[0]), np.float32),
        }

    def start(self, x):
        bias = np.zeros((self.event_size, self._most), np.float32)
        for own, shares in zip(bias, log_frequencies(x, self.listed("num_classes")), strict=True):
            own[: len(shares)] = shares - shares.mean()
        return super().start(x)._replace(weights={"class_bias": bias})

    def encode(self, x):
        (vectors,) = as_float32(self.weight("vectors"))
        # What is no class has no vector; it is impossible anyway.
        own = ops.cast(ops.where(self.in_support(x), x, 0.0), "int32")
        column = self.constant("column")
        if tables := self._few_tables(vectors, column):
            found = [ops.take(table, own[:, k], axis=0) for k, table in enumerate(tables)]
            return found[0] if len(found) == 1 else ops.concatenate(found, axis=1)
        found = ops.take(vectors, own + column * self._most, axis=0)
        return ops.reshape(found, (-1, self.layout.features.total))

    def class_logits(self, params):
        params, bias = as_float32(params, self.weight("class_bias"))
        z = ops.reshape(params, (-1, self.event_size, self.embedding_size))  # [N, D, E]
        column = self.constant("column")
        logits = self._products(z, column) + ops.take(bias, column, axis=0)  # [N, D, K]
        classes = np.arange(self._most, dtype=np.float32)
        possible = ops.less(classes, ops.expand_dims(self.constant("num_classes"), -1))
        return ops.where(possible, logits, IMPOSSIBLE)

    def _products(self, z, column):
        """Returns z . v_k of each column and class: `[N, D, E]` -> `[N, D, K]`."""
        (vectors,) = as_float32(self.weight("vectors"))
        if few := self._few_tables(vectors, column):
            products = [ops.matmul(z[:, k], ops.transpose(each)) for k, each in enumerate(few)]
            return ops.stack(products, axis=1)
        tables = ops.reshape(vectors, (-1, self._most, self.embedding_size))
        if len(column.shape) == 1:
            tables = ops.transpose(ops.take(tables, column, axis=0), (0, 2, 1))  # [D, E, K]
            return ops.transpose(ops.matmul(ops.transpose(z, (1, 0, 2)), tables), (1, 0, 2))
        # Rows with columns of their own: z against the tables of all, of which one counts.
        everything = ops.matmul(z, ops.transpose(vectors))
        every = ops.reshape(everything, (-1, z.shape[1], tables.shape[0], self._most))
        own = ops.equal(ops.expand_dims(column, -1), np.arange(tables.shape[0], dtype=np.int32))
        return ops.sum(ops.where(ops.expand_dims(own, -1), every, 0.0), axis=2)

    def _few_tables(self, vectors, column) -> list:
        """Returns the table `[K, E]` of each column, if they are known beforehand and few.

        Matrices of their own are stored once in a file, and in a small format.
        """
        if not isinstance(column, np.ndarray) or column.ndim != 1 or len(column) > _FEW:
            return []
        return [vectors[k * self._most : (k + 1) * self._most] for k in column]

    def transform_at(self, params, noise, temperature):
        return number_of_steps_at(self.class_logits(params), noise, temperature)

    @property
    def _most(self) -> int:
        """The number of classes of the variable that has the most of them."""
        return int(self.weight("class_bias").shape[-1])

    def get_config(self):
        return {**super().get_config(), "embedding_size": self.embedding_size}
