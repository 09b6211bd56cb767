"""`MADE`: the masked autoencoder as a Keras model whose loss is its own likelihood."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import math
import warnings
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from made_tf import conditionals as families
from made_tf import masks
from made_tf.conditionals.row_checks import check_data, check_rows, is_target
from made_tf.models.order_statistics import OrderStatistics, combine
from made_tf.networks.activations import elementwise
from made_tf.networks.mask_sets import MaskSets
from made_tf.networks.masked_dense import MaskedDense
from made_tf.networks.shared_dense import SharedDense
from made_tf.portable.arguments import boolean, fraction
from made_tf.portable.digests import fingerprint

__all__ = ["MADE"]

_ADAFACTOR_EPSILON = 1e-18
_XLA_PAYS = 500_000  # parameters from which compilation is soon made up for


@keras.saving.register_keras_serializable(package="made_tf")
class MADE(keras.Model):
    """A masked autoencoder for distribution estimation.

    The model maps rows `[N, D]` to the parameters `[N, P]` of the conditionals
    p(x_k | x_<k). Compile it with an optimizer alone: its loss is the negative
    log-likelihood in nats, summed over variables and averaged over rows.

    Args:
        event_size: D, the number of variables.
        hidden_units: the width of each hidden layer; `()` for none.
        conditionals: the output family: `"bernoulli"`, `"normal"`, or a
            `Conditionals` such as `made_tf.Categorical(num_classes=[2, 5, 3])`.
        input_order: `"natural"`, `"random"` or a permutation of 1..D, entry i
            being the place at which variable i is generated.
        hidden_degrees: `"equal"`, `"early"` (more units of low degree, which more
            outputs read; it wants twice as many units as there are variables),
            `"random"` or one sequence for each layer.
        direct_connections: whether inputs also connect to outputs directly.
        activation: the activation of the hidden layers.
        dropout: the fraction of hidden units that training drops.
        input_dropout: the fraction of the variables that training hides from
            the layers (not from the loss), the others being scaled up.
        order_groups: which variables stay side by side in every order, such as
            the bits of one column or the cells of one row of a picture: the
            number of variables in each group, or a group number for each
            variable. Orders then differ in the order of the groups alone.
        residual: whether each hidden layer but the first adds the units of the
            layer before to its own (Durkan and Nash 2019). There must then be
            several, all with the same degrees.
        kernel_initializer: initializer of all kernels.
        kernel_regularizer: optional regularizer of all kernels.
        seed: seed of a random order, of random degrees and of all further
            masks. (Weights and dropout follow `keras.utils.set_random_seed`.)
        num_masks: how many masks training takes in turn, one for each step; 1
            for a fixed order. With `None` each step has a fresh one: then, unless
            there are `order_groups`, the density under any order may be asked
            for (`any_order`).
        resample: what differs between masks: the `"order"`, the
            `"connectivity"` of the hidden units, or `"both"`.
        masks_per: whether each `"batch"` or each `"row"` of training has a
            mask of its own; rows cost several times as much.
        mask_weights: whether the layers see their mask through weights of its
            own (Germain et al. 2015, section 4.2).
        num_orders: M; the model's density is the average of the densities
            under its first M masks. See `log_prob`.
        **kwargs: `name`, `dtype`.

    Raises:
        ValueError: if an argument is out of range or contradicts another.

    Warns:
        UserWarning: if the hidden layers are too narrow for some output to
            depend on some input before it.

    Example:
        >>> model = MADE(event_size=3, hidden_units=(16,), seed=0)
        >>> model.compile("adam")
        >>> x = np.array([[0, 1, 1], [1, 0, 0]], "float32")
        >>> history = model.fit(x, epochs=1, verbose=0)
        >>> model.log_prob(x).shape
        TensorShape([2])

    References:
        Germain, Gregor, Murray, Larochelle 2015, MADE, arXiv:1502.03509.
        Durkan, Nash 2019, Autoregressive Energy Machines, arXiv:1904.05626 (ResMADE).
    """

    def __init__(
        self,
        event_size,
        hidden_units=(500,),
        conditionals="bernoulli",
        input_order="natural",
        hidden_degrees="equal",
        direct_connections=True,
        activation="relu",
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        seed=None,
        num_masks=1,
        resample="both",
        masks_per="batch",
        mask_weights=False,
        num_orders=1,
        input_dropout=0.0,
        order_groups=None,
        residual=False,
        **kwargs,
    ):
        # Rows must not be cast: half precision would merge classes and round real values.
        super().__init__(autocast=False, **kwargs)
        self.degrees = masks.make_degrees(
            event_size, hidden_units, input_order, hidden_degrees, seed
        )
        self.event_size = self.degrees.event_size
        self.conditionals = families.get(conditionals, self.event_size)
        self.direct_connections = boolean("direct_connections", direct_connections)
        self.residual = boolean("residual", residual)
        if self.residual and not _are_twins(self.degrees.hidden):
            raise ValueError(
                "`residual` needs several hidden layers of one width and with the same degrees: a "
                "unit must not see more than the unit that it is added to. Received: "
                f"hidden_units={hidden_units!r}, hidden_degrees={hidden_degrees!r}"
            )
        self.dropout = fraction("dropout", dropout)
        self.input_dropout = fraction("input_dropout", input_dropout)
        self.seed = None if seed is None else int(seed)
        if num_masks != 1 and self.seed is None:
            self.seed = int(np.random.default_rng().integers(2**31))  # for the file to keep
        if order_groups is not None and (num_masks == 1 or resample == "connectivity"):
            raise ValueError(
                "`order_groups` must be None where orders do not differ (num_masks=1 or "
                f"resample='connectivity'). Received: order_groups={order_groups!r}"
            )
        mask_seed = self.seed if self.seed is not None else 0
        self.mask_sets = MaskSets(
            self.degrees, num_masks, resample, masks_per, mask_seed, order_groups, self.residual
        )
        self.mask_weights = boolean("mask_weights", mask_weights)
        if self.mask_weights and self.mask_sets.is_fixed:
            raise ValueError(
                "`mask_weights` must be False where `num_masks` is 1: a mask that never changes "
                "tells the layers nothing."
            )
        self.num_orders = num_orders
        self.activation = elementwise(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        if not self.degrees.hidden and not self.direct_connections:
            raise ValueError(
                "`hidden_units` must not be empty where `direct_connections` is False: "
                "nothing would connect inputs to outputs."
            )
        missing = masks.unreachable(self.degrees, self.direct_connections)
        if missing:
            warnings.warn(
                f"{len(missing)} dependencies that the order allows are out of the network's "
                f"reach, the first being that of variable {missing[0][0]} on variable "
                f"{missing[0][1]}: use more `hidden_units`, `hidden_degrees='equal'` or "
                "`direct_connections=True` (see made_tf.masks.unreachable).",
                stacklevel=2,
            )
        self._make_layers()
        self._evaluating = False
        self.mask_step = None
        if not self.mask_sets.is_fixed:
            self.mask_step = self.add_weight(
                name="mask_step",
                shape=(),
                dtype="int",  # on TensorFlow 64 bits: XLA finds no variable of 32 on a GPU
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
            self.spread_tracker = keras.metrics.Mean(name="order_spread")
        self.nll_tracker = keras.metrics.Mean(name="nll")
        self.bits_tracker = keras.metrics.Mean(name="bits_per_dim")
        self.build((None, self.event_size))

    def _make_layers(self) -> None:
        policy = self.dtype_policy
        # Parameters of a density need float32 even where hidden layers compute in half.
        mixed = policy.compute_dtype != policy.variable_dtype
        to_params = {"strict": True, "dtype": policy.variable_dtype if mixed else policy}

        fixed = self.mask_sets.is_fixed
        to_units = {} if fixed else {"mask_weights": self.mask_weights}

        def masked(in_degrees, out_degrees, **kwargs):
            layer = MaskedDense if fixed else SharedDense
            return layer(
                in_degrees,
                out_degrees,
                kernel_initializer=_fresh(self.kernel_initializer),
                kernel_regularizer=self.kernel_regularizer,
                **kwargs,
            )

        inputs = np.repeat(self.degrees.inputs, self.conditionals.input_sizes(self.event_size))
        outputs = np.repeat(self.degrees.inputs, self.conditionals.parameter_sizes(self.event_size))
        levels = [inputs, *self.degrees.hidden]
        self.hidden_layers = [
            masked(
                *ends, activation=self.activation, dtype=policy, name=f"hidden_{index}", **to_units
            )
            for index, ends in enumerate(itertools.pairwise(levels), start=1)
        ]
        self.output_layer = self.direct_layer = None
        if self.hidden_layers:
            self.output_layer = masked(levels[-1], outputs, name="output", **to_params, **to_units)
        if self.direct_connections:
            own_bias = self.output_layer is None
            self.direct_layer = masked(
                inputs, outputs, use_bias=own_bias, name="direct", **to_params
            )
        self.dropout_layers = [
            keras.layers.Dropout(self.dropout, dtype=policy, name=f"dropout_{index + 1}")
            for index in range(len(self.hidden_layers) if self.dropout else 0)
        ]
        self.input_dropout_layer = None
        if self.input_dropout:
            self.input_dropout_layer = keras.layers.Dropout(
                self.input_dropout, dtype=policy.variable_dtype, name="input_dropout"
            )

    def masked_layers(self) -> Iterator[MaskedDense]:
        """Yields the masked layers: hidden, output, direct."""
        yield from self.hidden_layers
        for layer in (self.output_layer, self.direct_layer):
            if layer is not None:
                yield layer

    def all_dropout_layers(self) -> list[keras.layers.Dropout]:
        """Returns what drops hidden units, layer by layer, then what hides variables."""
        inputs = self.input_dropout_layer
        return [*self.dropout_layers, *([inputs] if inputs is not None else [])]

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] != self.event_size:
            raise ValueError(
                f"MADE expected inputs of shape (None, {self.event_size}). "
                f"Received: {tuple(input_shape)}"
            )
        for layer in self.masked_layers():
            if not layer.built:
                layer.build((None, layer.mask.shape[0]))
        self.built = True

    @property
    def any_order(self) -> bool:
        """Whether the model was made for all orders (`num_masks=None`, no `order_groups`)."""
        return self.mask_sets.any_order

    @property
    def num_orders(self) -> int:
        """Over how many mask sets the model's density is averaged."""
        return self._num_orders

    @num_orders.setter
    def num_orders(self, value):
        self.mask_sets.check_count(value)
        self._num_orders = int(value)

    def call(self, x, training=None, degrees=None):
        """Returns the conditionals' parameters under one mask: `[N, D]` -> `[N, P]`.

        Args:
            x: values `[N, D]`.
            training: whether to drop units, and to take the next mask set.
            degrees: another mask set for a model of several: int32 degrees of
                the inputs `[D]` and of each hidden layer, or `[N, D]`, ... with
                a set for each row. `None` takes the model's own. A `residual`
                model takes those of its first hidden layer for all of them.
        """
        x = ops.convert_to_tensor(x)
        if len(x.shape) != 2 or x.shape[-1] != self.event_size:
            raise ValueError(
                f"`x` must have the shape [rows, {self.event_size}]. "
                f"Received: x.shape={tuple(x.shape)}"
            )
        if degrees is None and training and self.mask_step is not None:
            degrees = self.mask_sets.at_step(self.mask_step + 0, ops.shape(x)[0])
            self.mask_step.assign_add(1)
        features = self.conditionals.encode(ops.cast(x, "float32"))  # [N, D] -> [N, F]
        if self.input_dropout_layer is not None and training:
            kept = self.input_dropout_layer(ops.ones_like(x, dtype=features.dtype), training=True)
            sizes = self.conditionals.input_sizes(self.event_size)
            features = features * _repeated(kept, sizes)  # all features of a variable, or none
        units = features
        levels = self._levels(degrees)
        for index, layer in enumerate(self.hidden_layers):
            before, units = units, layer(units, *levels[index : index + 2])
            if self.dropout_layers:
                units = self.dropout_layers[index](units, training=training)
            if self.residual and index:
                units = ops.add(units, before)
        params = []
        if self.output_layer is not None:
            params.append(self.output_layer(units, *levels[-2:]))
        if self.direct_layer is not None:
            params.append(self.direct_layer(features, *levels[:1], *levels[-1:]))
        return params[0] if len(params) == 1 else ops.add(*params)  # [N, P]

    def _levels(self, degrees) -> list:
        """Degrees of features, hidden units and parameters; none for the layers' own."""
        if degrees is None:
            return []
        if self.mask_step is None:
            raise ValueError("`degrees` must be None for a model of one mask (num_masks=1).")
        inputs, *hidden = levels = [ops.cast(level, "int32") for level in degrees]
        widths = [len(level) for level in (self.degrees.inputs, *self.degrees.hidden)]
        if self.residual:
            hidden = hidden[:1] * len(hidden)
        if [level.shape[-1] for level in levels] != widths:
            raise ValueError(
                f"`degrees` must be those of the inputs and of each hidden layer, widths {widths}. "
                f"Received shapes: {[tuple(level.shape) for level in levels]}"
            )
        family, size = self.conditionals, self.event_size
        return [
            _repeated(inputs, family.input_sizes(size)),
            *hidden,
            _repeated(inputs, family.parameter_sizes(size)),
        ]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], int(self.conditionals.parameter_sizes(self.event_size).sum()))

    def log_prob(self, x, num_orders=None):
        """Returns the log-probability (or log-density) of each row, in nats.

        Args:
            x: values `[N, D]`: an array, or a tensor inside a traced function.
            num_orders: M: the density is the average of those under the mask
                sets 0 to M - 1, a log-mean-exp of joint log-probabilities;
                `None` takes the model's `num_orders`.

        Returns:
            A float32 tensor `[N]`.

        Raises:
            ValueError: if `x` has the wrong shape, NaN, or values outside the
                support (shape alone where `x` is symbolic), or if there are
                less than `num_orders` masks.
        """
        return self.order_statistics(x, num_orders).log_prob

    def order_statistics(self, x, num_orders=None) -> OrderStatistics:
        """Returns `log_prob` and how far the orders disagree on each row.

        Args:
            x: values `[N, D]`, as in `log_prob`.
            num_orders: as in `log_prob`. The memory needed does not grow with it.

        Raises:
            ValueError: as `log_prob`.
        """
        x = x if ops.is_tensor(x) else np.asarray(x)
        check_rows("x", x, self.event_size, self.conditionals)
        return self._order_statistics(x, num_orders)

    def mean_log_prob(self, x):
        """Returns what `log_prob` does, of rows that were checked before."""
        return self._order_statistics(x).log_prob

    def _order_statistics(self, x, num_orders=None) -> OrderStatistics:
        num_orders = self.num_orders if num_orders is None else num_orders
        sets = self.mask_sets.first(num_orders)
        if num_orders == 1:
            return OrderStatistics.of_one(self.row_log_prob(x, self(x, training=False)))
        x = ops.convert_to_tensor(x)

        def log_prob(degrees):
            return self.row_log_prob(x, self(x, training=False, degrees=degrees))

        return combine(log_prob, sets)

    def row_log_prob(self, x, params):
        """Sums the conditionals: `[N, D]`, `[N, P]` -> log-probabilities `[N]`, in nats."""
        return ops.sum(self.conditionals.log_prob(params, x), axis=-1)

    def compile(self, optimizer="adam", loss=None, jit_compile="auto", **kwargs):
        """Configures training. The loss is the model's own: leave `loss` out.

        With `jit_compile="auto"` a large model trains under XLA on TensorFlow
        on CPUs too, where Keras would not: it fuses masks, update and
        constraint (benchmarks/RESULTS.md).

        Raises:
            ValueError: for a `loss`, for `metrics`, and for an Adafactor whose
                `epsilon_1` ends in NaN under masks.
        """
        if loss is not None:
            raise ValueError(
                "MADE's loss is its negative log-likelihood: compile without `loss`. "
                f"Received: loss={loss!r}"
            )
        if kwargs.get("metrics") or kwargs.get("weighted_metrics"):
            raise ValueError(
                "MADE has no targets to compute `metrics` from, and reports `nll` and "
                "`bits_per_dim` itself: compile without `metrics`."
            )
        optimizer = keras.optimizers.get(optimizer)
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
        if isinstance(inner, keras.optimizers.Adafactor) and inner.epsilon_1 < _ADAFACTOR_EPSILON:
            # Its factored moments of a weight whose row and column are all masked are products
            # of two `epsilon_1`, which underflow: 0 / 0 spreads NaN over the whole kernel.
            raise ValueError(
                "`optimizer` Adafactor must have `epsilon_1` of at least 1e-18 under masks. "
                f"Received: epsilon_1={inner.epsilon_1}. Use "
                "keras.optimizers.Adafactor(epsilon_1=1e-16)."
            )
        on_tensorflow = keras.backend.backend() == "tensorflow"
        if jit_compile == "auto" and on_tensorflow and self.count_params() >= _XLA_PAYS:
            # What XLA compiles reaches the variables of one device alone.
            jit_compile = self._num_replicas() == 1
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        # Keras restores a compiled model only where `compile` is its own or this is defined.
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if is_target(y):
            raise ValueError(
                "MADE models `x` itself and has no targets: pass `x` alone, or "
                "`(x, None, sample_weight)`. Received a `y`."
            )
        spread = None
        if training or self.mask_step is None:
            nll = -self.row_log_prob(x, y_pred)  # [N]
        else:
            nll, spread = self._evaluated(x, y_pred)
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, nll.dtype)
            if len(sample_weight.shape) == 2 and sample_weight.shape[-1] == 1:
                sample_weight = ops.squeeze(sample_weight, -1)
            if len(sample_weight.shape) != 1:
                raise ValueError(
                    "`sample_weight` must have one weight for each row. Received: "
                    f"sample_weight.shape={tuple(sample_weight.shape)}"
                )
        if spread is not None:
            self.spread_tracker.update_state(spread, sample_weight)
        self.nll_tracker.update_state(nll, sample_weight)
        self.bits_tracker.update_state(nll / (self.event_size * math.log(2)), sample_weight)
        if sample_weight is not None:
            nll = nll * sample_weight
        loss = ops.mean(nll)
        for penalty in self.losses:  # regularizers
            loss = loss + ops.sum(ops.cast(penalty, loss.dtype))
        # As Keras' own losses do: the replicas' gradients will be summed.
        return loss / self._num_replicas()

    def _num_replicas(self) -> int:
        if keras.backend.backend() != "tensorflow":
            return 1
        return self.distribute_strategy.num_replicas_in_sync

    def _evaluated(self, x, params):
        """Returns negative log-likelihoods `[N]` and the spread of at least two orders."""
        if self.num_orders > 1:
            statistics = self._order_statistics(x)
            return -statistics.log_prob, statistics.spread
        log_prob = self.row_log_prob(x, params)
        second = [level[1] for level in self.mask_sets.first(2)]
        other = self.row_log_prob(x, self(x, training=False, degrees=second))
        return -log_prob, ops.abs(log_prob - other) / math.sqrt(2.0)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the model on rows: `keras.Model.fit` with the data checked first."""
        options = inspect.signature(super().fit).bind(listed(x), y, *args, **kwargs).arguments
        if options.get("class_weight") is not None:
            raise ValueError("MADE has no classes: fit without `class_weight`.")
        self._check_rows_and_weights("x", options)
        validation = options.get("validation_data")
        if isinstance(validation, tuple):
            names = ("x", "y", "sample_weight")
            parts = dict(zip(names, (listed(validation[0]), *validation[1:]), strict=False))
            self._check_rows_and_weights("validation_data", parts)
            options["validation_data"] = tuple(parts.get(name) for name in names)
        elif validation is not None:
            options["validation_data"] = listed(validation)
            self._check_data("validation_data", options["validation_data"])
        return super().fit(**options)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Returns the loss and metrics: `keras.Model.evaluate` with the data checked first."""
        signature = inspect.signature(super().evaluate)
        bound = signature.bind(listed(x), y, *args, **kwargs)
        self._check_rows_and_weights("x", bound.arguments)
        with self._reporting_spread():
            return super().evaluate(*bound.args, **bound.kwargs)

    def test_on_batch(self, *args, **kwargs):
        with self._reporting_spread():
            return super().test_on_batch(*args, **kwargs)

    @contextlib.contextmanager
    def _reporting_spread(self):
        self._evaluating = True
        try:
            yield
        finally:
            self._evaluating = False

    @property
    def metrics(self):
        if self.mask_step is None or self._evaluating:
            return super().metrics
        # Of one order alone, which is all that a training step has, there is no spread.
        return [metric for metric in super().metrics if metric is not self.spread_tracker]

    def _check_rows_and_weights(self, name, options):
        self._check_data(name, options.get("x"), options.get("y"))
        if options.get("sample_weight") is not None:
            options["y"] = _no_targets(options["x"])

    def predict(self, x, *args, **kwargs):
        """Returns the conditionals' parameters `[N, P]`, the data checked first."""
        x = listed(x)
        self._check_data("x", x)
        return super().predict(x, *args, **kwargs)

    def load_weights(self, filepath, **kwargs):
        """Loads weights; if they do not fit, the model stays as it was."""
        before = self.get_weights()
        try:
            super().load_weights(filepath, **kwargs)
        except Exception:
            self.set_weights(before)  # those of the layers that were loaded before the failure
            raise

    def save_own_variables(self, store):
        store["density"] = self._fingerprint()
        if self.mask_step is not None:
            store["mask_step"] = self.mask_step

    def load_own_variables(self, store):
        if not np.array_equal(np.asarray(store["density"]), self._fingerprint()):
            raise ValueError(
                "The weights were saved with other conditionals, mask weights, activation, direct "
                "or residual connections than this model's: another density. Expected: "
                f"{self.conditionals.name} with {self.conditionals.get_config()}, "
                f"activation={keras.activations.serialize(self.activation)!r}, "
                f"direct_connections={self.direct_connections}, mask_weights={self.mask_weights}, "
                f"residual={self.residual}"
            )
        many = self.mask_step is not None
        if many != ("mask_step" in set(store.keys())):
            raise ValueError(
                f"The weights were saved by a model of {'one mask' if many else 'many masks'}, and "
                f"this one has num_masks={self.mask_sets.num_masks}."
            )
        if self.mask_step is not None:
            self.mask_step.assign(store["mask_step"])  # the masks go on where they were

    def _fingerprint(self) -> np.ndarray:
        """A digest of what the layers do not know: 16 bytes, the same on every platform."""
        content = json.dumps(
            [
                self.conditionals.name,
                self.conditionals.get_config(),
                self.direct_connections,
                keras.activations.serialize(self.activation),
                *(["mask_weights"] if self.mask_weights else []),  # older files know neither
                *(["residual"] if self.residual else []),
            ]
        )
        return fingerprint(content.encode())

    def _check_data(self, name, x, y=None):
        if is_target(y):
            raise ValueError(f"MADE has no targets: pass `{name}` alone. Received a `y`.")
        check_data(name, x, self.event_size, self.conditionals)

    def summary(self, *args, **kwargs):
        """Prints Keras' summary, then the density's: D, order, degrees."""
        super().summary(*args, **kwargs)
        (kwargs.get("print_fn") or print)(self.describe())

    def describe(self) -> str:
        """Returns D, the family, the order and the degrees in a few lines of text."""
        lines = [
            f"MADE over D = {self.event_size}, conditionals: {self.conditionals.name}",
            f"input_order (degree of each input): {_abbreviated(self.degrees.inputs)}",
        ]
        for index, degrees in enumerate(self.degrees.hidden):
            lines.append(
                f"hidden layer {index + 1}: {len(degrees)} units, degrees "
                f"{degrees.min()}..{degrees.max()}: {_abbreviated(degrees)}"
            )
        missing = len(masks.unreachable(self.degrees, self.direct_connections))
        lines.append(
            f"direct connections: {'yes' if self.direct_connections else 'no'}; "
            f"residual: {'yes' if self.residual else 'no'}; "
            f"dependencies out of reach: {missing}"
        )
        return "\n".join(lines)

    def get_config(self):
        # Degrees, never masks; explicit, so that nothing random is drawn again on loading.
        groups = self.mask_sets.order_groups
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
            "event_size": self.event_size,
            "hidden_units": [len(degrees) for degrees in self.degrees.hidden],
            "conditionals": keras.saving.serialize_keras_object(self.conditionals),
            "input_order": self.degrees.inputs.tolist(),
            "hidden_degrees": [degrees.tolist() for degrees in self.degrees.hidden],
            "direct_connections": self.direct_connections,
            "activation": keras.activations.serialize(self.activation),
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
            "num_masks": self.mask_sets.num_masks,
            "resample": self.mask_sets.resample,
            "masks_per": self.mask_sets.masks_per,
            "mask_weights": self.mask_weights,
            "num_orders": self.num_orders,
            "input_dropout": self.input_dropout,
            "order_groups": None if groups is None else groups.tolist(),
            "residual": self.residual,
            "quantized": [layer.name for layer in self.masked_layers() if layer.quantized],
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        quantized = config.pop("quantized", ())
        with warnings.catch_warnings():
            # Whoever constructed the model has seen the warning of narrow layers.
            warnings.simplefilter("ignore", UserWarning)
            model = cls(**config)
        for layer in model.masked_layers():
            if layer.name in quantized:
                layer.quantize("int8")
        return model


def _fresh(initializer):
    # One initializer object gives equal shapes equal values: each layer needs its own.
    return initializer.clone() if hasattr(initializer, "clone") else initializer


def _repeated(degrees, sizes):
    """Gives each of a variable's features or parameters its degree: `[..., D]` -> `[..., F]`."""
    if np.all(sizes == 1):
        return degrees
    return ops.take(degrees, np.repeat(np.arange(len(sizes)), sizes).astype(np.int32), axis=-1)


def listed(x):
    """Makes an array of a list, which Keras would take for several inputs."""
    return np.asarray(x) if isinstance(x, list) else x


def _are_twins(levels) -> bool:
    return len(levels) > 1 and all(np.array_equal(level, levels[0]) for level in levels)


def _no_targets(x) -> np.ndarray:
    # Keras drops the weights of arrays that come without targets: these are none.
    return np.zeros((len(x), 0), np.float32)


def _abbreviated(values: np.ndarray, shown: int = 8) -> str:
    head = ", ".join(str(value) for value in values[:shown])
    return f"({head}{', ...' if len(values) > shown else ''})"
