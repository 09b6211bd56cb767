"""`SharedDense`: one kernel under many masks."""

from __future__ import annotations

import keras
from keras import ops

from made_tf.networks.kernel_mask import connected, masked
from made_tf.networks.masked_dense import MaskedDense

__all__ = ["SharedDense"]


@keras.saving.register_keras_serializable(package="made_tf")
class SharedDense(MaskedDense):
    """A masked dense layer whose mask may change from call to call.

    `outputs = activation(inputs @ where(mask, kernel, 0) + bias)`

    The mask is made in the graph, from the degrees of a call. The stored kernel
    is never masked, neither by a constraint nor on loading: each weight that
    one mask forbids belongs to others. Called without degrees the layer uses its
    own, and is as autoregressive as `MaskedDense`.

    Args:
        in_degrees: the layer's own degrees of the inputs, shape `[in]`.
        out_degrees: the layer's own degrees of the units, shape `[out]`.
        strict: as in `MaskedDense`.
        mask_weights: whether the layer sees its mask: to the outputs is added
            `sum over inputs of where(mask, mask_kernel, 0)`, with a kernel of
            its own that starts at zero.
        **kwargs: as in `MaskedDense`.

    References:
        Germain et al. 2015, arXiv:1502.03509, sections 4.1 and 4.2, where the
        mask kernel is called U.
    """

    def __init__(self, in_degrees, out_degrees, strict=False, mask_weights=False, **kwargs):
        super().__init__(in_degrees, out_degrees, strict, **kwargs)
        self.mask_weights = bool(mask_weights)
        self.mask_kernel = None

    def _add_kernel(self):
        return self.add_weight(
            name="kernel",
            shape=self.mask.shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def build(self, input_shape):
        super().build(input_shape)
        if self.mask_weights:
            self.mask_kernel = self.add_weight(
                name="mask_kernel", shape=self.mask.shape, initializer="zeros"
            )

    def call(self, inputs, in_degrees=None, out_degrees=None, *, shift=None):
        """Multiplies, adds the bias, activates: `[..., in]` -> `[..., out]`.

        Args:
            inputs: `[..., in]`.
            in_degrees: int32 `[in]`, or `[N, in]` for inputs `[N, in]` with a
                mask for each row; `None` for the layer's own degrees.
            out_degrees: int32 `[out]` or `[N, out]`.
            shift: what else is added before the activation, `[..., out]`.
        """
        if in_degrees is None and self.mask_kernel is None:
            return super().call(inputs, shift=shift)  # which skips the empty half where it can
        own = (
            ops.convert_to_tensor(self.mask.in_degrees),
            ops.convert_to_tensor(self.mask.out_degrees),
        )
        in_degrees, out_degrees = own if in_degrees is None else (in_degrees, out_degrees)
        mask = connected(in_degrees, out_degrees, self.mask.strict)  # [in, out] or [N, in, out]
        kernel = self.unmasked_kernel()
        if len(mask.shape) == 2:
            outputs = ops.matmul(inputs, masked(mask, kernel))
        else:
            # A loop over N, in and out that XLA fuses; there is no product of matrices in it.
            outputs = ops.sum(masked(mask, ops.expand_dims(inputs, -1) * kernel), axis=-2)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        if self.mask_kernel is not None:
            outputs = ops.add(outputs, self.mask_bias(mask))
        if shift is not None:
            outputs = outputs + shift
        return self.activation(outputs)

    def part(self, inputs, flags, rows, columns, shift=None):
        """Returns some units of the layer, which all see the same inputs: `[N, columns]`.

        Args:
            inputs: `[N, rows]`; zeros for what a row's mask hides.
            flags: 1 for what it shows and 0 for the rest, `[N, rows]`.
            rows: which inputs these are, an array.
            columns: which units.
            shift: what else is added to all units before the activation, `[N, out]`.
        """

        def take(kernel):
            kernel = ops.cast(ops.convert_to_tensor(kernel), self.compute_dtype)
            return ops.take(ops.take(kernel, rows, axis=0), columns, axis=1)

        dtype = self.compute_dtype
        outputs = ops.matmul(ops.cast(inputs, dtype), take(self.unmasked_kernel()))
        if self.mask_kernel is not None:
            outputs = outputs + ops.matmul(ops.cast(flags, dtype), take(self.mask_kernel))
        for added in (self.bias, shift):
            if added is not None:
                outputs = outputs + ops.cast(ops.take(added, columns, axis=-1), dtype)
        return self.activation(outputs)

    def mask_bias(self, mask):
        """Returns what the mask itself adds to the outputs: `[..., in, out]` -> `[..., out]`."""
        kernel = ops.cast(ops.convert_to_tensor(self.mask_kernel), self.compute_dtype)
        return ops.sum(masked(mask, kernel), axis=-2)

    def project(self):
        """Does nothing: what one mask forbids, others use."""

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self.mask_kernel is not None:
            store["mask_kernel"] = self.mask_kernel

    def load_own_variables(self, store):
        super().load_own_variables(store)
        if self.mask_kernel is not None:
            self.mask_kernel.assign(store["mask_kernel"])

    def get_config(self):
        return {**super().get_config(), "mask_weights": self.mask_weights}
