"""The classification accuracy score: are generated, labelled images as good to learn from as real ones?

A fixed network is trained on generated images with the labels they were asked for, and tested on real
ones. What is missing or wrong in the generated images, it cannot learn. Reference: Ravuri & Vinyals
2019, https://arxiv.org/abs/1905.10887; network and training are those of the published MNIST figures
(https://github.com/alexbie98/dpgan-revisit, `dpgan/eval/acc.py`).
"""

import keras
import numpy as np
from keras import layers

from gan.data import pipeline
from gan.images import to_float

__all__ = ["TRAINING_IMAGES", "classification_accuracy"]

TRAINING_IMAGES = 60_000
HELD_OUT_SHARE = 12  # one in so many images chooses the epoch
EPOCHS = 10
BATCH_SIZE = 64


def classification_accuracy(
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    epochs: int = EPOCHS,
    verbose: int = 1,
) -> float:
    """The share of test images that a classifier trained on other images gets right, in [0, 1].

    The last twelfth of the images chooses the epoch; where there are fewer than 60,000, the others are
    used over again, so that every training is equally long.

    Args:
        images: uint8 (count, height, width, channels), to train on.
        labels: integers (count,), from 0.
        test_images: real ones, likewise.
        test_labels: likewise.
        epochs: passes over 55,000 images.
        verbose: as in `fit`.

    Raises:
        DataError: when images or labels have the wrong shape, type or range.
    """
    held_out = max(1, len(images) // HELD_OUT_SHARE)
    steps = (TRAINING_IMAGES - TRAINING_IMAGES // HELD_OUT_SHARE) // BATCH_SIZE
    network = _build(images.shape[1:], int(max(labels.max(), test_labels.max())) + 1)
    best = _KeepBest()
    network.fit(
        pipeline(images[:-held_out], labels[:-held_out], batch_size=BATCH_SIZE, seed=0),
        steps_per_epoch=steps,
        epochs=epochs,
        validation_data=(_to_floats(images[-held_out:]), labels[-held_out:]),
        callbacks=[best],
        shuffle=False,
        verbose=verbose,
    )
    network.set_weights(best.weights)
    return network.evaluate(_to_floats(test_images), test_labels, verbose=0, return_dict=True)["accuracy"]


def _build(image_shape: tuple, num_classes: int) -> keras.Model:
    # Seeds of its own and one precision: the score follows from the images alone.
    seeds = iter(range(6))

    def weighty(kind, *args, **kwargs):
        initializer = keras.initializers.GlorotUniform(next(seeds))
        return kind(*args, kernel_initializer=initializer, dtype="float32", **kwargs)

    network = keras.Sequential(
        [
            keras.Input(image_shape),
            weighty(layers.Conv2D, 32, 3, activation="relu"),
            weighty(layers.Conv2D, 64, 3, activation="relu"),
            layers.MaxPooling2D(2, dtype="float32"),
            layers.Dropout(0.25, seed=next(seeds), dtype="float32"),
            layers.Flatten(dtype="float32"),
            weighty(layers.Dense, 128, activation="relu"),
            layers.Dropout(0.5, seed=next(seeds), dtype="float32"),
            weighty(layers.Dense, num_classes),
        ]
    )
    network.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return network


def _to_floats(images: np.ndarray) -> np.ndarray:
    return to_float(images.astype(np.float32))


class _KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the highest validation accuracy, in memory."""

    def on_train_begin(self, logs=None):
        self.accuracy = -1.0

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_accuracy"] > self.accuracy:
            self.accuracy, self.weights = logs["val_accuracy"], self.model.get_weights()
