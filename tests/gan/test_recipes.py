"""Tests that recipes can be made, saved and changed, and that the defaults of GAN equal `fast`."""

import dataclasses

import keras
import numpy as np
import pytest

from conftest import IMAGE_SHAPE, make_dataset, state_of
from gan import GAN, build_discriminator, build_generator
from gan.recipes import RECIPES


def test_what_is_not_given_is_as_fast_has_it():
    recipe = RECIPES["fast"]
    gan = recipe.make_gan(num_classes=10)
    recipe.compile(gan)
    by_itself = GAN(build_generator(num_classes=10), build_discriminator(num_classes=10), num_classes=10)
    by_itself.compile()
    assert by_itself.get_config() | {"name": gan.name} == gan.get_config()
    assert by_itself.get_compile_config() == gan.get_compile_config()


@pytest.mark.parametrize("name", RECIPES)
def test_each_trains_every_weight(name):
    recipe = dataclasses.replace(RECIPES[name], base_filters=2)
    num_classes = 3 if recipe.conditional else None
    gan = recipe.make_gan(IMAGE_SHAPE, num_classes)
    recipe.compile(gan)
    before = gan.get_weights()
    gan.fit(make_dataset(num_classes), steps_per_epoch=2, verbose=0)
    still = [w.path for w, b in zip(gan.weights, before, strict=True) if np.array_equal(w, b)]
    assert still == ["evaluation_step"] or [path.split("/")[-1] for path in still] == ["evaluation_step"]
    assert np.isfinite(gan.history.history["loss"]).all()


def test_the_seed_decides_the_weights():
    recipe = dataclasses.replace(RECIPES["fast"], base_filters=2)
    one, same, other = (recipe.make_gan(IMAGE_SHAPE, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_translated_run_is_saved_and_resumed_to_the_same_bits(tmp_path):
    recipe = dataclasses.replace(RECIPES["few"], base_filters=2, translation=0.2)
    gan = recipe.make_gan(IMAGE_SHAPE)
    recipe.compile(gan)
    gan.fit(make_dataset(), steps_per_epoch=2, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.models.load_model(tmp_path / "gan.keras")
    for each in (gan, again):
        each.fit(make_dataset(start_step=2), steps_per_epoch=2, verbose=0)
    states = [list(state_of(each).values()) for each in (gan, again)]
    assert all(np.array_equal(a, b) for a, b in zip(*states, strict=True))


def test_the_rates_fall_to_a_hundredth_and_stay_there():
    recipe = dataclasses.replace(
        RECIPES["fast"], base_filters=2, discriminator_depth=0, discriminator_learning_rate=1e-3
    )
    gan = recipe.make_gan(IMAGE_SHAPE)
    recipe.compile(gan, decay_steps=4)
    rates = []
    for _ in range(3):
        rates.append([float(player.learning_rate) for player in gan.optimizer.optimizers])
        gan.fit(make_dataset(), steps_per_epoch=2, verbose=0)
    expected = [[2e-3, 1e-3], [2e-3 * 0.505, 1e-3 * 0.505], [2e-5, 1e-5]]  # halfway: (1 + 0.01) / 2
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_the_discriminators_rate_falls_with_the_steps_not_with_its_updates():
    recipe = dataclasses.replace(RECIPES["fast"], base_filters=2, discriminator_depth=0)
    gan = recipe.make_gan(IMAGE_SHAPE)
    recipe.compile(gan, decay_steps=4, discriminator_steps=3)
    gan.fit(make_dataset(), steps_per_epoch=2, verbose=0)
    rates = [float(player.learning_rate) for player in gan.optimizer.optimizers]
    np.testing.assert_allclose(rates, [2e-3 * 0.505] * 2, rtol=1e-5)
