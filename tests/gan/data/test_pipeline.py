import numpy as np
import pytest
import tensorflow as tf

from data_files import IMAGES, LABELS
from gan.data import DataError, pipeline
from gan.data.pipeline import _prefetch


def batches(count, **kwargs):
    arguments = {"batch_size": 5, "seed": 3} | kwargs
    return [labels.numpy() for _, labels in pipeline(IMAGES, LABELS, **arguments).take(count)]


def test_every_sample_once_a_pass():
    order = np.concatenate(batches(23))
    for start in range(0, len(order), 23):
        np.testing.assert_array_equal(np.sort(order[start : start + 23]), LABELS)
    assert not np.array_equal(order[:23], order[23:46])


def test_starts_at_any_step():
    whole = batches(12)
    for step in (1, 4, 5, 11):
        np.testing.assert_array_equal(batches(12 - step, start_step=step), whole[step:])


def test_the_seed_decides_the_order():
    np.testing.assert_array_equal(batches(4), batches(4))
    assert not np.array_equal(batches(4), batches(4, seed=4))


@pytest.mark.parametrize("images", [IMAGES, IMAGES.astype(np.float32) / 127.5 - 1], ids=["uint8", "float"])
def test_batches_are_floats_in_range_with_their_labels(images):
    dataset = pipeline(images, LABELS, batch_size=5, seed=0)
    assert dataset.element_spec[0] == tf.TensorSpec((5, 8, 8, 1), tf.float32)
    batch, labels = next(iter(dataset))
    np.testing.assert_allclose(batch, IMAGES[labels.numpy()] / 127.5 - 1, atol=1e-6)


def test_without_labels_batches_are_images():
    dataset = pipeline(IMAGES, batch_size=30, seed=0)  # the batch is larger than the data
    assert dataset.element_spec == tf.TensorSpec((30, 8, 8, 1), tf.float32)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (IMAGES[..., 0], None, r"Received: shape=\(23, 8, 8\)"),
        (IMAGES[:0], None, "not be empty"),
        (IMAGES.repeat(2, -1), None, r"Received: shape=\(23, 8, 8, 2\)"),
        (IMAGES.astype(np.float32), None, "from 0 to 255"),
        (IMAGES.astype(np.int32), None, "dtype=int32"),
        (IMAGES, LABELS[:5], r"shape \(23,\).*Received: int64 of shape \(5,\)"),
        (IMAGES, LABELS / 2, "Received: float64"),
        (IMAGES, LABELS - 1, "labels from -1"),
        (IMAGES, LABELS + 2**32, r"lie in 0\.\.2147483647"),
    ],
)
def test_pipeline_refuses_wrong_arrays(images, labels, message):
    with pytest.raises(DataError, match=message):
        pipeline(images, labels, batch_size=5, seed=0)


def test_pipeline_refuses_labels_that_the_gan_does_not_have():
    with pytest.raises(DataError, match=r"lie in 0\.\.9\. Received: labels from 0 to 22"):
        pipeline(IMAGES, LABELS, batch_size=5, seed=0, num_classes=10)
    pipeline(IMAGES, LABELS, batch_size=5, seed=0, num_classes=23)


def test_prefetches_to_the_device_there_is():
    dataset = tf.data.Dataset.range(5)
    cpu = tf.config.list_logical_devices("CPU")[0]
    assert list(_prefetch(dataset, [cpu]).as_numpy_iterator()) == list(range(5))
    assert list(_prefetch(dataset, []).as_numpy_iterator()) == list(range(5))


def test_flip_adds_the_mirror_image_of_every_image_to_a_pass():
    dataset = pipeline(IMAGES, LABELS, batch_size=23, seed=3, flip=True)
    assert dataset.steps_per_pass == 2
    images, labels = (
        np.concatenate(parts) for parts in zip(*dataset.take(2).as_numpy_iterator(), strict=True)
    )
    seen = {
        (label, "mirrored" if mirrored else "plain")
        for label, mirrored in zip(labels, is_mirrored(images, labels), strict=True)
    }
    assert len(seen) == 46
    later = next(iter(pipeline(IMAGES, LABELS, batch_size=23, seed=3, flip=True, start_step=1)))
    np.testing.assert_array_equal(later[1], labels[23:])


def is_mirrored(images, labels):
    for image, label in zip(images, labels, strict=True):
        pixels = np.rint((image + 1) * 127.5)
        is_plain = np.array_equal(pixels, IMAGES[label])
        assert is_plain or np.array_equal(pixels, IMAGES[label][:, ::-1])
        yield not is_plain
