import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import BATCH_SIZE, fit, make_gan, make_images, state_of
from gan import losses


class GradientOfNoNumber(losses.NonSaturating):
    """The generator's loss is finite, its gradient is not: that of a square root at 0."""

    def generator_loss(self, real_logits, fake_logits):
        return super().generator_loss(real_logits, fake_logits) + tf.sqrt(tf.reduce_sum(0 * fake_logits))


def state_of_player(gan, name) -> list[np.ndarray]:
    """A player's weights, batch norm's averages among them, and its optimizer's state."""
    variables = getattr(gan, name).weights + getattr(gan.optimizer, f"{name}_optimizer").variables
    return [np.array(variable.numpy()) for variable in variables]


def is_same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def batches(*bad_steps, count):
    """Batches of floats in [-1, 1]; those named hold a single pixel that is no number."""
    images = make_images(count * BATCH_SIZE).astype(np.float32) / 127.5 - 1
    for step in bad_steps:
        images[step * BATCH_SIZE, 0, 0, 0] = np.nan
    return tf.data.Dataset.from_tensor_slices(images).batch(BATCH_SIZE, drop_remainder=True)


def train(gan, data, **arguments):
    return gan.fit(data, verbose=0, **arguments).history


def assert_finite(gan):
    assert all(np.isfinite(value).all() for value in state_of(gan).values())


def train_once(gan, data):
    """Trains, and says which players moved, with the history."""
    before = {name: state_of_player(gan, name) for name in ("generator", "discriminator")}
    history = train(gan, data)
    return {name for name, state in before.items() if not is_same(state, state_of_player(gan, name))}, history


def test_real_images_of_no_number_do_not_move_the_discriminator():
    gan = make_gan()
    moved, history = train_once(gan, batches(0, count=1))
    assert moved == {"generator"}
    assert np.isnan(history["d_loss"]).all()
    assert_finite(gan)
    assert int(gan.step) == 1


def test_a_generator_that_overflows_moves_nothing():
    gan = make_gan()
    kernel = gan.generator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, 1e38))
    moved, history = train_once(gan, batches(count=1))
    assert moved == set()
    assert_finite(gan)
    assert np.isnan([history[name][0] for name in ("loss", "d_loss", "g_loss")]).all()


@pytest.mark.parametrize("discriminator_steps", [1, 2])
def test_a_gradient_of_no_number_is_seen_though_the_loss_is_finite(discriminator_steps):
    gan = make_gan(loss=GradientOfNoNumber(), discriminator_steps=discriminator_steps)
    moved, history = train_once(gan, batches(count=2))
    assert "discriminator" in moved
    assert is_same(gan.generator.trainable_variables, make_gan().generator.trainable_variables)
    assert np.isfinite(history["d_loss"]).all()
    assert np.isnan(history["g_loss"]).all()
    assert np.isnan(history["loss"]).all()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_is_seen_within_an_execution_of_several_steps(jit_compile):
    gan = make_gan(steps_per_execution=4, jit_compile=jit_compile)
    stop = keras.callbacks.TerminateOnNaN()
    history = train(gan, batches(1, count=8), callbacks=[stop])
    assert np.isnan(history["loss"]).all()
    assert int(gan.step) == 4
    assert_finite(gan)


def test_the_steps_beside_it_are_as_ever():
    """A bad batch costs its own update and no other."""
    gan, other = make_gan(dropout=0.0), make_gan(dropout=0.0)
    train(gan, batches(2, count=3))
    train(other, batches(count=2))
    state, expected = (state_of_player(each, "discriminator") for each in (gan, other))
    assert is_same(state, expected)


def test_a_gradient_that_no_scale_mends_is_a_failure(mixed_float16):
    gan = make_gan(loss=GradientOfNoNumber())
    gan.optimizer.dynamic_scale.assign(4.0)
    history = train(gan, batches(count=8))
    assert np.isnan(history["g_loss"]).all()
    assert_finite(gan)


def test_an_overflow_under_loss_scaling_is_no_failure(mixed_float16):
    gan = make_gan()
    gan.optimizer.dynamic_scale.assign(1e30)
    history = train(gan, batches(count=1))
    assert np.isfinite(history["loss"]).all()
    assert float(gan.optimizer.dynamic_scale) < 1e30
    assert int(gan.optimizer.inner_optimizer.iterations) == 0
    fit(gan)
    assert_finite(gan)
    assert np.isnan(train(gan, batches(0, count=1))["loss"]).all()
    assert_finite(gan)
