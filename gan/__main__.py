"""Draws images from trained generators, and measures and compares runs.

python -m gan generate --digit 4
python -m gan generate runs/first
python -m gan evaluate runs/first
python -m gan compare runs/first runs/second
"""

import argparse
import sys

from .commands import classifier, compare, evaluate, generate
from .commands.program import Parser, UsageError, import_tensorflow_quietly, run_program


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line. Returns the exit code."""
    return run_program("python -m gan", lambda: run(parse(arguments)))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the command and its flags."""
    parser = Parser(
        prog="python -m gan",
        description="Draw from trained generators, measure runs, compare them.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (generate, evaluate, compare, classifier):
        command.add_command(commands)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Runs the command that the options name."""
    import_tensorflow_quietly()
    try:
        options.run(options)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}" if error.filename else error) from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
