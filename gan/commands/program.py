"""What all programs share: one line for each error, and a quiet, late start of TensorFlow.

TensorFlow is loaded after the command line is read, so a wrong flag is answered at once.
"""

import argparse
import contextlib
import importlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..runs import RunFolder
from ..runs.limits import SEED


class UsageError(Exception):
    """One line about a mistake that the user can correct."""


class RunError(Exception):
    """One line about an error that stopped a program during its work."""


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Adds the flag --seed of a command that draws samples."""
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the samples (default: 0)")


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong flag in one line."""

    def error(self, message):
        raise UsageError(f"{message} (see --help)")


def run_program(name: str, run: Callable[[], int]) -> int:
    """Runs a program's body. Returns the exit code.

    2, with one line, for a mistake that the user can correct before the start; 1, with one line, for an
    error during the work; 130 after Ctrl-C; 143 after SIGTERM. A second signal ends the process at once.
    """
    handlers = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # a path may hold bytes that are not text
    try:
        return run()
    except (UsageError, RunError) as error:
        one_line = " ".join(str(error).splitlines())  # it may quote the command line
        print(f"{name}: error: {one_line}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # else the reader of the output, such as `head`, has ended
            print(f"{name}: error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as interrupt:
        return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)
    finally:
        for number, handler in handlers.items():
            if signal.getsignal(number) is _interrupt:  # no signal came: restore the caller's handlers
                signal.signal(number, handler)


def import_tensorflow_quietly() -> None:
    """Imports TensorFlow without the lines that it writes at every start, even at the highest log level.

    They come from its C++ code, not through `sys.stderr`. When the import fails they are shown after all.
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
def hold(path: Path, output: Path | None = None) -> Iterator[None]:
    """Keeps other processes from writing into a run folder, if the output goes into it."""
    with contextlib.ExitStack() as held:
        if output is None or output.parent.resolve() == path.resolve():
            with usage_errors():
                held.enter_context(RunFolder(path).open_for_writing())
        yield


@contextlib.contextmanager
def usage_errors(advice: str = "") -> Iterator[None]:
    """Turns a ValueError of the library into a `UsageError`."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{error}{advice}") from error


def load_gan(path: Path):
    """Loads the GAN of a finished run.

    Raises:
        UsageError: when the run is not finished, or its model is damaged.
    """
    import keras

    from .. import networks  # noqa: F401, registers the layers of our networks with Keras
    from ..model import GAN

    folder = RunFolder(path)
    with usage_errors():
        folder.read_whole_config()
    if not folder.model.is_file():
        raise UsageError(f"{path} is not finished; finish it by  python train.py --resume {path}")
    try:
        model = keras.saving.load_model(folder.model, compile=False, safe_mode=True)
    except Exception as error:  # anyone may have written the file, and Keras raises errors of all kinds
        raise UsageError(f"{folder.model} cannot be loaded: it is damaged, or not a Keras model") from error
    if not isinstance(model, GAN):
        raise UsageError(f"{folder.model} is not a GAN of this project")
    return model


def _interrupt(signal_number, frame):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    raise Terminated if signal_number == signal.SIGTERM else KeyboardInterrupt
