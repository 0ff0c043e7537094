"""Saves pictures of samples during training, and an animated GIF of all pictures at the end."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from gan.files import find_numbered, local_path, write_whole
from gan.images import encode_film, encode_png
from gan.notice import Notice

from .base import SampleCallback


class SampleGrid(SampleCallback):
    """Saves a picture of samples after every n-th epoch, and an animated GIF of all pictures at the end.

    Writes `epoch_0000.png` (before training), `epoch_0001.png`, …, and `epochs.gif`. With `real_images`, also
    writes `real.png`, a grid of the same size. Each file is written completely or not at all. A resumed `fit`
    (`initial_epoch=n`) continues the numbers and keeps the scale of the pictures in the folder. The GIF also
    contains the earlier pictures. A new `fit` into the same folder overwrites pictures with the same number.

    Args:
        directory: folder of the pictures. It is created if it does not exist.
        **kwargs: `columns`, `rows`, `real_images`, `every_n_epochs`, `seed`, `scale`, `class_names`:
            see `SampleCallback`.

    Example:

    ```python
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[SampleGrid("samples", columns=8)])
    ```
    """

    def __init__(self, directory: str | Path, **kwargs):
        super().__init__(**kwargs)
        self.directory = local_path(directory)

    def on_train_begin(self, logs=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        super().on_train_begin(logs)

    def choose_scale(self, grid_shape: tuple, samples_shape: tuple) -> int:
        for picture in reversed(find_numbered(self.directory, ".png").values()):
            with contextlib.suppress(Exception), Image.open(picture) as file:  # a damaged or foreign file
                scale = file.height // grid_shape[0]
                if scale * grid_shape[0] == file.height:
                    return scale
        return super().choose_scale(grid_shape, samples_shape)

    def show_samples(self, epochs_done: int, grid: np.ndarray) -> None:
        write_whole(self.directory / f"epoch_{epochs_done:04d}.png", encode_png(grid))

    def show_real(self, grid: np.ndarray) -> None:
        write_whole(self.directory / "real.png", encode_png(grid))

    def on_train_end(self, logs=None):
        film, damaged = encode_film([*find_numbered(self.directory, ".png").values()], ".gif")
        for picture, error in damaged.items():
            warnings.warn(f"{picture} is left out of epochs.gif: {error}", Notice, stacklevel=2)
        if film is not None:
            write_whole(self.directory / "epochs.gif", film)
