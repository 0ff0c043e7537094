"""The base class of the callbacks that draw samples from fixed latents."""

import keras
import numpy as np

from gan import images
from gan.checks import whole_number
from gan.sampling import input_shapes


class SampleCallback(keras.callbacks.Callback):
    """Draws samples from the same latents before training and after every n-th epoch.

    Works with any model that maps latents (batch, latent_dim) to images (batch, height, width, channels)
    in [-1, 1]. A model with `num_classes` gets `[latents, labels]`, and each row of its grid shows one class.

    A subclass implements `show_samples(epochs_done, grid)` and `show_real(grid)`. A grid is uint8 (height,
    width, channels).

    Args:
        columns: number of samples in a row.
        rows: number of rows. None: one for each class, or ten without classes.
        real_images: real images for comparison, uint8 or floats in [-1, 1]. Shows the first rows * columns
            images. None: shows no real images.
        every_n_epochs: number of epochs from one drawing to the next, at least 1.
        seed: seed of the fixed latents.
        scale: integer factor that enlarges the pictures. None: the factor of `gan.images.readable_scale`,
            which is 2 for images of 28x28 pixels.
        class_names: names of the classes, in the order of the labels. They are written beside the rows. None:
            rows have no names.

    Raises:
        ValueError: when `every_n_epochs`, `columns`, `rows` or `scale` is not a whole number of at least 1.
    """

    def __init__(
        self,
        *,
        columns: int = 10,
        rows: int | None = None,
        real_images: np.ndarray | None = None,
        every_n_epochs: int = 1,
        seed: int = 0,
        scale: int | None = None,
        class_names: list[str] | None = None,
    ):
        super().__init__()
        self.columns = whole_number("columns", columns)
        self.rows = None if rows is None else whole_number("rows", rows)
        self.real_images = real_images
        self.every_n_epochs = whole_number("every_n_epochs", every_n_epochs)
        self.seed = seed
        self.scale = None if scale is None else whole_number("scale", scale)
        self.class_names = class_names

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
        samples = self._sample_images()
        images.check_pictures("Samples", samples)
        self._scale = self.scale or self.choose_scale(self._make_grid(samples, scale=1).shape, samples.shape)
        if self.real_images is not None:
            self.show_real(self._make_grid(self._first_real_images(), self._scale))

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self.show_samples(0, self._sample())

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every_n_epochs == 0:
            self.show_samples(epoch + 1, self._sample())

    def show_samples(self, epochs_done: int, grid: np.ndarray) -> None:
        """Shows the samples after a number of epochs. 0 means before training."""
        raise NotImplementedError

    def show_real(self, grid: np.ndarray) -> None:
        """Shows real images. `on_train_begin` calls this method once."""
        raise NotImplementedError

    def choose_scale(self, grid_shape: tuple, samples_shape: tuple) -> int:
        """Returns the scale of the pictures if the argument `scale` is None."""
        return images.readable_scale(*samples_shape[1:3])

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
        return self._make_grid(self._sample_images(), self._scale)

    def _sample_images(self) -> np.ndarray:
        inputs = self.latents
        if self.num_classes is not None:
            labels = np.arange(self.row_count, dtype=np.int32) % self.num_classes
            inputs = [inputs, labels.repeat(self.columns)]
        return keras.ops.convert_to_numpy(self.model(inputs))

    def _make_grid(self, some_images: np.ndarray, scale: int) -> np.ndarray:
        if some_images.dtype != np.uint8:
            some_images = images.to_uint8(some_images)
        grid = images.make_grid(some_images, self.columns, scale=scale)
        if self.class_names is None or self.num_classes is None:
            return grid
        return images.add_row_names(grid, self.class_names, rows=-(-len(some_images) // self.columns))
