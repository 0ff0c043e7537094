"""Measures a generator and makes a report.

Each measure has two values: one value for the samples, and one value for real images. The value for real
images is the floor. A generator that draws from the distribution of the training images would reach the
floor. For a distance, the real images are training images. The function `evaluate` compares the
samples and these training images with the same reference images: test images, and other training images.
"""

import json
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np

from ..data import Dataset
from ..files import cache_folder, write_whole
from ..images import make_grid, readable_scale, spread_rows
from .accuracy_score import TRAINING_IMAGES, classification_accuracy
from .distances import classifier_score, compare_neighborhoods, frechet_distance, kernel_distance
from .features import FeatureNetwork, extract
from .near_copies import find_near_copies, find_nearest

MOST_IMAGES = 10_000
NEAREST_SHOWN = 9
FEWEST_OF_A_CLASS = 10  # a smaller class gets no distances
FEW_SAMPLES = 2000  # a report of fewer samples contains FEW_SAMPLES_NOTE
FEW_SAMPLES_NOTE = "There are few samples. Compare a value only with the value beside it."
FEWEST_IMAGES = 10
SIDES = {"against_test": "test images", "against_train": "training images"}
# Key in the report: title in the table, and format
COMPARED = {
    "frechet_distance": "Fréchet distance",
    "kernel_distance": "kernel distance (KID)",
    "kernel_distance_error": "  standard error of the KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
ALONE = {
    "classifier_score": ("classifier score", ".2f"),
    "smallest_class_share": ("smallest class share", ".1%"),
    "label_accuracy": ("label accuracy", ".2%"),
    "classification_accuracy": ("classification accuracy score (CAS)", ".2%"),
    "near_copies": ("near-copies of training images", ".2%"),
}
OF_A_CLASS = {
    "fraction": ("class share", ".1%"),
    "label_accuracy": ("label accuracy", ".1%"),
    "frechet_distance": ("Fréchet", ""),
    "precision": ("precision", ".2f"),
    "coverage": ("coverage", ".2f"),
}


def evaluate(
    draw: Callable[[int, np.ndarray | None, int], np.ndarray],
    dataset: Dataset,
    network: FeatureNetwork,
    *,
    is_conditional: bool,
    seed: int = 0,
    real_accuracy: Callable[[], float] | None = None,
    say: Callable[[str], None] = print,
    verbose: int = 1,
) -> dict:
    """Compares the samples of a generator with the dataset.

    The number of samples is the number of test images, but at most 10,000 and at most half of the number of
    training images. The function compares the samples with the same number of test images and the same number
    of training images. A conditional generator gets the labels of random training images.

    The report has no figures of classes for data without labels, and no figures of test images for data
    without test images.

    Args:
        draw: a function of a count, labels and a seed that returns uint8 images (count, height, width,
            channels) of the generator, for example `gan.generate`. The labels are integers (count,), or None
            if `is_conditional` is false.
        dataset: the dataset that the generator was trained on.
        network: the network that makes features of images: see `feature_network_for`.
        is_conditional: whether the generator takes labels.
        seed: chooses the latents of the samples and the training images.
        real_accuracy: a function that returns the classification accuracy score of real images. The score
            takes minutes. None, or with an unconditional generator, or without labeled test images: the score
            is not measured.
        say: a function that gets a line of text for each step of the evaluation.
        verbose: as in `fit`, for the training that the classification accuracy score needs.

    Returns:
        The report: a dictionary that can be saved as JSON. `format_report` formats the report as tables.

    Raises:
        ValueError: if the dataset has too few images.

    Example:

    ```python
    digits = load("digits")
    report = evaluate(gan.generate, digits, feature_network_for(digits), is_conditional=True)
    print(format_report(report))
    ```
    """
    test_images, test_labels = dataset.test_images, dataset.test_labels
    has_test, has_classes = test_images is not None, dataset.has_classes
    count = min(MOST_IMAGES, len(dataset.train_images) // 2, *([len(test_images)] if has_test else []))
    if count < FEWEST_IMAGES:
        expected = f"at least {FEWEST_IMAGES} test images and {2 * FEWEST_IMAGES} training images"
        raise ValueError(f"{dataset.source}: the comparison needs {expected}")
    order = np.random.default_rng(seed).permutation(len(dataset.train_images))

    def take(images, labels, rows) -> _Measured:
        return _Measured(network, images[rows], labels[rows] if has_classes and labels is not None else None)

    say(f"Drawing {count:,} samples")
    labels = dataset.train_labels[order[:count]] if is_conditional else None
    drawn = draw(count, labels, seed)
    samples = _Measured(network, drawn, labels if has_classes else None)
    real = take(dataset.train_images, dataset.train_labels, order[:count])
    train = take(dataset.train_images, dataset.train_labels, order[count : 2 * count])
    test = take(test_images, test_labels, spread_rows(len(test_images), count)) if has_test else None

    say("Comparing the features of samples and real images")
    report = {"samples": count, "seed": seed, "network": {"name": _describe_network(network, dataset)}}
    if has_test:
        report["against_test"] = _pair(partial(_compare, test.features), samples.features, real.features)
        if has_classes and test_labels is not None:
            report["network"]["test_accuracy"] = test.label_accuracy()
    report["against_train"] = _pair(partial(_compare, train.features), samples.features, real.features)
    say("Searching for near-copies of training images")
    report["samples_alone"] = _pair(
        lambda one: {} if one is None else _measure_alone(one, dataset.train_images, has_classes),
        samples,
        test,
    )
    if has_classes:
        say("Comparing each class")
        report["classes"] = _compare_classes(dataset, test or train, samples, real)
    if real_accuracy is not None and is_conditional and has_classes and test_labels is not None:
        say(f"Measuring the classification accuracy score with {TRAINING_IMAGES:,} samples (takes minutes)")
        accuracy = {"samples": _accuracy_from_samples(draw, dataset, seed, verbose), "real": real_accuracy()}
        report["samples_alone"]["classification_accuracy"] = accuracy
    return report


def real_distance(network: FeatureNetwork, dataset: Dataset, images: np.ndarray, labels=None) -> float:
    """Returns the Fréchet distance of real training images, the floor of a validation.

    Args:
        network: the network that makes features of images.
        dataset: the data, whose training images are compared.
        images: the validation images, uint8 (count, height, width, channels).
        labels: their labels, integers (count,): the training images have the same labels. None: any labels.
    """
    order = np.random.default_rng(0).permutation(len(dataset.train_images))
    chosen = order[: len(images)]
    if labels is not None:
        counts = np.bincount(labels)
        sorted_labels = dataset.train_labels[order]
        chosen = np.concatenate([order[sorted_labels == label][:count] for label, count in enumerate(counts)])
    reference, real = (extract(network, each)[0] for each in (images, dataset.train_images[chosen]))
    return frechet_distance(reference, real)


def real_accuracy(dataset: Dataset, verbose: int = 1) -> float:
    """Measures the classification accuracy score of the training images, in [0, 1].

    Compare the score of the samples with this score. The measurement takes minutes, so the function saves
    the score in `~/.keras/gan` (or `$KERAS_HOME/gan`).

    Args:
        dataset: a dataset with labeled test images.
        verbose: as in `fit`.
    """
    path = cache_folder() / "gan" / f"real-accuracy-{dataset.checksum}.json"
    try:
        return json.loads(path.read_text("utf-8"))["test_accuracy"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the score is not measured yet, or the file is damaged
    order = np.random.default_rng(0).permutation(len(dataset.train_images))
    accuracy = classification_accuracy(
        dataset.train_images[order],
        dataset.train_labels[order],
        dataset.test_images,
        dataset.test_labels,
        verbose=verbose,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"test_accuracy": accuracy}).encode())
    except OSError as error:
        warnings.warn(
            f"The classification accuracy score of real images could not be saved: {error}", stacklevel=2
        )
    return accuracy


def draw_nearest(samples: np.ndarray, train_images: np.ndarray) -> np.ndarray:
    """Draws a picture with a row for each sample: the sample, then its nine nearest training images.

    Args:
        samples: uint8 (count, height, width, channels). Ten samples give a square picture.
        train_images: uint8 (other count, height, width, channels).

    Returns:
        A picture, uint8 (height, width, channels).

    Example: `draw_nearest(gan.generate(10, seed=0), digits.train_images)`.
    """
    indices, _ = find_nearest(samples, train_images, NEAREST_SHOWN)
    rows = np.concatenate([samples[:, np.newaxis], train_images[indices]], axis=1)
    scale = readable_scale(*samples.shape[1:3])
    return make_grid(rows.reshape(-1, *samples.shape[1:]), columns=rows.shape[1], scale=scale)


def format_report(report: dict) -> str:
    """Formats a report as tables for a terminal of 80 columns. Long names of classes make a table wider."""
    count, network = report["samples"], report["network"]
    accuracy = f"Its test accuracy is {network['test_accuracy']:.2%}. " if "test_accuracy" in network else ""
    sides = [side for side in SIDES if side in report]
    lines = [
        f"{count:,} samples, compared by the features of {network['name']}.",
        f'{accuracy}The columns "real" measure real images.',
        *([FEW_SAMPLES_NOTE] if count < FEW_SAMPLES else []),
        "",
        f"{'':36}" + "   ".join(f"{SIDES[side]:>20}" for side in sides),
        f"{'':36}" + "   ".join(f"{'samples':>10}{'real':>10}" for _ in sides),
    ]
    lines += [_format_row(*row) for row in list_compared(report)]
    lines += ["", f"{'':36}{'samples':>10}{'real':>10}"]
    lines += [_format_row(*row) for row in list_alone(report)]
    return "\n".join(lines + (_format_classes(list_classes(report)) if "classes" in report else []))


def list_compared(report: dict) -> list[tuple[str, list[str]]]:
    """Returns the rows of the table of distances, as texts.

    Each row has a title, and for each side in `SIDES` that the report has, a value for samples and a value
    for real images.
    """
    sides = [report[side] for side in SIDES if side in report]
    return [
        (title, [text for side in sides for text in _format_pair(side[name])])
        for name, title in COMPARED.items()
    ]


def list_alone(report: dict) -> list[tuple[str, list[str]]]:
    """Returns the rows of the table of figures without a side: a title, a value for samples, a real value."""
    alone = report["samples_alone"]
    return [
        (title, _format_pair(alone[name], form)) for name, (title, form) in ALONE.items() if name in alone
    ]


def list_classes(report: dict) -> list[tuple[str, list[str]]]:
    """Returns the rows of the table of classes, as texts.

    Each row has the name of a class, and for each figure in `OF_A_CLASS` a value for samples and a value for
    real images. The list is empty for data without classes.
    """
    return [
        (
            str(figures["class"]),
            [
                text
                for name, (_, form) in OF_A_CLASS.items()
                for text in _format_pair(figures.get(name, {}), form)
            ],
        )
        for figures in report.get("classes", [])
    ]


def _format_classes(rows: list[tuple[str, list[str]]]) -> list[str]:
    width = max(5, *(len(name) + 1 for name, _ in rows))
    lines = [
        "",
        f"{'class':{width}}" + "".join(f"{title:>15}" for title, _ in OF_A_CLASS.values()),
        " " * width + f"{'samples':>8}{'real':>7}" * len(OF_A_CLASS),
    ]
    for name, cells in rows:
        texts = [f"{samples:>8}{real:>7}" for samples, real in zip(cells[::2], cells[1::2], strict=True)]
        lines.append(f"{name:<{width}}{''.join(texts)}")
    return lines


class _Measured:
    """Holds images, their features, and the classes that a classifier predicts."""

    def __init__(self, network: FeatureNetwork, images: np.ndarray, labels: np.ndarray | None):
        self.images = images
        self.features, self.logits = extract(network, images)
        self.labels = self.is_correct = self.fractions = None
        if self.logits is not None:
            predictions = self.logits.argmax(1)
            self.labels = predictions if labels is None else labels
            self.is_correct = None if labels is None else predictions == labels
            self.fractions = np.bincount(predictions, minlength=self.logits.shape[1]) / len(images)

    def label_accuracy(self, label: int | None = None) -> float | None:
        """Returns the fraction of images whose predicted class is their label.

        Measures the images with the given label, or all images. Returns None if there are no such images, or
        if the images have no labels.
        """
        if self.is_correct is None:
            return None
        is_correct = self.is_correct if label is None else self.is_correct[self.labels == label]
        return float(is_correct.mean()) if len(is_correct) else None


def _accuracy_from_samples(draw: Callable, dataset: Dataset, seed: int, verbose: int) -> float:
    """Measures the classification accuracy score of a generator, in [0, 1]."""
    labels = np.arange(TRAINING_IMAGES, dtype=np.int32) % dataset.num_classes
    images = draw(TRAINING_IMAGES, labels, seed)
    return classification_accuracy(images, labels, dataset.test_images, dataset.test_labels, verbose=verbose)


def _describe_network(network: FeatureNetwork, dataset: Dataset) -> str:
    is_shipped = getattr(network, "shipped_name", None) is not None
    return network.name if is_shipped else f"the {network.name} of {dataset.name}"


def _pair(measure: Callable, samples, real) -> dict[str, dict]:
    """Measures the samples and real images. Returns {name: {"samples": …, "real": …}}."""
    samples, real = measure(samples), measure(real)
    return {name: {"samples": value, "real": real.get(name)} for name, value in samples.items()}


def _compare(reference: np.ndarray, features: np.ndarray) -> dict[str, float]:
    distance, error = kernel_distance(reference, features)
    return {
        "frechet_distance": frechet_distance(reference, features),
        "kernel_distance": distance,
        "kernel_distance_error": error,
        **compare_neighborhoods(reference, features)._asdict(),
    }


def _measure_alone(images: _Measured, train_images: np.ndarray, has_classes: bool) -> dict[str, float]:
    figures = {}
    if has_classes:
        figures = {
            "classifier_score": classifier_score(images.logits),
            "smallest_class_share": float(images.fractions.min()),
        }
        accuracy = images.label_accuracy()
        figures |= {} if accuracy is None else {"label_accuracy": accuracy}
    _, distances = find_nearest(images.images, train_images)
    return figures | {"near_copies": float(find_near_copies(distances).mean())}


def _compare_classes(dataset: Dataset, test: _Measured, samples: _Measured, real: _Measured) -> list[dict]:
    """Measures each class."""
    names = dataset.class_names or list(map(str, range(dataset.num_classes)))
    return [
        {"class": name} | _compare_class(label, test, samples, real)
        for label, name in enumerate(names[: dataset.num_classes])
    ]


def _compare_class(label: int, test: _Measured, samples: _Measured, real: _Measured) -> dict:
    """Measures one class. Measures the distances only if the class has enough images."""

    def measure(one: _Measured) -> dict:
        return {"fraction": float(one.fractions[label]), "label_accuracy": one.label_accuracy(label)}

    figures = _pair(measure, samples, test)
    features = [one.features[one.labels == label] for one in (test, samples, real)]
    count = min(map(len, features))
    if count >= FEWEST_OF_A_CLASS:
        reference, *pair = (each[:count] for each in features)
        compared = _pair(partial(_compare, reference), *pair)
        figures |= {name: compared[name] for name in OF_A_CLASS if name in compared}
    return figures


def _format_row(title: str, cells: list[str]) -> str:
    pairs = zip(cells[::2], cells[1::2], strict=True)
    return f"{title:36}{'   '.join(f'{samples:>10}{real:>10}' for samples, real in pairs)}"


def format_value(value: float | None, form: str = "") -> str:
    """Formats a number. Without a form: three digits, or no decimals from 1000 upward. None is a dash."""
    return "-" if value is None else format(value, form or (".3g" if abs(value) < 1000 else ".0f"))


def _format_pair(pair: dict, form: str = "") -> list[str]:
    return [format_value(pair.get("samples"), form), format_value(pair.get("real"), form)]
