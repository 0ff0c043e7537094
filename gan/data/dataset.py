"""Contains the class `Dataset` and the checks of its arrays."""

import dataclasses
import hashlib
from functools import cached_property

import numpy as np

from ..images import check_range, spread_rows

LARGEST_SIDE = 512  # pixels; the size of the networks grows with the square of the side
LARGEST_PAYLOAD = 2 << 30  # bytes; a file that claims to contain more is damaged or malicious


class DataError(ValueError):
    """Reports data that cannot be used. The message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Holds images as uint8 (count, height, width, channels) and labels as int32 (count,) or None.

    Attributes:
        name: the name of a known dataset, such as "mnist", or the name of the file or folder. A file with the
            data of a known dataset gets the known name. Run names and configs contain the name.
        source: the name of a known dataset, or an absolute path. `load(source)` loads the same data again.
        notice: a message for the user, or "".
        class_names: the names of the classes, in the order of the labels; None: the classes have no names.
            A file whose labels are not 0, 1, 2, … has its labels as names.
        report: lines for the user about the pictures of a folder: how many there are, and which are broken.
    """

    name: str
    source: str
    train_images: np.ndarray
    train_labels: np.ndarray | None = None
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    notice: str = ""
    class_names: tuple[str, ...] | None = None
    report: tuple[str, ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Returns the shape of an image: (height, width, channels)."""
        return self.train_images.shape[1:]

    @property
    def num_classes(self) -> int | None:
        """Returns the largest label plus one, or None if there are no labels."""
        return None if self.train_labels is None else int(self.train_labels.max()) + 1

    @property
    def has_classes(self) -> bool:
        """Returns whether there are labels of at least two classes."""
        return self.num_classes is not None and self.num_classes > 1

    def first_images(self, num_classes: int | None) -> np.ndarray:
        """Returns 100 training images, evenly spread, or with `num_classes` the first 10 of each class.

        If a class has fewer than 10 images, black images replace the missing images.
        """
        if num_classes is None:
            return self.train_images[spread_rows(len(self.train_images), 100)]
        rows = np.zeros((num_classes, 10, *self.image_shape), np.uint8)
        for label, row in enumerate(rows):
            found = self.train_images[self.train_labels == label][:10]
            row[: len(found)] = found
        return rows.reshape(-1, *self.image_shape)

    @cached_property
    def checksum(self) -> str:
        """Returns the SHA-256 of the training images and labels and of their shapes, in hexadecimal."""
        summary = hashlib.sha256()
        for array in (self.train_images, self.train_labels):
            if array is not None:
                summary.update(repr((array.shape, array.dtype.str)).encode())
                summary.update(np.ascontiguousarray(array))
        return summary.hexdigest()


def make_dataset(
    name: str, source: str, train_images, train_labels=None, test_images=None, test_labels=None
) -> Dataset:
    """Checks the arrays from a file and converts them to a `Dataset`.

    If the labels are not 0, 1, 2, … without gaps, the function renumbers the labels in ascending order.
    """
    train = Dataset(name, source, *_check_split(f"{source}: training", train_images, train_labels))
    if test_images is not None:
        test_images, test_labels = _check_split(f"{source}: test", test_images, test_labels, train)
        train = dataclasses.replace(train, test_images=test_images, test_labels=test_labels)
    return train if train.train_labels is None else _renumber(train)


def _renumber(dataset: Dataset) -> Dataset:
    """Renumbers the training labels to 0, 1, 2, …, and the test labels in the same way."""
    found = np.unique(dataset.train_labels)
    if len(found) == dataset.num_classes:
        return dataset
    train_labels = np.searchsorted(found, dataset.train_labels).astype(np.int32)
    test_labels = dataset.test_labels
    if test_labels is not None:
        foreign = np.setdiff1d(test_labels, found)
        if foreign.size:
            expected = f"{dataset.source}: test labels must be among the training labels"
            raise DataError(f"{expected}. Received: {', '.join(map(str, foreign[:5]))}")
        test_labels = np.searchsorted(found, test_labels).astype(np.int32)
    names = tuple(map(str, found))
    notice = (
        f"{dataset.source}: the labels {', '.join(names[:10])}{', …' * (len(names) > 10)} were renumbered to "
    )
    notice += f"the classes 0 to {len(names) - 1}"
    changes = {
        "train_labels": train_labels,
        "test_labels": test_labels,
        "class_names": names,
        "notice": notice,
    }
    return dataclasses.replace(dataset, **changes)


def _check_split(name: str, images, labels, train: Dataset | None = None) -> tuple:
    """Checks one split and returns its images and labels. A test split must match the training data."""
    images = images[..., np.newaxis] if images.ndim == 3 else images
    labels = labels[:, 0] if labels is not None and labels.shape[1:] == (1,) else labels
    if images.dtype != np.uint8:
        expected = "uint8 (0..255). Convert the images before you save them"
        raise DataError(f"{name} images must be {expected}. Received: {images.dtype}")
    check_images(images, f"{name} images")
    shape = images.shape[1:]
    if max(shape) > LARGEST_SIDE:
        raise DataError(f"{name} images must have at most {LARGEST_SIDE} pixels a side. Received: {shape}")
    num_classes, reason = None, ""
    if train is not None:
        num_classes, reason = train.num_classes, " (the range of the training labels)"
        if shape != train.image_shape:
            expected = f"the shape of the training images, {train.image_shape}"
            raise DataError(f"{name} images must have {expected}. Received: {shape}")
    check_labels(images, labels, num_classes, f"{name} labels", reason)
    return images, None if labels is None else labels.astype(np.int32)


def check_images(images: np.ndarray, name: str = "images") -> None:
    """Raises DataError unless the images have a shape, type and range that a GAN accepts."""
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise DataError(
            f"{name} must have shape (count, height, width, channels), with 1 (gray) or 3 (color) "
            f"channels, and must not be empty. Received: shape={images.shape}"
        )
    try:
        check_range(images)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def check_labels(
    images, labels, num_classes: int | None = None, name: str = "labels", reason: str = ""
) -> None:
    """Raises DataError unless `labels` is None or has one integer in 0..num_classes-1 for each image."""
    if labels is None:
        return
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name} must be integers of shape ({len(images)},), one for each image. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    low, high = labels.min(), labels.max()
    largest = np.iinfo(np.int32).max if num_classes is None else num_classes - 1
    if low < 0 or high > largest:
        raise DataError(f"{name} must lie in 0..{largest}{reason}. Received: labels from {low} to {high}")
