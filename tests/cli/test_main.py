"""All commands: help, failures in one line, streams."""

import errno
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_line import fails, run

from made_tf.cli import main


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help(command):
    assert command in run("--help").stdout
    text = run(command, "--help").stdout
    assert text.startswith(f"Usage: main {command} [OPTIONS]")
    assert "--output" in text or command in ("evaluate", "inspect", "probability", "serve")


def test_help_is_instant():
    code = """
import sys
from made_tf.cli import main
try:
    main(["train", "--help"])
except SystemExit as end:
    assert end.code == 0
heavy = {"keras", "numpy", "tensorflow", "pandas", "matplotlib", "ai_edge_litert", "tqdm"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_version():
    import made_tf

    assert made_tf.__version__ in run("--version").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_closed_streams(model, tflite, monkeypatch):
    code = f"{sys.executable} -c 'from made_tf.cli import main; main()'"
    command = ["sh", "-c", f"exec {code} inspect {tflite} 2>&-"]
    closed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert closed.stderr == ""
    assert "D = 6" in closed.stdout

    def nobody_reads(*args, **kwargs):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("click.echo", nobody_reads)
    assert run("inspect", model, exit_code=1).stderr == ""


def test_failures_that_are_no_bad_input(tmp_path, model, monkeypatch):
    from made_tf.data import writers

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "save_stream", full)
    message = fails("sample", model, "-o", tmp_path / "s.csv", exit_code=1)
    assert "No space left on device" in message
    result = CliRunner().invoke(main, ["--debug", "sample", str(model), "-o", "s.csv"])
    assert isinstance(result.exception, OSError)


def test_errors_of_the_library_name_the_option(tmp_path, model, rows):
    (tmp_path / "x.csv").write_text("0,1,0,1,0,1\n")
    message = fails("evaluate", model, tmp_path / "x.csv", "--split", "train")
    assert message.endswith("(`array` is the option --split)")
    message = fails("impute", model, tmp_path / "x.csv", "--array", "a", "-o", tmp_path / "y.csv")
    assert message.endswith("(`array` is the option --array)")
    message = fails("evaluate", model, rows, "--num-orders", 2)
    assert message.endswith("(`num_orders` is the option --num-orders)")


def test_an_option_that_is_named_already_is_named_once(model, rows):
    assert fails("evaluate", model, rows, "--num-orders", 0).count("--num-orders") == 1


NOISY = """
import os, sys, warnings
import click
from made_tf.cli import main
from made_tf.cli.running import quiet, warnings_in_lines

@click.command()
@click.option("--fail", is_flag=True)
def noisy(fail):
    os.write(2, b"a line of C++\\n")
    print("a progress bar", file=sys.stderr)
    with quiet():
        warnings.warn("of a library")
        with warnings_in_lines():
            warnings.warn("for users")
    click.echo("result")
    if fail:
        raise ValueError("bad input")

main.add_command(noisy)
main()
"""


@pytest.mark.parametrize("options", [["noisy"], ["-v", "noisy"], ["noisy", "--fail"]])
def test_what_native_libraries_log_is_shown_on_demand(options):
    command = [sys.executable, "-c", NOISY, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == (2 if "--fail" in options else 0)
    assert done.stdout == "result\n"
    expected = ["a progress bar", "Warning: for users"]
    if "--fail" in options:
        expected.append("Error: bad input")
    if "-v" in options:
        assert done.stderr.startswith("a line of C++\na progress bar\n")
        assert "of a library" in done.stderr
    else:
        assert done.stderr.splitlines() == expected


def test_tensorflow_says_nothing_of_itself(model, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", "from made_tf.cli import main; main()", "sample", str(model)]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "x.csv")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr == ""
