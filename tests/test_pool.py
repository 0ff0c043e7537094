"""Tests the pool of GANs: a GAN that an earlier test trained equals a new GAN."""

import keras
import pytest

from conftest import assert_same_state, fit, make_gan, pool


def make_new(num_classes):
    pool.is_open = False
    try:
        return make_gan(num_classes)
    finally:
        pool.is_open = True


@pytest.mark.exact
def test_a_gan_from_the_pool_trains_like_a_new_one(num_classes):
    pool.take_back()
    pool.free.clear()
    used = make_gan(num_classes)
    fit(used, epochs=2, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 1e-2)])
    used.generate(3)
    pool.take_back()
    again, new = make_gan(num_classes), make_new(num_classes)
    assert again is used
    assert not hasattr(again, "history")
    assert_same_state(again, new)
    for gan in (again, new):
        fit(gan, epochs=2)
    assert_same_state(again, new)


def test_a_changed_gan_is_not_kept():
    pool.take_back()
    pool.free.clear()
    compiled, frozen = make_gan(), make_gan()
    compiled.compile(loss="hinge")
    frozen.generator.trainable = False
    pool.take_back()
    assert not any(pool.free.values())
    assert make_gan() not in (compiled, frozen)
