"""`MaskedDense`: a dense layer that is autoregressive whatever its weights are."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
from keras import ops

from made_tf.networks.activations import elementwise
from made_tf.networks.kernel_mask import KernelMask
from made_tf.networks.masking import MaskConstraint, MaskedInitializer
from made_tf.networks.staircase import best_staircase
from made_tf.portable.digests import fingerprint

__all__ = ["MaskedDense", "matches"]


@keras.saving.register_keras_serializable(package="made_tf")
class MaskedDense(keras.layers.Layer):
    """A dense layer whose connections are those that its degrees allow.

    `outputs = activation(inputs @ where(mask, kernel, 0) + bias)`

    The mask acts twice. The *stored* kernel is masked: by the initializer, by
    the kernel constraint after every update, and on loading. The *forward
    pass* masks it again, because a constraint alone is bypassed by frozen
    layers, `use_ema`, `set_weights`, checkpoints and custom training loops.
    Where it is faster, the product skips the empty half of the kernel
    (`made_tf.networks.staircase`).

    Args:
        in_degrees: integer degrees of the inputs, shape `[in]`.
        out_degrees: integer degrees of the units, shape `[out]`.
        strict: `False` for hidden layers (a unit sees inputs of degree <= its
            own), `True` for outputs and direct connections (degree < its own).
        activation: the activation (callable or name) or `None`.
        use_bias: whether the layer has a bias.
        kernel_initializer: initializer of the live weights.
        bias_initializer: initializer of the bias.
        kernel_regularizer: optional regularizer of the kernel.
        bias_regularizer: optional regularizer of the bias.
        activity_regularizer: optional regularizer of the outputs.
        kernel_constraint: optional further constraint of the live weights.
        bias_constraint: optional constraint of the bias.
        quantized: whether the kernel is stored in int8 from the start, for
            loading what `quantize` made.
        **kwargs: `name`, `dtype`, `trainable`.

    Attributes:
        staircase: how the product skips what is empty; `None` where the plain one is as fast.

    Input shape: `[..., in]`. Output shape: `[..., out]`.

    Raises:
        ValueError: if the degrees are not sequences of integers, or the input's
            last dimension is not `in`.

    Example:
        >>> layer = MaskedDense(in_degrees=[1, 2, 3], out_degrees=[1, 1, 2])
        >>> layer(np.ones([4, 3])).shape
        TensorShape([4, 3])

    References:
        Germain et al. 2015, arXiv:1502.03509, equations 8 to 13.
    """

    def __init__(
        self,
        in_degrees,
        out_degrees,
        strict=False,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        quantized=False,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if self.dtype_policy.quantization_mode is not None:
            raise ValueError(
                "`dtype` must be a floating-point policy: quantized products are not supported by "
                f"MaskedDense. Received: dtype={self.dtype_policy.name!r}"
            )
        self.mask = KernelMask(in_degrees, out_degrees, strict)
        self.activation = elementwise(activation)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.quantized = self._is_quantized = quantized
        self.staircase = best_staircase(self.mask)
        self.kernel: Any = None
        self.kernel_scale: Any = None
        self.bias: Any = None
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: self.mask.shape[0]})
        self.supports_masking = True

    @property
    def units(self) -> int:
        """The number of outputs."""
        return self.mask.shape[1]

    def build(self, input_shape):
        del input_shape  # the degrees know it
        if self.quantized:
            self._add_quantized_kernel()
        else:
            self.kernel = self._add_kernel()
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def _add_kernel(self):
        degrees = self.mask.get_config()
        return self.add_weight(
            name="kernel",
            shape=self.mask.shape,
            initializer=MaskedInitializer(self.kernel_initializer, **degrees),
            regularizer=self.kernel_regularizer,
            constraint=MaskConstraint(**degrees, constraint=self.kernel_constraint),
        )

    def masked_kernel(self):
        """Returns the kernel `[in, out]` as the forward pass uses it."""
        return self.mask.apply(self.unmasked_kernel())

    def unmasked_kernel(self):
        """Returns the kernel `[in, out]`, anything where the mask forbids a connection."""
        kernel = ops.convert_to_tensor(self.kernel)
        if self.kernel_scale is None:
            return kernel
        return ops.cast(kernel, self.compute_dtype) * self.kernel_scale

    def call(self, inputs, *, shift=None):
        """Multiplies, adds the bias, activates: `[..., in]` -> `[..., out]`.

        Args:
            inputs: `[..., in]`.
            shift: what else is added before the activation, `[..., out]`.
        """
        if self.staircase is not None:
            outputs = self.staircase.matmul(inputs, self.unmasked_kernel())
        else:
            outputs = ops.matmul(inputs, self.masked_kernel())
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        if shift is not None:
            outputs = outputs + shift
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def project(self):
        """Sets the stored weights to zero that the mask forbids."""
        self.kernel.assign(self.mask.apply(self.kernel))

    def enable_lora(self, *args, **kwargs):
        """Refuses: the product of two low-rank matrices ignores the mask."""
        raise ValueError(
            f"LoRA is not supported by MaskedDense (layer '{self.name}'): its low-rank product "
            "would connect outputs to inputs that the mask forbids. Train the kernel itself."
        )

    def quantize(self, mode=None, type_check=True, config=None):
        """Stores the kernel in int8, with one scale for each output.

        Weights alone are quantized. Keras' other modes scale activations by a
        whole row of inputs, so that later inputs would change earlier outputs.

        Raises:
            ValueError: if `mode` is not `"int8"`.
        """
        del type_check, config
        if mode != "int8":
            raise ValueError(
                "`mode` must be 'int8' (weights alone): other ways to quantize scale activations "
                "by a whole row, so that later inputs would change earlier outputs. Received: "
                f"mode={mode!r}"
            )
        self.project()
        kernel = ops.convert_to_numpy(ops.cast(self.kernel, "float32"))
        scale = np.abs(kernel).max(axis=0) / 127.0
        scale[scale == 0] = 1.0
        self._untrack_variable(self.kernel)
        self._add_quantized_kernel()
        self.kernel.assign(np.rint(kernel / scale).astype(np.int8))
        self.kernel_scale.assign(scale)
        self.quantized = self._is_quantized = True

    def _add_quantized_kernel(self):
        self.kernel = self.add_weight(
            name="kernel", shape=self.mask.shape, initializer="zeros", dtype="int8", trainable=False
        )
        self.kernel_scale = self.add_weight(
            name="kernel_scale", shape=(self.units,), initializer="ones", trainable=False
        )

    def save_own_variables(self, store):
        store["kernel"] = self.kernel
        if self.kernel_scale is not None:
            store["kernel_scale"] = self.kernel_scale
        if self.bias is not None:
            store["bias"] = self.bias
        store["degrees"] = self._fingerprint()

    def load_own_variables(self, store):
        names = set(store.keys())
        saved = store["degrees"] if "degrees" in names else ()
        same = np.array_equal(np.asarray(saved), self._fingerprint())
        if not same or ("kernel_scale" in names) != self.quantized:
            # Keras tries other paths after a failure and reports the last: one message for all.
            raise ValueError(
                f"Layer '{self.name}' expected {'' if self.quantized else 'un'}quantized weights "
                "that MaskedDense saved with the same degrees. Weights of other degrees (another "
                "input order, hidden degrees or widths) would be another density under its mask. "
                "Load the whole model instead, or construct it with the same degrees."
            )
        self.kernel.assign(store["kernel"])
        if self.quantized:
            self.kernel_scale.assign(store["kernel_scale"])
        if self.bias is not None:
            self.bias.assign(store["bias"])
        self.project()

    def get_config(self):
        return {
            **super().get_config(),
            **self.mask.get_config(),
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "quantized": self.quantized,
        }

    def _fingerprint(self) -> np.ndarray:
        """A digest of the degrees: 16 bytes, the same on every platform."""
        content = b"|".join(
            array.astype("<i4").tobytes()
            for array in (self.mask.in_degrees, self.mask.out_degrees, np.array([self.mask.strict]))
        )
        return fingerprint(content)


def matches(layer: keras.layers.Layer, filters: Any) -> bool:
    """Returns whether a layer passes the `filters` of Keras' `quantize`.

    Args:
        layer: a layer.
        filters: `None` for all layers, a function, or one or more regular expressions of names.
    """
    if filters is None:
        return True
    if callable(filters):
        return bool(filters(layer))
    patterns = [filters] if isinstance(filters, str) else filters
    return any(re.search(pattern, layer.name) for pattern in patterns)
