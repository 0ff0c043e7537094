"""`python -m gan classifier`: trains the classifier that the metrics of a dataset use."""

import argparse
from pathlib import Path

from ..data import load
from ..files import digest
from ..metrics.classifiers import save_classifier, train_classifier
from ..metrics.features import extract
from .program import UsageError, shorten, usage_errors


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "train the classifier that the metrics of a dataset use"
    parser = commands.add_parser("classifier", help=about, allow_abbrev=False)
    parser.add_argument("dataset", metavar="NAME|PATH", help="dataset, as in --dataset of train.py")
    output = {"type": Path, "required": True, "metavar": "FILE.weights.h5"}
    parser.add_argument("--output", help="file for the weights of the classifier", **output)
    parser.set_defaults(run=_train_classifier)


def _train_classifier(options: argparse.Namespace) -> None:
    with usage_errors():
        dataset = load(options.dataset)
    if dataset.train_labels is None:
        raise UsageError(f"{dataset.source} has no labels, and a classifier needs labels: use labeled data")
    if not options.output.name.endswith(".weights.h5"):
        raise UsageError(f"--output must end in .weights.h5. Received: {options.output}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    classifier = train_classifier(dataset.train_images, dataset.train_labels)
    save_classifier(classifier, options.output)
    print(f"Data:    SHA-256 {dataset.checksum}")
    print(f"Weights: {shorten(options.output)}, SHA-256 {digest(options.output)}")
    if dataset.test_labels is not None:
        _, logits = extract(classifier, dataset.test_images)
        print(f"Test accuracy: {(logits.argmax(1) == dataset.test_labels).mean():.2%}")
