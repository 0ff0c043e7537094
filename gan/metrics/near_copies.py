"""Finds samples that are near-copies of training images. The comparison is pixel by pixel."""

import math

import numpy as np

NEIGHBORS = 50
NEAR = 0.5  # times the mean distance to the neighbors
ROWS_AT_ONCE = 500
VALUES_AT_ONCE = 1 << 26  # differences of pixels in memory at once: 256 MB


def find_nearest(
    images: np.ndarray, training_images: np.ndarray, neighbors: int = NEIGHBORS
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest training images of each image, the nearest first.

    Args:
        images: uint8 (count, height, width, channels).
        training_images: uint8 (other count, height, width, channels).
        neighbors: number of training images to find for each image, at most all training images.

    Returns:
        The indices of the training images, and their Euclidean distances for pixels 0..255. Both have the
        shape (count, neighbors).
    """
    neighbors = min(neighbors, len(training_images))
    columns = training_images.reshape(len(training_images), -1)
    # Floats need four times the memory of pixels, so only some training images become floats at once.
    parts = np.array_split(columns, math.ceil(columns.size / VALUES_AT_ONCE))
    rows_at_once = max(1, min(ROWS_AT_ONCE, VALUES_AT_ONCE // (neighbors * columns.shape[1])))
    indices, distances = [], []
    for part in np.array_split(images, math.ceil(len(images) / rows_at_once)):
        rows = part.reshape(len(part), -1).astype(np.float32)
        squared = np.concatenate([_square_distances(rows, some.astype(np.float32)) for some in parts], axis=1)
        found = np.argpartition(squared, neighbors - 1, axis=1)[:, :neighbors]
        # `squared` is a small difference of large numbers, so it is inexact. Compute the distances directly.
        exact = np.sqrt(((columns[found].astype(np.float32) - rows[:, np.newaxis]) ** 2).sum(2))
        order = exact.argsort(1, kind="stable")
        indices.append(np.take_along_axis(found, order, 1))
        distances.append(np.take_along_axis(exact, order, 1))
    return np.concatenate(indices), np.concatenate(distances)


def _square_distances(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Returns the squared distances, less the square of each row, which does not change the order."""
    squares = np.einsum("ij,ij->i", columns, columns)  # without a second array of this size
    return squares - 2.0 * (rows @ columns.T)


def find_near_copies(distances: np.ndarray) -> np.ndarray:
    """Marks the images that are near-copies of a training image, (count,) bool.

    An image is a near-copy if the distance to its nearest training image is at most half of the mean distance
    to its 50 nearest training images. An image that is near to many training images is not a near-copy.
    Reference: Carlini et al. 2023, https://arxiv.org/abs/2301.13188, section 5.

    Args:
        distances: (count, neighbors), as `find_nearest` returns them.
    """
    return distances[:, 0] <= NEAR * distances.mean(1)
