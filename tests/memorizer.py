"""Contains a GAN that repeats given images: the latents choose an image, and noise is added."""

import keras
import numpy as np

from gan import GAN


@keras.saving.register_keras_serializable(package="tests")
class Memory(keras.layers.Layer):
    """Maps latents to the stored images. With labels, maps to stored images of the requested class."""

    def __init__(self, images, noise, labels=None, num_classes=None, **kwargs):
        super().__init__(**kwargs)
        self.images = keras.ops.convert_to_tensor(images.astype("float32") / 127.5 - 1)
        self.noise = noise
        self.of_class = None
        if labels is not None:
            rows = [np.flatnonzero(labels == label) for label in range(num_classes)]
            self.of_class = np.stack([np.resize(row, max(map(len, rows))) for row in rows])

    def call(self, latents, labels=None):
        choice = keras.ops.cast(keras.ops.floor(keras.ops.abs(latents[:, 0]) * 1e5), "int32")
        if self.of_class is None:
            rows = choice % len(self.images)
        else:
            table = keras.ops.convert_to_tensor(self.of_class)
            labels = keras.ops.cast(labels, "int32")
            place = labels * table.shape[1] + choice % table.shape[1]
            rows = keras.ops.take(keras.ops.reshape(table, [-1]), place)
        images = keras.ops.take(self.images, rows, axis=0)
        texture = keras.ops.reshape(keras.ops.tile(latents, [1, 200]), [-1, 200 * latents.shape[1]])
        pixels = int(np.prod(self.images.shape[1:]))
        noise = keras.ops.reshape(texture[:, :pixels], [-1, *self.images.shape[1:]])
        return keras.ops.clip(images + self.noise * noise, -1.0, 1.0)


def make_memorizer(images, noise=0.0, labels=None, num_classes=None):
    """Makes a GAN whose samples are the given images plus noise."""
    latents = keras.Input((8,))
    shape = images.shape[1:]
    inputs, seen = latents, keras.Input(shape)
    memory = Memory(images, noise, labels, num_classes)
    if num_classes is None:
        drawn, given = memory(latents), seen
    else:
        requested = keras.Input((), dtype="int32")
        inputs, drawn = [latents, requested], memory(latents, requested)
        given = [seen, keras.Input((), dtype="int32")]
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(seen))
    discriminator = keras.Model(given, logits)
    return GAN(keras.Model(inputs, drawn), discriminator, num_classes=num_classes, ema_half_life_images=None)
