"""Images as arrays: the value range, grids and PNG bytes.

Only this module converts between pixels (uint8, 0..255) and the networks' floats in [-1, 1]. The module
does not use TensorFlow.
"""

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LONGEST_NAME = 15  # characters of a name beside a grid
MILLISECONDS_OF_EPOCH, MILLISECONDS_OF_END = 300, 2000  # of the frames of a film
MOST_PIXELS = {".gif": 65_535, ".webp": 16_383}  # height and width of an animation
READABLE_SIDE = 56  # pixels of an image on a screen


def to_float(pixels):
    """Converts pixels 0..255 to floats in [-1, 1]: `pixels / 127.5 - 1`.

    Args:
        pixels: a float array or tensor of any shape, values 0..255.
    """
    return pixels / 127.5 - 1.0


def to_uint8(images) -> np.ndarray:
    """Converts floats in [-1, 1] to uint8 pixels: rounds, clips values outside [-1, 1], and makes NaN black.

    Args:
        images: a float array with at least one axis.
    """
    pixels = np.asarray(images, dtype=np.float32) + np.float32(1.0)
    pixels *= 127.5
    np.rint(pixels, out=pixels)
    np.clip(pixels, 0, 255, out=pixels)
    pixels[np.isnan(pixels)] = 0
    return pixels.astype(np.uint8)


def check_range(images: np.ndarray) -> None:
    """Checks that float images lie in [-1, 1]. All uint8 images have the right range.

    Raises:
        ValueError: with the range of the values.
    """
    if images.dtype == np.uint8 or not images.size:
        return
    if not (np.issubdtype(images.dtype, np.floating) or images.dtype.name == "bfloat16"):
        expected = "Images must be uint8 (0..255) or floats in [-1, 1]"
        raise ValueError(f"{expected}. Received: dtype={images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1.0 and high <= 1.0):  # in this form the check refuses NaN too
        expected = "Float images must lie in [-1, 1]; give uint8 pixels, or scale by `images / 127.5 - 1`"
        raise ValueError(f"{expected}. Received: values from {low:g} to {high:g}")


def check_pictures(name: str, some_images: np.ndarray) -> None:
    """Checks that an array holds gray or color images.

    Raises:
        ValueError: with the shape.
    """
    if some_images.ndim != 4 or some_images.shape[-1] not in (1, 3):
        expected = f"{name} must have the shape (count, height, width, channels), with 1 (gray) or 3 (color)"
        expected += " channels"
        raise ValueError(f"{expected}. Received: {some_images.shape}")


def spread_rows(length: int, count: int) -> np.ndarray:
    """Returns at most `count` rows of an array of this length, evenly spread from the first to the last.

    Use these rows instead of the first rows: the images of a folder are sorted by class.
    """
    return np.linspace(0, length - 1, min(length, count)).round().astype(int)


def readable_scale(height: int, width: int) -> int:
    """Returns the smallest integer factor that makes the longer side of an image at least 56 pixels.

    Example: `readable_scale(28, 28)` is 2, and `readable_scale(64, 64)` is 1.
    """
    return -(-READABLE_SIDE // max(height, width))


def enlarge(picture: np.ndarray, scale: int) -> np.ndarray:
    """Enlarges a picture: each pixel becomes a square of equal pixels.

    Args:
        picture: uint8 (height, width, channels).
        scale: integer factor, at least 1.

    Returns:
        uint8 (height * scale, width * scale, channels).
    """
    return picture.repeat(scale, 0).repeat(scale, 1)


def make_grid(images: np.ndarray, columns: int, gap: int = 2, scale: int = 1) -> np.ndarray:
    """Arranges images row by row on a black background.

    Args:
        images: uint8 (count, height, width, channels), 1 or 3 channels.
        columns: number of images in a row. The rest of the last row stays black.
        gap: black pixels between two images, before scaling.
        scale: integer factor that enlarges the grid. Each pixel becomes a square of equal pixels.

    Returns:
        uint8 (grid height, grid width, channels).

    Example: `make_grid(np.zeros((10, 28, 28, 1), "uint8"), columns=5)` has shape (58, 148, 1).
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height + gap, width + gap, channels), np.uint8)
    cells[:count, :height, :width] = images
    cells = cells.reshape(rows, columns, height + gap, width + gap, channels)
    grid = cells.swapaxes(1, 2).reshape(rows * (height + gap), columns * (width + gap), channels)
    return enlarge(grid[: grid.shape[0] - gap, : grid.shape[1] - gap], scale)


def add_row_names(grid: np.ndarray, class_names: list[str], rows: int) -> np.ndarray:
    """Adds a white column on the left of a grid, with the name of a class for each row of images.

    Args:
        grid: uint8 (grid height, grid width, channels), from `make_grid`.
        class_names: the names of the classes. After the last name, the next row has the first name. Long
            names are cut. A name with characters that Pillow's font lacks is replaced by the number of the
            class.
        rows: number of rows of images in the grid.

    Returns:
        uint8 (grid height, larger width, channels).
    """
    names = class_names[:rows]
    texts = [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 2]}.." for name in names]
    texts = [text if _is_drawable(text) else str(number) for number, text in enumerate(texts)]
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    boxes = [probe.textbbox((0, 0), text) for text in texts]
    column = Image.new("L", (max(int(box[2]) for box in boxes) + 8, grid.shape[0]), 255)
    row_height = grid.shape[0] / rows
    for row in range(rows):
        text, box = texts[row % len(texts)], boxes[row % len(texts)]
        middle = (row + 0.5) * row_height
        ImageDraw.Draw(column).text((4, middle - (box[1] + box[3]) / 2), text, fill=0)
    column = np.asarray(column)[..., np.newaxis]
    return np.concatenate([np.broadcast_to(column, (*column.shape[:2], grid.shape[2])), grid], axis=1)


def _is_drawable(text: str) -> bool:
    """Returns whether Pillow's default font has the characters of a text: only those of Western Europe."""
    return all(32 <= ord(character) < 256 for character in text)


def split_grid(grid: np.ndarray, height: int, width: int, gap: int = 2) -> np.ndarray:
    """Returns the images of a grid from `make_grid`, of any scale, with or without names of rows.

    Args:
        grid: uint8 (grid height, grid width, channels).
        height: height of an image, before scaling.
        width: width of an image, before scaling.
        gap: black pixels between two images, before scaling.

    Returns:
        uint8 (rows, columns, height, width, channels).

    Raises:
        ValueError: when no grid of images of this height and width has the size of `grid`.
    """
    scale, left = _find_scale(grid, height, width, gap)
    cells = np.pad(grid[::scale, left::scale], ((0, gap), (0, gap), (0, 0)))
    rows, columns = cells.shape[0] // (height + gap), cells.shape[1] // (width + gap)
    cells = cells.reshape(rows, height + gap, columns, width + gap, -1).swapaxes(1, 2)
    return cells[:, :, :height, :width]


def _find_scale(grid: np.ndarray, height: int, width: int, gap: int) -> tuple[int, int]:
    """Returns the largest scale of a grid whose pixels are squares of equal pixels, and the grid's left edge.

    Below the first row of images, a column of names is white, and the grid is black.
    """
    for scale in range(min(grid.shape[0] // height, grid.shape[1] // width), 0, -1):
        below = grid[height * scale : height * scale + 1, :, 0]
        left = int(np.argmin(below[0])) if len(below) and below.any() else 0
        small = grid[::scale, left::scale]
        is_whole = (small.shape[0] + gap) % (height + gap) == (small.shape[1] + gap) % (width + gap) == 0
        if is_whole and np.array_equal(enlarge(small, scale), grid[:, left:]):
            return scale, left
    raise ValueError(
        f"The grid does not have the size of a grid of {height}x{width} images. Received: {grid.shape}"
    )


def encode_png(image: np.ndarray) -> bytes:
    """Returns the bytes of a PNG file of one image, uint8 (height, width, channels), 1 or 3 channels."""
    buffer = io.BytesIO()
    _to_picture(image).save(buffer, "PNG")
    return buffer.getvalue()


def encode_webp(image: np.ndarray) -> bytes:
    """Returns the bytes of a small WebP file, with small changes of the pixels. See `encode_png`."""
    buffer = io.BytesIO()
    _to_picture(image).save(buffer, "WEBP", quality=75)
    return buffer.getvalue()


def encode_animation(
    frames: Iterable[np.ndarray],
    count: int,
    suffix: str,
    milliseconds: int,
    pause: int,
    lossless: bool = True,
) -> bytes:
    """Returns the bytes of an endless animation. Takes one frame at a time: there may be thousands.

    Args:
        frames: at least one, uint8 (height, width, channels), 1 or 3 channels.
        count: number of frames.
        suffix: ".gif" or ".webp".
        milliseconds: time of each frame.
        pause: time of the last frame, in milliseconds.
        lossless: false makes a .webp smaller, with small changes of the pixels.

    Raises:
        ValueError: if the frames are larger than the format allows.
    """
    frames = iter(frames)
    first = next(frames)
    if max(first.shape[:2]) > MOST_PIXELS[suffix]:
        raise ValueError(
            f"A {suffix} file is at most {MOST_PIXELS[suffix]:,} pixels wide and high. Received: "
            f"{first.shape[1]:,}x{first.shape[0]:,}. Draw fewer or smaller images"
        )
    pictures = map(_to_picture, itertools.chain([first], frames))
    times = [milliseconds] * (count - 1) + [pause]
    buffer, more = io.BytesIO(), {"append_images": pictures, "duration": times, "loop": 0}
    next(pictures).save(buffer, suffix[1:], save_all=True, lossless=lossless, **more)
    return buffer.getvalue()


def encode_film(paths: Sequence[Path], suffix: str) -> tuple[bytes | None, dict[Path, Exception]]:
    """Returns the bytes of an animation of picture files that this package wrote.

    Args:
        paths: the pictures, one for each epoch.
        suffix: ".gif" or ".webp".

    Returns:
        The bytes, or None if all pictures are damaged; and the damaged pictures, each with its error.
    """
    damaged = {}

    def read_all() -> Iterator[np.ndarray]:
        for path in paths:
            try:
                yield read_picture(path)
            except Exception as error:  # Pillow raises errors of many kinds for damaged files
                damaged[path] = error

    count = sum(1 for _ in read_all())  # twice: one frame at a time is in memory
    if not count:
        return None, damaged
    times = MILLISECONDS_OF_EPOCH, MILLISECONDS_OF_END
    return encode_animation(read_all(), count, suffix, *times), damaged


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture file that this package wrote, uint8 (height, width, channels), 1 or 3 channels.

    Raises:
        Exception: of many kinds, if the file is damaged: Pillow does not list them.
    """
    with Image.open(path) as file:
        pixels = np.asarray(file)
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _to_picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
