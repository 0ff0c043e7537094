"""`python -m gan interpolate`: draws the way from one sample to another, as an animation or a picture."""

import argparse
from pathlib import Path

import numpy as np

from ..files import write_whole
from ..limits import whole_number
from ..reports.motion import draw_walk, encode_walk, make_endless
from ..sampling import blend_classes, input_shapes
from .program import UsageError, shorten, usage_errors
from .runs import Source, add_random_seed, add_run, add_scale, hold, load_source

STATIONS = 5  # latents of a walk that keeps its class
SUFFIXES = (".gif", ".webp", ".png")


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "draw the way from one sample to another (default: a loop through all classes)"
    parser = commands.add_parser("interpolate", help=about, allow_abbrev=False)
    add_run(parser)
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME", help="keep this class, and walk from latents to latents"
    )
    parser.add_argument(
        "--from", dest="first", metavar="NAME", help="walk from this class to the class of --to, and back"
    )
    parser.add_argument("--to", dest="last", metavar="NAME", help="see --from")
    parser.add_argument(
        "--count",
        type=whole_number(1, 100),
        default=8,
        metavar="N",
        help="number of images side by side, each with its own latents (default: 8)",
    )
    parser.add_argument(
        "--frames",
        type=whole_number(1, 1000),
        default=12,
        metavar="N",
        help="number of frames from one sample to the next (default: 12)",
    )
    add_random_seed(parser)
    add_scale(parser)
    output = "path of the animation (.gif or .webp), or of a picture with a row for each image, without the "
    output += "way back (.png) (default: interpolation.gif, in RUN if RUN is given)"
    parser.add_argument("--output", type=Path, metavar="PATH", help=output)
    parser.set_defaults(run=_interpolate)


def _interpolate(options: argparse.Namespace) -> None:
    output = options.output or (options.folder or Path()) / "interpolation.gif"
    if output.suffix not in SUFFIXES:
        raise UsageError(f"--output must end in {', '.join(SUFFIXES)}. Received: {output}")
    if (options.first is None) != (options.last is None):
        raise UsageError("--from and --to belong together: give both, or neither")
    if options.class_name is not None and options.first is not None:
        raise UsageError("--class keeps one class: leave out --from and --to")
    with usage_errors():
        source = load_source(options.folder)
        stations = _choose_classes(options, source)
        generator = source.generator if source.num_classes is None else blend_classes(source.generator)
        is_same_class = len(set(stations or [None])) == 1
        shape = (STATIONS if is_same_class else 1, options.count, *input_shapes(generator)[0][1:])
        latents = np.random.default_rng(options.seed).standard_normal(shape, np.float32)
        if is_same_class:
            latents, stations = np.concatenate([latents, latents[:1]]), (stations or [None]) * (STATIONS + 1)
        else:
            latents = latents.repeat(len(stations), axis=0)
        weights = (
            None if source.num_classes is None else np.eye(source.num_classes, dtype=np.float32)[stations]
        )
        walk = draw_walk(generator, latents, weights, options.frames)
        if output.suffix != ".png":
            walk = make_endless(walk, is_loop=stations[0] == stations[-1])
        content = encode_walk(walk, output.suffix, options.scale)
    with hold(options.folder, output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, content)
    print(f"{len(walk)} frames: {shorten(output)} (--seed {options.seed} draws them again)")


def _choose_classes(options: argparse.Namespace, source: Source) -> list[int] | None:
    """Returns the classes of the stations. None without labels: the walk goes from latents to latents."""
    names = [name for name in (options.class_name, options.first, options.last) if name is not None]
    if names:
        return [source.find_class(name) for name in names]
    return None if source.num_classes is None else [*range(source.num_classes), 0]
