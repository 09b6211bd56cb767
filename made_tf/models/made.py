"""`MADE`: the masked autoencoder as a Keras model whose loss is its own likelihood."""

from __future__ import annotations

import warnings

import keras
from keras import ops

from made_tf.conditionals.row_checks import is_target
from made_tf.models.context import number_of_rows
from made_tf.models.density_model import DensityModel, row_weights
from made_tf.models.evidence import ReadsEvidence
from made_tf.models.family_weights import FamilyWeights
from made_tf.models.few_known import log_prob_of_few_known
from made_tf.models.order_statistics import OrderStatistics, combine, nll_and_spread
from made_tf.models.own_variables import load_own, save_own
from made_tf.models.settings import FEW_WEIGHT, Settings, expose_settings
from made_tf.models.spread import ReportsSpread
from made_tf.networks.assembly import Assembly
from made_tf.networks.masked_dense import matches

__all__ = ["MADE"]


@keras.saving.register_keras_serializable(package="made_tf")
@expose_settings
class MADE(ReportsSpread, ReadsEvidence, DensityModel):
    """A masked autoencoder for distribution estimation.

    The model maps rows `[N, D]` to the parameters `[N, P]` of the conditionals
    p(x_k | x_<k), or with a context p(x_k | x_<k, context). Compile it with an
    optimizer alone: its loss is the negative log-likelihood in nats, summed over
    variables and averaged over rows. (In training by `"evidence"`, or with `evidence_units`, the
    loss adds that of few variables; `nll` is of the step's questions, which may be no joint
    density. Validation is of the model's own density always.)

    Args:
        event_size: D, the number of variables.
        hidden_units: the width of each hidden layer; `()` for none.
        conditionals: the output family: `"bernoulli"`, `"normal"`, or a
            `Conditionals` such as `made_tf.Categorical(num_classes=[2, 5, 3])`.
        input_order: `"natural"`, `"random"` or a permutation of 1..D, entry i
            being the place at which variable i is generated.
        hidden_degrees: `"equal"`, `"early"` (more units of low degree, which more outputs read; it
            wants twice as many units as variables), `"random"` or one sequence for each layer.
        direct_connections: whether inputs also connect to outputs directly.
        activation: the activation of the hidden layers.
        dropout: the fraction of hidden units that training drops.
        input_dropout: the fraction of the variables that training hides from
            the layers (not from the loss), the others being scaled up.
        order_groups: which variables stay side by side in every order, such as the bits of one
            column or the cells of one row of a picture: the number of variables in each group, or
            a group number for each variable. Orders then differ in the order of the groups alone.
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
            `"connectivity"` of the hidden units, or `"both"`. Or, with
            `num_masks=None`, which variables are `"evidence"` and come first,
            in the model's own order like the rest: for a model that is asked
            questions (`made_tf.networks.evidence`), best with `mask_weights`.
        masks_per: whether each `"batch"` or each `"row"` of training has a
            mask of its own; rows cost several times as much.
        mask_weights: whether the layers see their mask through weights of its
            own (Germain et al. 2015, section 4.2).
        num_orders: M; the model's density is the average of the densities
            under its first M masks. See `log_prob`.
        context: what the density is conditioned on: the width W of a vector, or
            a built Keras model that makes one and trains with the layers. Inputs
            are then `(x, context)` or `{"x": x, "context": context}`.
        evidence_units: widths of layers that read what is known of a row, whichever
            variables that are: each question then has one exact answer, by one pass, under
            this one mask, and so has the density of whole rows. Training is of random
            questions (`made_tf.networks.evidence_encoder`).
        few_weight: of `evidence_units`: how much what few variables tell of the others counts in
            training, beside random questions (from 0.5 on of every second row, else every fourth).
        **kwargs: `name`, `dtype`.

    Raises:
        ValueError: if an argument is out of range or contradicts another.

    Warns:
        UserWarning: if the hidden layers are too narrow for some output to
            depend on some input before it.

    Example:
        >>> import numpy as np
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
        context=None,
        evidence_units=None,
        few_weight=FEW_WEIGHT,
        **kwargs,
    ):
        arguments = {name: value for name, value in locals().items() if name in Settings.names()}
        super().__init__(**kwargs)
        self.settings = settings = Settings(**arguments)
        if settings.unreachable:
            warnings.warn(settings.what_is_unreachable(), stacklevel=2)
        self._assembly = parts = Assembly(settings, self.dtype_policy)
        # Files know the layers by these attributes.
        self.hidden_layers, self.dropout_layers = parts.hidden, parts.dropout
        self.output_layer, self.direct_layer = parts.output, parts.direct
        self.input_dropout_layer = parts.input_dropout
        self.context_layers, self.context_encoder = parts.context, settings.encoder
        self.family_weights = FamilyWeights.for_settings(settings, self.dtype_policy)
        self.track_each("masked", parts.hidden)
        self.track_each("shift", parts.context)
        self.evidence_layers = parts.evidence.layers if parts.evidence else []
        self.track_each("known", self.evidence_layers)
        self.mask_step = None
        if self.reads_evidence or not self.mask_sets.is_fixed:
            self.mask_step = self.add_weight(
                name="mask_step",
                shape=(),
                dtype="int",  # on TensorFlow 64 bits: XLA finds no variable of 32 on a GPU
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
            )
        if not self.mask_sets.is_fixed:
            self.spread_tracker = keras.metrics.Mean(name="order_spread")
        self.build((None, self.event_size))

    def masked_layers(self):
        """Yields the masked layers (`MaskedDense`): hidden, output, direct."""
        return self._assembly.masked_layers()

    def all_dropout_layers(self) -> list[keras.layers.Dropout]:
        """Returns what drops hidden units, layer by layer, then what hides variables."""
        own = [*self.dropout_layers, *filter(None, [self.input_dropout_layer])]
        return own + (self._assembly.evidence.dropout if self._assembly.evidence else [])

    def build(self, input_shape):
        size, given = self.event_size, tuple(input_shape)
        if given[1:] != (size,):
            raise ValueError(f"MADE expected inputs of shape (None, {size}). Received: {given}")
        self._assembly.build()
        self.built = True

    @property
    def any_order(self) -> bool:
        """Whether the model was made for all orders (`num_masks=None`, no `order_groups`)."""
        return self.mask_sets.any_order

    @property
    def num_orders(self) -> int:
        """Over how many mask sets the model's density is averaged."""
        return self.settings.num_orders

    @num_orders.setter
    def num_orders(self, value):
        self.settings.num_orders = self.mask_sets.check_count(value)

    def call(self, x, training=None, degrees=None, context=None):
        """Returns the conditionals' parameters under one mask: `[N, D]` -> `[N, P]`.

        Args:
            x: values `[N, D]`, or `(x, context)`.
            training: whether to drop units, and to take the next mask set.
            context: what the rows are conditioned on, where `x` is rows alone.
            degrees: another mask set for a model of several: int32 degrees of
                the inputs `[D]` and of each hidden layer, or `[N, D]`, ... with
                a set for each row. `None` takes the model's own. A `residual`
                model takes those of its first hidden layer for all of them.
        """
        if context is None:
            x, context = self.split(x)
        x = ops.convert_to_tensor(x)
        if len(x.shape) != 2 or x.shape[-1] != self.event_size:
            raise ValueError(
                f"`x` must have the shape [rows, {self.event_size}]. "
                f"Received: x.shape={tuple(x.shape)}"
            )
        if training and self.reads_evidence:
            return self._parameters_of_step(x)
        if degrees is None and training and self.mask_step is not None:
            degrees = self.mask_sets.at_step(self.mask_step + 0, ops.shape(x)[0])
            self.mask_step.assign_add(1)
        return self.parameters(x, self.encode_context(context, training), degrees, training)

    def encode_context(self, context, training=False):
        """Returns the vectors that the layers see, float32 `[N, W]`; `None` without a context."""
        return None if self.conditioning is None else self.conditioning.vector(context, training)

    def parameters(self, x, vectors=None, degrees=None, training=False):
        """Returns what `call` does, of rows whose context `encode_context` has encoded."""
        features = self.conditionals.encode(ops.cast(x, "float32"))  # [N, D] -> [N, F]
        vectors = self.nothing_known() if vectors is None else vectors
        return self._assembly.parameters(features, training, degrees, vectors)

    def compute_output_shape(self, input_shape):
        return (number_of_rows(input_shape), self.conditionals.layout.parameters.total)

    def log_prob(self, x, num_orders=None, context=None):
        """Returns the log-probability (or log-density) of each row, in nats.

        Args:
            x: values `[N, D]`: an array, or a tensor inside a traced function.
            num_orders: M: the density is the average of those under the mask
                sets 0 to M - 1, a log-mean-exp of joint log-probabilities;
                `None` takes the model's `num_orders`.
            context: of a model with a context `[N, W]`, or what its Keras model takes.

        Returns:
            A float32 tensor `[N]`.

        Raises:
            ValueError: as `checked`, or if there are less than `num_orders` masks.
        """
        return self.order_statistics(x, num_orders, context).log_prob

    def order_statistics(self, x, num_orders=None, context=None) -> OrderStatistics:
        """Returns `log_prob` and how far the orders disagree on each row.

        Args:
            x: values `[N, D]`, as in `log_prob`.
            num_orders: as in `log_prob`. The memory needed does not grow with it.
            context: as in `log_prob`.

        Raises:
            ValueError: as `log_prob`.
        """
        return self.checked_order_statistics(self.checked(x, context), num_orders)

    def checked_log_prob(self, inputs):
        return self.checked_order_statistics(inputs).log_prob

    def checked_order_statistics(self, inputs, num_orders=None) -> OrderStatistics:
        """Returns what `order_statistics` does, of inputs that were checked before."""
        x, context = self.split(inputs)
        return self.statistics_given(x, self.encode_context(context), num_orders)

    def statistics_given(self, x, vectors=None, num_orders=None) -> OrderStatistics:
        """Returns the same of rows `[N, D]` whose context was encoded before, `[N, W]`."""
        num_orders = self.num_orders if num_orders is None else num_orders
        sets = self.mask_sets.first(num_orders)
        x = x if num_orders == 1 else ops.convert_to_tensor(x)

        def log_prob(degrees=None):
            return self.row_log_prob(x, self.parameters(x, vectors, degrees))

        return OrderStatistics.of_one(log_prob()) if num_orders == 1 else combine(log_prob, sets)

    def row_log_prob(self, x, params, known=None):
        """Sums the conditionals: `[N, D]`, `[N, P]` -> log-probabilities `[N]`, in nats.

        Those of known variables, where `known` is 1 (`[N, D]`), are left out.
        """
        terms = self.conditionals.log_prob(params, x)
        return ops.sum(terms if known is None else ops.where(known > 0, 0.0, terms), axis=-1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if is_target(y):
            raise ValueError(
                "MADE models `x` itself and has no targets: pass `x` alone, or "
                "`(x, None, sample_weight)`. Received a `y`."
            )
        if training and self.reads_evidence:
            nll = -self._log_prob_of_step(x, y_pred)
        elif training or self.mask_sets.is_fixed:
            nll = -self.row_log_prob(self.split(x)[0], y_pred)  # [N]
        else:
            nll, spread = nll_and_spread(self, x, y_pred)
            self.spread_tracker.update_state(spread, row_weights(sample_weight, nll))
        loss = self.mean_loss(nll, sample_weight)
        if training and (self.reads_evidence or self.mask_sets.by_evidence):
            weights = row_weights(sample_weight, nll)  # in the loss, not in the metrics
            loss = loss - log_prob_of_few_known(self, self._assembly, x, weights)
        for penalty in self.losses:  # regularizers
            loss = loss + ops.sum(ops.cast(penalty, loss.dtype))
        # As Keras' own losses do: the replicas' gradients will be summed.
        return loss / self._num_replicas()

    def save_own_variables(self, store):
        save_own(self, store)

    def load_own_variables(self, store):
        load_own(self, store)

    def quantize(self, mode=None, config=None, filters=None, **kwargs):
        """Quantizes masked layers, which `filters` may choose among: `MaskedDense.quantize`."""
        own = [layer for layer in self.masked_layers() if matches(layer, filters)]
        super().quantize(mode, config, filters=own.__contains__, **kwargs)

    def describe(self) -> str:
        """Returns D, the family, the order and the degrees in a few lines of text."""
        return self.settings.describe()

    def get_config(self):
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
            **self.settings.config(),
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
