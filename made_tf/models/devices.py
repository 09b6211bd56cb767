"""What a step of training does with several devices, and what cannot be done with them."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["check_devices", "rows_over_devices"]


def check_devices(strategy: Any) -> None:
    """Checks that Keras can train on the devices that were asked for.

    Args:
        strategy: the model's `tf.distribute.Strategy`; `None` for none, and on other backends.

    Raises:
        ValueError: on TensorFlow, under a `keras.distribution`, which Keras would pass over, or
            under a `MultiWorkerMirroredStrategy` of several workers, where its `fit` fails.
    """
    if keras.backend.backend() != "tensorflow":
        return
    instead = (
        "Train with the JAX backend (KERAS_BACKEND=jax) within `made_tf.training.data_parallel()`, "
        "on any number of devices and hosts; any backend opens what it saves. On TensorFlow, the "
        "devices of one machine train under `tf.distribute.MirroredStrategy`."
    )
    if keras.distribution.distribution() is not None:
        raise ValueError(
            "`keras.distribution` does nothing on the TensorFlow backend: training would take one "
            f"device. {instead}"
        )
    import tensorflow as tf

    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        workers = strategy.cluster_resolver.cluster_spec().as_dict().get("worker", [])
        if len(workers) > 1:
            raise ValueError(
                "`fit` of Keras 3 fails under `tf.distribute.MultiWorkerMirroredStrategy` of "
                f"several workers (keras-team/keras issue 20585). Received: {len(workers)} "
                f"workers. {instead}"
            )


def rows_over_devices(data: Any) -> Any:
    """Deals out the rows of a batch to the devices of the current `keras.distribution`.

    Within a traced step the rows need not divide evenly: some devices then have one less, and the
    result is that of one device. Without a distribution the batch stays as it is.

    Args:
        data: arrays `[N, ...]`, nested in any way; `None` for none.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return data

    def dealt_out(array: Any) -> Any:
        if array is None:
            return None
        axes = [distribution.batch_dim_name, *[None] * (len(array.shape) - 1)]
        layout = keras.distribution.TensorLayout(axes, distribution.device_mesh)
        return keras.distribution.distribute_tensor(array, layout)

    return keras.tree.map_structure(dealt_out, data)
