"""Loads the datasets that have names: datasets of `keras.datasets`, and the digits in this package."""

import contextlib
import dataclasses
import queue
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from ..files import cache_folder
from .dataset import DataError, Dataset, make_dataset
from .idx import load_idx_folder
from .npz import load_npz

DIGITS = Path(__file__).parents[1] / "assets" / "digits.npz"
SECONDS_TO_ANSWER = 10.0  # if the server does not answer in this time, there is no network

# The modules of `keras.datasets`, and the servers that they download from.
SERVERS = dict.fromkeys(("mnist", "fashion_mnist"), "https://storage.googleapis.com/tensorflow/")
SERVERS |= dict.fromkeys(("cifar10", "cifar100"), "https://www.cs.toronto.edu/~kriz/")
# `Dataset.checksum` of the known datasets. The checksum does not depend on the file format.
CHECKSUMS = {
    "mnist": "408385849ab99eb4583b31d2944dbba473c58ed81eb0dac7760e281edbf0378c",
    "fashion_mnist": "8d02d298b44235e61b3e0230d2feb784a0ef8d27ddd9186f48a31b9a6b8518b2",
    "digits": "e5d837bce25bd7e83dc6fd6f1d6d5d95828199b90071edb5e4716d4672a7774b",
}
FASHION = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASS_NAMES = {"fashion_mnist": FASHION, "cifar10": CIFAR10}


def load_known(name: str) -> Dataset:
    """Loads a dataset of `keras.datasets`. Keras keeps the downloaded files in `~/.keras/datasets`.

    Raises:
        DataError: if the dataset is not on this machine and cannot be downloaded. Without a network, the
            error comes within ten seconds.
    """
    cache, load_data = cache_folder() / "datasets", getattr(keras.datasets, name).load_data
    # Keras deletes a file whose bytes differ from Keras's own file, even if the data are the same. So this
    # function first reads the file without Keras.
    for path, read in ((cache / f"{name}.npz", load_npz), (cache / name, load_idx_folder)):
        with contextlib.suppress(DataError):
            if path.exists() and (dataset := read(path)).checksum == CHECKSUMS.get(name):
                return dataclasses.replace(_name(dataset, name), source=name)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras prints a progress bar
            train, test = _call_in_time(load_data, SERVERS[name])
        return _name(make_dataset(name, name, *train, *test), name)
    except Exception as error:  # Keras raises errors of many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{name} is not on this machine and could not be downloaded ({reason}). Pass its .npz file, or a "
            "folder of its IDX files, by --dataset PATH. After an interrupted download, delete the file in "
            f"{cache}."
        ) from DataError(reason)


def recognize(dataset: Dataset) -> Dataset:
    """Gives a known dataset its name and the names of its classes. Returns other data unchanged."""
    known = [name for name, checksum in CHECKSUMS.items() if checksum == dataset.checksum]
    return _name(dataset, known[0]) if known else dataset


def _name(dataset: Dataset, name: str) -> Dataset:
    class_names = CLASS_NAMES.get(name)
    if class_names is None or len(class_names) != dataset.num_classes:
        class_names = dataset.class_names
    return dataclasses.replace(dataset, name=name, class_names=class_names)


def _call_in_time(load_data: Callable, server: str) -> tuple:
    """Calls `load_data`. Raises DataError if the server does not answer within ten seconds.

    The call runs in a thread, because Keras's download has no time limit.
    """
    results, is_online = queue.SimpleQueue(), threading.Event()

    def load() -> None:
        try:
            results.put((load_data(), None))
        except Exception as error:
            results.put((None, error))

    def ask() -> None:
        try:
            urllib.request.urlopen(server, timeout=SECONDS_TO_ANSWER).close()
        except OSError as error:
            if not isinstance(error, urllib.error.HTTPError):  # an HTTP error is also an answer
                return
        is_online.set()

    for target in (load, ask):
        threading.Thread(target=target, daemon=True).start()
    while True:
        try:
            data, error = results.get(timeout=SECONDS_TO_ANSWER)
        except queue.Empty:
            if not is_online.is_set():
                raise DataError(f"no network: no answer from {server}") from None
            continue
        if error is not None:
            raise error
        return data


def load_digits() -> Dataset:
    """Loads the digits in this package. Every fifth digit belongs to the test split."""
    with np.load(DIGITS, allow_pickle=False) as file:
        images, labels = np.stack([_enlarge(image) for image in file["images"]]), file["labels"]
    is_test = np.arange(len(images)) % 5 == 4
    splits = images[~is_test], labels[~is_test], images[is_test], labels[is_test]
    return make_dataset("digits", "digits", *splits)


def _enlarge(image: np.ndarray) -> np.ndarray:
    """Scales an 8x8 digit (0..16) to 24x24 pixels (0..255) and centers the digit in 28x28, as in MNIST."""
    picture = Image.fromarray(image.astype(np.float32) * (255 / 16))
    large = np.asarray(picture.resize((24, 24), Image.Resampling.BICUBIC))
    return np.pad(np.clip(np.rint(large), 0, 255).astype(np.uint8), 2)
