"""Makes endless batches. Only the seed and the step determine a batch, so a run can resume at any step."""

import numpy as np
import tensorflow as tf

from ..images import to_float
from .dataset import Dataset, check_images, check_labels

BATCHES_AHEAD = 2
# With half of MNIST's test set, validation takes less than a twentieth of the time of an epoch.
VALIDATION_IMAGES = 5000


def pipeline(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    num_classes: int | None = None,
    flip: bool = False,
) -> tf.data.Dataset:
    """Makes endless batches from arrays. The seed and the step determine the random order.

    Each pass over the data contains every image once and has a different order. A batch can contain the end
    of one pass and the start of the next pass. The pipeline converts images to floats batch by batch.

    Args:
        images: (count, height, width, channels), uint8 0..255 or floats in [-1, 1].
        labels: integers (count,), from 0; or None.
        batch_size: number of images in a batch.
        seed: integer that determines the order.
        start_step: number of batches to skip. A resumed run skips the batches that the run has used.
        num_classes: number of classes of the GAN. Labels must be smaller than this number. None: no limit.
        flip: whether each pass also contains the mirror image (left and right exchanged) of every image.

    Returns:
        A dataset of `images` (batch_size, height, width, channels), float32 in [-1, 1], or of
        `(images, labels)` with int32 labels (batch_size,).

    Raises:
        DataError: if the arrays have the wrong shape, type or range.

    Example:

    ```python
    digits = load("digits")
    dataset = pipeline(digits.train_images, digits.train_labels, batch_size=64, seed=0)
    gan.fit(dataset, steps_per_epoch=500)
    ```
    """
    check_images(images)
    check_labels(images, labels, num_classes)
    count = len(images) * (2 if flip else 1)  # images in a pass
    arrays = [tf.constant(images)] + ([] if labels is None else [tf.constant(labels, tf.int32)])

    @tf.autograph.experimental.do_not_convert  # conversion takes time and would change nothing
    def make_batch(step):
        positions = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        rows = _shuffle(positions, count, seed)
        batch = [tf.gather(array, rows % len(images)) for array in arrays]
        if flip:
            is_mirrored = tf.reshape(rows >= len(images), (-1, 1, 1, 1))
            batch[0] = tf.where(is_mirrored, tf.reverse(batch[0], [2]), batch[0])
        floats = tf.cast(batch[0], tf.float32)
        batch[0] = to_float(floats) if images.dtype == np.uint8 else floats
        return batch[0] if labels is None else tuple(batch)

    dataset = tf.data.Dataset.counter(start_step).map(make_batch, num_parallel_calls=2)
    options = tf.data.Options()
    # Autotuning has no use here. Its thread sleeps longer and longer, and `fit` would wait at the end until
    # the thread wakes up.
    options.autotune.enabled = False
    dataset = _prefetch(dataset.with_options(options), tf.config.list_logical_devices("GPU"))
    # `GAN.fit` reads these attributes and then does not check the batches again.
    dataset.steps_per_pass = count // batch_size
    dataset.label_range = None if labels is None else (labels.min(), labels.max())
    return dataset


def validation_batches(
    dataset: Dataset, has_labels: bool, most_images: int = VALIDATION_IMAGES, batch_size: int = 250
) -> tf.data.Dataset:
    """Returns batches of the images from `validation_split`.

    Args:
        dataset: the data.
        has_labels: whether the batches are `(images, labels)` or `images`.
        most_images: largest number of images.
        batch_size: number of images in a batch.
    """
    images, labels = validation_split(dataset, has_labels, most_images)
    arrays = (images, labels) if has_labels else images
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size).prefetch(1)


def validation_split(dataset: Dataset, has_labels: bool, most_images: int = VALIDATION_IMAGES) -> tuple:
    """Returns test images and their labels: the whole test set, or every n-th image of a larger test set.

    Uses the training set if there is no test set, or if labels are needed and the test set has none. Without
    `has_labels` the labels are None.
    """
    images, labels = dataset.test_images, dataset.test_labels
    if images is None or (has_labels and labels is None):
        images, labels = dataset.train_images, dataset.train_labels
    every_n = -(-len(images) // most_images)
    return images[::every_n], labels[::every_n] if has_labels else None


def _shuffle(positions, count: int, seed: int):
    """Maps positions in the endless sequence to rows of the arrays.

    The number of the pass is part of the key, so each pass has its own permutation.
    """
    passes, index = positions // count, positions % count
    keys = tf.stack([tf.fill(tf.shape(passes), tf.constant(seed, tf.int64)), passes, passes * 0], 1)
    return tf.raw_ops.RandomIndexShuffle(
        index=index, seed=keys, max_index=tf.constant(count - 1, tf.int64), rounds=4
    )


def _prefetch(dataset: tf.data.Dataset, gpus: list) -> tf.data.Dataset:
    """Prepares batches in advance. Uses GPU memory if there is a GPU and no distribution strategy."""
    if gpus and not tf.distribute.has_strategy():
        return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name, BATCHES_AHEAD))
    return dataset.prefetch(BATCHES_AHEAD)
