"""`python -m gan generate`: draws images from a run, or from the generator in the package."""

import argparse
import contextlib
import secrets
import unicodedata
from pathlib import Path

import numpy as np

from ..files import whole_file, write_whole
from ..images import add_row_names, encode_png, enlarge, make_grid, readable_scale
from ..limits import SEED, whole_number
from ..runs import RunFolder
from ..sampling import CLASSES, draw, load_trained_generator
from .program import UsageError, shorten, usage_errors
from .runs import add_scale, hold, load_gan

COLUMNS = 10
MOST_IMAGES = 1_000_000  # all images are in memory at once: 0.8 GB for images of MNIST's size


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "draw images from a run, or from the generator in the package"
    parser = commands.add_parser("generate", help=about, allow_abbrev=False)
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="a finished run (default: the generator in the package)",
    )
    count = whole_number(1, MOST_IMAGES)
    parser.add_argument(
        "--count", type=count, default=100, metavar="N", help="number of images (default: 100)"
    )
    name = "draw only this class: its name, or its number from 0 (default: each class in turn)"
    parser.add_argument("--class", dest="class_name", metavar="NAME", help=name)
    seed = "seed of the latents: the same seed draws the same images (default: a random seed)"
    parser.add_argument("--seed", type=SEED, metavar="N", help=seed)
    output = "path of a .png: one grid of all images; of a .npy: an array, uint8 (count, height, width, "
    output += (
        "channels); of a new folder: one PNG file for each image (default: generated.png, in RUN if RUN "
    )
    output += "is given)"
    add_scale(parser)
    parser.add_argument("--output", type=Path, metavar="PATH", help=output)
    parser.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> None:
    output = options.output or (options.folder or Path()) / "generated.png"
    if output.suffix not in ("", ".png", ".npy"):
        raise UsageError(f"--output must end in .png or .npy, or name a new folder. Received: {output}")
    if not output.suffix and output.exists():
        raise UsageError(f"{output} exists: name a new folder, or a .png or .npy file")
    with usage_errors():
        gan = load_gan(options.folder) if options.folder else None
        generator, classes = (gan.sampler, gan.num_classes) if gan else (load_trained_generator(), CLASSES)
        names = RunFolder(options.folder).read_class_names() if gan and classes else None
        seed = secrets.randbelow(2**32) if options.seed is None else options.seed
        images = draw(generator, options.count, _labels(options, classes, names), seed)
    (output.parent if output.suffix else output).mkdir(parents=True, exist_ok=True)
    with hold(options.folder, output) if options.folder else contextlib.nullcontext():
        _write(output, images, options.scale, None if options.class_name else names)
    print(f"{len(images):,} images: {shorten(output)} (--seed {seed} draws them again)")


def _labels(options: argparse.Namespace, classes: int | None, names: list[str] | None):
    if options.class_name is None and names is None:
        return None if classes is None else np.arange(options.count) % classes
    if options.class_name is None:  # each row of the picture shows one class
        return np.arange(options.count) // COLUMNS % classes
    if classes is None:
        raise UsageError(f"{options.folder} was trained without labels: leave out --class")
    wanted = unicodedata.normalize("NFC", options.class_name)  # as in the names of a folder's classes
    known = names or list(map(str, range(classes)))
    numbered = known + list(map(str, range(classes)))  # a name comes before a number
    if wanted not in numbered:
        source = options.folder or "the package's generator"
        accepted = f"the classes {', '.join(known)}" if names else f"the classes 0 to {classes - 1}"
        raise UsageError(f"--class {options.class_name}: {source} has {accepted}")
    return np.full(options.count, numbered.index(wanted) % classes)


def _write(output: Path, images: np.ndarray, scale: int | None, names: list[str] | None) -> None:
    if output.suffix == ".npy":
        with whole_file(output) as temporary:
            np.save(temporary, images)
    elif output.suffix == ".png":
        scale = scale or readable_scale(*images.shape[1:3])
        grid = make_grid(images, min(COLUMNS, len(images)), scale=scale)
        if names is not None:
            grid = add_row_names(grid, names, rows=-(-len(images) // COLUMNS))
        write_whole(output, encode_png(grid))
    else:
        for number, image in enumerate(images):
            write_whole(output / f"{number:05d}.png", encode_png(enlarge(image, scale or 1)))
