"""Labels that are right teach a classifier; labels that are wrong do not."""

import numpy as np
import pytest

from conftest import IMAGE_SHAPE
from gan import cas


def make_stripes(count):
    """Images with a bright stripe where their label says."""
    labels = np.arange(count, dtype=np.int32) % 3
    images = np.random.default_rng(count).integers(0, 60, (count, *IMAGE_SHAPE), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 1] = 220
    return images, labels


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(cas, "TRAINING_IMAGES", 64 * 12)


def test_right_labels_teach():
    assert cas.classification_accuracy(*make_stripes(120), *make_stripes(30), epochs=6, verbose=0) == 1


def test_wrong_labels_do_not():
    images, labels = make_stripes(120)
    wrong = (labels + 1) % 3
    assert cas.classification_accuracy(images, wrong, *make_stripes(30), epochs=6, verbose=0) == 0


def test_the_best_epoch_counts(monkeypatch):
    kept = cas._KeepBest()
    kept.on_train_begin()
    weights = iter("abc")
    kept.set_model(type("Model", (), {"get_weights": lambda self: next(weights)})())
    for epoch, accuracy in enumerate([0.5, 0.9, 0.7]):
        kept.on_epoch_end(epoch, {"val_accuracy": accuracy})
    assert (kept.accuracy, kept.weights) == (0.9, "b")
