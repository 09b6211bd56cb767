"""Programs that tests start and interrupt."""

import contextlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

#: `XLA_FLAGS` of processes in which JAX compiles far longer than what it has compiled runs.
QUICKLY = "--xla_backend_optimization_level=0"
if importlib.util.find_spec("jaxlib") and importlib.metadata.version("jaxlib").startswith("0.10."):
    # Half of the rest. A version that does not know a flag ends the process.
    QUICKLY += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def obey():
    """Lets signals end this process, as they end one that a user starts.

    It can be interrupted even where the tests themselves were started so that they cannot (in the
    background of a shell, by `nohup`), which it would inherit.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def started(command, **kwargs):
    """Runs a program while the block lasts, and ends it then, whatever happens."""
    with subprocess.Popen(command, text=True, preexec_fn=obey, **kwargs) as process:
        try:
            yield process
        finally:
            process.kill()


class Fork:
    """A process that `Forks` has started, with what tests need of `subprocess.Popen`."""

    def __init__(self, process, stderr):
        self._process, self._stderr = process, stderr

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self._process.kill()

    def communicate(self, timeout=60):
        """Waits until it has ended; returns what it wrote: nothing is kept of stdout."""
        self._process.join(timeout)
        assert not self._process.is_alive(), f"still there after {timeout} s"
        return None, self._stderr.read_text()


class Forks:
    """Starts processes that have imported already what takes long.

    Args:
        modules: their names.
    """

    def __init__(self, *modules):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(modules))

    @contextlib.contextmanager
    def started(self, function, *arguments):
        """Calls a function of a module in a process of its own, while the block lasts."""
        with tempfile.TemporaryDirectory() as folder:
            stderr = pathlib.Path(folder) / "stderr.txt"
            process = self._context.Process(target=_call, args=(function, arguments, str(stderr)))
            process.start()
            try:
                yield Fork(process, stderr)
            finally:
                process.kill()
                process.join()


def _call(function, arguments, stderr):
    obey()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(stderr, "w") as file, open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout, sys.stderr = nothing, file
        function(*arguments)
