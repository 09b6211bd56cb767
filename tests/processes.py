"""Programs that tests start and interrupt."""

import contextlib
import signal
import subprocess


@contextlib.contextmanager
def started(command, **kwargs):
    """Runs a program while the block lasts, and ends it then, whatever happens.

    It can be interrupted even where the tests themselves were started so that they cannot (in the
    background of a shell, by `nohup`), which it would inherit.
    """

    def obey():
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(command, text=True, preexec_fn=obey, **kwargs) as process:
        try:
            yield process
        finally:
            process.kill()
