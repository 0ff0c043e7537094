"""Makes endless batches. Only the seed and the step determine a batch, so a run can resume at any step."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ..images import to_float
from .dataset import Dataset, check_images, check_labels

BATCHES_AHEAD = 2
# With half of MNIST's test set, validation takes less than a twentieth of the time of an epoch.
VALIDATION_IMAGES = 5000
ONE_REPLICA = tf.distribute.InputContext()


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
    def make_batch(positions):
        rows = _shuffle(positions, count, seed)
        batch = [tf.gather(array, rows % len(images)) for array in arrays]
        if flip:
            is_mirrored = tf.reshape(rows >= len(images), (-1, 1, 1, 1))
            batch[0] = tf.where(is_mirrored, tf.reverse(batch[0], [2]), batch[0])
        floats = tf.cast(batch[0], tf.float32)
        batch[0] = to_float(floats) if images.dtype == np.uint8 else floats
        return batch[0] if labels is None else tuple(batch)

    def make_part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        positions = _positions(batch_size, context, start_step)
        return _without_autotuning(positions.map(make_batch, num_parallel_calls=2)).prefetch(BATCHES_AHEAD)

    positions = _positions(batch_size, ONE_REPLICA, start_step)
    dataset = _without_autotuning(positions.map(make_batch, num_parallel_calls=2))
    dataset = _prefetch(dataset, tf.config.list_logical_devices("GPU"))
    _describe(dataset, make_part, count // batch_size, labels)
    return dataset


def validation_batches(
    dataset: Dataset,
    has_labels: bool,
    most_images: int = VALIDATION_IMAGES,
    batch_size: int = 250,
    replicas: int = 1,
) -> tf.data.Dataset:
    """Returns batches of the images from `validation_split`.

    Several replicas need batches that they can split evenly. Then the batches may be smaller, and a few
    images may be left out.

    Args:
        dataset: the data.
        has_labels: whether the batches are `(images, labels)` or `images`.
        most_images: largest number of images.
        batch_size: number of images in a batch; for several replicas, the largest number.
        replicas: number of replicas that validate together.

    Raises:
        ValueError: if there are fewer images than replicas.
    """
    images, labels = validation_split(dataset, has_labels, most_images)
    if replicas > 1:
        batch_size = _choose_even_size(len(images), batch_size, replicas)
    arrays = (images, labels) if has_labels else images
    batches = tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size).prefetch(1)

    def make_part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        tensors = tf.nest.map_structure(tf.constant, arrays)

        def make_batch(positions):
            return tf.nest.map_structure(lambda array: tf.gather(array, positions), tensors)

        replicas_here = context.num_replicas_in_sync // context.num_input_pipelines
        positions = _positions(batch_size, context).take(batches.steps_per_pass * replicas_here)
        return positions.map(make_batch).repeat().prefetch(1)

    _describe(batches, make_part, len(images) // batch_size, labels)
    return batches


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


def _positions(batch_size: int, context: tf.distribute.InputContext, start_step: int = 0) -> tf.data.Dataset:
    """Returns the positions of images in the endless sequence of images, one batch for each replica in turn.

    All workers together read each position once.

    Raises:
        ValueError: if the replicas cannot split a batch evenly.
    """
    replicas = context.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"A batch of {batch_size} images cannot be split evenly over {replicas} replicas: use a batch "
            f"size that is a multiple of {replicas}"
        )
    replicas_here, size = replicas // context.num_input_pipelines, batch_size // replicas

    @tf.autograph.experimental.do_not_convert
    def count_from(turn):
        replica = context.input_pipeline_id * replicas_here + turn % replicas_here
        return turn // replicas_here * batch_size + replica * size + tf.range(size, dtype=tf.int64)

    return tf.data.Dataset.counter(start_step * replicas_here).map(count_from)


def _describe(dataset: tf.data.Dataset, make_part: Callable, steps_per_pass: int, labels) -> None:
    """Adds attributes: `GAN` then does not check the batches again, and gives each worker its part."""
    dataset.make_part, dataset.steps_per_pass = make_part, steps_per_pass
    dataset.label_range = None if labels is None else (labels.min(), labels.max())


def _choose_even_size(count: int, most: int, replicas: int) -> int:
    """Returns the batch size, of at most `most`, whose whole batches contain the most images.

    Raises:
        ValueError: if there are fewer images than replicas.
    """
    sizes = range(min(most, count) // replicas * replicas, 0, -replicas)
    if not sizes:
        raise ValueError(f"{count} images for validation are too few for {replicas} replicas")
    return max(sizes[: len(sizes) // 2 + 1], key=lambda size: count // size * size)


def _without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns off autotuning: its thread sleeps longer and longer, and `fit` would wait for it at the end."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _prefetch(dataset: tf.data.Dataset, gpus: list) -> tf.data.Dataset:
    """Prepares batches in advance. Uses GPU memory if there is a GPU and no distribution strategy."""
    if gpus and not tf.distribute.has_strategy():
        return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name, BATCHES_AHEAD))
    return dataset.prefetch(BATCHES_AHEAD)
