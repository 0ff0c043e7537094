"""Tests the frozen classifiers: the classifiers in the package, and a classifier trained on a dataset."""

import dataclasses

import keras
import numpy as np
import pytest

from conftest import IMAGE_SHAPE, make_images, make_labels
from gan.data import Dataset, load
from gan.metrics import Classifier, classifier_for, classifiers, load_classifier
from gan.metrics.classifiers import train_classifier
from gan.metrics.features import FEATURES, extract


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Returns a labeled dataset. Sets an empty cache and a short training."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(classifiers, "TRAINING_STEPS", 20)
    return Dataset("own", "own.npz", make_images(), make_labels())


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_the_digits_classifier_is_right_on_what_it_has_not_seen():
    digits = load("digits")
    classifier = classifier_for(digits)
    assert classifier is load_classifier("digits")
    found, logits = extract(classifier, digits.test_images)
    assert (logits.argmax(1) == digits.test_labels).mean() >= 0.98
    assert found.shape == (len(digits.test_images), FEATURES)
    assert found.min() >= 0
    assert not classifier.trainable_variables


def test_mnist_is_known_wherever_it_lies(mnist_path, own):
    assert classifier_for(load(str(mnist_path))) is load_classifier("mnist")


def test_shipped_weights_are_small():
    for name in classifiers.SHIPPED:
        assert (classifiers.ASSETS / f"{name}.weights.h5").stat().st_size < 1_000_000


def test_a_shipped_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(classifiers, "ASSETS", tmp_path)
    (tmp_path / "mnist.weights.h5").write_bytes(b"another")
    with pytest.raises(ValueError, match="is not the file that this package was made with"):
        classifiers._load_shipped.__wrapped__("mnist")


def test_a_dataset_trains_its_own_once_from_the_data_alone(own, capsys, monkeypatch):
    keras.utils.set_random_seed(1)
    first = classifier_for(own, verbose=2)
    output = capsys.readouterr().out
    assert "Training a classifier on own, once" in output
    assert "20/20" in output
    monkeypatch.setattr(classifiers, "train_classifier", None)  # a second training would fail
    again = classifier_for(own, verbose=2)
    assert capsys.readouterr().out == ""
    assert_same_weights(first, again)
    logits = extract(again, own.train_images)[1]
    assert logits.shape == (40, 3)
    keras.utils.set_random_seed(2)
    assert_same_weights(first, train_classifier(own.train_images, own.train_labels, verbose=0))


def test_it_learns(own, monkeypatch):
    monkeypatch.setattr(classifiers, "TRAINING_STEPS", 100)
    images = np.zeros((60, *IMAGE_SHAPE), np.uint8)
    labels = np.arange(60) % 3
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 3] = 200
    _, logits = extract(train_classifier(images, labels, verbose=0), images)
    assert (logits.argmax(1) == labels).mean() == 1


@pytest.fixture
def trained(monkeypatch):
    """Makes `train_classifier` return an untrained classifier. Returns the list of its calls."""
    calls = []

    def train(images, labels, verbose):
        calls.append((images, labels))
        return Classifier(IMAGE_SHAPE, 3)

    monkeypatch.setattr(classifiers, "train_classifier", train)
    return calls


def test_a_damaged_one_is_trained_again(own, tmp_path, trained):
    first = classifier_for(own, verbose=0)
    (kept,) = (tmp_path / "gan").iterdir()
    kept.write_bytes(b"damaged")
    assert_same_weights(classifier_for(own, verbose=0), first)
    assert len(trained) == 2
    assert_same_weights(classifier_for(own, verbose=0), first)
    assert len(trained) == 2
    assert kept.stat().st_size > 1000


def test_a_cache_that_cannot_be_written_is_no_obstacle(own, tmp_path, trained):
    (tmp_path / "gan").write_text("a file where the folder would be")
    with pytest.warns(UserWarning, match="could not be saved"):
        assert classifier_for(own, verbose=0).num_classes == 3


@pytest.mark.parametrize("labels", [None, np.zeros(40, np.int32)])
def test_without_two_classes_there_is_none(own, labels):
    assert classifier_for(dataclasses.replace(own, train_labels=labels)) is None


def test_fashion_mnist_is_known_and_classified(fashion_mnist_path):
    fashion = load(str(fashion_mnist_path))
    classifier = classifier_for(fashion)
    assert classifier is load_classifier("fashion_mnist")
    _, logits = extract(classifier, fashion.test_images[:2000])
    assert (logits.argmax(1) == fashion.test_labels[:2000]).mean() > 0.88


def test_a_classifier_of_an_older_version_has_stride_2():
    config = Classifier((64, 64, 3), 2, stride=2).get_config()
    assert Classifier((64, 64, 3), 2).stride == 4
    del config["stride"]
    assert Classifier.from_config(config).stride == 2
