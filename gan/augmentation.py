"""Random changes of the images that the discriminator sees, so that it does not memorize a small dataset."""

import keras
from keras import layers, ops

from .distribution import draw_part


@keras.saving.register_keras_serializable(package="gan")
class DiffAugment(layers.Layer):
    """Changes each image at random, in training only. The layer is differentiable, also twice.

    The discriminator sees changed real images and changed fake images. So the generator does not learn the
    changes. Without the layer, the discriminator soon memorizes a dataset of a few thousand images.

    The changes, in this order, with new random numbers u in [0, 1) for each image:

    - color jitter: brightness `x + u - 0.5`; saturation `mean + 2u (x - mean)`, where the mean is over the
      channels of a pixel; contrast `mean + (u + 0.5) (x - mean)`, where the mean is over the image.
    - translation: a shift by a whole number of pixels. New pixels at the border are 0 (gray).
    - cutout: a rectangle of zeros. Its center is anywhere in the image.

    Reference: Zhao et al. 2020, https://arxiv.org/abs/2006.10738. The paper uses color jitter, a translation
    of 1/8 and a cutout of 1/2.

    Args:
        translation: largest shift, as a fraction of the height and of the width, in [0, 1). 0: no shift.
        cutout: height and width of the rectangle, as a fraction of those of the image, in [0, 1). 0: none.
        color_jitter: whether to change brightness, saturation and contrast.
        seed: seed of the random numbers. None: depends on `keras.utils.set_random_seed`.

    Raises:
        ValueError: when `translation` or `cutout` is not in [0, 1).

    Example:

    ```python
    images = keras.random.uniform((16, 32, 32, 3), -1, 1)
    changed = DiffAugment(translation=0.125, cutout=0.5)(images, training=True)    # (16, 32, 32, 3)
    ```
    """

    def __init__(
        self,
        translation: float = 0.0,
        cutout: float = 0.0,
        color_jitter: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**({"dtype": "float32"} | kwargs))
        for name, value in (("translation", translation), ("cutout", cutout)):
            if not 0 <= value < 1:
                raise ValueError(f"`{name}` is a fraction of the side, in [0, 1). Received: {value!r}")
        self.translation = translation
        self.cutout = cutout
        self.color_jitter = color_jitter
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training:
            return images
        if self.color_jitter:
            images = self._jitter(images)
        if self.translation:
            images = self._shift(images)
        return self._cut_out(images) if self.cutout else images

    def _jitter(self, images):
        brightness, saturation, contrast = (self._uniform(images, (1, 1, 1)) for _ in range(3))
        images = images + brightness - 0.5
        gray = ops.mean(images, axis=-1, keepdims=True)
        images = gray + 2.0 * saturation * (images - gray)
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return mean + (contrast + 0.5) * (images - mean)

    def _shift(self, images):
        """Shifts by matrix products, which are faster than a gather and its gradient."""
        rows, columns = (self._shift_matrix(images, axis) for axis in (1, 2))
        return ops.einsum("bij,bjkc,blk->bilc", rows, images, columns)

    def _shift_matrix(self, images, axis: int):
        """Returns (batch, side, side): row i has a 1 in the column of the pixel that moves to i."""
        side = images.shape[axis]
        most = int(self.translation * side + 0.5)
        shift = ops.floor(self._uniform(images, (1,)) * (2 * most + 1)) - most
        positions = ops.arange(side, dtype="float32")[None, :] + shift
        return ops.one_hot(ops.cast(positions, "int32"), side, dtype=images.dtype)  # outside: a row of zeros

    def _cut_out(self, images):
        rows, columns = (self._is_cut(images, axis) for axis in (1, 2))
        return images * (1.0 - rows[:, :, None, None] * columns[:, None, :, None])

    def _is_cut(self, images, axis: int):
        """Returns (batch, side): 1 inside the rectangle, else 0."""
        side = images.shape[axis]
        size = int(self.cutout * side + 0.5)
        start = ops.floor(self._uniform(images, (1,)) * (side + 1 - size % 2)) - size // 2
        positions = ops.arange(side, dtype="float32")[None, :]
        return ops.cast((positions >= start) & (positions < start + size), images.dtype)

    def _uniform(self, images, shape: tuple):
        def draw(count):
            return keras.random.uniform((count, *shape), seed=self.seed_generator)

        return draw_part(draw, ops.shape(images)[0])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        names = ("translation", "cutout", "color_jitter", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}
