"""`python -m gan generate`: draws images from a run, or from the generator in the package."""

import argparse
from pathlib import Path

import numpy as np

from ..files import whole_file, write_whole
from ..images import add_row_names, encode_png, enlarge, make_grid, readable_scale
from ..limits import whole_number
from ..progress import show_progress
from ..sampling import draw
from .program import UsageError, shorten, usage_errors
from .runs import Source, add_random_seed, add_run, add_scale, hold, load_source

COLUMNS = 10
COUNT = 100
MANY = 1000  # images, whose drawing takes seconds
MOST_IMAGES = 1_000_000  # all images are in memory at once: 0.8 GB for images of MNIST's size


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "draw images from a run, or from the generator in the package"
    parser = commands.add_parser("generate", help=about, allow_abbrev=False)
    add_run(parser)
    count = f"number of images (default: {COUNT}; with --text, one for each character)"
    parser.add_argument("--count", type=whole_number(1, MOST_IMAGES), metavar="N", help=count)
    which = parser.add_mutually_exclusive_group()
    name = "draw only this class: its name, or its number from 0 (default: each class in turn)"
    which.add_argument("--class", dest="class_name", metavar="NAME", help=name)
    text = "draw a line of text, for example 2026. Each character is the name of a class, or a space"
    which.add_argument("--text", metavar="TEXT", help=text)
    add_random_seed(parser)
    add_scale(parser)
    output = "path of a .png: one picture of all images; of a .npy: an array, uint8 (count, height, width, "
    output += "channels); of a new folder: one PNG file for each image (default: generated.png, in RUN if "
    output += "RUN is given)"
    parser.add_argument("--output", type=Path, metavar="PATH", help=output)
    parser.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> None:
    output = options.output or (options.folder or Path()) / "generated.png"
    if output.suffix not in ("", ".png", ".npy"):
        raise UsageError(f"--output must end in .png or .npy, or name a new folder. Received: {output}")
    if not output.suffix and output.exists():
        raise UsageError(f"{output} exists: name a new folder, or a .png or .npy file")
    if options.text is not None and options.count is not None:
        raise UsageError("--text draws one image for each character: leave out --count")
    if output.suffix == ".npy" and options.scale is not None:
        raise UsageError(
            "--scale enlarges pictures, and a .npy file has the images as they are: leave out --scale"
        )
    source = load_source(options.folder)
    labels = _choose_labels(options, source)
    count = (options.count or COUNT) if labels is None else len(labels)
    with usage_errors():
        images = draw(source.generator, count, labels, options.seed, verbose=int(count > MANY))
    if options.text is not None:
        images[[character == " " for character in options.text]] = 0
    (output.parent if output.suffix else output).mkdir(parents=True, exist_ok=True)
    with hold(options.folder, output):
        _write(output, images, options, source)
    print(f"{count:,} image{'s'[: count > 1]}: {shorten(output)} (--seed {options.seed} draws them again)")


def _choose_labels(options: argparse.Namespace, source: Source) -> np.ndarray | None:
    if options.text is not None:
        if not options.text.strip():
            raise UsageError("--text needs at least one character that is the name of a class")
        return np.array([0 if one == " " else source.find_class(one) for one in options.text])
    count = options.count or COUNT
    if options.class_name is not None:
        return np.full(count, source.find_class(options.class_name))
    if source.num_classes is None:
        return None
    numbers = np.arange(count)  # with names, each row of the picture shows one class
    return (numbers if source.class_names is None else numbers // COLUMNS) % source.num_classes


def _write(output: Path, images: np.ndarray, options: argparse.Namespace, source: Source) -> None:
    if output.suffix == ".npy":
        with whole_file(output) as temporary:
            np.save(temporary, images)
    elif output.suffix == ".png":
        write_whole(output, encode_png(_draw_grid(images, options, source)))
    else:
        files = show_progress(enumerate(images), len(images), "file", verbose=int(len(images) > MANY))
        for number, image in files:
            write_whole(output / f"{number:05d}.png", encode_png(enlarge(image, options.scale or 1)))


def _draw_grid(images: np.ndarray, options: argparse.Namespace, source: Source) -> np.ndarray:
    scale = options.scale or readable_scale(*images.shape[1:3])
    if options.text is not None:
        return make_grid(images, len(images), gap=0, scale=scale)
    grid = make_grid(images, min(COLUMNS, len(images)), scale=scale)
    if source.class_names is None or options.class_name is not None:
        return grid
    return add_row_names(grid, source.class_names, rows=-(-len(images) // COLUMNS))
