"""A picture of samples after every epoch, and a film of them at the end."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from gan.files import whole_file, write_whole
from gan.images import encode_png

from .base import SampleCallback

__all__ = ["SampleGrid"]

MILLISECONDS_A_FRAME = 300
MILLISECONDS_THE_LAST = 2000


class SampleGrid(SampleCallback):
    """Writes `epoch_0000.png` (before training), `epoch_0001.png`, …, and `epochs.gif` at the end.

    With `real_images` it also writes `real.png`, a grid of the same size. Each file is written whole
    or not at all. A resumed `fit` (`initial_epoch=n`) goes on with the numbers, and the film shows the
    pictures of all its parts; a new `fit` into the same folder overwrites what it reaches.

    Args:
        directory: where the pictures go; made where it is missing.
        **kwargs: `columns`, `rows`, `real_images`, `every_n_epochs`, `seed`: see `SampleCallback`.

    Example:

    ```python
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[SampleGrid("samples", columns=8)])
    ```
    """

    def __init__(self, directory: str | Path, **kwargs):
        super().__init__(**kwargs)
        self.directory = Path(directory)

    def on_train_begin(self, logs=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        super().on_train_begin(logs)

    def show_samples(self, epochs_done: int, grid: np.ndarray) -> None:
        write_whole(self.directory / f"epoch_{epochs_done:04d}.png", encode_png(grid))

    def show_real(self, grid: np.ndarray) -> None:
        write_whole(self.directory / "real.png", encode_png(grid))

    def on_train_end(self, logs=None):
        pictures = sorted(self.directory.glob("epoch_*.png"))
        if not pictures:
            return
        durations = [MILLISECONDS_A_FRAME] * (len(pictures) - 1) + [MILLISECONDS_THE_LAST]
        frames = _read(pictures)
        with whole_file(self.directory / "epochs.gif") as temporary:
            next(frames).save(temporary, save_all=True, append_images=frames, duration=durations, loop=0)


def _read(pictures: list[Path]) -> Iterator[Image.Image]:
    """One picture after the other, its file closed behind it: there may be thousands."""
    for picture in pictures:
        with Image.open(picture) as frame:
            yield frame.copy()
