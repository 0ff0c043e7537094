"""Fixed images and latents with which callbacks look at the discriminator."""

from typing import NamedTuple

import keras
import numpy as np

from gan.images import check_pictures, check_range, spread_rows, to_float
from gan.sampling import call

BATCH_SIZE = 250


class Images(NamedTuple):
    """Holds float images in [-1, 1], (count, height, width, channels), and their labels (count,) or None."""

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
        ValueError: when images have a wrong shape or range, or when a model with classes gets no labels.
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
        self.real = {"training": self._choose(count, *training_data)}
        if test_data is not None:
            self.real["test"] = self._choose(count, *test_data)
        shape = (len(self.real["training"].values), *model.latent_shape)
        self.latents = np.random.default_rng(seed).standard_normal(shape, np.float32)

    def generate(self) -> Images:
        """Draws images with the generator from the fixed latents, with the labels of the training images."""
        labels = self.real["training"].labels
        return Images(_call_in_batches(self.model.generator, self.latents, labels), labels)

    def compute_logits(self, images: Images) -> np.ndarray:
        """Returns the discriminator's logits, float32 (count, 1)."""
        return _call_in_batches(self.model.discriminator, *images)

    def _choose(self, count: int, images: np.ndarray, labels: np.ndarray | None) -> Images:
        rows = spread_rows(len(images), count)
        images = np.asarray(images)[rows]
        images = images[..., np.newaxis] if images.ndim == 3 else images
        check_pictures("`training_data` and `test_data`", images)
        check_range(images)
        is_pixels, images = images.dtype == np.uint8, images.astype(np.float32)
        images = to_float(images) if is_pixels else images
        if getattr(self.model, "num_classes", None) is None:
            return Images(images, None)
        if labels is None:
            raise ValueError(
                "A model with classes needs labels in `training_data` and `test_data`. Received: None. "
                "Give (images, labels)"
            )
        return Images(images, np.asarray(labels, np.int32)[rows])


def _call_in_batches(network: keras.Model, inputs: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Calls a network in batches, without dropout. `predict` would take seconds to trace the network."""
    chunks = [slice(start, start + BATCH_SIZE) for start in range(0, len(inputs), BATCH_SIZE)]
    outputs = [
        call(network, inputs[chunk] if labels is None else [inputs[chunk], labels[chunk]]) for chunk in chunks
    ]
    return np.concatenate([keras.ops.convert_to_numpy(one) for one in outputs]).astype(np.float32)
