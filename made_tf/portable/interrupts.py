"""Interrupts that nobody loses.

Python runs the handler of a signal wherever the main thread is at that moment. In a callback of the
garbage collector (JAX has one), in a `__del__` or in a callback of native code, what the handler
raises is printed at most, and work goes on as if nobody had pressed Ctrl-C.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["keeping_interrupts", "redelivering_interrupts"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no HUP
_SOON = 0.02  # seconds: most callbacks are over by then, and where one is not, it comes again


@contextlib.contextmanager
def redelivering_interrupts() -> Iterator[None]:
    """Interrupts the main thread again where Python could not raise a `KeyboardInterrupt`.

    Raises:
        KeyboardInterrupt: if the block has ended before it came again, or it cannot come, since
            Ctrl-C is ignored (as in the background of a shell) and another signal was lost.
    """
    before = sys.unraisablehook
    timers: list[threading.Timer] = []

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            return before(unraisable)
        timers.append(threading.Timer(_SOON, _interrupt))
        return timers[-1].start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        waiting = [timer for timer in timers if not timer.finished.is_set()]
        for timer in timers:
            timer.cancel()
    if waiting or (timers and signal.getsignal(signal.SIGINT) == signal.SIG_IGN):
        raise KeyboardInterrupt


def _interrupt() -> None:
    if hasattr(signal, "pthread_kill"):  # it ends what the thread waits for, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextlib.contextmanager
def keeping_interrupts() -> Iterator[None]:
    """Raises at the end of the block what a signal's handler raised in it, and something swallowed.

    Handlers are called as before, and those that raise nothing change nothing. Where signals cannot
    be handled (outside the main thread) there is nothing to keep.

    Raises:
        BaseException: the first of what handlers raised, if the block ended without it: as a rule
            a `KeyboardInterrupt`.
    """
    raised: list[BaseException] = []
    handlers = _handlers()
    try:
        for number, handler in handlers.items():
            signal.signal(number, _keeping(handler, raised))
        yield
    except Exception as error:
        if raised:
            raise raised[0] from error
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if raised:
        raise raised[0]


def _handlers() -> dict[int, Callable]:
    """Returns the handlers in Python of the signals that interrupt, by the signals' numbers."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [int(getattr(signal, name)) for name in _NAMES if hasattr(signal, name)]
    found = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in found.items() if callable(handler)}


def _keeping(handler: Callable, raised: list[BaseException]) -> Callable[[int, Any], Any]:
    def keep(number: int, frame: Any) -> Any:
        try:
            return handler(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    return keep
