"""Tests TensorBoardLogits: the histograms of the discriminator's logits."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import TensorBoardLogits
from conftest import fit, make_gan, make_images

IMAGES = make_images()
LABELS = np.arange(len(IMAGES)) % 2


def read_histograms(folder) -> dict:
    """Returns the buckets, (buckets, 3) with left edge, right edge and count, by tag and step."""
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: {event.step: tf.make_ndarray(event.tensor_proto) for event in events.Tensors(tag)}
        for tag in events.Tags()["tensors"]
    }


@pytest.mark.parametrize("num_classes", [None, 2])
def test_the_histograms_hold_the_logits(tmp_path, num_classes):
    gan, labels = make_gan(num_classes=num_classes), LABELS if num_classes else None
    floats = (IMAGES[:4] / 127.5 - 1).astype(np.float32)
    test_data = (floats, None if labels is None else labels[:4])
    fit(gan, epochs=2, callbacks=[TensorBoardLogits(tmp_path, (IMAGES, labels), test_data, count=5, seed=3)])
    histograms = read_histograms(tmp_path)
    assert sorted(histograms) == ["logits/generated", "logits/test", "logits/training"]
    assert all(list(steps) == [0, 1, 2] for steps in histograms.values())
    rows = [0, 10, 20, 29, 39]  # evenly spread: the images of a folder are sorted by class
    some_labels = None if labels is None else labels[rows]
    latents = np.random.default_rng(3).standard_normal((5, 4), np.float32)
    generated = gan.generator(latents if labels is None else [latents, some_labels]).numpy()
    shown = {
        "training": (IMAGES[rows] / np.float32(127.5) - 1, some_labels),
        "test": test_data,
        "generated": (generated, some_labels),
    }
    for name, (images, labels_of_images) in shown.items():
        inputs = images if labels_of_images is None else [images, labels_of_images]
        logits = gan.discriminator(inputs).numpy()
        buckets = histograms[f"logits/{name}"][2]
        assert buckets[:, 2].sum() == len(images)
        np.testing.assert_allclose([buckets[0, 0], buckets[-1, 1]], [logits.min(), logits.max()], rtol=1e-5)


def test_every_n_epochs_and_without_test_data(tmp_path):
    fit(make_gan(), epochs=3, callbacks=[TensorBoardLogits(tmp_path, (IMAGES, None), every_n_epochs=2)])
    assert {tag: list(steps) for tag, steps in read_histograms(tmp_path).items()} == {
        "logits/training": [0, 2],
        "logits/generated": [0, 2],
    }


@pytest.mark.parametrize(
    "images, message",
    [
        (IMAGES, "needs labels in `training_data`"),
        (IMAGES.astype(np.float32), "must lie in"),
        (IMAGES[0, ..., 0], "channels"),
    ],
)
def test_wrong_data_are_refused_before_training(tmp_path, images, message):
    gan = make_gan(num_classes=2)
    with pytest.raises(ValueError, match=message):
        fit(gan, callbacks=[TensorBoardLogits(tmp_path, (images, None))])
    assert int(gan.step.numpy()) == 0
