"""Tests the random changes of the images that the discriminator sees, against the formulas of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import fit, state_of
from gan import GAN, build_discriminator, build_generator
from gan.augmentation import DiffAugment


def make_images(count=64, side=8, channels=3):
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


def change(images, **kwargs):
    return np.asarray(DiffAugment(**kwargs, seed=0)(images, training=True))


ALL = {"translation": 0.125, "cutout": 0.5, "color_jitter": True}


def test_it_changes_images_in_training_alone():
    images = make_images()
    layer = DiffAugment(**ALL)
    assert np.array_equal(layer(images, training=False), images)
    one, other = (np.asarray(layer(images, training=True)) for _ in range(2))
    assert not np.array_equal(one, images) and not np.array_equal(one, other)


def test_translation_shifts_by_whole_pixels_and_fills_with_zeros():
    images = make_images(400)
    moved = change(images, translation=0.25)
    shifts = set()
    for image, result in zip(images, moved, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        cuts = {(y, x): padded[2 + y : 10 + y, 2 + x : 10 + x] for y in range(-2, 3) for x in range(-2, 3)}
        (found,) = (shift for shift, cut in cuts.items() if np.allclose(cut, result, atol=1e-6))
        shifts.add(found)
    assert len(shifts) == 25  # each shift of at most a quarter of 8 pixels, in both directions


def test_cutout_hides_a_rectangle_that_may_cross_the_border():
    hidden = change(np.ones((400, 8, 8, 3), np.float32), cutout=0.5)
    sizes = set()
    for image in hidden:
        rows, columns = np.nonzero(image[..., 0] == 0)
        assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # a rectangle without holes
        sizes.add((int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
    assert max(sizes) == (4, 4)
    assert min(height for height, _ in sizes) == 2  # the center lies on the border


def test_color_jitter_is_the_formula_of_the_paper():
    images = make_images(16)
    numbers = keras.random.SeedGenerator(0)
    brightness, saturation, contrast = (
        np.asarray(keras.random.uniform((16, 1, 1, 1), seed=numbers)) for _ in range(3)
    )
    expected = images + brightness - 0.5
    gray = expected.mean(3, keepdims=True)
    expected = gray + 2 * saturation * (expected - gray)
    mean = expected.mean((1, 2, 3), keepdims=True)
    expected = mean + (contrast + 0.5) * (expected - mean)
    np.testing.assert_allclose(change(images, color_jitter=True), expected, atol=1e-5)


@pytest.mark.parametrize("name, value", ALL.items())
def test_the_gradient_of_a_gradient_is_finite_and_not_zero(name, value):
    """R1 differentiates the gradient with respect to the images again."""
    images = tf.constant(make_images(4))
    layer = DiffAugment(**{name: value}, seed=0)
    weight = tf.Variable(0.7)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(images)
            total = tf.reduce_sum(tf.square(layer(images, training=True)) * weight)
        norm = tf.reduce_sum(tf.square(inner.gradient(total, images)))
    gradient = float(outer.gradient(norm, weight))
    assert np.isfinite(gradient) and gradient > 0


def test_a_discriminator_with_augmentation_trains_saves_and_continues_exactly(tmp_path):
    def make():
        keras.utils.set_random_seed(3)
        discriminator = build_discriminator((8, 8, 1), base_filters=2, depth=0, **ALL)
        gan = GAN(build_generator((8, 8, 1), 4, base_filters=2, depth=0), discriminator)
        gan.compile()
        return gan

    whole, half = make(), make()
    fit(whole, epochs=2)
    fit(half)
    half.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    layer = loaded.discriminator.get_layer("augmentation")
    assert {name: getattr(layer, name) for name in ALL} == ALL
    fit(loaded, start_step=3, epochs=2)
    for name, value in state_of(whole).items():
        assert np.isfinite(value).all(), name
    for one, other in zip(state_of(whole).values(), state_of(loaded).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_change_there_is_no_layer():
    assert "augmentation" not in {layer.name for layer in build_discriminator((8, 8, 1)).layers}


@pytest.mark.parametrize("kwargs", [{"translation": 4}, {"cutout": -0.5}, {"cutout": float("nan")}])
def test_pixels_instead_of_fractions_are_refused(kwargs):
    with pytest.raises(ValueError, match=r"is a fraction of the side, in \[0, 1\). Received"):
        DiffAugment(**kwargs)
