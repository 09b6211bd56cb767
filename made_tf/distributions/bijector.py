"""A MADE with normal conditionals as a bijector: what flows are built of."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb

from made_tf.conditionals import Normal
from made_tf.models.made import MADE
from made_tf.sampling.blocked_network import BlockedNetwork

__all__ = ["MADEBijector"]


class MADEBijector(tfb.Bijector):
    """x = loc(x) + scale(x) z, where variable k of x depends on the variables before it alone.

    Standard normal z become rows of the model: with `tfd.MultivariateNormalDiag(tf.zeros(D))`
    as its base a `tfd.TransformedDistribution` has the model's density. Several of them, under
    different orders, are a masked autoregressive flow (`tfb.Chain`).

    `inverse` and the log-determinant of the Jacobian take one pass through the network, and
    `forward` the sampler's one (not D passes). All have gradients with respect to their input
    and the model's weights; that of `forward` is computed from the inverse's Jacobian, D backward
    passes, only where it is asked for. Weights are read at each call.

    Args:
        model: a built `MADE` of `Normal` conditionals, without a context. Of several masks the
            first one counts.
        block_length: how many variables `forward` solves at once; `None` chooses.
        batch_size: for how many rows at a time `None` chooses.
        validate_args: as in every `tfb.Bijector`.
        name: the name of its operations.

    Raises:
        ValueError: if `model` is another model.

    Example:
        >>> import tensorflow as tf
        >>> from tensorflow_probability import distributions as tfd
        >>> from made_tf import MADE, Normal
        >>> model = MADE(event_size=3, hidden_units=(8,), conditionals=Normal(), seed=0)
        >>> base = tfd.MultivariateNormalDiag(tf.zeros(3))
        >>> flow = tfd.TransformedDistribution(base, MADEBijector(model))
        >>> flow.log_prob(flow.sample(4)).shape
        TensorShape([4])

    References:
        Papamakarios et al. 2017, arXiv:1705.07057, section 3.1.
    """

    def __init__(
        self, model, block_length=None, batch_size=None, validate_args=False, name="MADEBijector"
    ):
        parameters = dict(locals())
        if not isinstance(model, MADE):
            raise ValueError(f"`model` must be a made_tf.MADE. Received: model={model!r}")
        if not isinstance(model.conditionals, Normal):
            raise ValueError(
                "`model` must have Normal conditionals, whose values are shifted and scaled normal "
                f"ones. Received: {model.conditionals.name}"
            )
        if model.conditioning is not None:
            raise ValueError("`model` must be one without a context.")
        self._model = model
        self._network = BlockedNetwork(model, block_length, batch_size)
        specs = [tf.TensorSpec([None, model.event_size], tf.float32)]
        self._generate = tf.function(self._network.transform, specs, autograph=False)
        # From the first variable to the last, and back.
        self._order = np.argsort(model.degrees.inputs)
        self._degrees = None if model.mask_sets.is_fixed else model.mask_sets.first(1).at(0)
        super().__init__(
            forward_min_event_ndims=1,
            dtype=tf.float32,
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )
        # Keras layers are no tf.Modules: without this list TFP would find no variables.
        self._variables = [variable.value for variable in model.trainable_variables]

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}  # no tensor-valued parameters

    @property
    def model(self) -> MADE:
        """The model."""
        return self._model

    def _forward(self, z):
        return self._by_rows(self._rows_of, z)

    def _inverse(self, x):
        return self._by_rows(self._noise_of, x)

    def _inverse_log_det_jacobian(self, x):
        rows = self._checked(x)
        _, scale = self._loc_and_scale(rows)
        return tf.reshape(-tf.reduce_sum(tf.math.log(scale), axis=-1), tf.shape(x)[:-1])

    def _by_rows(self, function, values):
        rows = self._checked(values)
        return tf.ensure_shape(tf.reshape(function(rows), tf.shape(values)), values.shape)

    def _checked(self, values):
        """Returns events `[..., D]` as rows `[N, D]`."""
        size = self._model.event_size
        if values.shape.rank is not None and values.shape[-1:] != [size]:
            raise ValueError(
                f"Values must have the shape [..., {size}]. Received: {tuple(values.shape)}"
            )
        return tf.reshape(values, [-1, size])

    def _loc_and_scale(self, x):
        params = self._model.parameters(x, None, self._degrees)
        found = self._model.conditionals.unpack(params)
        return found["loc"], found["scale"]

    def _noise_of(self, x):
        loc, scale = self._loc_and_scale(x)
        return (x - loc) / scale

    def _rows_of(self, z):
        """Returns the rows of noise `[N, D]`, by the sampler, with a gradient."""

        @tf.custom_gradient
        def rows_of(z):
            x = tf.stop_gradient(self._generate(z))

            def gradient(upstream, variables=None):
                # z = g(x, weights): dx/dz is the inverse of g's Jacobian, and
                # dx/dweights = -dx/dz dg/dweights.
                with tf.GradientTape(persistent=True) as tape:
                    tape.watch(x)
                    z_again = self._noise_of(x)
                jacobian = tape.batch_jacobian(z_again, x)  # [N, D, D]
                in_order = tf.gather(upstream, self._order, axis=1)[..., None]
                lower = tf.gather(jacobian, self._order, axis=1)
                lower = tf.gather(lower, self._order, axis=2)
                solved = tf.linalg.triangular_solve(lower, in_order, lower=True, adjoint=True)
                to_z = tf.gather(solved[..., 0], np.argsort(self._order), axis=1)
                if not variables:
                    return to_z
                to_weights = tape.gradient(
                    z_again, variables, -to_z, unconnected_gradients=tf.UnconnectedGradients.ZERO
                )
                return to_z, to_weights

            return x, gradient

        return rows_of(z)
