"""`python -m gan compare`: compares runs, or the epochs of one run."""

import argparse
from pathlib import Path

from ..files import write_whole
from ..images import encode_png
from ..reports import comparison
from ..runs import RunFolder
from .program import UsageError, shorten, usage_errors
from .runs import add_scale, add_seed, hold, load_gan


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "compare runs, or the epochs of one run"
    parser = commands.add_parser("compare", help=about, allow_abbrev=False)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    add_seed(parser)
    add_scale(parser)
    output = "path of the picture (default: RUN/comparison.png for one run, comparison.png for several runs)"
    parser.add_argument("--output", type=Path, metavar="FILE.png", help=output)
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    folders = [RunFolder(path) for path in options.runs]
    is_one = len(folders) == 1
    output = options.output or (folders[0].path / "comparison.png" if is_one else Path("comparison.png"))
    if output.suffix != ".png":
        raise UsageError(f"--output must end in .png. Received: {output}")
    with usage_errors():
        for folder in folders:
            folder.read_whole_config()
        if is_one:
            table = comparison.format_epochs(folders[0])
            picture = comparison.draw_epochs(folders[0], options.scale)
        else:
            table = comparison.format_runs(folders)
            gans = [load_gan(path) for path in options.runs]
            names = [folder.read_class_names() for folder in folders]
            same = names[0] if all(each == names[0] for each in names) and gans[0].num_classes else None
            picture = comparison.draw_runs(gans, options.seed, options.scale, same)
    output.parent.mkdir(parents=True, exist_ok=True)
    with hold(folders[0].path, output):
        write_whole(output, encode_png(picture))
    print(table, "", f"Picture: {shorten(output)}", sep="\n")
