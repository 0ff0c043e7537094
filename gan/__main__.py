"""Trains GANs, draws images from trained generators, evaluates runs and compares runs.

python -m gan generate --class 4
python -m gan generate runs/first
python -m gan interpolate
python -m gan film runs/first
python -m gan page
python -m gan evaluate runs/first
python -m gan compare runs/first runs/second
python -m gan report runs/first
python -m gan train --minutes 5      # has the flags of train.py

If the package is installed, `fit-gan` runs the same program.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from .commands.program import Parser, UsageError, missing_package, run_as_process, run_program

try:
    from .commands import classifier, compare, evaluate, export, film, generate, interpolate, page, report
except ModuleNotFoundError as error:
    raise missing_package("python -m gan", error) from None


def main(arguments: list[str] | None = None, program: str = "python -m gan") -> int:
    """Runs the command line. Returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["train"]:
        return _load_train().main(arguments[1:], program=f"{program} train")
    return run_program(program, lambda: run(parse(arguments, program)))


def parse(arguments: list[str], program: str) -> argparse.Namespace:
    """Reads the command and its flags."""
    parser = Parser(
        prog=program,
        description="Train GANs, draw images from trained generators, evaluate runs and compare runs.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("train", help="train a GAN, with the flags of train.py", add_help=False)
    for command in (generate, interpolate, film, page, export, evaluate, compare, report, classifier):
        command.add_command(commands)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Runs the command that the options name."""
    try:
        options.run(options)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}" if error.filename else error) from error
    return 0


def run_console() -> int:
    """Runs the console command `fit-gan`. Returns the exit code."""
    return run_as_process(lambda: main(program="fit-gan"))


def _load_train():
    """Loads train.py from its path, because `import train` may find a train.py of the user."""
    spec = importlib.util.spec_from_file_location("fit_gan_train", Path(__file__).parents[1] / "train.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(run_as_process(main))
