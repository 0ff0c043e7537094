"""`python -m gan film RUN`: shows the same latents through the epochs of a run."""

import argparse
import warnings
from pathlib import Path

from ..files import find_numbered, write_whole
from ..images import encode_film, encode_png
from ..notice import Notice
from ..reports.comparison import MOST_EPOCHS_SHOWN, draw_epochs
from ..runs import RunFolder
from .program import UsageError, shorten, usage_errors
from .runs import hold

SUFFIXES = (".gif", ".webp", ".png")


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "show the samples of all epochs of a run as an animation"
    parser = commands.add_parser("film", help=about, allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="RUN", help="a run, finished or not")
    output = "path of the animation (.gif or .webp), or of a picture with at most "
    output += f"{MOST_EPOCHS_SHOWN} epochs (.png) "
    output += "(default: film.gif in RUN)"
    parser.add_argument("--output", type=Path, metavar="PATH", help=output)
    parser.set_defaults(run=_film)


def _film(options: argparse.Namespace) -> None:
    folder = RunFolder(options.folder)
    output = options.output or folder.path / "film.gif"
    if output.suffix not in SUFFIXES:
        raise UsageError(f"--output must end in {', '.join(SUFFIXES)}. Received: {output}")
    with usage_errors():
        folder.read_whole_config()
        pictures = [*find_numbered(folder.samples, ".png").values()]
        if output.suffix == ".png":
            content, damaged = encode_png(draw_epochs(folder)), {}
            pictures = pictures[:MOST_EPOCHS_SHOWN]
        else:
            content, damaged = encode_film(pictures, output.suffix)
    if content is None:
        raise UsageError(f"{folder.samples} has no pictures of epochs that can be read: use another run")
    for picture, error in damaged.items():
        warnings.warn(f"{picture} is left out of {output.name}: {error}", Notice, stacklevel=2)
    with hold(folder.path, output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, content)
    print(f"{len(pictures) - len(damaged)} epochs: {shorten(output)}")
