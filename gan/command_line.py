"""What the project's two programs share: one line for what is wrong, and a quiet, late start of TensorFlow.

TensorFlow is loaded after the command line has been read, so that a wrong flag is answered at once.
"""

import argparse
import importlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = [
    "Parser",
    "RunError",
    "UsageError",
    "command",
    "import_tensorflow_quietly",
    "number_from_0",
    "number_of_layers",
    "number_of_units",
    "positive_number",
    "run_program",
    "seed_number",
    "share",
    "shorten",
    "whole_number",
    "whole_number_from_0",
]


LARGEST_INT = 2**31 - 1
MOST_LAYERS, MOST_UNITS = 100, 10_000
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, 2.0**127  # of what float32 can hold, to a factor of two


class UsageError(Exception):
    """What the person at the command line can mend, in one line."""


class RunError(Exception):
    """What stopped a program in the midst of its work, in one line."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, answered like Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Answers a wrong flag in one line."""

    def error(self, message):
        raise UsageError(f"{message} (see --help)")


def run_program(name: str, run: Callable[[], int]) -> int:
    """Runs a program's body; returns the exit code.

    One line and 2 for what its user can mend before the start, one line and 1 for what stopped it in the
    midst of its work; 130 after Ctrl-C and 143 after SIGTERM, of which a second ends the process at once.
    """
    handlers = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # a path may hold what is no character
    try:
        return run()
    except (UsageError, RunError) as error:
        one_line = " ".join(str(error).splitlines())  # it may quote what its user typed
        print(f"{name}: error: {one_line}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # else whoever read the output, `head` perhaps, has gone
            print(f"{name}: error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as interrupt:
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is _interrupt:  # no signal came: a caller gets its own handlers back
                signal.signal(number, handler)


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without the lines that it writes at every start, whatever the log level says.

    They come from its C++ side, past `sys.stderr`. When the import fails they are shown after all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            importlib.import_module("tensorflow")
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{error.name} is not installed for {sys.executable}: set up the environment as the README "
                "says, and use its Python (.venv/bin/python)"
            ) from error
        except ImportError:
            hidden.seek(0)
            os.write(kept, hidden.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def command(program: str, *arguments: str | Path) -> str:
    """What to type to call a program of this Python's environment, activated or not."""
    beside_python = Path(sys.executable).with_name(program)
    if beside_python.exists() and shutil.which(program) != str(beside_python):
        program = shorten(beside_python)
    return shlex.join([program, *map(str, arguments)])


def shorten(path: str | Path) -> str:
    """A path below the working directory as seen from there, any other as it is."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def whole_number(text: str) -> int:
    """A flag's whole number from 1."""
    return _number(text, int, f"a whole number from 1 to {LARGEST_INT}", lambda n: 1 <= n <= LARGEST_INT)


def whole_number_from_0(text: str) -> int:
    """A flag's whole number, which may be none."""
    return _number(text, int, f"a whole number from 0 to {LARGEST_INT}", lambda n: 0 <= n <= LARGEST_INT)


def seed_number(text: str) -> int:
    """A flag's seed."""
    largest = 2**32 - 1  # of NumPy's global seed, which Keras sets too
    return _number(text, int, f"a whole number from 0 to {largest}", lambda number: 0 <= number <= largest)


def positive_number(text: str) -> float:
    """A flag's finite number above 0."""
    return _number(
        text, float, "a positive number of float32", lambda n: SMALLEST_FLOAT <= n <= LARGEST_FLOAT
    )


def number_of_layers(text: str) -> int:
    """A flag's number of layers, which may be none."""
    return _number(text, int, f"a whole number from 0 to {MOST_LAYERS}", lambda n: 0 <= n <= MOST_LAYERS)


def number_of_units(text: str) -> int:
    """A flag's length of a vector, or number of channels."""
    return _number(text, int, f"a whole number from 1 to {MOST_UNITS}", lambda n: 1 <= n <= MOST_UNITS)


def share(text: str) -> float:
    """A flag's share of a whole, less than all of it."""
    return _number(text, float, "a number from 0 and less than 1", lambda number: 0 <= number < 1)


def number_from_0(text: str) -> float:
    """A flag's finite number from 0."""
    return _number(
        text,
        float,
        "0 or a positive number of float32",
        lambda n: n == 0 or SMALLEST_FLOAT <= n <= LARGEST_FLOAT,
    )


def _number(text: str, kind: type, accepted: str, is_right) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not is_right(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not {accepted}")
    return number


def _interrupt(signal_number, frame):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    raise Terminated if signal_number == signal.SIGTERM else KeyboardInterrupt
