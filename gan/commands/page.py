"""`python -m gan page`: makes a web page that runs a generator, to play with."""

import argparse
from pathlib import Path

import keras

from ..exports.page import encode_frames, make_page
from ..files import write_whole
from ..metrics.classifiers import load_classifier
from ..runs import RunFolder
from .program import shorten, usage_errors
from .runs import Source, add_run, hold, load_source

DIGITS = [28, 28, 1]  # the shape of the images that the classifier of digits reads


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "make a web page that runs the generator, without a network"
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
        title = options.folder.resolve().name if options.folder else "Handwritten digits"
        origin = "Made with fit-gan: python -m gan page."  # without the path of the run, which may be private
        page = make_page(title, source.generator, classes, _choose_reader(options, source), film, origin)
    with hold(options.folder, output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, page.encode())
    print(f"{len(page.encode()) / 1e6:.1f} MB: {shorten(output)} (open it in a browser)")


def _choose_reader(options: argparse.Namespace, source: Source) -> keras.Model | None:
    """Returns the classifier of digits, if the generator seems to draw digits."""
    data = (
        RunFolder(options.folder).read_whole_config()["data"] if options.folder else {"image_shape": DIGITS}
    )
    has_digits = all(name in "0123456789" for name in source.class_names or ())
    if data["image_shape"] != DIGITS or not has_digits:
        return None
    classifier = load_classifier("mnist")
    return keras.Sequential([keras.Input(DIGITS), *classifier.body.layers, classifier.head])
