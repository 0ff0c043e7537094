"""Loads or trains the classifier whose features and predictions the metrics use.

Distances in different feature spaces are not comparable. So the package contains the weights of the
classifiers for MNIST and for the digits, with checksums. The function `classifier_for` trains a classifier
once for each other labeled dataset.
"""

import functools
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from ..data import Dataset, pipeline
from ..data.known import CHECKSUMS
from ..files import cache_folder, check_asset, encode_weights, write_whole
from ..images import to_float

FEATURES = 64
LAST = {"data_format": "channels_last"}  # independent of Keras's global setting
BATCH_SIZE = 128
TRAINING_STEPS = 6000
STEPS_FOR_LARGE = 2000  # for images with more than LARGE values, whose steps take longer
LARGE = 32 * 32
SIDE_OF_STRIDE_2 = 32  # pixels; the stride of the first convolution grows with the side
MOST_PASSES = 500  # passes over the data; a small dataset gets fewer steps
LEARNING_RATE = 3e-3
EXTRACT_BATCH_SIZE = 500
ASSETS = Path(__file__).parents[1] / "assets"

# name of the training data: SHA-256 of the file with the weights
SHIPPED = {
    "mnist": "d15a098a45d0fa401f6b3cd42c16dcb4088ff0224fad260b0e92b5f065a0542f",
    "digits": "81872f7ba2a17e8f2d2b312c3368010910aec6aa915e19a75eb4a45e28dfa0b8",
}


@keras.saving.register_keras_serializable(package="gan")
class Classifier(keras.Model):
    """Classifies images with a small convolutional network whose last hidden layer has 64 features.

    The network has four convolutions, a dense layer of 64 features, and a dense layer of logits. The network
    always computes in float32, so the metrics do not depend on the dtype policy.

    Args:
        image_shape: (height, width, channels) of the images, which are float32 in [-1, 1].
        num_classes: number of classes, at least 2.
        stride: stride of the first convolution. Larger images need a larger stride, so that the network stays
            as fast as for 28x28 pixels.

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

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, stride: int = 2, **kwargs):
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.stride = stride
        self.shipped_name = None
        self.body = keras.Sequential([keras.Input(self.image_shape)], name="body")
        first = (24, max(5, stride + 1), stride)
        kernels = (first, (32, 3, 1), (64, 3, 2), (64, 3, 2))  # filters, size, stride
        for seed, kernel in enumerate(kernels):
            self.body.add(seeded(layers.Conv2D, seed, *kernel, padding="same", use_bias=False, **LAST))
            self.body.add(layers.BatchNormalization(momentum=0.95, dtype="float32"))
            self.body.add(layers.ReLU(dtype="float32"))
        self.body.add(layers.Flatten(dtype="float32", **LAST))
        self.body.add(layers.Dropout(0.3, seed=0, dtype="float32"))
        self.body.add(seeded(layers.Dense, 4, FEATURES, "relu"))
        self.head = seeded(layers.Dense, 5, num_classes, name="head")
        self.build()

    def build(self, input_shape=None):
        self.head.build((None, FEATURES))
        self.built = True

    def call(self, images, training=False):
        return self.head(self.body(images, training=training))

    def extract(self, images):
        """Returns the features of a batch, (batch, 64). The features are not negative."""
        return self.body(images, training=False)

    def get_config(self) -> dict:
        names = ("image_shape", "num_classes", "stride")
        return super().get_config() | {name: getattr(self, name) for name in names}


def load_classifier(name: str) -> Classifier:
    """Loads a classifier of the package, for images of shape (28, 28, 1).

    Args:
        name: "mnist" or "digits".

    Raises:
        ValueError: if there is no classifier with this name, or if the file with the weights has changed.
    """
    if name not in SHIPPED:
        names = " and ".join(SHIPPED)
        expected = f"The package has the classifiers {names}; use `classifier_for` for other data"
        raise ValueError(f"{expected}. Received: {name!r}")
    return _load_shipped(name)


@functools.cache
def _load_shipped(name: str) -> Classifier:
    path = ASSETS / f"{name}.weights.h5"
    check_asset(path, SHIPPED[name])
    classifier = _load(path, (28, 28, 1), 10, f"{name}_classifier")
    classifier.shipped_name = name
    return classifier


def feature_network_for(dataset: Dataset, verbose: int = 1) -> Classifier:
    """Returns the network whose features compare images of a dataset.

    With labels, the network is the classifier of the dataset: see `classifier_for`. Without labels, or with
    one class only, the network learned to tell how an image was turned: by 0, 90, 180 or 270 degrees. This
    needs no labels, and its features describe the content of images. docs/quality.md compares it with other
    networks. Reference: Gidaris et al. 2018, https://arxiv.org/abs/1803.07728.

    The function trains a network once for each dataset, and saves it in `~/.keras/gan` (or
    `$KERAS_HOME/gan`). The next call loads the saved network.

    Args:
        dataset: a dataset from `gan.data.load`.
        verbose: as in `fit`, for the training; 0 prints nothing.
    """
    if dataset.has_classes:
        return classifier_for(dataset, verbose)
    images = dataset.train_images
    num_turns = len(_turns(images.shape[1:]))
    return _train_once("turns", dataset, num_turns, lambda: train_on_turns(images, verbose), verbose)


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
    arrays = dataset.train_images, dataset.train_labels
    classes = dataset.num_classes
    return _train_once("classifier", dataset, classes, lambda: train_classifier(*arrays, verbose), verbose)


def _train_once(kind: str, dataset: Dataset, num_classes: int, train: Callable, verbose: int) -> Classifier:
    """Loads a network from the cache. If it is missing or damaged, trains and saves it."""
    path = cache_folder() / "gan" / f"{kind}-{dataset.checksum}.weights.h5"
    name = f"{dataset.name}_{kind}"
    if path.is_file():
        try:
            return _load(path, dataset.image_shape, num_classes, name)
        except (OSError, ValueError, KeyError):
            pass  # the file is damaged, or comes from another version
    if verbose:
        what = "a classifier on" if kind == "classifier" else "a network that compares images of"
        print(f"Training {what} {dataset.name}, once. Saving it in {path.parent}", flush=True)
    network = train()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_classifier(network, path)
    except OSError as error:
        warnings.warn(
            f"The network could not be saved. The next run trains the network again: {error}", stacklevel=3
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
    batches = pipeline(images, labels, batch_size=batch_size, seed=0)
    return _train(
        batches, MOST_PASSES * len(images) // batch_size, images.shape[1:], int(labels.max()) + 1, verbose
    )


def train_on_turns(images: np.ndarray, verbose: int = 1) -> Classifier:
    """Trains a network that tells how an image was turned. The same images give the same weights.

    Args:
        images: uint8 (count, height, width, channels). Images that are not square are turned by 0 or 180
            degrees only.
        verbose: as in `fit`.
    """
    turns = _turns(images.shape[1:])
    batch_size = len(turns) * max(1, min(BATCH_SIZE, len(images)) // len(turns))
    labels = np.repeat(np.arange(len(turns), dtype=np.int32), batch_size // len(turns))

    def turn(images):  # the order of the images is random, so each part of the batch is random
        parts = tf.split(images, len(turns))
        turned = [tf.image.rot90(part, number) for part, number in zip(parts, turns, strict=True)]
        return tf.concat(turned, 0), labels

    batches = pipeline(images, batch_size=batch_size, seed=0).map(turn)
    return _train(batches, MOST_PASSES * len(images) // batch_size, images.shape[1:], len(turns), verbose)


def _turns(image_shape: tuple) -> tuple[int, ...]:
    """Returns the numbers of quarter turns that keep the shape of an image."""
    return (0, 1, 2, 3) if image_shape[0] == image_shape[1] else (0, 2)


def _train(batches, most_steps: int, image_shape: tuple, num_classes: int, verbose: int) -> Classifier:
    steps = min(TRAINING_STEPS if math.prod(image_shape) <= LARGE else STEPS_FOR_LARGE, most_steps)
    classifier = Classifier(image_shape, num_classes, _choose_stride(image_shape))
    warmup = steps // 10
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=LEARNING_RATE, warmup_steps=warmup
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.Adam(schedule), loss, metrics=["accuracy"])
    classifier.fit(_augment(batches), steps_per_epoch=steps, shuffle=False, verbose=verbose)
    return classifier


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Writes the weights of a classifier atomically, without the state of the optimizer."""
    bare = Classifier.from_config(classifier.get_config())
    bare.set_weights(classifier.get_weights())
    write_whole(path, encode_weights(bare))


def extract(classifier: Classifier, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features (count, 64) and the logits (count, num_classes) of uint8 images."""
    parts = []
    for start in range(0, len(pixels), EXTRACT_BATCH_SIZE):
        batch = pixels[start : start + EXTRACT_BATCH_SIZE].astype(np.float32)
        features = classifier.extract(to_float(batch))
        parts.append((features, classifier.head(features)))
    features, logits = map(np.concatenate, zip(*parts, strict=True))
    return features, logits


def seeded(layer_class: type, seed: int, *args, **kwargs) -> keras.Layer:
    """Makes a float32 layer whose weights have a fixed seed, so that only the data determine the result."""
    initializer = keras.initializers.GlorotUniform(seed)
    return layer_class(*args, kernel_initializer=initializer, dtype="float32", **kwargs)


def _load(path: Path, image_shape: tuple, num_classes: int, name: str) -> Classifier:
    classifier = Classifier(image_shape, num_classes, _choose_stride(image_shape), name=name)
    classifier.load_weights(path)
    classifier.trainable = False
    return classifier


def _choose_stride(image_shape: tuple) -> int:
    return 2 * -(-max(image_shape[:2]) // SIDE_OF_STRIDE_2)


def _augment(batches):
    augment = keras.Sequential(
        [
            layers.RandomTranslation(0.08, 0.08, fill_mode="nearest", seed=1, dtype="float32", **LAST),
            layers.RandomRotation(0.03, fill_mode="nearest", seed=2, dtype="float32", **LAST),
            layers.RandomZoom(0.1, 0.1, fill_mode="nearest", seed=3, dtype="float32", **LAST),
        ]
    )
    return batches.map(lambda images, labels: (augment(images, training=True), labels)).prefetch(2)
