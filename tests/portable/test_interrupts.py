"""Interrupts where Python cannot raise them, and where something swallows them."""

import contextlib
import gc
import signal
import threading

import pytest

import made_tf
from made_tf import export
from made_tf.export import convert
from made_tf.portable import interrupts
from made_tf.portable.interrupts import keeping_interrupts, redelivering_interrupts


@contextlib.contextmanager
def handled(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture(autouse=True)
def ctrl_c():
    with handled(signal.SIGINT, signal.default_int_handler):
        yield


def swallowed(number=signal.SIGINT):
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(number)


def collect_while_interrupted():
    """Runs the garbage collector, in a callback of which the signal comes."""

    def callback(phase, info):
        gc.callbacks.remove(callback)
        signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(callback)
    gc.collect()


class Interrupted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("waiting", [True, False])
@pytest.mark.parametrize("lose", [collect_while_interrupted, Interrupted])
def test_what_python_cannot_raise_comes_again(lose, waiting, monkeypatch):
    reached = []
    monkeypatch.setattr(interrupts, "_SOON", 2.0)  # not before the next line
    with pytest.raises(KeyboardInterrupt), redelivering_interrupts():
        lose()
        reached.append(lose)  # it was lost
        if waiting:
            threading.Event().wait(120)
            reached.append("the end of the wait")
    assert reached == [lose]


def test_what_is_lost_where_ctrl_c_is_ignored_is_raised_at_the_end():
    class Ended:
        def __del__(self):
            raise KeyboardInterrupt  # as the handler of TERM does

    ignored = handled(signal.SIGINT, signal.SIG_IGN)
    with ignored, pytest.raises(KeyboardInterrupt), redelivering_interrupts():
        Ended()
        threading.Event().wait(0.1)  # until it would have come again


def test_other_errors_that_cannot_be_raised_are_reported_as_before(monkeypatch):
    class Wrong:
        def __del__(self):
            raise RuntimeError("of a test")

    reported = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    with redelivering_interrupts():
        Wrong()
    Wrong()
    assert len(reported) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_swallowed_is_raised_at_the_end(number):
    reached = []
    with handled(number, signal.default_int_handler):
        with pytest.raises(KeyboardInterrupt), keeping_interrupts():
            swallowed(number)
            reached.append(1)
        assert signal.getsignal(number) is signal.default_int_handler
    assert reached == [1]


def test_what_was_made_another_error_of_is_raised():
    def made_another():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError("native code failed") from error

    with pytest.raises(KeyboardInterrupt) as caught, keeping_interrupts():
        made_another()
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_nothing_is_kept_of_what_raises_nothing():
    heard = []
    with handled(signal.SIGINT, lambda number, frame: heard.append(number)), keeping_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert heard == [signal.SIGINT]
    with handled(signal.SIGINT, signal.SIG_IGN), keeping_interrupts():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="own"), keeping_interrupts():
        raise RuntimeError("own")
    with pytest.raises(KeyboardInterrupt), keeping_interrupts():
        signal.raise_signal(signal.SIGINT)


def test_other_threads_keep_nothing():
    done = []

    def run():
        with keeping_interrupts():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [signal.default_int_handler]


@pytest.mark.parametrize("where", ["convert", "verify_tflite"])
def test_an_export_that_lost_an_interrupt_writes_nothing(tmp_path, monkeypatch, where):
    own = getattr(convert, where)

    def interrupted(*args, **kwargs):
        swallowed()
        return own(*args, **kwargs)

    monkeypatch.setattr(convert, where, interrupted)
    model = made_tf.MADE(3, (4,), seed=0)
    with pytest.raises(KeyboardInterrupt):
        export.to_tflite(model, tmp_path / "model.tflite", signatures=["log_prob"])
    assert not list(tmp_path.iterdir())
