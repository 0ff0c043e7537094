import keras
import numpy as np
import pytest
import tensorflow as tf

from gan import penalties

IMAGES = tf.constant(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), tf.float32)


def test_r1_of_a_linear_critic_is_its_squared_slope():
    slope = tf.constant(np.random.default_rng(1).normal(size=(4, 4, 1)), tf.float32)
    penalty = penalties.R1(weight=3.0)(
        lambda x: tf.reduce_sum(slope * x, axis=[1, 2, 3], keepdims=True)[:, :, 0, 0], IMAGES, None
    )
    assert float(penalty) == pytest.approx(1.5 * float(tf.reduce_sum(slope**2)), rel=1e-5)


def test_r1_of_a_quadratic_critic_is_averaged_over_images():
    penalty = penalties.R1(weight=2.0)(lambda x: tf.reduce_sum(x**2, axis=[1, 2, 3]), IMAGES, None)
    per_image = tf.reduce_sum((2 * IMAGES) ** 2, axis=[1, 2, 3])
    assert float(penalty) == pytest.approx(float(tf.reduce_mean(per_image)), rel=1e-5)


def test_r1_reaches_the_critics_weights():
    weight = tf.Variable(0.5)
    with tf.GradientTape() as tape:
        penalty = penalties.R1(weight=2.0)(lambda x: weight * tf.reduce_sum(x, axis=[1, 2, 3]), IMAGES, None)
    assert float(tape.gradient(penalty, weight)) == pytest.approx(2 * 0.5 * 16, rel=1e-5)


def test_survives_serialization():
    copy = penalties.get(keras.saving.serialize_keras_object(penalties.R1(0.7)))
    assert copy.weight == 0.7


def test_errors_say_what_is_accepted():
    with pytest.raises(ValueError, match="one of r1.*Received: penalty='r9'"):
        penalties.get("r9")
    with pytest.raises(ValueError, match="must not be negative"):
        penalties.R1(-1.0)
