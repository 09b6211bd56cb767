"""The networks that the benchmarks of sampling share: trained MADEs, and one with dense kernels."""

import warnings

import keras
import numpy as np
import tensorflow as tf

import made_tf


def binary_rows(event_size, data_dir=None, num_rows=20_000):
    """Training rows `[n, D]`: binarized_mnist where D = 784 and there are data, else random fields.

    Random fields are thresholds of smooth noise, so that neighbours tend to agree.
    """
    if data_dir and event_size == 784:
        with np.load(data_dir / "binary" / "binarized_mnist.npz") as data:
            return data["train"].astype("float32")
    noise = np.random.default_rng(0).normal(size=(num_rows, event_size + 8)).astype("float32")
    sums = np.cumsum(noise, axis=1)
    return (sums[:, 8:] - sums[:, :-8] > 2).astype("float32")


def trained(event_size, hidden_units, rows, epochs, **options):
    """A MADE without direct connections and with further options, fitted to rows."""
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings():  # a few dependencies are out of reach of 500 units
        warnings.simplefilter("ignore")
        model = made_tf.MADE(event_size, hidden_units, direct_connections=False, seed=0, **options)
    model.compile("adam")
    history = model.fit(rows, batch_size=100, epochs=epochs, verbose=0).history
    print(f"D={event_size}, hidden {hidden_units}: {history['nll'][-1]:.2f} nats in training")
    return model


class DenseNetwork:
    """The network of a MADE with dense kernels, its forbidden weights zeros: the naive way.

    Args:
        model: a MADE of binary variables without direct connections.
        frozen: whether the weights are constants, as in an exported file.
    """

    def __init__(self, model, frozen=False):
        keep = tf.constant if frozen else tf.Variable
        self.event_size, self.family = model.event_size, model.conditionals
        self.order = model.degrees.generation_order
        self.layers = [
            (keep(layer.masked_kernel().numpy()), keep(layer.bias.numpy()))
            for layer in model.masked_layers()
        ]

    def forward(self, x):
        """One plain forward pass: `[n, D]` -> logits `[n, D]`."""
        for kernel, bias in self.layers[:-1]:
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
        kernel, bias = self.layers[-1]
        return tf.matmul(x, kernel) + bias

    def log_prob(self, x):
        """Scores rows: `[n, D]` -> `[n]`."""
        return tf.reduce_sum(self.family.log_prob(self.forward(x), x), axis=1)

    def sample(self, uniforms, steps=None):
        """The textbook loop: a forward pass for each variable (or for the first `steps`)."""
        noise = self.family.noise(uniforms)
        order = tf.constant(self.order, tf.int32)
        columns = np.arange(self.event_size, dtype=np.int32)

        def body(step, x):
            values = self.family.transform(self.forward(x), noise)
            return step + 1, tf.where(columns == tf.gather(order, step), values, x)

        def keep_going(step, x):
            return step < (steps or self.event_size)

        return tf.while_loop(keep_going, body, (tf.constant(0), tf.zeros_like(noise)))[1]
