"""`python -m gan evaluate`: measures a run's samples against real images."""

import argparse
import contextlib
import json
import sys
from pathlib import Path

from ..runs import RunFolder
from .program import UsageError, add_seed, hold, load_gan, shorten, usage_errors


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    parser = commands.add_parser(
        "evaluate", help="measure a run's samples against real images", allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument(
        "--dataset", metavar="NAME|PATH", help="where the run's data are now (default: where they were)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave out the classifier trained on 60,000 samples, which takes minutes",
    )
    add_seed(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the tables")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from ..files import write_whole
    from ..images import encode_png
    from ..metrics.evaluation import draw_nearest, format_report

    folder = RunFolder(options.folder)
    gan = load_gan(options.folder)
    dataset = _load_dataset(folder, options.dataset)
    with hold(folder.path):
        folder.evaluation.mkdir(exist_ok=True)  # first: a folder that cannot be written costs no minutes
        report = {"run": str(options.folder)} | _measure(gan, dataset, options)
        print(json.dumps(report, indent=2) if options.json else f"{format_report(report)}\n", flush=True)
        nearest = folder.evaluation / "nearest.png"
        samples = gan.generate(10, seed=options.seed)
        write_whole(nearest, encode_png(draw_nearest(samples, dataset.train_images)))
        write_whole(folder.evaluation / "report.json", json.dumps(report, indent=2).encode() + b"\n")
        if not options.json:
            print(f"Samples, each beside the training images nearest to it: {shorten(nearest)}")


def _measure(gan, dataset, options: argparse.Namespace) -> dict:
    """The report. Keras's progress bars go to stderr: stdout is for the report."""
    from ..metrics.classifiers import classifier_for
    from ..metrics.evaluation import evaluate, real_accuracy

    verbose = 1 if sys.stderr.isatty() else 2
    with contextlib.redirect_stdout(sys.stderr), usage_errors():
        classifier = classifier_for(dataset, verbose)
        if classifier is None:
            raise UsageError(f"{dataset.source} has no labels to train a classifier with")
        return evaluate(
            gan.generate,
            dataset,
            classifier,
            is_conditional=gan.num_classes is not None,
            seed=options.seed,
            real_accuracy=None if options.quick else lambda: real_accuracy(dataset, verbose),
            verbose=verbose,
        )


def _load_dataset(folder: RunFolder, source: str | None):
    """The data that a run was trained on."""
    from ..data import load

    config = folder.read_whole_config()
    with usage_errors("; if the run's data are somewhere else now, name them by --dataset PATH"):
        dataset = load(source or config["settings"].get("dataset", ""))
    if dataset.checksum != config["data"]["checksum"]:
        raise UsageError(f"{dataset.source}: not the data of {folder.path}: their checksum differs")
    return dataset
