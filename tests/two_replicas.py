"""Run by test_keras_tools: one device and two replicas train to the same weights."""

import sys

sys.path.insert(0, ".")
sys.path.insert(0, "tests")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from conftest import IMAGE_SHAPE, fit
from gan import GAN


def make_networks():
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    hidden = layers.Concatenate()([latents, layers.Embedding(3, 3)(labels)])
    pixels = layers.Dense(64, activation="tanh")(hidden)
    images = keras.Input(IMAGE_SHAPE)
    features = layers.Dense(8, activation="relu")(layers.Flatten()(images))
    logits = layers.Dense(1)(layers.Concatenate()([features, layers.Embedding(3, 3)(labels)]))
    generator = keras.Model([latents, labels], layers.Reshape(IMAGE_SHAPE)(pixels))
    return generator, keras.Model([images, labels], logits)


def train(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        gan = GAN(*make_networks(), num_classes=3)
        gan.compile(keras.optimizers.SGD(0.1))
    fit(gan, epochs=2)
    return gan


def refuse_several_discriminator_steps(strategy):
    with strategy.scope():
        gan = GAN(*make_networks(), num_classes=3)
        try:
            gan.compile(discriminator_steps=2)
        except ValueError as error:
            assert "2 for 2 replicas" in str(error), error
        else:
            raise AssertionError("not refused")


refuse_several_discriminator_steps(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
one = train(tf.distribute.get_strategy())
two = train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6)
