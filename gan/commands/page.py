"""`python -m gan page`: makes a web page that runs a generator, to play with."""

import argparse
from pathlib import Path

import keras

from ..exports import encode_frames, make_page
from ..files import write_whole
from ..metrics.classifiers import load_classifier
from ..runs import RunFolder
from .program import shorten, usage_errors
from .runs import Source, add_run, hold, load_source

SHAPE_OF_DIGITS, DIGITS = [28, 28, 1], "0123456789"


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "make a web page that runs the generator offline"
    parser = commands.add_parser("page", help=about, allow_abbrev=False)
    add_run(parser)
    output = "path of the page (default: page.html, in RUN if RUN is given)"
    parser.add_argument("--output", type=Path, metavar="FILE.html", help=output)
    parser.set_defaults(run=_page)


def _page(options: argparse.Namespace) -> None:
    output = options.output or (options.folder or Path()) / "page.html"
    source = load_source(options.folder)
    classes = source.class_names or [str(label) for label in range(source.num_classes or 0)] or None
    with usage_errors():
        film = encode_frames(RunFolder(options.folder).samples) if options.folder else []
        title = _make_printable(options.folder) if options.folder else "Handwritten digits"
        origin = "Made with fit-gan: python -m gan page."  # without the path of the run, which may be private
        reader = _choose_reader(options, source)
        page = make_page(title, source.generator, classes, reader, film, origin).encode()
    with hold(options.folder, output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, page)
    print(f"{len(page) / 1e6:.1f} MB: {shorten(output)} (open it in a browser)")


def _make_printable(folder: Path) -> str:
    """Returns the name of a folder. Replaces bytes that are not UTF-8."""
    return folder.resolve().name.encode(errors="replace").decode()


def _choose_reader(options: argparse.Namespace, source: Source) -> keras.Model | None:
    """Returns the classifier of digits, if the generator draws digits as far as the run says."""
    data = {"image_shape": SHAPE_OF_DIGITS, "name": "mnist"}
    if options.folder:
        data = RunFolder(options.folder).read_whole_config()["data"]
    names = source.class_names or [str(label) for label in range(source.num_classes or 0)]
    has_digits = set(names) <= set(DIGITS) if names else data["name"] in ("mnist", "digits")
    if data["image_shape"] != SHAPE_OF_DIGITS or not has_digits:
        return None
    classifier = load_classifier("mnist")
    return keras.Sequential([keras.Input(SHAPE_OF_DIGITS), *classifier.body.layers, classifier.head])
