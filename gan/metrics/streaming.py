"""Contains metrics for `compile(metrics=[...])` that use the features or logits of a frozen network.

The metrics store sums, so they work for any number of images. A value alone means little. Compare the value
with its floor: the value for other real images. The module `distances` has the functions that need all
features at once.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import keras
from keras import ops

from ..files import encode_weights
from .classifiers import load_classifier
from .distances import SUMS, frechet, mean_and_covariance, score, sum_probabilities


class QualityMetric(keras.metrics.Metric):
    """Base class of the metrics with `update_state(real_images, fake_images)`.

    The images are float32 batches in [-1, 1]. A saved GAN contains the network of each metric: the name of a
    classifier in the package, or the weights of any other network.

    Args:
        network: "mnist", "fashion_mnist" or "digits" for a classifier in the package; or a model that maps
            images to the features or logits that the metric needs.
        name: the metric's name in the logs.

    Attributes:
        computes_at_end: whether `GAN` calls `result` only once, after the last batch.
    """

    computes_at_end = True

    def __init__(self, network: str | keras.Model | dict, name: str, dtype=None):
        super().__init__(dtype=dtype, name=name)
        if isinstance(network, dict):
            network = keras.saving.deserialize_keras_object(network)
        self.network = getattr(network, "shipped_name", None) or network
        self._callable = load_classifier(self.network) if isinstance(self.network, str) else network
        if not callable(self._callable):
            raise ValueError(f"`network` must be a name or a Keras model. Received: network={network!r}")

    @property
    def image_shape(self) -> tuple | None:
        """Returns the (height, width, channels) of the images that the network takes."""
        return _image_shape(self._callable)

    def _add_sums(self, prefix: str = "", **shapes: tuple) -> list[keras.Variable]:
        add = functools.partial(self.add_variable, initializer="zeros", dtype=SUMS)
        return [add(shape, name=prefix + name) for name, shape in shapes.items()]

    def get_config(self) -> dict:
        is_named = isinstance(self.network, str)
        network = self.network if is_named else keras.saving.serialize_keras_object(self.network)
        return super().get_config() | {"network": network}

    def save_assets(self, directory: str) -> None:
        """Saves the network's weights, unless the config names the network."""
        if not isinstance(self.network, str):
            Path(directory, f"{self.name}.weights.h5").write_bytes(encode_weights(self.network))

    def load_assets(self, directory: str) -> None:
        """Loads the weights that `save_assets` saved."""
        if not isinstance(self.network, str):
            self.network.load_weights(f"{directory}/{self.name}.weights.h5")


@keras.saving.register_keras_serializable(package="gan")
class FrechetDistance(QualityMetric):
    """Measures the Fréchet distance between the features of real and of generated images.

    The distance is |m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2)). m and m' are the means of the real and the
    generated features. C and C' are the covariances. The distance is 0 for equal means and covariances. The
    distance also depends on the number of images, most strongly with few images. A single image, or a feature
    that is not finite, makes the distance NaN. Reference: Heusel et al. 2017,
    https://arxiv.org/abs/1706.08500, equation 6.

    Args:
        network: "mnist", "fashion_mnist" or "digits"; or a model that maps images to features (batch,
            length); or a model with a method `extract` that returns features.
        name: the metric's name in the logs.

    Example:

    ```python
    gan.compile(metrics=[FrechetDistance("mnist"), ClassifierScore("mnist"), ClassBalance("mnist")])
    stop = keras.callbacks.EarlyStopping("val_frechet_distance", mode="min", patience=3)
    gan.fit(dataset, steps_per_epoch=900, epochs=20, validation_data=test_dataset, callbacks=[stop])
    ```
    """

    direction = "min"  # for `EarlyStopping`: smaller is better

    def __init__(self, network="mnist", name: str = "frechet_distance", dtype=None):
        super().__init__(network, name, dtype)
        self._extract = getattr(self._callable, "extract", self._callable)
        length = _output_length(self._callable, self._extract)
        shapes = {"count": (), "sum": (length,), "products": (length, length)}
        self._moments = [self._add_sums(kind, **shapes) for kind in ("real_", "fake_")]

    def update_state(self, real_images, fake_images):
        for images, (count, total, products) in zip((real_images, fake_images), self._moments, strict=True):
            features = ops.cast(self._extract(images), SUMS)
            count.assign_add(ops.cast(ops.shape(features)[0], SUMS))
            total.assign_add(ops.sum(features, axis=0))
            products.assign_add(ops.matmul(ops.transpose(features), features))

    def result(self):
        real, fake = (mean_and_covariance(*sums) for sums in self._moments)
        return ops.cast(frechet(*real, *fake), self.dtype)


@keras.saving.register_keras_serializable(package="gan")
class ClassifierScore(QualityMetric):
    """Measures the classifier score of generated images: exp(E[KL(p(y|x) || p(y))]).

    p(y|x) are the class probabilities of an image x. p(y) is the mean of the class probabilities.

    The score lies between 1 and the number of classes. The score is high if the classifier is certain about
    each image and the classes are balanced. The formula is the "inception score" of Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498, section 4, with the classes of this classifier. The score does not use
    real images, and does not detect repeated images.

    Args:
        network: "mnist", "fashion_mnist" or "digits"; or a model that maps images to logits (batch,
            classes).
        name: the metric's name in the logs.
    """

    direction = "max"

    def __init__(self, network="mnist", name: str = "classifier_score", dtype=None):
        super().__init__(network, name, dtype)
        length = _output_length(self._callable, self._callable)
        self._sums = self._add_sums(count=(), probabilities=(length,), negative_entropy=())

    def update_state(self, real_images, fake_images):
        for total, value in zip(self._sums, sum_probabilities(self._callable(fake_images)), strict=True):
            total.assign_add(value)

    def result(self):
        return ops.cast(score(*self._sums), self.dtype)


@keras.saving.register_keras_serializable(package="gan")
class ClassBalance(QualityMetric):
    """Measures the smallest class share: the fraction of generated images in the smallest predicted class.

    The share lies between 0 (a class is missing) and 1 / classes (all classes have the same size).

    Args:
        network: "mnist", "fashion_mnist" or "digits"; or a model that maps images to logits (batch,
            classes).
        name: the metric's name in the logs.
        per_class: whether the logs also have the share of each class: `class_share_0`, `class_share_1`, ….
    """

    direction = "max"

    def __init__(
        self, network="mnist", name: str = "smallest_class_share", dtype=None, per_class: bool = False
    ):
        super().__init__(network, name, dtype)
        self.per_class = per_class
        (self._counts,) = self._add_sums(counts=(_output_length(self._callable, self._callable),))

    def update_state(self, real_images, fake_images):
        logits = self._callable(fake_images)
        self._counts.assign_add(ops.sum(ops.one_hot(ops.argmax(logits, -1), logits.shape[-1], dtype=SUMS), 0))

    def result(self):
        fractions = ops.cast(self._counts / ops.maximum(ops.sum(self._counts), 1.0), self.dtype)
        smallest = ops.min(fractions)
        if not self.per_class:
            return smallest
        each = {f"class_share_{label}": fractions[label] for label in range(fractions.shape[0])}
        return {self.name: smallest} | each

    def get_config(self) -> dict:
        return super().get_config() | {"per_class": self.per_class}


def quality_metrics(network: keras.Model, has_classes: bool) -> list[QualityMetric]:
    """Returns the metrics of train.py: the Fréchet distance, and two metrics of the classes.

    Args:
        network: from `feature_network_for`.
        has_classes: whether the network has logits of classes. Without classes, only the distance is
            measured.
    """
    of_classes = [ClassifierScore(network), ClassBalance(network)] if has_classes else []
    return [FrechetDistance(network), *of_classes]


def _image_shape(network) -> tuple | None:
    return getattr(network, "image_shape", None) or tuple(getattr(network, "input_shape", (None,))[1:])


def _output_length(network, function: Callable) -> int:
    """Returns the length of the vectors that a network makes from images."""
    shape = _image_shape(network)
    if not shape or None in shape:
        expected = "a built Keras model with a fixed image size: start the model with `keras.Input`"
        raise ValueError(f"`network` must be {expected}. Received: network={network!r}")
    output = function(ops.zeros((1, *shape)))
    if len(output.shape) != 2:
        expected = "`network` must make one vector of each image: end it with a pooling or dense layer"
        shape = ", ".join(map(str, output.shape[1:]))
        raise ValueError(f"{expected}. Received: output of shape (batch, {shape})")
    return output.shape[-1]
