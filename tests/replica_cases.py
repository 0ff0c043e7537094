"""Trains or measures the same tiny GAN on one device, on several logical CPUs, or as one of several workers.

test_distribution runs this file in new processes: `replica_cases.py CASE REPLICAS FILE.npz`. With TF_CONFIG
the process is a worker. Saves the arrays to compare.
"""

import os
import sys

sys.path[:0] = [".", "tests"]

import keras
import numpy as np
import tensorflow as tf
from keras import layers

IMAGE_SHAPE = (8, 8, 1)


def make_strategy(replicas):
    if "TF_CONFIG" in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if replicas == 1:
        return tf.distribute.get_strategy()
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    return tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(replicas)])


def make_plain_networks():
    """Makes networks that treat each image alone, so that the number of replicas changes nothing."""
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    hidden = layers.Concatenate()([latents, layers.Embedding(3, 3)(labels)])
    pixels = layers.Dense(64, activation="tanh")(hidden)
    images = keras.Input(IMAGE_SHAPE)
    features = DiffAugment(translation=0.2, cutout=0.3)(images)
    features = layers.Dense(8, activation="relu")(layers.Flatten()(features))
    logits = layers.Dense(1)(layers.Concatenate()([features, layers.Embedding(3, 3)(labels)]))
    generator = keras.Model([latents, labels], layers.Reshape(IMAGE_SHAPE)(pixels))
    return generator, keras.Model([images, labels], logits)


def train_plain(strategy):
    """Returns the weights and the logs after 20 steps, without and with several discriminator steps."""
    results = {}
    recipes = {"r1": {}, "wgan": {"loss": "wasserstein", "penalty": "wgan_gp", "discriminator_steps": 2}}
    for name, recipe in recipes.items():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            gan = GAN(*make_plain_networks(), num_classes=3)
            gan.compile(keras.optimizers.SGD(0.1), **recipe)
        data = pipeline(make_images(30), make_labels(30), batch_size=8, seed=0, flip=True)
        logs = gan.fit(data, steps_per_epoch=10, epochs=2, verbose=0).history
        results |= {f"{name}/{index}": array for index, array in enumerate(gan.get_weights())}
        results |= {f"{name}/{key}": np.array(values) for key, values in logs.items()}
    return results


def train_default_networks(strategy):
    """Returns the weights of the default networks, with batch norm and minibatch deviation."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        generator = build_generator(IMAGE_SHAPE, 4, 3, base_filters=4)
        discriminator = build_discriminator(IMAGE_SHAPE, 3, base_filters=4)
        gan = GAN(generator, discriminator, num_classes=3)
        gan.compile(keras.optimizers.SGD(0.05))
    data = pipeline(make_images(), make_labels(), batch_size=8, seed=0)
    logs = gan.fit(data, steps_per_epoch=10, verbose=0).history
    results = {f"{index}/{weight.path}": weight.numpy() for index, weight in enumerate(gan.weights)}
    return results | {key: np.array(values) for key, values in logs.items()}


def measure(strategy):
    """Returns the metrics of a GAN after an epoch with validation."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Flatten(), layers.Dense(4)])
    with strategy.scope():
        gan = GAN(*make_plain_networks(), num_classes=3)
        gan.compile(
            keras.optimizers.SGD(0.0),
            metrics=[FrechetDistance(network), ClassifierScore(network), ClassBalance(network)],
        )
    images, labels = make_images(48), make_labels(48)
    dataset = Dataset("tiny", "nowhere", images, labels, images, labels)
    replicas = strategy.num_replicas_in_sync
    batches = validation_batches(dataset, has_labels=True, batch_size=16, replicas=replicas)
    data = pipeline(images, labels, batch_size=8, seed=0)
    logs = gan.fit(data, steps_per_epoch=2, epochs=2, validation_data=batches, verbose=0).history
    alone = gan.evaluate(batches, return_dict=True, verbose=0)
    results = {f"fit/{key}": np.array(values) for key, values in logs.items() if key.startswith("val_")}
    return results | {f"evaluate/{key}": np.array(value) for key, value in alone.items()}


def train_with_statistics(strategy):
    """Returns the weights of a GAN with batch norm, dropout and an average, after saving and loading."""
    with strategy.scope():
        gan = make_gan(3)
    data = pipeline(make_images(), make_labels(), batch_size=8, seed=0)
    gan.fit(data, steps_per_epoch=5, epochs=2, verbose=0)
    path = f"{sys.argv[3]}.weights.h5"
    gan.save_weights(path)
    with strategy.scope():
        copy = make_gan(3)
    copy.load_weights(path)
    for one, other in zip(gan.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    drawn = gan.generate(6, seed=0)
    return {"drawn": drawn} | {f"{w.path}/{index}": w.numpy() for index, w in enumerate(gan.variables)}


def use_keras_tools(strategy):
    """Checks a stock callback, latents and the messages on several replicas of one process."""
    with strategy.scope():
        gan = make_gan(3)
    backup = keras.callbacks.BackupAndRestore(sys.argv[3] + ".backup")
    history = fit(gan, epochs=2, callbacks=[backup]).history
    assert np.isfinite(history["loss"]).all()
    images = tf.zeros((4, *IMAGE_SHAPE))
    drawn = strategy.run(lambda: gan._draw_latents(0, gan.step.value, images))
    first, second = strategy.experimental_local_results(drawn)
    assert not np.isin(first, second).any()
    data = tf.data.Dataset.from_tensor_slices((make_images(), make_labels()))
    gan.fit(data.batch(8, drop_remainder=True), verbose=0)
    for use in (gan.fit, gan.evaluate):
        with pytest.raises(ValueError, match="drop_remainder=True"):
            use(data.batch(8), verbose=0)  # the last batch may be smaller
    with strategy.scope(), pytest.raises(ValueError, match="must be 1 on several replicas"):
        gan.compile(steps_per_execution=2)
    return {}


def train_in_float16(strategy):
    """Returns the weights after steps with loss scaling."""
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    with strategy.scope():
        gan = make_gan(3, dropout=0.0)
    data = pipeline(make_images(), make_labels(), batch_size=8, seed=0)
    gan.fit(data, steps_per_epoch=4, verbose=0)
    return {w.path + str(index): w.numpy() for index, w in enumerate(gan.weights)}


def overflow_on_one_replica(strategy):
    """Returns the scale of the loss after steps that overflow on one replica. All replicas must skip them."""

    class Overflow(NonSaturating):
        def discriminator_loss(self, real_logits, fake_logits):
            replica = tf.distribute.get_replica_context()
            is_last = tf.equal(replica.replica_id_in_sync_group, replica.num_replicas_in_sync - 1)
            loss = super().discriminator_loss(real_logits, fake_logits)
            return loss * tf.where(is_last, np.float32(np.inf), 1.0)

    keras.mixed_precision.set_dtype_policy("mixed_float16")
    with strategy.scope():
        gan = make_gan(3, dropout=0.0, loss=Overflow())
    before = [np.array(array) for array in gan.discriminator.get_weights()]
    data = pipeline(make_images(), make_labels(), batch_size=8, seed=0)
    gan.fit(data, steps_per_epoch=3, verbose=0)
    for one, other in zip(before, gan.discriminator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    return {"scale": np.array(gan.optimizer.dynamic_scale.numpy())}


def share_values(strategy):
    """Returns what each worker shares."""
    mine = [os.environ.get("TF_CONFIG", "")[-12:], "x" * (10 if is_chief(strategy) else 3)]
    return {"shared": np.array(share(mine, strategy)), "is_chief": np.array(is_chief(strategy))}


if __name__ == "__main__":
    case, replicas, path = sys.argv[1:]
    strategy = make_strategy(int(replicas))

    import pytest

    from conftest import fit, make_gan, make_images, make_labels
    from gan import GAN, build_discriminator, build_generator
    from gan.augmentation import DiffAugment
    from gan.data import Dataset, pipeline, validation_batches
    from gan.distribution import is_chief, share
    from gan.losses import NonSaturating
    from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance

    np.savez(path, **globals()[case](strategy))
