"""Decodes pictures of all formats to the same size, on all cores. Slow pictures are decoded only once."""

import collections
import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.Image import Transpose

from ..files import cache_folder, whole_file
from ..progress import show_progress
from .dataset import DataError

LARGEST_DEFAULT = 64  # pixels; larger images take hours on a CPU
SLOW, SLOW_PICTURE = 5.0, 1e-3  # seconds: in total, and for each picture. Slow pictures are read only once
FORMAT = 1  # of the saved pictures; a change of the reading needs a new number
TURNS = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM}  # by EXIF
TURNS |= {5: Transpose.TRANSPOSE, 6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}
GRAY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"}  # Pillow's modes


class HowToFit(NamedTuple):
    """Holds how pictures become square images.

    Attributes:
        size: height and width of the images.
        fit: "crop" cuts off the ends of the longer side. "pad" adds borders.
        background: color behind transparent pictures, and of the borders.
    """

    size: int
    fit: str
    background: str


class Facts(NamedTuple):
    """Holds what the report says about a picture."""

    is_gray: bool
    was_rotated: bool
    was_enlarged: bool


def most_common_side(paths: Sequence[Path]) -> int:
    """Returns the most common shorter side of the pictures, from 4 to 64. A longer side counts as 64."""

    def side(path: Path) -> int | None:
        try:
            with Image.open(path) as image:
                return min(LARGEST_DEFAULT, *image.size)
        except Exception:  # `read_pictures` reports broken files
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sides = collections.Counter(found for found in pool.map(side, paths) if found)
    most = max(sides.values(), default=0)
    return max(4, min((side for side, count in sides.items() if count == most), default=LARGEST_DEFAULT))


def read_pictures(folder: Path, paths: Sequence[Path], how: HowToFit, verbose: int) -> tuple:
    """Decodes pictures, or loads the result of an earlier call. Saves the result if decoding is slow.

    Keras's cache folder has one such file for each folder. The file is valid as long as `how` and the name,
    size and time of every picture stay the same.

    Args:
        folder: the folder of the pictures.
        paths: the pictures.
        how: how the pictures become square images.
        verbose: 0 shows no progress bar.

    Returns:
        The pixels, uint8 (count, size, size, 3); and for each picture its `Facts`, or an error as a string.

    Raises:
        DataError: if the images do not fit into memory.
    """
    cached = cache_folder() / "gan" / f"pictures-{digest_text(str(folder))[:16]}.npz"
    states = [_state(folder, path) for path in paths]
    key = digest_text(json.dumps([FORMAT, how, states]))
    try:
        with np.load(cached, allow_pickle=False) as arrays:
            if str(arrays["key"]) == key:
                results = json.loads(str(arrays["results"]))
                return arrays["pixels"], [r if isinstance(r, str) else Facts(*r) for r in results]
    except Exception:  # the file is missing or damaged; NumPy raises errors of many kinds
        pass
    started = time.monotonic()
    pixels, results = _decode_all(paths, how, verbose)
    seconds = time.monotonic() - started
    if seconds > SLOW and seconds / len(paths) > SLOW_PICTURE:
        with contextlib.suppress(OSError):  # without a cache, the next call is slow too
            cached.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(cached) as temporary:
                np.savez(temporary, key=key, pixels=pixels, results=json.dumps(results))
    return pixels, results


def _state(folder: Path, path: Path) -> tuple:
    name = os.path.relpath(path, folder)
    try:
        status = path.stat()
    except OSError:  # for example a link to a missing file, which `_read` reports
        return name, None
    return name, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _decode_all(paths: Sequence[Path], how: HowToFit, verbose: int) -> tuple:
    """Reads all pictures on all cores, and shows a progress bar on a terminal."""
    try:
        pixels = np.empty((len(paths), how.size, how.size, 3), np.uint8)
    except MemoryError:
        what = f"{len(paths):,} pictures of {how.size}x{how.size}"
        raise DataError(f"{what} do not fit into memory: use a smaller image size") from None

    def read_one(row: int) -> Facts | str:
        try:
            pixels[row], facts = _read(paths[row], how)
        except UnidentifiedImageError:
            return "not a picture"
        except Exception as error:  # Pillow raises errors of many kinds for damaged files
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return " ".join(text.split())
        return facts

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(read_one, range(len(paths)))
        return pixels, [*show_progress(results, len(paths), "picture", verbose)]


def _read(path: Path, how: HowToFit) -> tuple[np.ndarray, Facts]:
    """Reads one picture: uint8 (size, size, 3). Pillow decodes without Python's global lock."""
    size, fit, background = how
    with Image.open(path) as image:
        kept_side = min(image.size) if fit == "crop" else max(image.size)
        image.draft(None, (2 * size, 2 * size))  # makes large JPEG files much faster
        turn = _turn_of(image)
        picture = _to_rgb(image if turn is None else image.transpose(turn), background)
        facts = Facts(image.mode in GRAY, turn is not None, kept_side < size)
    if picture.size != (size, size):
        resize = ImageOps.fit if fit == "crop" else ImageOps.pad
        more = {} if fit == "crop" else {"color": background}
        picture = resize(picture, (size, size), Image.Resampling.LANCZOS, **more)
    return np.asarray(picture), facts


def _turn_of(image: Image.Image) -> Transpose | None:
    """Returns the transposition that undoes the rotation of a camera. A damaged EXIF block has no effect."""
    with contextlib.suppress(Exception):
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    return None


def _to_rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floats of an unknown range: convert it to 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits, which `convert` would clip
        image = Image.fromarray((np.asarray(image, np.float32).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return image.convert("RGB")


def digest_text(text: str) -> str:
    """Returns the SHA-256 of a text, in hexadecimal. A file name may contain bytes that are not text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
