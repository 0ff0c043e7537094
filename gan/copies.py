"""Whether a generator repeats the images it was trained on.

Compared pixel by pixel, as an eye does that holds two pictures beside each other.
"""

import math

import numpy as np

__all__ = ["find_near_copies", "find_nearest"]

NEIGHBORS = 50
NEAR = 0.5  # of the mean distance to that many neighbors
ROWS_AT_ONCE = 500


def find_nearest(
    images: np.ndarray, training_images: np.ndarray, neighbors: int = NEIGHBORS
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest training images of each image, the nearest first.

    Args:
        images: uint8 (count, height, width, channels).
        training_images: likewise, of the same shape.
        neighbors: how many to find; fewer where there are not so many.

    Returns:
        Their numbers, (count, neighbors), and their Euclidean distances, in pixels' units of 0..255.
    """
    neighbors = min(neighbors, len(training_images))
    columns = training_images.reshape(len(training_images), -1).astype(np.float32)
    squares = (columns**2).sum(1)
    numbers, distances = [], []
    for part in np.array_split(images, math.ceil(len(images) / ROWS_AT_ONCE)):
        rows = part.reshape(len(part), -1).astype(np.float32)
        squared = squares - 2.0 * (rows @ columns.T)  # less the row's own square, the same for all
        found = np.argpartition(squared, neighbors - 1, axis=1)[:, :neighbors]
        # Anew and exactly for the few that count: the difference of large squares is a rough zero.
        exact = np.sqrt(((columns[found] - rows[:, np.newaxis]) ** 2).sum(2))
        order = exact.argsort(1, kind="stable")
        numbers.append(np.take_along_axis(found, order, 1))
        distances.append(np.take_along_axis(exact, order, 1))
    return np.concatenate(numbers), np.concatenate(distances)


def find_near_copies(distances: np.ndarray) -> np.ndarray:
    """Which images are near-copies of a training image, (count,) bool.

    An image is one when its nearest training image is at most half as far as its 50 nearest are on
    average: so that a plain image, which lies near many, is no copy of any. Reference: Carlini et al.
    2023, https://arxiv.org/abs/2301.13188, section 5.

    Args:
        distances: (count, neighbors), as `find_nearest` returns them.
    """
    return distances[:, 0] <= NEAR * distances.mean(1)
