"""How good the generated images are, in the feature space of a frozen network.

Streaming metrics, for `compile(metrics=[...])`, are sums, and work on any number of images; what needs
all features at once is a NumPy function. None of them says anything alone: set it beside the same
figure of real images against other real images, its floor.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from gan.features import load_classifier
from gan.weights import encode_weights

__all__ = [
    "ClassBalance",
    "ClassifierScore",
    "FrechetDistance",
    "Neighborhoods",
    "classifier_score",
    "compare_neighborhoods",
    "frechet_distance",
    "kernel_distance",
]

SUMS = "float64"  # a covariance is a small difference of large sums
ROWS_AT_ONCE = 500


class QualityMetric(keras.metrics.Metric):
    """Base of the metrics: `update_state(real_images, fake_images)`, float32 batches in [-1, 1].

    The network is saved with the model that the metric was compiled into, by its name or with its
    weights.

    Args:
        network: "mnist" or "digits", the package's classifiers; or a model of images to what the
            metric looks at.
        name: the metric's name in the logs.
    """

    def __init__(self, network: str | keras.Model | dict, name: str, dtype=None):
        super().__init__(dtype=dtype, name=name)
        if isinstance(network, dict):
            network = keras.saving.deserialize_keras_object(network)
        self.network = getattr(network, "shipped_name", None) or network
        self._callable = load_classifier(self.network) if isinstance(self.network, str) else network
        if not callable(self._callable):
            raise ValueError(f"`network` must be a name or a Keras model. Received: network={network!r}")

    def _add_sum(self, name: str, *shape: int) -> keras.Variable:
        return self.add_variable(shape, "zeros", dtype=SUMS, name=name)

    def get_config(self) -> dict:
        is_named = isinstance(self.network, str)
        network = self.network if is_named else keras.saving.serialize_keras_object(self.network)
        return super().get_config() | {"network": network}

    def save_assets(self, directory: str) -> None:
        """Writes what the config cannot hold: the weights of a network that has no name."""
        if not isinstance(self.network, str):
            Path(directory, f"{self.name}.weights.h5").write_bytes(encode_weights(self.network))

    def load_assets(self, directory: str) -> None:
        """Reads what `save_assets` wrote."""
        if not isinstance(self.network, str):
            self.network.load_weights(f"{directory}/{self.name}.weights.h5")


@keras.saving.register_keras_serializable(package="gan")
class FrechetDistance(QualityMetric):
    """The Fréchet distance between two Gaussians that have the features' means and covariances.

    |m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2)), 0 where both agree; it depends on the number of images,
    and more so the fewer they are. Reference: Heusel et al. 2017, https://arxiv.org/abs/1706.08500,
    equation 6. NaN before two images were seen, and where any feature was not finite.

    Args:
        network: "mnist" or "digits"; or a model of images to features (batch, length), or one with a
            method `extract` for that.
        name: its name in the logs.

    Example:

    ```python
    gan.compile(metrics=[FrechetDistance("mnist"), ClassifierScore("mnist"), ClassBalance("mnist")])
    stop = keras.callbacks.EarlyStopping("val_frechet_distance", mode="min", patience=3)
    gan.fit(dataset, steps_per_epoch=900, epochs=20, validation_data=test_dataset, callbacks=[stop])
    ```
    """

    def __init__(self, network="mnist", name: str = "frechet_distance", dtype=None):
        super().__init__(network, name, dtype)
        self._extract = getattr(self._callable, "extract", self._callable)
        length = _output_length(self._callable, self._extract)
        self._moments = [
            [
                self._add_sum(f"{kind}_count"),
                self._add_sum(f"{kind}_sum", length),
                self._add_sum(f"{kind}_products", length, length),
            ]
            for kind in ("real", "fake")
        ]

    def update_state(self, real_images, fake_images):
        for images, (count, total, products) in zip((real_images, fake_images), self._moments, strict=True):
            features = ops.cast(self._extract(images), SUMS)
            count.assign_add(ops.cast(ops.shape(features)[0], SUMS))
            total.assign_add(ops.sum(features, axis=0))
            products.assign_add(ops.matmul(ops.transpose(features), features))

    def result(self):
        (mean, covariance), (other_mean, other_covariance) = (
            _mean_and_covariance(*(ops.convert_to_tensor(part) for part in moments))
            for moments in self._moments
        )
        return ops.cast(_frechet(mean, covariance, other_mean, other_covariance), self.dtype)


@keras.saving.register_keras_serializable(package="gan")
class ClassifierScore(QualityMetric):
    """exp(E[KL(p(y|x) || p(y))]): sure verdicts on each image, all classes alike among them.

    From 1 to the number of classes. The "inception score" of Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498, section 4, with the classifier's own classes. It looks at
    generated images only: it does not see that they differ from real ones, nor that they repeat.

    Args:
        network: "mnist" or "digits"; or a model of images to logits (batch, classes).
        name: its name in the logs.
    """

    def __init__(self, network="mnist", name: str = "classifier_score", dtype=None):
        super().__init__(network, name, dtype)
        length = _output_length(self._callable, self._callable)
        self._count = self._add_sum("count")
        self._probabilities = self._add_sum("probabilities", length)
        self._negative_entropy = self._add_sum("negative_entropy")

    def update_state(self, real_images, fake_images):
        count, probabilities, negative_entropy = _sum_verdicts(self._callable(fake_images))
        self._count.assign_add(count)
        self._probabilities.assign_add(probabilities)
        self._negative_entropy.assign_add(negative_entropy)

    def result(self):
        score = _score(
            *map(ops.convert_to_tensor, (self._count, self._probabilities, self._negative_entropy))
        )
        return ops.cast(score, self.dtype)


@keras.saving.register_keras_serializable(package="gan")
class ClassBalance(QualityMetric):
    """The share of each class among the generated images, by the classifier's verdict, and the least.

    The logs have `least_share`, between 0 (a class is missing) and 1 / classes (all alike), and
    `share_0`, `share_1`, ….

    Args:
        network: "mnist" or "digits"; or a model of images to logits (batch, classes).
        name: the name of the least in the logs.
    """

    def __init__(self, network="mnist", name: str = "least_share", dtype=None):
        super().__init__(network, name, dtype)
        self._counts = self._add_sum("counts", _output_length(self._callable, self._callable))

    def update_state(self, real_images, fake_images):
        logits = self._callable(fake_images)
        self._counts.assign_add(ops.sum(ops.one_hot(ops.argmax(logits, -1), logits.shape[-1], dtype=SUMS), 0))

    def result(self) -> dict:
        shares = ops.cast(self._counts / ops.maximum(ops.sum(self._counts), 1.0), self.dtype)
        each = {f"share_{label}": shares[label] for label in range(self._counts.shape[0])}
        return {self.name: ops.min(shares)} | each


class Neighborhoods(NamedTuple):
    """How two sets of features share their neighborhoods: see `compare_neighborhoods`."""

    precision: float
    recall: float
    density: float
    coverage: float


def frechet_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    """What `FrechetDistance` computes, of features (count, length); the counts may differ."""
    moments = []
    for features in (real_features, fake_features):
        features = np.asarray(features, SUMS)
        moments += _mean_and_covariance(np.float64(len(features)), features.sum(0), features.T @ features)
    return float(_frechet(*moments))


def classifier_score(logits: np.ndarray) -> float:
    """What `ClassifierScore` computes, of generated images' logits (count, classes)."""
    return float(_score(*_sum_verdicts(ops.convert_to_tensor(logits))))


def kernel_distance(real_features: np.ndarray, fake_features: np.ndarray) -> tuple[float, float]:
    """The kernel inception distance, without bias, and its standard error.

    The squared maximum mean discrepancy with the kernel (x·y / length + 1)^3, in its unbiased form: 0 on
    average, and at times below, for two samples of one distribution. The standard error is the
    jackknife's: each image is left out once. Reference: Bińkowski et al. 2018,
    https://arxiv.org/abs/1801.01401, sections 3 and 4.

    Args:
        real_features: (count, length), two at least.
        fake_features: (count, length), two at least.

    Raises:
        ValueError: for fewer.
    """
    real_features, fake_features = np.asarray(real_features, SUMS), np.asarray(fake_features, SUMS)
    m, n = len(real_features), len(fake_features)
    if min(m, n) < 2:
        raise ValueError(f"The kernel distance needs two images of each kind. Received: {m} and {n}")
    real = _kernel_row_sums(real_features, real_features) - _self_kernel(real_features)
    fake = _kernel_row_sums(fake_features, fake_features) - _self_kernel(fake_features)
    real_across = _kernel_row_sums(real_features, fake_features)
    fake_across = _kernel_row_sums(fake_features, real_features)
    within_real, within_fake = real.sum() / (m * (m - 1)), fake.sum() / (n * (n - 1))
    across = real_across.sum()
    distance = within_real + within_fake - 2 * across / (m * n)
    variance = 0.0
    for own, own_across, count, other in ((real, real_across, m, n), (fake, fake_across, n, m)):
        if count > 2:
            left_out = (own.sum() - 2 * own) / ((count - 1) * (count - 2))
            left_out -= 2 * (across - own_across) / ((count - 1) * other)
            variance += (count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()
    return float(distance), math.sqrt(variance)


def compare_neighborhoods(real_features: np.ndarray, fake_features: np.ndarray, k: int = 5) -> Neighborhoods:
    """Precision, recall, density and coverage.

    A feature's neighborhood is the open ball that reaches to the k-th nearest of its own kind.
    Precision is the share of fakes within any real neighborhood, recall the share of reals within any
    fake one, density the mean number of real neighborhoods that a fake lies in, over k, and coverage
    the share of real neighborhoods that hold a fake. For two samples of one distribution density is
    about 1 and coverage 1 - 2^-k if they are large and of one size; precision and recall are below 1.
    References: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991; Naeem et al. 2020,
    https://arxiv.org/abs/2002.09797, equations 3 and 4.

    Args:
        real_features: (count, length), more than k.
        fake_features: (count, length), more than k.
        k: which neighbor the ball reaches to.

    Raises:
        ValueError: for fewer.
    """
    real_features, fake_features = np.asarray(real_features, SUMS), np.asarray(fake_features, SUMS)
    if min(len(real_features), len(fake_features)) <= k:
        raise ValueError(
            f"Neighborhoods of {k} need more than {k} images of each kind. "
            f"Received: {len(real_features)} and {len(fake_features)}"
        )
    real_radii = _neighbor_distances(real_features, k)
    fake_radii = _neighbor_distances(fake_features, k)
    balls_around_fake = np.zeros(len(fake_features))
    is_recalled, is_covered = [], []
    for rows, distances in _distances(real_features, fake_features):
        is_in_ball = distances < real_radii[rows, np.newaxis]
        balls_around_fake += is_in_ball.sum(0)
        is_covered.append(is_in_ball.any(1))
        is_recalled.append((distances < fake_radii).any(1))
    return Neighborhoods(
        precision=float((balls_around_fake > 0).mean()),
        recall=float(np.concatenate(is_recalled).mean()),
        density=float(balls_around_fake.mean() / k),
        coverage=float(np.concatenate(is_covered).mean()),
    )


def _output_length(network, function: Callable) -> int:
    """The length of the vectors that a network makes of images."""
    shape = getattr(network, "image_shape", None) or getattr(network, "input_shape", (None,))[1:]
    if not shape or None in shape:
        raise ValueError(
            f"The network must be a built Keras model of images of one size. Received: {network!r}"
        )
    output = function(ops.zeros((1, *shape)))
    if len(output.shape) != 2:
        raise ValueError(
            "The network must make one vector of each image: end it in a pooling or a dense layer. "
            f"Received: output of shape (batch, {', '.join(map(str, output.shape[1:]))})"
        )
    return output.shape[-1]


def _mean_and_covariance(count, total, products):
    """The mean and the unbiased covariance, from sums; NaN for fewer than two."""
    mean = total / ops.maximum(count, 1.0)
    covariance = (products - count * mean[:, None] * mean[None, :]) / ops.maximum(count - 1.0, 1.0)
    return mean, ops.where(count < 2.0, math.nan, covariance)


def _frechet(mean, covariance, other_mean, other_covariance):
    """|m - m'|^2 + Tr(C) + Tr(C') - 2 Tr((C C')^(1/2)).

    The eigenvalues of C C' are those of the symmetric C^(1/2) C' C^(1/2).
    """
    is_finite = ops.all(ops.isfinite(covariance)) & ops.all(ops.isfinite(other_covariance))
    covariance, other_covariance = (
        ops.where(is_finite, one, ops.zeros_like(one)) for one in (covariance, other_covariance)
    )
    values, vectors = ops.linalg.eigh(covariance)
    root = ops.matmul(vectors * ops.sqrt(ops.maximum(values, 0.0)), ops.transpose(vectors))
    product = ops.matmul(ops.matmul(root, other_covariance), root)
    product_values, _ = ops.linalg.eigh((product + ops.transpose(product)) / 2.0)
    overlap = ops.sum(ops.sqrt(ops.maximum(product_values, 0.0)))
    spread = ops.trace(covariance) + ops.trace(other_covariance) - 2.0 * overlap
    distance = ops.maximum(ops.sum(ops.square(mean - other_mean)) + spread, 0.0)
    return ops.where(is_finite, distance, math.nan)


def _sum_verdicts(logits):
    """The count, the sum of the probabilities and that of their negative entropies."""
    log_probabilities = ops.log_softmax(ops.cast(logits, SUMS), axis=-1)
    probabilities = ops.exp(log_probabilities)
    count = ops.cast(ops.shape(logits)[0], SUMS)
    return count, ops.sum(probabilities, axis=0), ops.sum(probabilities * log_probabilities)


def _score(count, probabilities, negative_entropy):
    """exp(H(E[p]) - E[H(p)]); NaN where there is none."""
    mean = probabilities / count
    entropy_of_mean = -ops.sum(mean * ops.log(ops.maximum(mean, keras.config.epsilon() ** 2)))
    return ops.exp(entropy_of_mean + negative_entropy / count)


def _kernel_row_sums(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The sum of the kernel of each row with all columns."""
    sums = [
        ((part @ columns.T / columns.shape[1] + 1.0) ** 3).sum(1)
        for part in np.array_split(rows, math.ceil(len(rows) / ROWS_AT_ONCE))
    ]
    return np.concatenate(sums)


def _self_kernel(features: np.ndarray) -> np.ndarray:
    return ((features**2).sum(1) / features.shape[1] + 1.0) ** 3


def _neighbor_distances(features: np.ndarray, k: int) -> np.ndarray:
    """How far from each feature its k-th nearest neighbor is, not counting itself."""
    found = []
    for rows, distances in _distances(features, features):
        distances[np.arange(len(distances)), rows] = np.inf
        found.append(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return np.concatenate(found)


def _distances(rows: np.ndarray, columns: np.ndarray):
    """The Euclidean distances of some rows to all columns at a time, with the rows' numbers."""
    squares = (columns**2).sum(1)
    for part in np.array_split(np.arange(len(rows)), math.ceil(len(rows) / ROWS_AT_ONCE)):
        some = rows[part]
        squared = (some**2).sum(1)[:, np.newaxis] + squares - 2.0 * (some @ columns.T)
        yield part, np.sqrt(np.maximum(squared, 0.0))
