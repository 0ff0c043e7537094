"""The frozen classifiers whose features and verdicts the metrics of quality look at.

Distances in one feature space never compare with another's, so the classifiers of MNIST and of the
embedded digits ship with the package, weights and checksum: everyone's figures are of one kind. A
labelled dataset of one's own trains its own, once.
"""

import functools
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gan import images as image_tools
from gan.data import Dataset, pipeline
from gan.files import cache_folder, digest, write_whole
from gan.weights import encode_weights

__all__ = ["Classifier", "classifier_for", "extract", "load_classifier", "train_classifier"]

FEATURES = 64
BATCH_SIZE = 128
TRAINING_STEPS = 6000
MOST_PASSES = 500  # over a small dataset, which then has fewer steps
LEARNING_RATE = 3e-3
EXTRACT_BATCH_SIZE = 500
ASSETS = Path(__file__).parent / "assets"

# name: SHA-256 of the data it was trained on (`Dataset.checksum`), SHA-256 of its weights' file
SHIPPED = {
    "mnist": (
        "408385849ab99eb4583b31d2944dbba473c58ed81eb0dac7760e281edbf0378c",
        "d15a098a45d0fa401f6b3cd42c16dcb4088ff0224fad260b0e92b5f065a0542f",
    ),
    "digits": (
        "e5d837bce25bd7e83dc6fd6f1d6d5d95828199b90071edb5e4716d4672a7774b",
        "81872f7ba2a17e8f2d2b312c3368010910aec6aa915e19a75eb4a45e28dfa0b8",
    ),
}


@keras.saving.register_keras_serializable(package="gan")
class Classifier(keras.Model):
    """A small convolutional classifier: images to logits, by way of 64 features.

    Four convolutions, a dense layer whose 64 activations are the features, and one for the logits. It
    computes in float32 whatever the policy, for figures must not depend on it.

    Args:
        image_shape: (height, width, channels) of the images, which are float32 in [-1, 1].
        num_classes: how many there are, from 2.

    Attributes:
        shipped_name: its name among the package's own, which metrics are saved by; None for any other.

    Example:

    ```python
    classifier = load_classifier("mnist")
    images = keras.ops.zeros((16, 28, 28, 1))
    logits, features = classifier(images), classifier.extract(images)    # (16, 10), (16, 64)
    ```
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, **kwargs):
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.shipped_name = None
        kernels = ((24, 5, 2), (32, 3, 1), (64, 3, 2), (64, 3, 2))  # filters, size, stride
        body = [layer for seed, kernel in enumerate(kernels) for layer in _convolve(*kernel, seed)]
        body += [
            layers.Flatten(dtype="float32"),
            layers.Dropout(0.3, seed=0, dtype="float32"),
            layers.Dense(FEATURES, "relu", kernel_initializer=_glorot(len(kernels)), dtype="float32"),
        ]
        self.body = keras.Sequential([keras.Input(self.image_shape), *body], name="body")
        self.head = layers.Dense(num_classes, kernel_initializer=_glorot(5), dtype="float32", name="head")
        self.build()

    def build(self, input_shape=None):
        self.head.build((None, FEATURES))
        self.built = True

    def call(self, images, training=False):
        return self.head(self.body(images, training=training))

    def extract(self, images):
        """The features of a batch, (batch, 64), none of them negative."""
        return self.body(images, training=False)

    def get_config(self) -> dict:
        return super().get_config() | {"image_shape": self.image_shape, "num_classes": self.num_classes}


def load_classifier(name: str) -> Classifier:
    """A classifier of the package, "mnist" or "digits", for images of shape (28, 28, 1).

    Raises:
        ValueError: for another name, or when its file is not the one the package was made with.
    """
    if name not in SHIPPED:
        raise ValueError(
            f"There are classifiers of {' and '.join(SHIPPED)}; for other data take `classifier_for`. "
            f"Received: {name!r}"
        )
    return _load_shipped(name)


@functools.cache
def _load_shipped(name: str) -> Classifier:
    path = ASSETS / f"{name}.weights.h5"
    if not path.is_file() or digest(path) != SHIPPED[name][1]:
        raise ValueError(f"{path} is not the file that this package was made with: install it anew")
    classifier = _load(path, (28, 28, 1), 10, name)
    classifier.shipped_name = name
    return classifier


def classifier_for(dataset: Dataset, verbose: int = 1) -> Classifier | None:
    """The classifier whose feature space a dataset is judged in; None for data without two labels.

    MNIST's and the embedded digits' come with the package, known by the data's checksum. Any other
    dataset's is trained now and kept under `~/.keras/gan` (or `$KERAS_HOME/gan`), for the next time.

    Args:
        dataset: what `gan.data.load` returns.
        verbose: as in `fit`, while it is trained; 0 says nothing.
    """
    if dataset.num_classes is None or dataset.num_classes < 2:
        return None
    for name, (checksum, _) in SHIPPED.items():
        if dataset.checksum == checksum:
            return load_classifier(name)
    path = cache_folder() / "gan" / f"classifier-{dataset.checksum}.weights.h5"
    if path.is_file():
        try:
            return _load(path, dataset.image_shape, dataset.num_classes, dataset.name)
        except (OSError, ValueError, KeyError):
            pass  # it is of another make, or damaged: trained anew
    if verbose:
        print(f"Training the classifier that judges {dataset.name}, once; kept in {path.parent}", flush=True)
    classifier = train_classifier(dataset.train_images, dataset.train_labels, verbose=verbose)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_classifier(classifier, path)
    except OSError as error:
        warnings.warn(f"The classifier cannot be kept for the next time: {error}", stacklevel=2)
    return classifier


def train_classifier(images: np.ndarray, labels: np.ndarray, verbose: int = 1) -> Classifier:
    """Trains a classifier on images moved, turned and scaled a little; to the same weights each time.

    Args:
        images: uint8 (count, height, width, channels).
        labels: integers (count,), from 0.
        verbose: as in `fit`.
    """
    batch_size = min(BATCH_SIZE, len(images))
    steps = min(TRAINING_STEPS, MOST_PASSES * len(images) // batch_size)
    classifier = Classifier(images.shape[1:], int(labels.max()) + 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=LEARNING_RATE, warmup_steps=steps // 10
    )
    classifier.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    batches = _augmented_batches(images, labels, batch_size)
    classifier.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=verbose)
    return classifier


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Writes a classifier's weights, whole or not at all."""
    bare = Classifier.from_config(classifier.get_config())  # without the optimizer's state
    bare.set_weights(classifier.get_weights())
    write_whole(path, encode_weights(bare))


def extract(classifier: Classifier, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features (count, 64) and logits (count, num_classes) of uint8 images."""
    look = tf.function(lambda images: (classifier.extract(images), classifier(images)))
    parts = []
    for start in range(0, len(pixels), EXTRACT_BATCH_SIZE):
        batch = pixels[start : start + EXTRACT_BATCH_SIZE].astype(np.float32)
        parts.append([part.numpy() for part in look(tf.constant(image_tools.to_float(batch)))])
    features, logits = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(logits)


def _load(path: Path, image_shape: tuple, num_classes: int, name: str) -> Classifier:
    classifier = Classifier(image_shape, num_classes, name=f"{name}_classifier")
    classifier.load_weights(path)
    classifier.trainable = False
    return classifier


def _convolve(filters: int, size: int, stride: int, seed: int) -> list[keras.Layer]:
    return [
        layers.Conv2D(
            filters,
            size,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=_glorot(seed),
            dtype="float32",
        ),
        layers.BatchNormalization(momentum=0.95, dtype="float32"),
        layers.ReLU(dtype="float32"),
    ]


def _glorot(seed: int) -> keras.Initializer:
    return keras.initializers.GlorotUniform(seed)


def _augmented_batches(images: np.ndarray, labels: np.ndarray, batch_size: int) -> tf.data.Dataset:
    augment = keras.Sequential(
        [
            layers.RandomTranslation(0.08, 0.08, fill_mode="nearest", seed=1, dtype="float32"),
            layers.RandomRotation(0.03, fill_mode="nearest", seed=2, dtype="float32"),
            layers.RandomZoom(0.1, 0.1, fill_mode="nearest", seed=3, dtype="float32"),
        ]
    )
    batches = pipeline(images, labels, batch_size=batch_size, seed=0)
    return batches.map(lambda images, labels: (augment(images, training=True), labels)).prefetch(2)
