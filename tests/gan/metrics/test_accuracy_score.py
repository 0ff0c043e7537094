"""Tests that a classifier learns from right labels and does not learn from wrong labels."""

import keras
import numpy as np
import pytest

from conftest import IMAGE_SHAPE
from gan.metrics import accuracy_score
from gan.metrics.accuracy_score import classification_accuracy


def make_stripes(count):
    """Makes images with a bright stripe. The label gives the position of the stripe."""
    labels = np.arange(count, dtype=np.int32) % 3
    images = np.random.default_rng(count).integers(0, 60, (count, *IMAGE_SHAPE), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 1] = 220
    return images, labels


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(accuracy_score, "TRAINING_IMAGES", 64 * 12)


def test_right_labels_teach():
    assert classification_accuracy(*make_stripes(120), *make_stripes(30), epochs=6, verbose=0) == 1


def test_wrong_labels_do_not():
    images, labels = make_stripes(120)
    wrong = (labels + 1) % 3
    assert classification_accuracy(images, wrong, *make_stripes(30), epochs=6, verbose=0) == 0


class Scripted(keras.Sequential):
    """Reports given accuracies, and records the weights of the network at each evaluation."""

    def evaluate(self, *args, **kwargs):
        self.seen.append(self.get_weights()[0])
        return {"accuracy": self.accuracies[len(self.seen) - 1]}


def test_the_best_epoch_counts(monkeypatch):
    network = Scripted([keras.Input(IMAGE_SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.seen, network.accuracies = [], [0.5, 0.9, 0.7, 0.25]
    monkeypatch.setattr(accuracy_score, "_build", lambda *_: network)
    assert classification_accuracy(*make_stripes(120), *make_stripes(30), epochs=3, verbose=0) == 0.25
    _, best, last, tested = network.seen
    assert np.array_equal(tested, best)
    assert not np.array_equal(tested, last)
