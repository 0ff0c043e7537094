"""The whole report on a trained GAN: each figure beside the same figure of real images, its floor.

The floor is what a generator would reach that draws the training images' own distribution: real
training images take the samples' place, others than those that it is compared with.
"""

import json
import warnings
from collections.abc import Callable

import numpy as np

from gan import copies, metrics
from gan.cas import TRAINING_IMAGES, classification_accuracy
from gan.features import extract
from gan.files import cache_folder, write_whole
from gan.images import make_grid

__all__ = ["draw_nearest", "evaluate", "format_report", "real_accuracy"]

MOST_IMAGES = 10_000
NEAREST_SHOWN = 9
ROWS_SHOWN = 10
FEWEST_OF_A_CLASS = 10  # for figures of a class of its own
FEW_SAMPLES = 2000  # below, the report says what that means
FEW_SAMPLES_NOTE = "So few images leave much to chance: compare each figure with that alone."
SIDES = ("against_test", "against_train")
COMPARED = {
    "frechet_distance": "Fréchet distance",
    "kernel_distance": "kernel distance (KID)",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
ALONE = {
    "classifier_score": ("classifier score", ".2f"),
    "least_share": ("least class's share", ".1%"),
    "as_asked": ("what was asked for", ".2%"),
    "classification_accuracy": ("a classifier trained on them", ".2%"),
    "near_copies": ("near-copies of training ones", ".2%"),
}


def evaluate(
    gan,
    dataset,
    classifier,
    *,
    seed: int = 0,
    real_accuracy: Callable[[], float] | None = None,
    say: Callable[[str], None] = print,
    verbose: int = 1,
) -> dict:
    """Measures a GAN against its dataset.

    As many samples as there are test images, and at most 10,000, are compared with as many test images
    and with as many training images; a conditional GAN is asked for the labels of as many training
    images.

    Args:
        gan: the trained `GAN`.
        dataset: the `gan.data.Dataset` it was trained on, with labels.
        classifier: a `gan.features.Classifier` of its classes: see `classifier_for`.
        seed: what the samples' latents and the choice of training images follow from.
        real_accuracy: gives the floor of the classification accuracy score, when it is to be measured
            too, which takes minutes; None: it is left out.
        say: is told what is being done.
        verbose: as in `fit`, for the training of the classifier of the accuracy score.

    Returns:
        A dictionary that JSON can hold; `format_report` makes a table of it.

    Raises:
        ValueError: when the dataset has no labelled test images, or too few to compare.

    Example:

    ```python
    digits = load("digits")
    print(format_report(evaluate(gan, digits, classifier_for(digits))))
    ```
    """
    test_images, test_labels = _test_split(dataset)
    count = min(MOST_IMAGES, len(test_images), len(dataset.train_images) // 2)
    chosen = np.random.default_rng(seed).permutation(len(dataset.train_images))[: 2 * count]
    floor, reference = chosen[:count], chosen[count:]

    say(f"Drawing {count:,} samples")
    asked = None if gan.num_classes is None else dataset.train_labels[floor]
    samples = _judge(classifier, gan.generate(count, asked, seed=seed), asked)
    real = _judge(classifier, dataset.train_images[floor], dataset.train_labels[floor])
    test = _judge(classifier, test_images[:count], test_labels[:count])
    train = _judge(classifier, dataset.train_images[reference], dataset.train_labels[reference])

    say("Comparing their features with those of real images")
    report = {
        "samples": count,
        "seed": seed,
        "classifier": {"name": classifier.name, "test_accuracy": test.share_as_asked()},
        "against_test": _compare(test, samples, real),
        "against_train": _compare(train, samples, real),
    }
    say("Looking for near-copies of training images")
    report["samples_alone"] = _look_alone(samples, test, dataset.train_images)
    say("Comparing each class")
    report["classes"] = [_compare_class(label, test, samples, real) for label in range(dataset.num_classes)]
    if real_accuracy is not None and gan.num_classes is not None:
        say(f"Training a classifier on {TRAINING_IMAGES:,} samples (minutes), and testing it on real images")
        labels = np.arange(TRAINING_IMAGES, dtype=np.int32) % gan.num_classes
        drawn = gan.generate(TRAINING_IMAGES, labels, seed=seed)
        report["samples_alone"]["classification_accuracy"] = {
            "samples": classification_accuracy(drawn, labels, test_images, test_labels, verbose=verbose),
            "real": real_accuracy(),
        }
    return report


def real_accuracy(dataset, verbose: int = 1) -> float:
    """The classification accuracy score of the training images themselves: its floor, in [0, 1].

    Kept once known, under `~/.keras/gan` (or `$KERAS_HOME/gan`), for it takes minutes.

    Raises:
        ValueError: when the dataset has no labelled test images.
    """
    path = cache_folder() / "gan" / f"real-accuracy-{dataset.checksum}.json"
    try:
        return json.loads(path.read_text("utf-8"))["test_accuracy"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not measured yet
    order = np.random.default_rng(0).permutation(len(dataset.train_images))
    accuracy = classification_accuracy(
        dataset.train_images[order], dataset.train_labels[order], *_test_split(dataset), verbose=verbose
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"test_accuracy": accuracy}).encode())
    except OSError as error:
        warnings.warn(f"The real images' accuracy cannot be kept for the next time: {error}", stacklevel=2)
    return accuracy


def draw_nearest(gan, dataset, seed: int = 0) -> np.ndarray:
    """A picture, uint8 (height, width, channels): a row a sample, then its nearest training images."""
    samples = gan.generate(ROWS_SHOWN, seed=seed)
    numbers, _ = copies.find_nearest(samples, dataset.train_images, NEAREST_SHOWN)
    found = dataset.train_images[numbers]
    rows = np.concatenate([samples[:, np.newaxis], found], axis=1)
    return make_grid(rows.reshape(-1, *samples.shape[1:]), columns=rows.shape[1])


def format_report(report: dict) -> str:
    """The report as tables for a terminal of 80 columns."""
    count = report["samples"]
    accuracy = report["classifier"]["test_accuracy"]
    lines = [
        f"{count:,} samples, in the features of {report['classifier']['name']}, which is right on",
        f"{accuracy:.2%} of the test images. Beside each figure that of real training images.",
        *([FEW_SAMPLES_NOTE] if count < FEW_SAMPLES else []),
        "",
        f"{'':28}{'test images':>22}   {'training images':>22}",
        f"{'':28}{'samples':>11}{'real':>11}   {'samples':>11}{'real':>11}",
    ]
    for name, title in COMPARED.items():
        cells = [report[side][name][who] for side in SIDES for who in ("samples", "real")]
        lines.append(f"{title:28}{_show(cells[0])}{_show(cells[1])}   {_show(cells[2])}{_show(cells[3])}")
        if name == "kernel_distance":
            errors = [report[side][f"{name}_error"][who] for side in SIDES for who in ("samples", "real")]
            lines.append("{:28}{}{}   {}{}".format("  its standard error", *map(_show, errors)))
    lines += ["", f"{'':28}{'samples':>11}{'real':>11}"]
    for name, (title, form) in ALONE.items():
        if name in report["samples_alone"]:
            figures = report["samples_alone"][name]
            lines.append(f"{title:28}{_show(figures['samples'], form)}{_show(figures['real'], form)}")
    lines += ["", *_format_classes(report["classes"])]
    return "\n".join(lines)


class _Judged:
    """Images with what the classifier makes of them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None, features, logits):
        self.images, self.features, self.logits = images, features, logits
        self.verdicts = logits.argmax(1)
        self.asked = labels
        self.labels = self.verdicts if labels is None else labels

    def share_as_asked(self, label: int | None = None) -> float | None:
        """The share that the classifier takes for what they were asked to be; None if nothing was."""
        if self.asked is None:
            return None
        chosen = slice(None) if label is None else self.asked == label
        return _mean(self.verdicts[chosen] == self.asked[chosen])

    def shares(self) -> np.ndarray:
        """The share of each class, by the verdicts."""
        return np.bincount(self.verdicts, minlength=self.logits.shape[1]) / len(self.verdicts)


def _judge(classifier, images: np.ndarray, labels: np.ndarray | None) -> _Judged:
    return _Judged(images, labels, *extract(classifier, images))


def _test_split(dataset) -> tuple[np.ndarray, np.ndarray]:
    if dataset.test_images is None or dataset.test_labels is None:
        raise ValueError(f"{dataset.source} has no labelled test images to compare with")
    return dataset.test_images, dataset.test_labels


def _compare(reference: _Judged, samples: _Judged, real: _Judged) -> dict:
    """Every figure of the samples, and of the real images in their place."""
    sides = {"samples": _figures(reference, samples), "real": _figures(reference, real)}
    return {name: {side: figures[name] for side, figures in sides.items()} for name in sides["real"]}


def _figures(reference: _Judged, others: _Judged) -> dict[str, float]:
    distance, error = metrics.kernel_distance(reference.features, others.features)
    return {
        "frechet_distance": metrics.frechet_distance(reference.features, others.features),
        "kernel_distance": distance,
        "kernel_distance_error": error,
        **metrics.compare_neighborhoods(reference.features, others.features)._asdict(),
    }


def _look_alone(samples: _Judged, test: _Judged, train_images: np.ndarray) -> dict:
    figures = {}
    for side, judged in (("samples", samples), ("real", test)):
        _, distances = copies.find_nearest(judged.images, train_images)
        figures[side] = {
            "classifier_score": metrics.classifier_score(judged.logits),
            "least_share": float(judged.shares().min()),
            "as_asked": judged.share_as_asked(),
            "near_copies": float(copies.find_near_copies(distances).mean()),
        }
    return {
        name: {side: figures[side][name] for side in figures}
        for name, value in figures["samples"].items()
        if value is not None
    }


def _compare_class(label: int, test: _Judged, samples: _Judged, real: _Judged) -> dict:
    """The figures of one class; its distances only where there are enough images of it."""
    figures = {
        "class": label,
        "share": {"samples": float(samples.shares()[label]), "real": float(test.shares()[label])},
        "as_asked": {"samples": samples.share_as_asked(label), "real": test.share_as_asked(label)},
    }
    of_class = [judged.features[judged.labels == label] for judged in (test, samples, real)]
    count = min(map(len, of_class))
    if count < FEWEST_OF_A_CLASS:
        return figures
    reference, *sides = (features[:count] for features in of_class)
    for side, features in zip(("samples", "real"), sides, strict=True):
        neighborhoods = metrics.compare_neighborhoods(reference, features)
        found = {"frechet_distance": metrics.frechet_distance(reference, features)}
        found |= {"precision": neighborhoods.precision, "coverage": neighborhoods.coverage}
        for name, value in found.items():
            figures.setdefault(name, {})[side] = value
    return figures


def _format_classes(classes: list[dict]) -> list[str]:
    """A row a class."""
    columns = {"share": ".1%", "as_asked": ".1%", "frechet_distance": "", "precision": ".2f"}
    columns |= {"coverage": ".2f"}
    titles = ("share", "as asked for", "Fréchet", "precision", "coverage")
    lines = [
        "class" + "".join(f"{title:>15}" for title in titles),
        "     " + f"{'samples':>8}{'real':>7}" * len(titles),
    ]
    for figures in classes:
        line = f"{figures['class']:<5}"
        for name, form in columns.items():
            pair = figures.get(name, {"samples": None, "real": None})
            line += "".join(
                f"{_format(pair[side], form):>{width}}" for side, width in (("samples", 8), ("real", 7))
            )
        lines.append(line)
    return lines


def _show(value: float | None, form: str = "") -> str:
    return f"{_format(value, form):>11}"


def _format(value: float | None, form: str = "") -> str:
    """A figure: three digits of it, where no form is given, and never an exponent for a large one."""
    if value is None:
        return "-"
    return format(value, form or (".3g" if abs(value) < 1000 else ".0f"))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
