"""How commands run: failures and warnings in a line each, quiet libraries."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import click

from made_tf.portable.interrupts import redelivering_interrupts

__all__ = ["Commands", "quiet", "show_native_lines", "warnings_in_lines"]

_LONGEST = 1500  # characters of a message: what libraries received may be a whole file
_BAD_INPUT = (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError)


class _Failure(click.ClickException):
    """A one-line message and the exit code that goes with it."""

    def __init__(self, message: str, exit_code: int):
        text = " ".join(message.split())
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}... ({len(text):,} characters)"
        super().__init__(text)
        self.exit_code = exit_code  # type: ignore[misc]


class Commands(click.Group):
    """Turns every failure into one line: exit code 2 for bad input, 1 for others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the commands as they are written, not sorted."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; see the class."""
        _open_streams()
        _end_as_ctrl_c_does(ctx)
        try:
            with _without_native_lines(ctx), redelivering_interrupts():
                return super().invoke(ctx)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "made-tf"
            raise _Failure(f"{error.format_message()} See '{command} --help'.", 2) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends quietly where nobody reads on
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(130)
        except Exception as error:
            if ctx.params["debug"]:
                raise
            message = str(error) or type(error).__name__
            invoked = self.get_command(ctx, ctx.invoked_subcommand or "")
            message = _with_options(message, invoked) if invoked else message
            raise _Failure(message, 2 if isinstance(error, _BAD_INPUT) else 1) from error


def _end_as_ctrl_c_does(ctx: click.Context) -> None:
    """Makes TERM and HUP interrupt the command: nothing half written stays behind.

    What ignores a signal (below `nohup`) goes on to do so.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no HUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
            ctx.call_on_close(functools.partial(signal.signal, number, signal.SIG_DFL))


def _with_options(message: str, command: click.Command) -> str:
    """Says by which options a command takes the arguments that the library's message names."""
    options = {
        str(parameter.name): max(parameter.opts, key=len)
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }
    named = [name for name in re.findall(r"`(\w+)", message) if name in options]
    hints = [
        f"`{name}` is the option {options[name]}"
        for name in dict.fromkeys(named)
        if options[name] not in message
    ]
    return f"{message} ({'; '.join(hints)})" if hints else message


def _open_streams() -> None:
    """Opens stdout and stderr where they are closed, or the next file would take their place."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            setattr(sys, name, open(number, "w"))  # noqa: SIM115 - open until the process ends


def _is_verbose(ctx: click.Context) -> bool:
    """Returns whether all that libraries tell is to be seen."""
    asked = ctx.find_root().params
    return bool(asked["debug"] or asked["verbose"])


@contextlib.contextmanager
def _without_native_lines(ctx: click.Context) -> Iterator[None]:
    """Keeps off the screen what C++ libraries write to stderr, for a whole command.

    TensorFlow logs a few lines before it reads its log level, and LiteRT and XLA have levels of
    their own. They all write to descriptor 2, whatever `sys.stderr` is: what Python writes (bars,
    warnings, errors) goes to the screen by a descriptor of its own.
    """
    if _is_verbose(ctx):
        yield
        return
    own = sys.stderr
    own.flush()
    screen = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        if _descriptor(own) == 2:
            # Never closed: handlers of logs keep it until the process ends.
            sys.stderr = open(  # noqa: SIM115
                os.dup(screen), "w", buffering=1, encoding=own.encoding, errors=own.errors
            )
        try:
            yield
        finally:
            sys.stderr.flush()
            sys.stderr = own
            os.dup2(screen, 2)
            os.close(screen)


def show_native_lines() -> None:
    """Shows again what C++ libraries write, for the rest of the command.

    A process that JAX ends, since another one is gone, says so in no other way.
    """
    screen = _descriptor(sys.stderr)
    if screen is not None:
        os.dup2(screen, 2)


def _descriptor(stream: Any) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, io.UnsupportedOperation):  # one of a test, or of another program
        return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps off the screen what libraries log and warn of in Python (not with `--verbose`).

    `warnings_in_lines` within it shows what the user is to know.
    """
    if _is_verbose(click.get_current_context()):
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def warnings_in_lines() -> Iterator[None]:
    """Tells what the library warns users of in a line of stderr, each text once."""
    shown = set()

    def show(message: Warning | str, *args: Any, **kwargs: Any) -> None:
        del args, kwargs
        if str(message) not in shown:
            shown.add(str(message))
            click.echo(f"Warning: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield
