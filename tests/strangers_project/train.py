"""Contains an independent project: RGB images of 48x40, its own networks, and its own subclass of GAN.

python train.py begin       # trains and saves a model
python train.py go-on       # loads the model in another process and continues the training
"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import callbacks  # the callbacks.py of this project
from gan import GAN
from gan.callbacks import SampleGrid

SHAPE = (48, 40, 3)


def make_data(count=50):
    """Makes a finite pipeline. The last batch is smaller."""
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices(images).shuffle(count, seed=0)
    return data.map(lambda image: image / 127.5 - 1).batch(16).prefetch(1)


def make_generator():
    latents = keras.Input((32,))
    x = layers.Dense(12 * 10 * 8, "relu", kernel_regularizer="l2")(latents)
    x = layers.Reshape((12, 10, 8))(x)
    x = layers.Conv2DTranspose(8, 4, 2, "same", activation="relu")(x)
    return keras.Model(
        latents, layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh", dtype="float32")(x)
    )


@keras.saving.register_keras_serializable("stranger")
class MyDiscriminator(keras.Model):
    def __init__(self, filters=8, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.conv = layers.Conv2D(filters, 4, 4, kernel_regularizer=keras.regularizers.L2(1e-4))
        self.pool = layers.GlobalAveragePooling2D()
        self.logit = layers.Dense(1, dtype="float32")

    def call(self, images):
        return self.logit(self.pool(keras.ops.leaky_relu(self.conv(images))))

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


@keras.saving.register_keras_serializable("stranger")
class MyGAN(GAN):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.brightness = keras.metrics.Mean(name="brightness")

    def train_step(self, data):
        logs = super().train_step(data)
        self.brightness.update_state(data)
        return logs | {"brightness": self.brightness.result()}


def fit(gan, epochs, initial_epoch=0):
    stock = [
        keras.callbacks.ModelCheckpoint("best.keras", "val_d_loss", save_best_only=True),
        keras.callbacks.EarlyStopping("d_loss", patience=9),
        keras.callbacks.ReduceLROnPlateau("d_loss", patience=9),
        keras.callbacks.TensorBoard("logs", histogram_freq=1),
        keras.callbacks.CSVLogger("log.csv", append=True),
        keras.callbacks.TerminateOnNaN(),
    ]
    if not initial_epoch:
        stock.append(keras.callbacks.BackupAndRestore("backup"))
    own = [callbacks.Tell(), SampleGrid("samples", rows=2, columns=3)]
    return gan.fit(make_data(), epochs=epochs, initial_epoch=initial_epoch, validation_data=make_data(20),
                   callbacks=stock + own, verbose=2)  # fmt: skip


def main(what):
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    if what == "begin":
        discriminator = MyDiscriminator()
        discriminator(np.zeros((1, *SHAPE), np.float32))
        gan = MyGAN(make_generator(), discriminator)
        gan.compile("adam", metrics=[])
        history = fit(gan, 2).history
        gan.save("gan.keras")
    else:
        gan = keras.saving.load_model("gan.keras")
        history = fit(gan, 3, initial_epoch=2).history
    assert {"brightness", "d_loss", "g_loss", "val_d_loss"} <= history.keys(), history.keys()
    assert all(np.isfinite(values).all() for values in history.values())
    pictures = gan.generate(4, seed=0)
    assert pictures.shape == (4, *SHAPE), pictures.shape
    print(
        what, "ended at step", int(gan.step), sorted(path.name for path in pathlib.Path("samples").iterdir())
    )


if __name__ == "__main__":
    main(sys.argv[1])
