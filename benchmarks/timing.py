"""What the benchmarks share: one thread, measurements in turn, functions on LiteRT."""

import gc
import os
import statistics
import tempfile
import time

import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

_LONG_ENOUGH = 0.05  # seconds: shorter functions are called again until so much has passed


def one_thread():
    """Keeps this thread and those that it starts on one core. Before anything runs."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def interleaved(functions, rounds):
    """Times functions in turn, round after round: name -> seconds of each round.

    A round is the median of as many calls as fill 50 ms, the first not counted,
    or one call; meanwhile Python collects no garbage, as in `timeit`.
    """
    times = {name: [] for name in functions}
    for function in functions.values():
        function()  # traces, compiles, allocates
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in functions.items():
                times[name].append(statistics.median(_calls(function)))
    finally:
        gc.enable()
    return times


def _calls(function):
    seconds = []
    while sum(seconds) < _LONG_ENOUGH:
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return seconds[1:] or seconds  # the first finds the caches full of others' numbers


def ratio(times, name, reference):
    """Returns the median over rounds of the ratio within a round."""
    pairs = zip(times[name], times[reference], strict=True)
    return statistics.median(a / b for a, b in pairs)


def lite(functions, width, dtype=tf.float32):
    """Converts functions of one matrix `[n, width]`: name -> function of an array, on LiteRT.

    Of several outputs a function returns the first.
    """
    spec = [tf.TensorSpec([None, width], dtype, name="x")]
    signatures = {
        name: tf.function(lambda x, f=function: _named(f(x)), spec, autograph=False)
        for name, function in functions.items()
    }
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(tf.Module(), directory, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory, list(signatures))
        interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    runners = {name: interpreter.get_signature_runner(name) for name in functions}
    return {name: lambda x, run=run: run(x=x)["y"] for name, run in runners.items()}


def _named(outputs):
    return dict(zip("yz", outputs, strict=False)) if isinstance(outputs, tuple) else {"y": outputs}
