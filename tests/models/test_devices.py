import keras
import numpy as np
import pytest
import reference
import tensorflow as tf

from made_tf.models.devices import check_devices, rows_over_devices
from made_tf.training import data_parallel


def test_training_under_a_keras_distribution_is_refused_on_tensorflow():
    model = reference.small_model()
    model.compile("sgd")
    x = np.zeros((8, model.event_size), "float32")
    with (
        keras.distribution.DataParallel(devices=["cpu:0"]).scope(),
        pytest.raises(ValueError, match=r"does nothing on the TensorFlow.*KERAS_BACKEND=jax"),
    ):
        model.fit(x, verbose=0)


def test_several_workers_are_refused_on_tensorflow(monkeypatch):
    kind = tf.distribute.MultiWorkerMirroredStrategy
    strategy = kind.__new__(kind)  # a whole one would wait for its workers
    for workers, refused in ((["a:1"], False), (["a:1", "b:1"], True)):
        spec = tf.train.ClusterSpec({"worker": workers})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(spec)
        monkeypatch.setattr(kind, "cluster_resolver", resolver)
        if not refused:
            check_devices(strategy)
            continue
        with pytest.raises(ValueError, match=r"issue 20585.*2 workers.*KERAS_BACKEND=jax"):
            check_devices(strategy)


def test_without_a_distribution_a_batch_stays_as_it_is():
    batch = (np.zeros((3, 2)), None)
    assert rows_over_devices(batch) is batch
    check_devices(None)


def test_data_parallel_is_refused_on_tensorflow():
    with (
        pytest.raises(ValueError, match=r"set KERAS_BACKEND=jax.*MirroredStrategy"),
        data_parallel(2),
    ):
        pass
