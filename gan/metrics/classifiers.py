"""Loads or trains the classifier whose features and predictions the metrics use.

Distances in different feature spaces are not comparable. So the package contains the weights of the
classifiers for MNIST, Fashion-MNIST and the digits, with checksums. The function `classifier_for` trains a
classifier once for each other labeled dataset.
"""

import functools
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ..data import Dataset, pipeline
from ..data.known import CHECKSUMS
from ..files import cache_folder, check_asset, encode_weights, write_whole
from .features import (
    BATCH_SIZE,
    FEATURES,
    LAST,
    LEARNING_RATE,
    MOST_PASSES,
    FeatureNetwork,
    seeded,
    train_autoencoder,
)

TRAINING_STEPS = 6000
STEPS_FOR_LARGE = 2000  # for images with more than LARGE values, whose steps take longer
LARGE = 32 * 32
ASSETS = Path(__file__).parents[1] / "assets"

# name of the training data: SHA-256 of the file with the weights
SHIPPED = {
    "mnist": "d15a098a45d0fa401f6b3cd42c16dcb4088ff0224fad260b0e92b5f065a0542f",
    "fashion_mnist": "faa0a6562e34b81a1fb964b88791cebf9621bd67350770cc86fe9ba5e59c9a34",
    "digits": "81872f7ba2a17e8f2d2b312c3368010910aec6aa915e19a75eb4a45e28dfa0b8",
}


@keras.saving.register_keras_serializable(package="gan")
class Classifier(FeatureNetwork):
    """Classifies images: a `FeatureNetwork`, and a dense layer of logits.

    Args:
        image_shape: (height, width, channels) of the images, which are float32 in [-1, 1].
        num_classes: number of classes, at least 2.
        stride: see `FeatureNetwork`.

    Attributes:
        shipped_name: the name of a classifier in the package; None for any other classifier. A metric saves
            this name instead of the weights.

    Example:

    ```python
    classifier = load_classifier("mnist")
    images = keras.ops.zeros((16, 28, 28, 1))
    logits, features = classifier(images), classifier.extract(images)    # (16, 10), (16, 64)
    ```
    """

    def __init__(
        self, image_shape: tuple[int, int, int], num_classes: int, stride: int | None = None, **kwargs
    ):
        super().__init__(image_shape, stride, **kwargs)
        self.num_classes = num_classes
        self.shipped_name = None
        self.head = seeded(layers.Dense, 5, num_classes, name="head")
        self.head.build((None, FEATURES))

    def call(self, images, training=False):
        return self.head(self.body(images, training=training))

    def get_config(self) -> dict:
        return super().get_config() | {"num_classes": self.num_classes}

    @classmethod
    def from_config(cls, config: dict) -> "Classifier":
        return super().from_config({"stride": 2} | config)  # older files have no stride


def load_classifier(name: str) -> Classifier:
    """Loads a classifier of the package, for images of shape (28, 28, 1).

    Args:
        name: "mnist", "fashion_mnist" or "digits".

    Raises:
        ValueError: if there is no classifier with this name, or if the file with the weights has changed.
    """
    if name not in SHIPPED:
        names = ", ".join(SHIPPED)
        expected = f"The package has the classifiers {names}; use `classifier_for` for other data"
        raise ValueError(f"{expected}. Received: {name!r}")
    return _load_shipped(name)


@functools.cache
def _load_shipped(name: str) -> Classifier:
    path = ASSETS / f"{name}.weights.h5"
    check_asset(path, SHIPPED[name])
    classifier = Classifier((28, 28, 1), 10, name=f"{name}_classifier")
    classifier.load_weights(path)
    classifier.trainable = False
    classifier.shipped_name = name
    return classifier


def feature_network_for(dataset: Dataset, verbose: int = 1) -> FeatureNetwork:
    """Returns the network whose features compare images of a dataset.

    With labels of at least two classes, the network is the classifier of the dataset: see `classifier_for`.
    Otherwise the network is the encoder of an autoencoder: see `train_autoencoder`. The function trains a
    network once for each dataset, and saves it in `~/.keras/gan` (or `$KERAS_HOME/gan`). The next call loads
    the saved network.

    Args:
        dataset: a dataset from `gan.data.load`.
        verbose: as in `fit`, for the training; 0 prints nothing.
    """
    if dataset.has_classes:
        return classifier_for(dataset, verbose)
    network = FeatureNetwork(dataset.image_shape, name="autoencoder")
    return _train_once(
        "autoencoder", dataset, network, lambda: train_autoencoder(dataset.train_images, verbose), verbose
    )


def classifier_for(dataset: Dataset, verbose: int = 1) -> Classifier | None:
    """Returns the classifier for a dataset, or None if the dataset has no labels or only one class.

    The package has classifiers for MNIST, Fashion-MNIST and the digits. The function recognizes these
    datasets by their checksums. For any other dataset, the function trains a classifier once and saves it,
    like `feature_network_for`.

    Args:
        dataset: a dataset from `gan.data.load`.
        verbose: as in `fit`, for the training; 0 prints nothing.
    """
    if not dataset.has_classes:
        return None
    for name in SHIPPED:
        if dataset.checksum == CHECKSUMS[name]:
            return load_classifier(name)
    network = Classifier(dataset.image_shape, dataset.num_classes, name="classifier")
    arrays = dataset.train_images, dataset.train_labels
    return _train_once("classifier", dataset, network, lambda: train_classifier(*arrays, verbose), verbose)


def _train_once(kind: str, dataset: Dataset, network: FeatureNetwork, train: Callable, verbose: int):
    """Returns the network with weights from the cache. If they are missing or damaged, trains and saves."""
    path = cache_folder() / "gan" / f"{kind}-{dataset.checksum}.weights.h5"
    network.trainable = False
    if path.is_file():
        try:
            network.load_weights(path)
            return network
        except (OSError, ValueError, KeyError):
            pass  # the file is damaged, or comes from another version
    if verbose:
        article = "a" if kind == "classifier" else "an"
        print(f"Training {article} {kind} on {dataset.name}, once. Saving it in {path.parent}", flush=True)
    network.set_weights(train().get_weights())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, encode_weights(network))
    except OSError as error:
        warnings.warn(
            f"The {kind} could not be saved. The next run trains the {kind} again: {error}", stacklevel=3
        )
    return network


def train_classifier(images: np.ndarray, labels: np.ndarray, verbose: int = 1) -> Classifier:
    """Trains a classifier on slightly shifted, rotated and zoomed images.

    The same images and labels give the same weights.

    Args:
        images: uint8 (count, height, width, channels).
        labels: integers (count,), from 0.
        verbose: as in `fit`.
    """
    batch_size = min(BATCH_SIZE, len(images))
    most_steps = TRAINING_STEPS if math.prod(images.shape[1:]) <= LARGE else STEPS_FOR_LARGE
    steps = min(most_steps, MOST_PASSES * len(images) // batch_size)
    classifier = Classifier(images.shape[1:], int(labels.max()) + 1)
    warmup = steps // 10
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(schedule), loss, metrics=["accuracy"])
    batches = _augmented_batches(images, labels, batch_size)
    classifier.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=verbose)
    return classifier


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Writes the weights of a classifier atomically, without the state of the optimizer."""
    bare = Classifier.from_config(classifier.get_config())
    bare.set_weights(classifier.get_weights())
    write_whole(path, encode_weights(bare))


def _augmented_batches(images: np.ndarray, labels: np.ndarray, batch_size: int):
    augment = keras.Sequential(
        [
            layers.RandomTranslation(0.08, 0.08, fill_mode="nearest", seed=1, dtype="float32", **LAST),
            layers.RandomRotation(0.03, fill_mode="nearest", seed=2, dtype="float32", **LAST),
            layers.RandomZoom(0.1, 0.1, fill_mode="nearest", seed=3, dtype="float32", **LAST),
        ]
    )
    batches = pipeline(images, labels, batch_size=batch_size, seed=0)
    return batches.map(lambda images, labels: (augment(images, training=True), labels)).prefetch(2)
