"""Images as arrays: the value range, grids and PNG bytes.

The only place that knows how pixels (uint8, 0..255) and what the networks see (floats in [-1, 1])
belong together. NumPy and Pillow; no TensorFlow.
"""

import io

import numpy as np
from PIL import Image


def to_float(pixels):
    """Pixels 0..255 as floats in [-1, 1]: `pixels / 127.5 - 1`.

    Args:
        pixels: a float array or tensor of any shape, values 0..255.
    """
    return pixels / 127.5 - 1.0


def to_uint8(images) -> np.ndarray:
    """Floats in [-1, 1] as uint8 pixels, rounded; what lies outside is clipped, and a NaN is black.

    Args:
        images: a float array with an axis or more.
    """
    pixels = np.asarray(images, dtype=np.float32) + np.float32(1.0)
    pixels *= 127.5
    np.rint(pixels, out=pixels)
    np.clip(pixels, 0, 255, out=pixels)
    pixels[np.isnan(pixels)] = 0
    return pixels.astype(np.uint8)


def check_range(images: np.ndarray) -> None:
    """Refuses float images outside [-1, 1]; uint8 images have the right range by their type.

    Raises:
        ValueError: saying the range that was seen.
    """
    if images.dtype == np.uint8 or not images.size:
        return
    if not (np.issubdtype(images.dtype, np.floating) or images.dtype.name == "bfloat16"):
        expected = "Images must be uint8 (0..255) or floats in [-1, 1]"
        raise ValueError(f"{expected}. Received: dtype={images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= -1.0 and high <= 1.0):  # so written, NaN is refused too
        expected = "Float images must lie in [-1, 1]; give uint8 pixels, or scale by `images / 127.5 - 1`"
        raise ValueError(f"{expected}. Received: values from {low:g} to {high:g}")


def check_pictures(name: str, some_images: np.ndarray) -> None:
    """Refuses arrays that are no gray or color pictures.

    Raises:
        ValueError: with the shape.
    """
    if some_images.ndim != 4 or some_images.shape[-1] not in (1, 3):
        expected = f"{name} must have the shape (count, height, width, channels), gray (1) or color (3)"
        raise ValueError(f"{expected}. Received: {some_images.shape}")


def make_grid(images: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lays images out row by row on a black ground.

    Args:
        images: uint8 (count, height, width, channels), 1 or 3 channels.
        columns: images in a row; a last row that is not full stays black at its end.
        gap: black pixels between neighbours.

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
    return grid[: grid.shape[0] - gap, : grid.shape[1] - gap]


def split_grid(grid: np.ndarray, height: int, width: int, gap: int = 2) -> np.ndarray:
    """The images that `make_grid` laid out, uint8 (rows, columns, height, width, channels).

    Args:
        grid: uint8 (grid height, grid width, channels).
        height: of an image.
        width: of an image.
        gap: black pixels between neighbours.

    Raises:
        ValueError: when a grid of such images has another size.
    """
    rows, columns = (grid.shape[0] + gap) // (height + gap), (grid.shape[1] + gap) // (width + gap)
    cells = np.pad(grid, ((0, gap), (0, gap), (0, 0)))
    if cells.shape[:2] != (rows * (height + gap), columns * (width + gap)):
        raise ValueError(f"A grid of {height}x{width} images has another size. Received: {grid.shape}")
    cells = cells.reshape(rows, height + gap, columns, width + gap, -1).swapaxes(1, 2)
    return cells[:, :, :height, :width]


def encode_png(image: np.ndarray) -> bytes:
    """A PNG file's bytes of one image, uint8 (height, width, channels), 1 or 3 channels."""
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()
