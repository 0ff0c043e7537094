"""What all programs share: one line for each error and notice, and exit codes. It needs no other package."""

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

OTHER_BACKENDS = ("jax", "jaxlib", "torch", "openvino")  # of Keras


class UsageError(Exception):
    """One line about a mistake that the user can correct."""


class RunError(Exception):
    """One line about an error that stopped a program during its work."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag in one line."""

    def error(self, message):
        raise UsageError(f"{message} (see --help)")


def run_program(name: str, run: Callable[[], int]) -> int:
    """Runs a program's body, in any thread and with any output streams. Returns the exit code.

    2, with one line, for a mistake that the user can correct before the start; 1, with one line, for an
    error during the work; 130 after Ctrl-C; 143 after SIGTERM. Warnings become one line each too.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", Notice)
            warnings.showwarning = lambda message, *_: notify(name, message)
            return run()
    except SystemExit as end:  # of --help
        return end.code
    except (UsageError, RunError) as error:
        _print_line(f"{name}: error: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        return 1
    except OSError as error:
        _print_line(f"{name}: error: {error.filename or 'output'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt as interrupt:
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def run_as_process(main: Callable[[], int]) -> int:
    """Runs a program's `main` with the signals and output streams of a process. Returns the exit code.

    The first Ctrl-C or SIGTERM ends the program in order; a second one ends the process at once. On a GPU
    TensorFlow takes the memory that it needs, unless the user set it otherwise, and not all of it.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # TensorFlow reads it when it first uses a GPU
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's has not
            stream.reconfigure(errors="backslashreplace")  # a path may hold bytes that are not text
    code = main()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # Python would report it once more, with a traceback
        with contextlib.suppress(OSError):
            sys.stdout.close()
        code = code or 1
    return code


def notify(program: str, message) -> None:
    """Prints one line about something that the user should know."""
    _print_line(f"{program}: NOTICE: {message}")


def explain_missing(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Returns an error that says what to install or to set; or the error itself."""
    if error.name in OTHER_BACKENDS:
        setting = 'KERAS_BACKEND=tensorflow, or "backend": "tensorflow" in keras.json'
        text = f"gan needs Keras's backend tensorflow: set {setting}. Received: {error.name}"
    elif importlib.util.find_spec("tensorflow") is None or error.name == "keras":
        text = (
            f"tensorflow is not installed for {sys.executable}: set up the environment as the README says, "
        )
        text += "and use its Python (.venv/bin/python)"
    else:
        return error
    return ModuleNotFoundError(text, name=error.name)


def missing_package(program: str, error: ModuleNotFoundError) -> SystemExit:
    """Prints one line about a package that is missing. Returns the exit to raise."""
    _print_line(f"{program}: error: {explain_missing(error)}")
    return SystemExit(2)


def command(program: str, *arguments: str | Path) -> str:
    """Returns the command line that calls a program of this environment, activated or not."""
    beside_python = Path(sys.executable).with_name(program)
    if beside_python.exists() and shutil.which(program) != str(beside_python):
        program = shorten(beside_python)
    return shlex.join([program, *map(str, arguments)])


def shorten(path: str | Path) -> str:
    """Returns a path below the working directory relative to it, any other path unchanged."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextlib.contextmanager
def usage_errors(before: str = "", after: str = "") -> Iterator[None]:
    """Turns a ValueError of the library into a `UsageError`, with words before and after its message."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{before}{error}{after}") from error


def _print_line(text: str) -> None:
    """Prints one line of errors. The text may quote the command line, with line ends and odd bytes."""
    print(" ".join(text.splitlines()).encode(errors="backslashreplace").decode(), file=sys.stderr)


def _interrupt(signal_number, frame):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    raise Terminated if signal_number == signal.SIGTERM else KeyboardInterrupt
