"""Data-parallel training: one model on several devices, of one process or of several.

Keras' `DataParallel` on the JAX backend does the work: every device has all weights and takes a
share of each batch's rows, and the gradient is that of the whole batch. Two things are settled
here. Each process reads all rows, and each device gets the whole batch, out of which a step takes
its share (`made_tf.models.devices`): so shuffles, masks and dropout follow from the seeds alone,
as on one device, and a batch need not divide by the devices. And process 0 alone touches files;
the others get from it what it read (`from_first`), and need not see its disk.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import keras
import numpy as np

from made_tf.portable.arguments import integer

__all__ = [
    "check_alike",
    "data_parallel",
    "from_first",
    "is_first",
    "names_others",
    "num_processes",
]

# What Keras reads of several processes: where process 0 is, how many there are, which this is.
_VARIABLES = tuple(
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)
_PATIENCE = 30  # seconds after which a process that is not heard of is taken for dead
# How errors of XLA begin, which JAX raises as errors of its own or as ValueErrors.
_OF_XLA = re.compile(r"(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED): ")

T = TypeVar("T")


class _WholeBatches(keras.distribution.DataParallel):
    """`DataParallel` whose devices get batches as they are: a step deals out the rows.

    Keras' own cuts a batch before the step, where the rows must divide by the devices, and each
    process must bring rows of its own.
    """

    def get_data_layout(self, data_shape):
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


@contextlib.contextmanager
def data_parallel(devices: int | None = None) -> Iterator[keras.distribution.DataParallel]:
    """Trains on several devices what is made and fitted within it. Needs the JAX backend.

    The result is that of one device with the same batch size, up to rounding. Make the models
    within it, too. For several processes, on one machine or on several, give each the variables
    `KERAS_DISTRIBUTION_JOB_ADDRESSES` (`host:port` of process 0), `..._NUM_PROCESSES` and
    `..._PROCESS_ID` (from 0), the same rows and the same seeds; they join when the first of these
    scopes is entered, which must be before anything else is computed. Process 0 alone reads and
    writes models. When a process dies, the others fail within half a minute.

    Args:
        devices: how many devices of each process; `None` for all.

    Raises:
        RuntimeError: if another process is gone. (Where JAX finds that out itself, it ends this
            process at once, and says so on stderr.)
        ValueError: if the backend is another one, there are fewer devices, or a variable is wrong.

    Example:
        >>> import made_tf
        >>> with made_tf.training.data_parallel(2):  # doctest: +SKIP
        ...     model = made_tf.MADE(64, seed=0)
        ...     model.compile("adam")
        ...     model.fit(x, batch_size=1000)
    """
    if keras.backend.backend() != "jax":
        raise ValueError(
            "`data_parallel` needs the JAX backend: set KERAS_BACKEND=jax before Keras is imported "
            f"(it is {keras.backend.backend()}). On TensorFlow, the devices of one machine train "
            "under `tf.distribute.MirroredStrategy`, without this scope."
        )
    import jax

    if devices is not None:
        integer("devices", devices)
    _join()
    local = jax.local_devices()
    if devices is not None and devices > len(local):
        raise ValueError(
            f"`devices` must be at most {len(local)}: JAX finds {len(local)} device(s) of the "
            f"platform {local[0].platform!r} in this process. Received: devices={devices}. "
            "(To try it out on a CPU, XLA_FLAGS=--xla_force_host_platform_device_count="
            f"{devices} makes virtual ones.)"
        )
    chosen = [
        device
        for process in range(jax.process_count())
        for device in jax.local_devices(process)[:devices]
    ]
    distribution = _WholeBatches(devices=chosen, auto_shard_dataset=False)
    with distribution.scope():
        try:
            check_alike("number of devices", len(chosen))
            _share_generators()
            yield distribution
            from_first(lambda: None)  # nobody leaves before all are ready
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            if jax.process_count() == 1 or not _OF_XLA.match(str(error)):
                raise
            reason = str(error).split("\n")[0]
            raise RuntimeError(
                f"A computation of {jax.process_count()} processes failed, most likely since one "
                f"of them is gone. Start all of them again: a training that resumes goes on from "
                f"what it saved last. ({reason})"
            ) from error


def names_others() -> bool:
    """Returns whether the variables of the environment tell of further processes."""
    return any(os.environ.get(name) for name in _VARIABLES)


def num_processes() -> int:
    """Returns how many processes train together in the current scope."""
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return 1
    import jax

    return jax.process_count()


def is_first() -> bool:
    """Returns whether this process is the one that reads and writes files."""
    if num_processes() == 1:
        return True
    import jax

    return jax.process_index() == 0


def from_first(make: Callable[[], T]) -> T:
    """Returns in all processes what a function returns in process 0, which alone calls it.

    All must call this together. What is returned must be picklable, as Keras' models are: a model
    comes out anew, on the devices of each process. What is raised is raised in all of them.
    """
    if num_processes() == 1:
        return make()
    content = _pickled(make) if is_first() else b""
    from jax.experimental import multihost_utils

    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
    padded = np.frombuffer(content.ljust(length), np.uint8)
    value, error = pickle.loads(np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes())
    if error is not None:
        raise error
    return value


def check_alike(what: str, value: Any) -> None:
    """Checks that all processes have the same of something; of mappings it tells what differs.

    Raises:
        ValueError: in the processes where it is not that of process 0.
    """
    first = from_first(lambda: value)
    if first != value:
        if isinstance(value, dict):
            names = [name for name in value if first.get(name) != value[name]]
            first, value = ({name: each.get(name) for name in names} for each in (first, value))
        raise ValueError(
            f"All processes must have the same {what}. Process 0 has {first!r}, this one {value!r}"
        )


def _pickled(make: Callable[[], Any]) -> bytes:
    """Calls a function as if this process were alone; returns a pickle of its result and error."""
    distribution, state = keras.distribution.distribution(), random.getstate()
    keras.distribution.set_distribution(None)  # its variables would be made by all together
    try:
        return pickle.dumps((make(), None))
    except Exception as error:  # noqa: BLE001 - is raised in all processes
        return pickle.dumps((None, error))
    finally:
        keras.distribution.set_distribution(distribution)
        random.setstate(state)  # layers draw their seeds from it, in all processes alike


def _share_generators() -> None:
    """Gives all processes the generators of process 0: seeds that are not given are drawn there."""
    states = from_first(lambda: (random.getstate(), np.random.get_state()))  # noqa: NPY002
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


def _join() -> None:
    """Connects this process with the others, if the variables tell of any."""
    import jax

    if not names_others() or jax.distributed.is_initialized():
        return
    addresses, *numbers = (os.environ.get(name) for name in _VARIABLES)
    for name, text in zip(_VARIABLES[1:], numbers, strict=True):
        if text and not text.isdecimal():
            raise ValueError(f"{name} must be an integer. Received: {text!r}")
    count, number = (int(text) if text else None for text in numbers)
    address = addresses.split(",")[0] if addresses else None
    if address is not None:
        _check_address(address, number == 0)
    # What `keras.distribution.initialize` does, which takes no time-outs. Variables that are not
    # there are found out by JAX under Slurm and the like.
    try:
        jax.distributed.initialize(
            address,
            count,
            number,
            heartbeat_timeout_seconds=_PATIENCE,
            shutdown_timeout_seconds=_PATIENCE,
        )
    except ValueError as error:
        raise ValueError(
            f"Processes that train together must each have {', '.join(_VARIABLES)}, such as "
            f"10.0.0.1:1234, 2 and 0. ({error})"
        ) from error


def _check_address(address: str, is_own: bool) -> None:
    """Checks where process 0 is to be found; where it cannot open its port, JAX crashes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{_VARIABLES[0]} must be host:port of process 0. Received: {address!r}")
    if is_own:
        try:
            socket.create_server(("", int(port))).close()
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"{_VARIABLES[0]} must have a port that is free here. Received: {address!r} "
                f"({error})"
            ) from error
