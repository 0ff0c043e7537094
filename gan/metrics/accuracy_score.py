"""Measures the classification accuracy score (CAS) of generated, labeled images.

A classifier trains on generated images and their labels. The score is the accuracy of the classifier on real
test images. The classifier cannot learn a class that the generated images lack or show wrongly. Reference:
Ravuri & Vinyals 2019, https://arxiv.org/abs/1905.10887. The network and the training are the same as for
published MNIST results (https://github.com/alexbie98/dpgan-revisit, `dpgan/eval/acc.py`).
"""

import keras
import numpy as np
from keras import layers

from ..data import pipeline
from ..images import to_float
from .features import LAST, seeded

TRAINING_IMAGES = 60_000
FOLDS = 12  # the last fold is for validation
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
    """Trains a classifier on images and returns its accuracy on test images, in [0, 1].

    The last twelfth of the images is for validation. The test uses the weights of the epoch with the highest
    validation accuracy. An epoch always has 859 batches of 64 images: a smaller training set repeats.

    Args:
        images: training images, uint8 (count, height, width, channels).
        labels: integers (count,), from 0.
        test_images: real images, uint8 (count, height, width, channels).
        test_labels: integers (count,), from 0.
        epochs: number of epochs.
        verbose: as in `fit`.

    Raises:
        DataError: if images or labels have the wrong shape, type or range.
    """
    held_out = max(1, len(images) // FOLDS)
    network = _build(images.shape[1:], int(max(labels.max(), test_labels.max())) + 1)
    # The patience is the number of epochs, so `EarlyStopping` only restores the weights of the best epoch.
    best = keras.callbacks.EarlyStopping("val_accuracy", 0, epochs, mode="max", restore_best_weights=True)
    network.fit(
        pipeline(images[:-held_out], labels[:-held_out], batch_size=BATCH_SIZE, seed=0),
        steps_per_epoch=(TRAINING_IMAGES - TRAINING_IMAGES // FOLDS) // BATCH_SIZE,
        epochs=epochs,
        validation_data=(_to_floats(images[-held_out:]), labels[-held_out:]),
        callbacks=[best],
        shuffle=False,
        verbose=verbose,
    )
    return network.evaluate(_to_floats(test_images), test_labels, verbose=0, return_dict=True)["accuracy"]


def _build(image_shape: tuple, num_classes: int) -> keras.Model:
    network = keras.Sequential(
        [
            keras.Input(image_shape),
            seeded(layers.Conv2D, 0, 32, 3, activation="relu", **LAST),
            seeded(layers.Conv2D, 1, 64, 3, activation="relu", **LAST),
            layers.MaxPooling2D(2, dtype="float32", **LAST),
            layers.Dropout(0.25, seed=2, dtype="float32"),
            layers.Flatten(dtype="float32", **LAST),
            seeded(layers.Dense, 3, 128, activation="relu"),
            layers.Dropout(0.5, seed=4, dtype="float32"),
            seeded(layers.Dense, 5, num_classes),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return network


def _to_floats(images: np.ndarray) -> np.ndarray:
    return to_float(images.astype(np.float32))
