"""Reads folders of pictures. All pictures get the same size and the same number of channels."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import ExifTags, Image, ImageColor, ImageOps, UnidentifiedImageError

from ..files import cache_folder, whole_file
from .dataset import LARGEST_SIDE, DataError, Dataset, make_dataset

FITS = ("crop", "pad")
LARGEST_DEFAULT = 64  # pixels; larger images take hours on a CPU
ONE_IN_N_FOR_TESTS = 5
FEW_OF_A_CLASS = 20
SLOW = 10.0  # seconds; pictures that take longer are read only once
FORMAT = 1  # of the saved pictures; a change of the reading needs a new number
SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm"}
NEVER_SHOWN = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # and hidden files, such as .DS_Store
GRAY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"}  # Pillow's modes


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    name: str  # relative to the folder, with slashes: the same on every system
    class_name: str | None

    @property
    def is_test(self) -> bool:
        """Returns whether the file belongs to the test set. Only its name decides."""
        return int(_digest(unicodedata.normalize("NFC", self.name))[:16], 16) % ONE_IN_N_FOR_TESTS == 0


class _Facts(NamedTuple):
    is_gray: bool
    was_rotated: bool
    was_enlarged: bool


def load_image_folder(
    folder: Path, image_size: int | None = None, fit: str = "crop", background: str = "white"
) -> Dataset:
    """Loads a folder of pictures. Each subfolder with pictures is a class; without subfolders, no labels.

    Pillow decodes the pictures. Pictures with transparency are drawn over the background. 16 bits become 8.
    Of an animation, the first frame is used. If all pictures are gray, the images have one channel,
    otherwise three. The pictures of deeper subfolders belong to the class of the first subfolder. Hidden
    files and files of other types are ignored.

    One picture in five is a test image. The SHA-256 of its name (relative to the folder) decides this. So a
    new file moves no other file between the two sets. Only if no picture of a class would be left for the
    training, all pictures of this class are training images.

    Args:
        folder: the folder. If it only contains one folder, that folder is used.
        image_size: height and width of the images. None: the most common shorter side of the pictures, but
            at most 64.
        fit: "crop" cuts off the longer side at both ends. "pad" adds borders in the color of the background.
        background: color behind transparent pictures, and of the borders: a name or "#rrggbb".

    Returns:
        The dataset. `report` says what was read: counts, broken files with the reasons, and classes.

    Raises:
        DataError: if no picture can be used.
    """
    _check_arguments(image_size, fit, background)
    top = _skip_wrappers(folder)
    files, others, beside = _find_files(top)
    if not files:
        raise DataError(
            f"{folder}: found no pictures. Accepted: {', '.join(sorted(SUFFIXES))}, in subfolders for "
            "classes or directly in the folder"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings of single files, such as corrupt EXIF data
        size = image_size or _most_common_side(files)
        pixels, results = _read_all(top, files, size, fit, background)
    if all(isinstance(result, str) for result in results):
        raise DataError(f"{folder}: no picture can be used. The first one: {files[0].name}: {results[0]}")
    return _make_dataset(folder, files, pixels, results, others, beside)


def _check_arguments(image_size: int | None, fit: str, background: str) -> None:
    if image_size is not None and not 4 <= image_size <= LARGEST_SIDE:
        raise DataError(f"The image size must be from 4 to {LARGEST_SIDE} pixels. Received: {image_size}")
    if fit not in FITS:
        raise DataError(f"`fit` must be one of {', '.join(FITS)}. Received: {fit!r}")
    try:
        ImageColor.getrgb(background)
    except ValueError:
        expected = "The background must be a color, such as white, black or #ff8800"
        raise DataError(f"{expected}. Received: {background!r}") from None


def _skip_wrappers(folder: Path) -> Path:
    """Returns the folder, or the only folder in it: archives often unpack to a folder in a folder."""
    visible = [path for path in folder.iterdir() if not _is_hidden(path.name)]
    if len(visible) == 1 and visible[0].is_dir():
        return _skip_wrappers(visible[0])
    return folder


def _find_files(folder: Path) -> tuple[list[_File], collections.Counter, int]:
    """Returns the pictures, the numbers of other files by suffix, and how many pictures have no class."""
    files, others = [], collections.Counter()
    for part in sorted(folder.iterdir()):
        if _is_hidden(part.name):
            continue
        for path in _walk(part) if part.is_dir() else [part]:
            if path.suffix.lower() in SUFFIXES:
                name = path.relative_to(folder).as_posix()
                files.append(_File(path, name, part.name if part.is_dir() else None))
            else:
                others[path.suffix.lower() or "without a suffix"] += 1
    files.sort(key=lambda file: file.is_test)  # then `_make_dataset` need not copy the images
    of_classes = [file for file in files if file.class_name is not None]
    return of_classes or files, others, len(files) - len(of_classes) if of_classes else 0


def _walk(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (Path(path, name) for name in sorted(names) if not _is_hidden(name))


def _digest(text: str) -> str:
    """Returns the SHA-256 of a text, in hexadecimal. A file name may contain bytes that are not text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in NEVER_SHOWN


def _most_common_side(files: list[_File]) -> int:
    """Returns the most common shorter side, at most LARGEST_DEFAULT. Of two equally common: the smaller."""
    sides = collections.Counter()
    for file in files:
        with contextlib.suppress(Exception), Image.open(file.path) as image:  # `_read` reports broken files
            sides[min(image.size)] += 1
    if not sides:
        return LARGEST_DEFAULT
    most = max(sides.values())
    return max(4, min(LARGEST_DEFAULT, *(side for side, count in sides.items() if count == most)))


def _read_all(folder: Path, files: list[_File], size: int, fit: str, background: str) -> tuple:
    """Returns the pixels of all pictures, and for each file its facts or an error.

    If the reading is slow, saves the result where Keras keeps its data. Each folder has one such file. The
    file is valid as long as no name, size or time of a picture changes.
    """
    cached = cache_folder() / "gan" / f"pictures-{_digest(str(folder))[:16]}.npz"
    states = [_state(file) for file in files]
    key = _digest(json.dumps([FORMAT, size, fit, background, states]))
    try:
        with np.load(cached, allow_pickle=False) as arrays:
            if str(arrays["key"]) == key:
                results = json.loads(str(arrays["results"]))
                return arrays["pixels"], [r if isinstance(r, str) else _Facts(*r) for r in results]
    except Exception:  # the file is missing or damaged; NumPy raises errors of many kinds
        pass
    started = time.monotonic()
    pixels, results = _decode_all(files, size, lambda path: _read(path, size, fit, background))
    if time.monotonic() - started > SLOW:
        with contextlib.suppress(OSError):  # without a cache, the next call is slow too
            cached.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(cached) as temporary:
                np.savez(temporary, key=key, pixels=pixels, results=json.dumps(results))
    return pixels, results


def _state(file: _File) -> tuple:
    try:
        status = file.path.stat()
    except OSError:  # for example a link to a missing file, which `_read` reports
        return file.name, None
    return file.name, status.st_size, status.st_mtime_ns


def _decode_all(files: list[_File], size: int, read: Callable[[Path], tuple]) -> tuple:
    """Reads all pictures on all cores, and shows a progress bar."""
    pixels = np.empty((len(files), size, size, 3), np.uint8)
    verbose = 1 if sys.stderr is not None and sys.stderr.isatty() else 0
    bar = keras.utils.Progbar(len(files), verbose=verbose, unit_name="picture")

    def read_one(row: int) -> _Facts | str:
        try:
            pixels[row], facts = read(files[row].path)
        except UnidentifiedImageError:
            return "not a picture"
        except Exception as error:  # Pillow raises errors of many kinds for damaged files
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return " ".join(text.split())
        return facts

    results = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, contextlib.redirect_stdout(sys.stderr):
        for result in pool.map(read_one, range(len(files))):
            results.append(result)
            bar.update(len(results))
    return pixels, results


def _read(path: Path, size: int, fit: str, background: str) -> tuple[np.ndarray, _Facts]:
    """Reads one picture: uint8 (size, size, 3). Pillow decodes without Python's global lock."""
    with Image.open(path) as image:
        image.draft(None, (2 * size, 2 * size))  # makes large JPEG files much faster
        is_gray, was_enlarged = image.mode in GRAY, min(image.size) < size
        was_rotated = image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
        picture = _to_rgb(ImageOps.exif_transpose(image), background)
    if picture.size != (size, size):
        resize = ImageOps.fit if fit == "crop" else ImageOps.pad
        more = {} if fit == "crop" else {"color": background}
        picture = resize(picture, (size, size), Image.Resampling.LANCZOS, **more)
    return np.asarray(picture), _Facts(is_gray, was_rotated, was_enlarged)


def _to_rgb(image: Image.Image, background: str) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are floats of an unknown range: convert it to 8 or 16 bits")
    if image.mode.startswith("I"):  # 16 bits, which `convert` would clip
        image = Image.fromarray((np.asarray(image, np.float32).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, background), image)
    return image.convert("RGB")


def _make_dataset(folder, files, pixels, results, others, beside) -> Dataset:
    broken = {
        file.name: result for file, result in zip(files, results, strict=True) if isinstance(result, str)
    }
    rows = np.array([row for row, file in enumerate(files) if file.name not in broken])
    is_test = _choose_tests([files[row] for row in rows])
    rows = rows[np.argsort(is_test, kind="stable")]  # training images first
    if not np.array_equal(rows, np.arange(len(files))):  # a copy would double the memory
        pixels = pixels[rows]
    files, results = [files[row] for row in rows], [results[row] for row in rows]
    if not _has_color(pixels):
        pixels = pixels[..., :1].copy()
    class_names = sorted({file.class_name for file in files if file.class_name is not None})
    arrays = [pixels, None]
    if len(class_names) > 1:
        arrays[1] = np.array([class_names.index(file.class_name) for file in files], np.int32)
    count = len(files) - int(is_test.sum())
    train = [None if array is None else array[:count] for array in arrays]
    test = [None if array is None or count == len(files) else array[count:] for array in arrays]
    dataset = make_dataset(folder.name, str(folder), *train, *test)
    report = _describe(dataset, files, results, broken, others, beside)
    class_names = tuple(class_names) if len(class_names) > 1 else None
    return dataclasses.replace(dataset, class_names=class_names, report=report)


def _has_color(pixels: np.ndarray) -> bool:
    return any((part[..., :1] != part).any() for part in np.array_split(pixels, -(-len(pixels) // 1000)))


def _choose_tests(files: list[_File]) -> np.ndarray:
    is_test = np.array([file.is_test for file in files])
    names = np.array([file.class_name or "" for file in files])
    for name in set(names):
        if is_test[names == name].all():
            is_test[names == name] = False
    return is_test


def _describe(dataset: Dataset, files, results, broken: dict, others, beside: int) -> tuple[str, ...]:
    """Returns the lines of the report."""
    height, width, channels = dataset.image_shape
    color = "in color" if channels == 3 else "gray"
    tests = 0 if dataset.test_images is None else len(dataset.test_images)
    lines = [f"{len(files):,} used, {height}x{width} {color}; {tests:,} of them are test images"]
    lines += [f"{len(broken):,} broken, left out:"] * bool(broken)
    lines += [f"  {name}: {reason}" for name, reason in sorted(broken.items())]
    counts = {
        "rotated, as their EXIF data say": sum(result.was_rotated for result in results),
        "gray, converted to color": sum(result.is_gray for result in results) if channels == 3 else 0,
        f"smaller than {height}x{width}, enlarged": sum(result.was_enlarged for result in results),
        "beside the class folders, left out": beside,
    }
    lines += [f"{count:,} {what}" for what, count in counts.items() if count]
    if others:
        kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(others.items()))
        lines.append(f"files of other types, ignored: {kinds}")
    return (*_indent("Pictures:", lines), *_describe_classes(files))


def _describe_classes(files: list[_File]) -> list[str]:
    counts = collections.Counter(file.class_name for file in files)
    if len(counts) < 2:
        return []
    lines = [", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))]
    few = [name for name, count in sorted(counts.items()) if count < FEW_OF_A_CLASS]
    if few:
        lines.append(f"fewer than {FEW_OF_A_CLASS} pictures, so expect poor samples: {', '.join(few)}")
    return _indent("Classes:", lines)


def _indent(title: str, lines: list[str]) -> list[str]:
    return [f"{title if not number else '':12}{line}" for number, line in enumerate(lines)]
