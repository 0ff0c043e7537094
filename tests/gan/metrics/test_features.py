"""Tests the features of images without labels: they notice blur, noise, missing modes and collapse."""

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageFilter

from conftest import make_images
from gan.data import Dataset, load
from gan.metrics import classifiers, feature_network_for, features, frechet_distance, load_classifier
from gan.metrics.features import FEATURES, FeatureNetwork, extract, train_autoencoder


@pytest.fixture(scope="module")
def digits():
    return dataclasses.replace(load("digits"), train_labels=None, test_labels=None)


@pytest.fixture(scope="module")
def network(digits):
    patch = pytest.MonkeyPatch()
    patch.setattr(features, "TRAINING_STEPS", 200)
    yield train_autoencoder(digits.train_images, verbose=0)
    patch.undo()


def blur(images, radius):
    pictures = [Image.fromarray(image[..., 0]).filter(ImageFilter.GaussianBlur(radius)) for image in images]
    return np.stack(pictures)[..., np.newaxis]


def add_noise(images, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def miss_modes(images, count):
    """Leaves out the images of the first digits, by the labels that the network never saw."""
    labels = load("digits").train_labels[: len(images)]
    return images[labels >= count]


def collapse(images, different):
    return images[np.random.default_rng(0).integers(0, different, len(images))]


DAMAGES = {
    "blur": (blur, (1, 2)),
    "noise": (add_noise, (25, 70)),
    "missing modes": (miss_modes, (2, 5)),
    "collapse": (collapse, (30, 5)),
}


@pytest.mark.parametrize("damage, strengths", DAMAGES.values(), ids=DAMAGES)
def test_each_damage_raises_the_distance_and_more_damage_raises_it_more(digits, network, damage, strengths):
    real, _ = extract(network, digits.test_images)
    images = digits.train_images
    distances = [frechet_distance(real, extract(network, images)[0])]
    distances += [frechet_distance(real, extract(network, damage(images, s))[0]) for s in strengths]
    assert 1.2 * distances[0] < distances[1] < distances[2]


def test_the_network_depends_on_the_images_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(features, "TRAINING_STEPS", 10)
    own = Dataset("own", "own", make_images())
    first = feature_network_for(own, verbose=2)
    assert "Training an autoencoder on own, once" in capsys.readouterr().out
    again = train_autoencoder(own.train_images, verbose=0)
    monkeypatch.setattr(classifiers, "train_autoencoder", None)  # a second training would fail
    cached = feature_network_for(own, verbose=2)
    assert capsys.readouterr().out == ""
    for one, *others in zip(*(n.get_weights() for n in (first, again, cached)), strict=True):
        assert all(np.array_equal(one, other) for other in others)
    assert extract(cached, own.train_images)[0].shape == (40, FEATURES)
    assert extract(cached, own.train_images)[1] is None
    assert not cached.trainable_variables


def test_labels_choose_the_classifier():
    assert feature_network_for(load("digits")) is load_classifier("digits")


@pytest.mark.parametrize("size, stride", [(8, 2), (28, 2), (32, 2), (33, 4), (64, 4), (128, 8)])
def test_larger_images_have_a_larger_stride(size, stride):
    network = FeatureNetwork((size, size, 3))
    assert network.stride == stride
    assert network.extract(np.zeros((2, size, size, 3))).shape == (2, FEATURES)
    assert FeatureNetwork.from_config(network.get_config()).stride == stride
