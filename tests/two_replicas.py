"""Checks two replicas on two logical CPUs. test_keras_execution runs this file in a new process."""

import sys
import tempfile

sys.path.insert(0, ".")
sys.path.insert(0, "tests")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

from conftest import IMAGE_SHAPE, fit, make_gan, make_images, make_labels
from gan import GAN
from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance


def make_networks():
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    hidden = layers.Concatenate()([latents, layers.Embedding(3, 3)(labels)])
    pixels = layers.Dense(64, activation="tanh")(hidden)
    images = keras.Input(IMAGE_SHAPE)
    features = layers.Dense(8, activation="relu")(layers.Flatten()(images))
    logits = layers.Dense(1)(layers.Concatenate()([features, layers.Embedding(3, 3)(labels)]))
    generator = keras.Model([latents, labels], layers.Reshape(IMAGE_SHAPE)(pixels))
    return generator, keras.Model([images, labels], logits)


def train(strategy, **recipe):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        gan = GAN(*make_networks(), num_classes=3)
        gan.compile(keras.optimizers.SGD(0.1), **recipe)
    fit(gan, epochs=2)
    return gan


def check_that_replicas_split_the_batch_as_one_device_has_it(two_devices):
    for recipe in ({}, {"loss": "wasserstein", "penalty": "wgan_gp", "discriminator_steps": 2}):
        one = train(tf.distribute.get_strategy(), **recipe)
        two = train(two_devices, **recipe)
        for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def check_that_replicas_measure_what_one_device_measures(two_devices):
    network = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Flatten(), layers.Dense(4)])
    figures = []
    for strategy in (tf.distribute.get_strategy(), two_devices):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            gan = GAN(*make_networks(), num_classes=3)
            gan.compile(metrics=[FrechetDistance(network), ClassifierScore(network), ClassBalance(network)])
        figures.append(gan.evaluate(make_images(), make_labels(), batch_size=10, verbose=0, return_dict=True))
    assert figures[0]["frechet_distance"] > 0
    for name, figure in figures[0].items():
        np.testing.assert_allclose(figures[1][name], figure, rtol=1e-4, err_msg=name)


def check_that_replicas_draw_different_latents(two_devices):
    with two_devices.scope():
        gan = make_gan()
    images = tf.zeros((4, *IMAGE_SHAPE))
    drawn = two_devices.run(lambda: gan._draw_latents(0, gan.step.value, images))
    first, second = two_devices.experimental_local_results(drawn)
    assert not np.isin(first, second).any()


def check_that_batch_norm_and_dropout_train_by_plain_fit(two_devices, folder):
    with two_devices.scope():
        gan = make_gan(3)
    before = gan.get_weights()
    history = fit(gan, epochs=2, callbacks=[keras.callbacks.BackupAndRestore(folder + "/backup")]).history
    assert np.isfinite(history["loss"]).all()
    now = zip(gan.weights, before, gan.get_weights(), strict=True)
    still = [weight.path for weight, a, b in now if np.array_equal(a, b)]
    assert [path.split("/")[-1] for path in still] == ["evaluation_step"], still
    gan.save_weights(folder + "/gan.weights.h5")
    with two_devices.scope():
        copy = make_gan(3)
    copy.load_weights(folder + "/gan.weights.h5")
    for a, b in zip(gan.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def check_that_uneven_parts_are_refused(two_devices):
    with two_devices.scope():
        gan = GAN(*make_networks(), num_classes=3)
        gan.compile()
    data = tf.data.Dataset.from_tensor_slices((make_images(), make_labels()))
    gan.fit(data.batch(8, drop_remainder=True), verbose=0)
    for use in (gan.fit, gan.evaluate):
        try:
            use(data.batch(8), verbose=0)  # the last batch may be smaller
        except ValueError as error:
            assert "drop_remainder=True" in str(error), error
        else:
            raise AssertionError("Batches that may be uneven must raise a ValueError")


mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
check_that_replicas_split_the_batch_as_one_device_has_it(mirrored)
check_that_replicas_measure_what_one_device_measures(mirrored)
check_that_replicas_draw_different_latents(mirrored)
check_that_uneven_parts_are_refused(mirrored)
with tempfile.TemporaryDirectory() as temporary:
    check_that_batch_norm_and_dropout_train_by_plain_fit(mirrored, temporary)
