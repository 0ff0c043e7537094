"""Tests that samples of a memorizing generator are near-copies, and that most real test images are not."""

import numpy as np
import pytest
from memorizer import make_memorizer

from gan.data import load
from gan.metrics import near_copies
from gan.metrics.near_copies import find_near_copies, find_nearest


@pytest.mark.parametrize("values_at_once", [1 << 26, 500])
def test_the_nearest_are_what_brute_force_finds(monkeypatch, values_at_once):
    monkeypatch.setattr(near_copies, "VALUES_AT_ONCE", values_at_once)
    rng = np.random.default_rng(0)
    images, training = (rng.integers(0, 256, (n, 4, 4, 1), np.uint8) for n in (7, 90))
    indices, distances = find_nearest(images, training, neighbors=5)
    differences = images[:, np.newaxis].astype(float) - training
    expected = np.sqrt((differences**2).sum((2, 3, 4)))
    assert np.array_equal(indices, expected.argsort(1)[:, :5])
    assert distances == pytest.approx(np.sort(expected, 1)[:, :5], rel=1e-5)


def test_fewer_training_images_than_neighbors():
    images = np.zeros((3, 4, 4, 1), np.uint8)
    assert find_nearest(images, images)[0].shape == (3, 3)


def fraction_of_near_copies(images, training_images):
    _, distances = find_nearest(images, training_images)
    return find_near_copies(distances).mean()


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_generator_that_memorizes_is_caught(noise):
    digits = load("digits")
    gan = make_memorizer(digits.train_images, noise)
    samples = gan.generate(200, seed=0)
    assert len(np.unique(samples, axis=0)) > 50
    assert fraction_of_near_copies(samples, digits.train_images) > 0.95
    # The 1,438 digits are small and similar, so some test images are near a training image.
    assert fraction_of_near_copies(digits.test_images, digits.train_images) < 0.2


def test_equal_images_are_copies():
    images = np.full((60, 4, 4, 1), 7, np.uint8)
    assert fraction_of_near_copies(images, images) == 1


def test_noise_is_no_copy():
    digits = load("digits")
    noise = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1), np.uint8)
    assert fraction_of_near_copies(noise, digits.train_images) == 0
