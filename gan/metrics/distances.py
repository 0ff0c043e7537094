"""Compares real and generated images by arrays of their features or logits.

A value alone means little. Compare the value with its floor: the value for other real images.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

SUMS = "float64"  # high precision, because a covariance is a small difference of large sums
ROWS_AT_ONCE = 500
SMALLEST_DISTANCE = 1e-12  # of features, to divide by


class Neighborhoods(NamedTuple):
    """Holds the precision, recall, density and coverage from `compare_neighborhoods`."""

    precision: float
    recall: float
    density: float
    coverage: float


def frechet_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    """Computes the Fréchet distance, like the metric `FrechetDistance`.

    Args:
        real_features: (count, length).
        fake_features: (count, length). The two counts may differ.
    """
    moments = []
    for features in (real_features, fake_features):
        features = np.asarray(features, SUMS)
        moments += mean_and_covariance(np.float64(len(features)), features.sum(0), features.T @ features)
    return float(frechet(*moments))


def classifier_score(logits: np.ndarray) -> float:
    """Computes the classifier score from logits (count, classes), like the metric `ClassifierScore`."""
    return float(score(*sum_probabilities(ops.convert_to_tensor(logits))))


def kernel_distance(real_features: np.ndarray, fake_features: np.ndarray) -> tuple[float, float]:
    """Computes the unbiased kernel inception distance (KID) and its standard error.

    The distance is the squared maximum mean discrepancy with the kernel (x·y / length + 1)^3. The estimate
    is unbiased: for two samples of the same distribution, the mean of the estimate is 0. So the estimate can
    be negative. The standard error comes from the jackknife, which leaves out each image once. Reference:
    Bińkowski et al. 2018, https://arxiv.org/abs/1801.01401, sections 3 and 4.

    Args:
        real_features: (count, length). The count is at least 2.
        fake_features: (count, length). The count is at least 2.

    Raises:
        ValueError: if a count is less than 2.
    """
    real_features, fake_features = np.asarray(real_features, SUMS), np.asarray(fake_features, SUMS)
    m, n = len(real_features), len(fake_features)
    if min(m, n) < 2:
        expected = "The kernel distance needs at least 2 real and 2 generated images"
        raise ValueError(f"{expected}. Received: {m} and {n}")
    real = _kernel_row_sums(real_features, real_features) - _self_kernel(real_features)
    fake = _kernel_row_sums(fake_features, fake_features) - _self_kernel(fake_features)
    real_across = _kernel_row_sums(real_features, fake_features)
    fake_across = _kernel_row_sums(fake_features, real_features)
    across = real_across.sum()
    distance = real.sum() / (m * (m - 1)) + fake.sum() / (n * (n - 1)) - 2 * across / (m * n)
    variance = 0.0
    for own, own_across, count, other in ((real, real_across, m, n), (fake, fake_across, n, m)):
        if count > 2:
            left_out = (own.sum() - 2 * own) / ((count - 1) * (count - 2))
            left_out -= 2 * (across - own_across) / ((count - 1) * other)
            variance += (count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()
    return float(distance), math.sqrt(variance)


def compare_neighborhoods(real_features: np.ndarray, fake_features: np.ndarray, k: int = 5) -> Neighborhoods:
    """Computes precision, recall, density and coverage.

    The neighborhood of a real feature is the open ball around the feature. The radius of the ball is the
    distance to the k-th nearest real feature. For a generated feature, the radius is the distance to the k-th
    nearest generated feature.

    - Precision is the fraction of generated features inside at least one real neighborhood.
    - Recall is the fraction of real features inside at least one generated neighborhood.
    - Density is the mean number of real neighborhoods that contain a generated feature, divided by k.
    - Coverage is the fraction of real neighborhoods that contain at least one generated feature.

    For two large samples with the same distribution and the same size, density is about 1 and coverage is
    about 1 - 2^-k. Precision and recall are below 1. References: Kynkäänniemi et al. 2019,
    https://arxiv.org/abs/1904.06991; Naeem et al. 2020, https://arxiv.org/abs/2002.09797, equations 3 and 4.

    Args:
        real_features: (count, length). The count is more than k.
        fake_features: (count, length). The count is more than k.
        k: the radius is the distance to the k-th nearest neighbor.

    Raises:
        ValueError: if a count is not more than k.
    """
    real_features, fake_features = np.asarray(real_features, SUMS), np.asarray(fake_features, SUMS)
    m, n = len(real_features), len(fake_features)
    if min(m, n) <= k:
        expected = f"Neighborhoods with k={k} need more than {k} real and {k} generated images"
        raise ValueError(f"{expected}. Received: {m} and {n}")
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


def realism_scores(real_features: np.ndarray, fake_features: np.ndarray, k: int = 5) -> np.ndarray:
    """Computes the realism score of each generated feature, (fake count,), at least 0.

    For a real feature, take the radius of its neighborhood (see `compare_neighborhoods`), divided by the
    distance of the generated feature to the real feature. The score is the largest of these quotients. So a
    score of more than 1 means that the generated feature is in the neighborhood of a real feature. Half of
    the neighborhoods, with radii of more than the median, do not count: they belong to rare real images, and
    contain nearly everything. Reference: Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, section
    5, equation 3.

    Args:
        real_features: (count, length). The count is more than k.
        fake_features: (fake count, length).
        k: the radius is the distance to the k-th nearest neighbor.

    Raises:
        ValueError: if there are not more than k real features.

    Example: `realism_scores(real, fake).argsort()[:20]` are the 20 least realistic images.
    """
    real_features, fake_features = np.asarray(real_features, SUMS), np.asarray(fake_features, SUMS)
    if len(real_features) <= k:
        expected = f"Neighborhoods with k={k} need more than {k} real images"
        raise ValueError(f"{expected}. Received: {len(real_features)}")
    radii = _neighbor_distances(real_features, k)
    is_dense = radii <= np.median(radii)
    radii, centers = radii[is_dense], real_features[is_dense]
    scores = np.empty(len(fake_features))
    for rows, distances in _distances(fake_features, centers):
        scores[rows] = (radii / np.maximum(distances, SMALLEST_DISTANCE)).max(1)
    return scores


def mean_and_covariance(count, total, products):
    """Returns the mean and the unbiased covariance, computed from sums.

    Both are 0 if the count is 0. The covariance is NaN if the count is 1.
    """
    mean = total / ops.maximum(count, 1.0)
    return mean, (products - count * mean[:, None] * mean[None, :]) / (count - 1.0)


def frechet(mean, covariance, other_mean, other_covariance):
    """Returns the Fréchet distance |m - m'|^2 + Tr(C) + Tr(C') - 2 Tr((C C')^(1/2)).

    C C' and the symmetric matrix C^(1/2) C' C^(1/2) have the same eigenvalues.
    """
    # `nothing` is 0, or NaN if a covariance is not finite. A constant NaN would stop every run that uses
    # `tf.debugging.enable_check_numerics`.
    nothing = 0.0 * (ops.sum(covariance) + ops.sum(other_covariance))
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
    return ops.maximum(ops.sum(ops.square(mean - other_mean)) + spread, 0.0) + nothing


def sum_probabilities(logits):
    """Returns the count, the sum of the probabilities and the sum of their negative entropies."""
    log_probabilities = ops.log_softmax(ops.cast(logits, SUMS), axis=-1)
    probabilities = ops.exp(log_probabilities)
    count = ops.cast(ops.shape(logits)[0], SUMS)
    return count, ops.sum(probabilities, axis=0), ops.sum(probabilities * log_probabilities)


def score(count, probabilities, negative_entropy):
    """Returns the classifier score exp(H(E[p]) - E[H(p)]), computed from sums. Without images: 1."""
    count = ops.maximum(count, 1.0)
    mean = probabilities / count
    entropy_of_mean = -ops.sum(mean * ops.log(ops.maximum(mean, keras.config.epsilon() ** 2)))
    return ops.exp(entropy_of_mean + negative_entropy / count)


def _kernel_row_sums(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns, for each row, the sum of the kernel over all columns."""
    sums = [
        ((part @ columns.T / columns.shape[1] + 1.0) ** 3).sum(1)
        for part in np.array_split(rows, math.ceil(len(rows) / ROWS_AT_ONCE))
    ]
    return np.concatenate(sums)


def _self_kernel(features: np.ndarray) -> np.ndarray:
    return ((features**2).sum(1) / features.shape[1] + 1.0) ** 3


def _neighbor_distances(features: np.ndarray, k: int) -> np.ndarray:
    """Returns the distance of each feature to its k-th nearest other feature."""
    found = []
    for rows, distances in _distances(features, features):
        distances[np.arange(len(distances)), rows] = np.inf
        found.append(np.partition(distances, k - 1, axis=1)[:, k - 1])
    return np.concatenate(found)


def _distances(rows: np.ndarray, columns: np.ndarray):
    """Yields the indices of a block of rows, and their Euclidean distances to all columns."""
    squares = (columns**2).sum(1)
    for part in np.array_split(np.arange(len(rows)), math.ceil(len(rows) / ROWS_AT_ONCE)):
        some = rows[part]
        squared = (some**2).sum(1)[:, np.newaxis] + squares - 2.0 * (some @ columns.T)
        yield part, np.sqrt(np.maximum(squared, 0.0))
