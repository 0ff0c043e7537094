"""Fixed images and latents with which callbacks look at the discriminator."""

from typing import NamedTuple

import keras
import numpy as np

from gan.checks import label_shapes
from gan.images import check_pictures, check_range, spread_rows, to_float
from gan.sampling import call, check_labels

BATCH_SIZE = 250
DATA = "`training_data` and `test_data`"


class Images(NamedTuple):
    """Holds images and their labels (count,) or None.

    The images are uint8 or floats in [-1, 1], (count, height, width, channels).
    """

    values: np.ndarray
    labels: np.ndarray | None


class Probe:
    """Holds fixed real images and fixed latents, and computes samples and logits with them.

    Args:
        model: a model with the networks `generator` and `discriminator`, a `latent_shape`, and for a
            conditional model `num_classes`.
        training_data: images and labels, as in `validation_data` of `fit`. Images are uint8 or floats in
            [-1, 1], (count, height, width, channels). Labels are integers (count,), or None for a model
            without classes.
        test_data: the same for test images. None: no test images.
        count: number of images of each kind. They are evenly spread over the data.
        seed: seed of the latents.

    Attributes:
        real: the chosen real images: "training", and "test" if there are test images.

    Raises:
        ValueError: when the data are not a pair, when images have a wrong shape or range, or when the labels
            do not fit the images and the model.
    """

    def __init__(
        self,
        model: keras.Model,
        training_data: tuple,
        test_data: tuple | None,
        count: int,
        seed: int,
    ):
        self.model = model
        self.real = {"training": self._choose(count, training_data)}
        if test_data is not None:
            self.real["test"] = self._choose(count, test_data)
        shape = (len(self.real["training"].values), *model.latent_shape)
        self.latents = np.random.default_rng(seed).standard_normal(shape, np.float32)

    def generate(self) -> Images:
        """Draws images with the generator from the fixed latents, with the labels of the training images."""
        labels = self.real["training"].labels
        return Images(_call_in_batches(self.model.generator, self.latents, labels), labels)

    def compute_logits(self, images: Images) -> np.ndarray:
        """Returns the discriminator's logits, float32 (count, 1)."""
        return _call_in_batches(self.model.discriminator, *images)

    def _choose(self, count: int, data: tuple) -> Images:
        """Checks images and labels, and chooses evenly spread ones."""
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError(
                f"{DATA} must be (images, labels), or (images, None) without classes. Received: "
                f"{type(data).__name__}"
            )
        images, labels = data
        rows = spread_rows(len(images), count)
        chosen = np.asarray(images)[rows]
        chosen = chosen[..., np.newaxis] if chosen.ndim == 3 else chosen
        check_pictures(DATA, chosen)
        check_range(chosen)
        expected = getattr(self.model, "image_shape", chosen.shape[1:])
        if chosen.shape[1:] != tuple(expected):
            raise ValueError(
                f"The images in {DATA} must have the shape of the model's images, {expected}. Received: "
                f"{chosen.shape[1:]}"
            )
        return Images(chosen, self._choose_labels(images, labels, rows))

    def _choose_labels(self, images: np.ndarray, labels, rows: np.ndarray) -> np.ndarray | None:
        num_classes = getattr(self.model, "num_classes", None)
        if num_classes is None:
            return None
        if labels is None:
            raise ValueError(
                f"A model with classes needs labels in {DATA}. Received: None. Give (images, labels)"
            )
        labels = np.asarray(labels)
        if labels.shape not in label_shapes(images):
            raise ValueError(
                f"{DATA} need one label for each image. Received: {len(images)} images, labels of shape "
                f"{labels.shape}"
            )
        check_labels(labels, num_classes)
        return labels[rows].reshape(-1).astype(np.int32)


def _call_in_batches(network: keras.Model, inputs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Calls a network in batches, without dropout. `predict` would take seconds to trace the network.

    Only one batch of uint8 images becomes floats at a time.
    """
    outputs = []
    for start in range(0, len(inputs), BATCH_SIZE):
        batch = inputs[start : start + BATCH_SIZE]
        floats = to_float(batch.astype(np.float32)) if batch.dtype == np.uint8 else batch.astype(np.float32)
        one = call(network, floats if labels is None else [floats, labels[start : start + BATCH_SIZE]])
        outputs.append(keras.ops.convert_to_numpy(one))
    return np.concatenate(outputs).astype(np.float32)
