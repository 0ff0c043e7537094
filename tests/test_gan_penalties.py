import keras
import numpy as np
import pytest
import tensorflow as tf

from gan import penalties

REAL = tf.constant(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), tf.float32)
FAKE = tf.constant(np.random.default_rng(1).normal(size=(5, 4, 4, 1)), tf.float32)
UNIFORM = tf.constant(np.random.default_rng(2).uniform(size=(5, 1, 1, 1)), tf.float32)
SLOPE = tf.constant(np.random.default_rng(3).normal(size=(4, 4, 1)), tf.float32)


def linear(images):
    """Its gradient is SLOPE everywhere."""
    return tf.reduce_sum(SLOPE * images, axis=[1, 2, 3])[:, None]


def quadratic(images):
    """Its gradient is twice the image."""
    return tf.reduce_sum(images**2, axis=[1, 2, 3])[:, None]


def squared_norms(gradients):
    return np.sum(np.square(gradients), axis=(1, 2, 3))


def between():
    return UNIFORM * REAL + (1 - UNIFORM) * FAKE


# As the papers write them, for the quadratic critic.
FORMULAS = {
    "r1": lambda weight: weight / 2 * np.mean(squared_norms(2 * REAL)),
    "r2": lambda weight: weight / 2 * np.mean(squared_norms(2 * FAKE)),
    "wgan_gp": lambda weight: weight * np.mean((np.sqrt(squared_norms(2 * between())) - 1) ** 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_the_papers(name):
    penalty = penalties.get(name)
    value = float(penalty(quadratic, REAL, FAKE, UNIFORM))
    assert value == pytest.approx(FORMULAS[name](penalty.weight), rel=1e-5)
    heavy = type(penalty)(weight=3.0)
    assert float(heavy(quadratic, REAL, FAKE, UNIFORM)) == pytest.approx(FORMULAS[name](3.0), rel=1e-5)


def test_r1_and_r2_add_up():
    value = float(penalties.get("r1+r2")(quadratic, REAL, FAKE, UNIFORM))
    assert value == pytest.approx(FORMULAS["r1"](0.1) + FORMULAS["r2"](0.1), rel=1e-5)


def test_a_linear_critic_pays_by_its_slope():
    squared = float(tf.reduce_sum(SLOPE**2))
    assert float(penalties.R1(2.0)(linear, REAL, FAKE, UNIFORM)) == pytest.approx(squared, rel=1e-5)
    gp = float(penalties.WganGP(1.0)(linear, REAL, FAKE, UNIFORM))
    assert gp == pytest.approx((squared**0.5 - 1) ** 2, rel=1e-5)


# With a critic w * sum(x) the squared gradient norm is 16 w^2 on every image.
SLOPES_BY_WEIGHT = {"r1": 16 * 0.5, "r2": 16 * 0.5, "r1+r2": 2 * 16 * 0.5, "wgan_gp": 8 * (4 * 0.5 - 1)}


@pytest.mark.parametrize("name", penalties.BY_NAME)
def test_gradients_by_the_critics_weights(name):
    weight = tf.Variable(0.5)
    factor = {"wgan_gp": 10.0, "r1": 0.3}.get(name, 0.1)
    with tf.GradientTape() as tape:
        penalty = penalties.get(name)(
            lambda x: weight * tf.reduce_sum(x, axis=[1, 2, 3])[:, None], REAL, FAKE, UNIFORM
        )
    assert float(tape.gradient(penalty, weight)) == pytest.approx(factor * SLOPES_BY_WEIGHT[name], rel=1e-5)


def test_a_flat_critic_has_a_finite_gradient():
    weight = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = penalties.WganGP()(
            lambda x: weight * tf.reduce_sum(x, axis=[1, 2, 3])[:, None], REAL, FAKE, UNIFORM
        )
    assert np.isfinite(float(tape.gradient(penalty, weight)))


@pytest.mark.parametrize("name", penalties.BY_NAME)
def test_survives_serialization(name):
    penalty = penalties.get(name)
    copy = penalties.get(keras.saving.serialize_keras_object(penalty))
    assert type(copy) is type(penalty)
    assert copy.get_config() == penalty.get_config()


def test_weights_survive_serialization():
    total = penalties.PenaltySum([penalties.R1(0.7), penalties.WganGP(3.0)])
    copy = penalties.get(keras.saving.serialize_keras_object(total))
    assert [one.weight for one in copy.penalties] == [0.7, 3.0]


def test_a_class_stands_for_its_default():
    assert penalties.get(penalties.WganGP).weight == 10.0


def test_errors_say_what_is_accepted():
    with pytest.raises(ValueError, match=r"one of r1, r2, r1\+r2, wgan_gp.*Received: penalty='r9'"):
        penalties.get("r9")
    with pytest.raises(ValueError, match="must not be negative"):
        penalties.R1(-1.0)
