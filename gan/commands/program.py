"""The common code of all programs: error messages, notices and exit codes. Needs no other package."""

import argparse
import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from ..notice import Notice

OTHER_BACKENDS = ("jax", "jaxlib", "torch", "openvino")  # packages of the other backends of Keras


class UsageError(Exception):
    """Reports, in one line, a mistake that the user can correct."""

    exit_code = 2


class RunError(Exception):
    """Reports, in one line, an error that stopped a program during its work."""

    exit_code = 1


class Terminated(KeyboardInterrupt):
    """Reports SIGTERM, which programs handle like Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Raises a `UsageError` of one line for a wrong flag."""

    def error(self, message):
        raise UsageError(f"{message} (see --help)")


def run_program(name: str, run: Callable[[], int]) -> int:
    """Runs the body of a program, in any thread. Returns the exit code.

    The exit code is 2 for a mistake that the user can correct before the start, 1 for an error during the
    work, 130 after Ctrl-C, and 143 after SIGTERM. Prints one line for each error and each warning.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", Notice)
            warnings.showwarning = lambda message, *_: notify(name, message)
            return run()
    except SystemExit as end:  # raised by --help
        return end.code
    except (UsageError, RunError) as error:
        _print_line(f"{name}: error: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        return 1
    except OSError as error:
        _print_line(f"{name}: error: {error.filename or 'output'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt as interrupt:
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def run_as_process(main: Callable[[], int]) -> int:
    """Runs the `main` of a program with the signals and output streams of a process. Returns the exit code.

    After the first Ctrl-C or SIGTERM, the program cleans up and ends. The second signal ends the process
    immediately. On a GPU, TensorFlow takes only the memory that it needs, unless the user has set
    TF_FORCE_GPU_ALLOW_GROWTH.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # read when TensorFlow first uses a GPU
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # streams of a notebook have no `reconfigure`
            stream.reconfigure(errors="backslashreplace")  # a path may contain bytes that are not text
    code = main()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # at exit, Python would report the error again, with a traceback
        with contextlib.suppress(OSError):
            sys.stdout.close()
        code = code or 1
    return code


def notify(program: str, message) -> None:
    """Prints one line about something that the user should know."""
    _print_line(f"{program}: NOTICE: {message}")


def explain_missing(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Returns an error that says what to install or to set. Returns other errors unchanged."""
    if error.name in OTHER_BACKENDS:
        setting = 'KERAS_BACKEND=tensorflow, or "backend": "tensorflow" in keras.json'
        text = f"gan needs the Keras backend tensorflow: set {setting}. Received: {error.name}"
    elif importlib.util.find_spec("tensorflow") is None or error.name == "keras":
        text = (
            f"tensorflow is not installed for {sys.executable}: install the environment as the README says, "
        )
        text += "and run the program with the Python of the environment (.venv/bin/python)"
    else:
        return error
    return ModuleNotFoundError(text, name=error.name)


def missing_package(program: str, error: ModuleNotFoundError) -> SystemExit:
    """Prints one line about a missing package. Returns the `SystemExit` to raise."""
    _print_line(f"{program}: error: {explain_missing(error)}")
    return SystemExit(2)


def command(program: str, *arguments: str | Path) -> str:
    """Returns a command line for a program of this Python environment, even if it is not activated."""
    beside_python = Path(sys.executable).with_name(program)
    if beside_python.exists() and shutil.which(program) != str(beside_python):
        program = shorten(beside_python)
    return shlex.join([program, *map(str, arguments)])


def shorten(path: str | Path) -> str:
    """Returns a relative path if the path lies in the working directory, and the absolute path otherwise."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextlib.contextmanager
def usage_errors(before: str = "", after: str = "") -> Iterator[None]:
    """Turns a ValueError into a `UsageError`, and adds text before and after the message."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{before}{error}{after}") from error


def _print_line(text: str) -> None:
    """Prints a string as one line to stderr. The string may contain line breaks and undecodable bytes."""
    print(" ".join(text.splitlines()).encode(errors="backslashreplace").decode(), file=sys.stderr)


def _interrupt(signal_number, frame):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    raise Terminated if signal_number == signal.SIGTERM else KeyboardInterrupt
