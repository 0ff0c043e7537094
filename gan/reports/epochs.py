"""Prepares the pictures of a run's epochs for a page: a film for the screen, and stills for print."""

import numpy as np
from PIL import Image

from ..files import find_numbered
from ..images import (
    MILLISECONDS_OF_END,
    MILLISECONDS_OF_EPOCH,
    encode_animation,
    make_grid,
    read_picture,
    spread_rows,
)
from ..runs import RunFolder
from .comparison import read_epochs

MOST_FRAMES = 16  # of the film; each has 10 to 60 kB
LARGEST_SIDE = 640  # pixels of a frame or picture
STILLS, ROWS, COLUMNS = 6, 10, 2  # epochs in print; rows and columns of images of each


def encode_small_film(folder: RunFolder) -> bytes | None:
    """Returns the bytes of an animated WebP with at most 16 epochs, or None without readable pictures.

    The file `epochs.gif` of a run can have many megabytes, so it is no part of a page.
    """
    paths = [*find_numbered(folder.samples, ".png").values()]
    chosen = spread_rows(len(paths), MOST_FRAMES)
    frames = [frame for number in chosen if (frame := read_small(paths[number])) is not None]
    frames = [frame for frame in frames if frame.shape == frames[-1].shape]
    if not frames:
        return None
    times = MILLISECONDS_OF_EPOCH, MILLISECONDS_OF_END
    return encode_animation(frames, len(frames), ".webp", *times, lossless=False)


def read_small(path) -> np.ndarray | None:
    """Reads a picture of samples, and reduces it to a side of at most 640 pixels. None if it is damaged.

    Returns:
        uint8 (height, width, channels).
    """
    try:
        picture = read_picture(path)
        scale = LARGEST_SIDE / max(picture.shape[:2])
        if scale >= 1:
            return picture
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        small = Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).resize(size)
        return np.asarray(small).reshape(size[1], size[0], -1)
    except Exception:  # Pillow raises errors of many kinds for damaged files
        return None


def draw_stills(folder: RunFolder) -> dict[int, np.ndarray]:
    """Draws the first samples of about six epochs. All epochs show the same latents.

    Returns:
        By epoch: a grid of two columns and at most ten rows, uint8 (height, width, channels).

    Raises:
        ValueError: with a message of one line, if the pictures of the epochs are missing or damaged.
    """
    stills = {}
    for epoch, cells in read_epochs(folder, STILLS).items():
        images = cells[:ROWS, :COLUMNS]
        stills[epoch] = make_grid(images.reshape(-1, *images.shape[2:]), columns=images.shape[1])
    return stills
