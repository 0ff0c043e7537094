"""The base of the callbacks that draw samples: fixed latents, every n-th epoch."""

import keras
import numpy as np

from gan import images
from gan.checks import whole_number
from gan.sampling import input_shapes


class SampleCallback(keras.callbacks.Callback):
    """Draws the same latents before training and after every n-th epoch, so that epochs compare.

    Works with any model that maps latents (batch, latent_dim) to images (batch, height, width,
    channels) in [-1, 1]. A model with `num_classes` is given `[latents, labels]`, and its samples make
    a table with a row for each class.

    A subclass writes a grid where `show_samples(epochs_done, grid)` is called, and one of real images,
    once, where `show_real(grid)` is; a grid is uint8 (height, width, channels).

    Args:
        columns: samples in a row.
        rows: rows of samples; None: one for each class, or ten without classes.
        real_images: uint8 or floats in [-1, 1], at least rows * columns of them, to show beside the
            samples; None: none are shown.
        every_n_epochs: how often to look, from 1.
        seed: what the fixed latents are drawn from.

    Raises:
        ValueError: when `every_n_epochs`, `columns` or `rows` is not a whole number from 1.
    """

    def __init__(
        self,
        *,
        columns: int = 10,
        rows: int | None = None,
        real_images: np.ndarray | None = None,
        every_n_epochs: int = 1,
        seed: int = 0,
    ):
        super().__init__()
        self.columns = whole_number("columns", columns)
        self.rows = None if rows is None else whole_number("rows", rows)
        self.real_images = real_images
        self.every_n_epochs = whole_number("every_n_epochs", every_n_epochs)
        self.seed = seed

    def on_train_begin(self, logs=None):
        self.num_classes = getattr(self.model, "num_classes", None)
        self.row_count = self.rows or self.num_classes or 10
        latent_shape = getattr(self.model, "latent_shape", None)
        if latent_shape is None:
            shapes = input_shapes(self.model)
            if len(shapes) != 1:
                raise ValueError(
                    f"Samples need a model of one input, latents. Received: {len(shapes)} inputs"
                )
            latent_shape = shapes[0][1:]
        shape = (self.row_count * self.columns, *latent_shape)
        self.latents = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        images.check_pictures("Samples", self._sample_images())
        if self.real_images is not None:
            self.show_real(self._make_grid(self._first_real_images()))

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self.show_samples(0, self._sample())

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every_n_epochs == 0:
            self.show_samples(epoch + 1, self._sample())

    def show_samples(self, epochs_done: int, grid: np.ndarray) -> None:
        """Shows the samples as they are after so many epochs; 0 is before training."""
        raise NotImplementedError

    def show_real(self, grid: np.ndarray) -> None:
        """Shows real images; called once, before training."""
        raise NotImplementedError

    def _first_real_images(self) -> np.ndarray:
        if not hasattr(self.real_images, "dtype"):
            expected = "`real_images` must be an array, (count, height, width, channels)"
            raise ValueError(f"{expected}. Received: {type(self.real_images).__name__}")
        real_images = np.asarray(self.real_images[: len(self.latents)])
        real_images = real_images[..., np.newaxis] if real_images.ndim == 3 else real_images
        images.check_pictures("`real_images`", real_images)
        images.check_range(real_images)
        return real_images

    def _sample(self) -> np.ndarray:
        return self._make_grid(self._sample_images())

    def _sample_images(self) -> np.ndarray:
        inputs = self.latents
        if self.num_classes is not None:
            labels = np.arange(self.row_count, dtype=np.int32) % self.num_classes
            inputs = [inputs, labels.repeat(self.columns)]
        return keras.ops.convert_to_numpy(self.model(inputs))

    def _make_grid(self, some_images: np.ndarray) -> np.ndarray:
        if some_images.dtype != np.uint8:
            some_images = images.to_uint8(some_images)
        return images.make_grid(some_images, self.columns)
