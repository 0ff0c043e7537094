"""`python -m gan evaluate`: measures the quality of a run's samples by comparison with real images."""

import argparse
import contextlib
import functools
import json
import sys
import warnings
from pathlib import Path

from ..files import digest, write_whole
from ..images import encode_png
from ..metrics.classifiers import feature_network_for
from ..metrics.evaluation import draw_nearest, evaluate, format_report, real_accuracy
from ..notice import Notice
from ..runs import RunFolder
from .program import UsageError, shorten, usage_errors
from .runs import add_seed, hold, load_dataset, load_gan


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "measure the quality of a run's samples by comparison with real images"
    parser = commands.add_parser("evaluate", help=about, allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "--dataset", metavar="NAME|PATH", help="dataset of the run (default: the dataset in config.json)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="skip the classification accuracy score, which takes many minutes",
    )
    add_seed(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    folder = RunFolder(options.folder)
    gan = load_gan(options.folder)
    dataset = load_dataset(folder, options.dataset)
    run = {"run": str(options.folder), "model_sha256": digest(folder.model)}
    report = run | _measure(gan, dataset, options)
    print(json.dumps(report, indent=2) if options.json else f"{format_report(report)}\n", flush=True)
    nearest = draw_nearest(gan.generate(10, seed=options.seed), dataset.train_images)
    try:
        with hold(folder.path):
            folder.evaluation.mkdir(exist_ok=True)
            write_whole(folder.evaluation / "nearest.png", encode_png(nearest))
            write_whole(folder.evaluation / "report.json", json.dumps(report, indent=2).encode() + b"\n")
    except (OSError, UsageError) as error:
        warnings.warn(f"the report was not saved in {folder.evaluation}: {error}", Notice, stacklevel=2)
    else:
        if not options.json:
            print(
                f"Samples beside their nearest training images: {shorten(folder.evaluation / 'nearest.png')}"
            )
            print(f"The numbers as JSON: {shorten(folder.evaluation / 'report.json')}")


def _measure(gan, dataset, options: argparse.Namespace) -> dict:
    """Returns the report. Prints Keras's progress bars to stderr, because stdout is for the report."""
    verbose = 1 if sys.stderr.isatty() else 2
    with contextlib.redirect_stdout(sys.stderr), usage_errors():
        network = feature_network_for(dataset, verbose)
        how = {"is_conditional": gan.num_classes is not None, "seed": options.seed, "verbose": verbose}
        accuracy = None if options.quick else functools.partial(real_accuracy, dataset, verbose)
        return evaluate(gan.generate, dataset, network, real_accuracy=accuracy, **how)
