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
SLOW, SLOW_PICTURE = 5.0, 1e-3  # seconds: in total, and for each picture. Slow pictures are read only once
FORMAT = 1  # of the saved pictures; a change of the reading needs a new number
SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm"}
NEVER_SHOWN = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # and hidden files, such as .DS_Store
T = Image.Transpose
TURNS = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE}  # by EXIF orientation
TURNS |= {6: T.ROTATE_270, 7: T.TRANSVERSE, 8: T.ROTATE_90}
GRAY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"}  # Pillow's modes


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    name: str  # relative to the folder, with slashes, for messages
    class_name: str | None

    @property
    def is_test(self) -> bool:
        """Returns whether the file belongs to the test set. Only its name decides, not its folder."""
        return int(_digest(unicodedata.normalize("NFC", self.path.name))[:16], 16) % ONE_IN_N_FOR_TESTS == 0


class _Facts(NamedTuple):
    is_gray: bool
    was_rotated: bool
    was_enlarged: bool


def load_image_folder(
    folder: Path, image_size: int | None, fit: str, background: str, verbose: int = 1
) -> Dataset:
    """Loads a folder of pictures. Each subfolder with pictures is a class; without subfolders, no labels.

    Pillow decodes the pictures. Pictures with transparency are drawn over the background. 16 bits become 8.
    Of an animation, the first frame is used. If all pictures are gray, the images have one channel,
    otherwise three. The pictures of deeper subfolders belong to the class of the first subfolder. Hidden
    files, files of other types and the folders of runs are ignored.

    One picture in five is a test image. The SHA-256 of its file name decides this, so a new file or another
    folder moves no other file between the two sets. Only if no picture of a class would be left for the
    training, all pictures of this class are training images.

    Args:
        folder: the folder. If it only contains one folder and no pictures, that folder is used.
        image_size: height and width of the images. None: the most common shorter side of the pictures, but
            at most 64.
        fit: "crop" cuts off the longer side at both ends. "pad" adds borders in the color of the background.
        background: color behind transparent pictures, and of the borders: a name or "#rrggbb".
        verbose: 0 shows no progress bar.

    Returns:
        The dataset. `report` says what was read: counts, broken files with the reasons, and classes.

    Raises:
        DataError: if no picture can be used.
    """
    _check_arguments(image_size, fit, background)
    files, others, beside = _find_files(folder)
    if not files:
        raise DataError(
            f"{folder}: found no pictures. Accepted: {', '.join(sorted(SUFFIXES))}, in subfolders for "
            "classes or directly in the folder"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings of single files, such as corrupt EXIF data
        size = image_size or _most_common_side(files)
        pixels, results = _read_all(folder, files, size, fit, background, verbose)
    if all(isinstance(result, str) for result in results):
        raise DataError(f"{folder}: no picture can be used. The first one: {files[0].name}: {results[0]}")
    return _make_dataset(folder, files, pixels, results, others, beside)


def _check_arguments(image_size: int | None, fit: str, background: str) -> None:
    if image_size is not None and not (type(image_size) is int and 4 <= image_size <= LARGEST_SIDE):
        raise DataError(f"The image size must be from 4 to {LARGEST_SIDE} pixels. Received: {image_size!r}")
    if fit not in FITS:
        raise DataError(f"`fit` must be one of {', '.join(FITS)}. Received: {fit!r}")
    try:
        ImageColor.getrgb(str(background))
    except ValueError:
        expected = "The background must be a color, such as white, black or #ff8800"
        raise DataError(f"{expected}. Received: {background!r}") from None


def _find_files(folder: Path) -> tuple[list[_File], collections.Counter, int]:
    """Returns the pictures, the numbers of other files by suffix, and how many pictures have no class.

    The test images come last: then `_make_dataset` need not copy the images.
    """
    top = _skip_wrappers(folder)
    files, others = [], collections.Counter()
    for part in sorted(top.iterdir()):
        if _is_ignored(part):
            continue
        class_name = unicodedata.normalize("NFC", part.name) if part.is_dir() else None
        for path in _walk(part, others) if part.is_dir() else [part]:
            if path.suffix.lower() in SUFFIXES:
                files.append(_File(path, path.relative_to(top).as_posix(), class_name))
            else:
                others[path.suffix.lower() or "without a suffix"] += 1
    files.sort(key=lambda file: file.is_test)
    of_classes = [file for file in files if file.class_name is not None]
    if len({file.class_name for file in of_classes}) < 2:
        return [dataclasses.replace(file, class_name=None) for file in files], others, 0
    return of_classes, others, len(files) - len(of_classes)


def _skip_wrappers(folder: Path) -> Path:
    """Returns the folder, or the only folder in it: archives often unpack to a folder in a folder."""
    visible = [path for path in folder.iterdir() if not _is_ignored(path)]
    folders = [path for path in visible if path.is_dir()]
    has_pictures = any(path.suffix.lower() in SUFFIXES for path in visible if path not in folders)
    return _skip_wrappers(folders[0]) if len(folders) == 1 and not has_pictures else folder


def _walk(folder: Path, others: collections.Counter) -> Iterator[Path]:
    """Yields the files of a folder and its subfolders. Follows links, but enters each folder only once."""
    entered = set()

    def count_unreadable(error: OSError) -> None:
        others["unreadable folder"] += 1

    for path, folders, names in os.walk(folder, onerror=count_unreadable, followlinks=True):
        entered.add(os.path.realpath(path))
        folders[:] = [
            name
            for name in sorted(folders)
            if not _is_ignored(Path(path, name)) and os.path.realpath(Path(path, name)) not in entered
        ]
        yield from (Path(path, name) for name in sorted(names) if not _is_hidden(name))


def _is_ignored(path: Path) -> bool:
    """Returns whether a path is hidden, or is the folder of a run, whose samples are not data."""
    return _is_hidden(path.name) or ((path / "config.json").is_file() and (path / "samples").is_dir())


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in NEVER_SHOWN


def _most_common_side(files: list[_File]) -> int:
    """Returns the most common shorter side. Larger sides count as LARGEST_DEFAULT, the largest result."""

    def side(file: _File) -> int | None:
        try:
            with Image.open(file.path) as image:
                return min(LARGEST_DEFAULT, *image.size)
        except Exception:  # `_read` reports broken files
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sides = collections.Counter(found for found in pool.map(side, files) if found)
    most = max(sides.values(), default=0)
    return max(4, min((side for side, count in sides.items() if count == most), default=LARGEST_DEFAULT))


def _digest(text: str) -> str:
    """Returns the SHA-256 of a text, in hexadecimal. A file name may contain bytes that are not text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _read_all(folder: Path, files: list[_File], size: int, fit: str, background: str, verbose: int) -> tuple:
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
    pixels, results = _decode_all(files, size, lambda path: _read(path, size, fit, background), verbose)
    seconds = time.monotonic() - started
    if seconds > SLOW and seconds / len(files) > SLOW_PICTURE:
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
    return file.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _decode_all(files: list[_File], size: int, read: Callable[[Path], tuple], verbose: int) -> tuple:
    """Reads all pictures on all cores, and shows a progress bar on a terminal."""
    try:
        pixels = np.empty((len(files), size, size, 3), np.uint8)
    except MemoryError:
        expected = (
            f"{len(files):,} pictures of {size}x{size} do not fit into memory: use a smaller image size"
        )
        raise DataError(expected) from None
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    bar = keras.utils.Progbar(len(files), verbose=1 if verbose and is_terminal else 0, unit_name="picture")

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
        kept_side = min(image.size) if fit == "crop" else max(image.size)
        image.draft(None, (2 * size, 2 * size))  # makes large JPEG files much faster
        turn = _turn_of(image)
        picture = _to_rgb(image if turn is None else image.transpose(turn), background)
        facts = _Facts(image.mode in GRAY, turn is not None, kept_side < size)
    if picture.size != (size, size):
        resize = ImageOps.fit if fit == "crop" else ImageOps.pad
        more = {} if fit == "crop" else {"color": background}
        picture = resize(picture, (size, size), Image.Resampling.LANCZOS, **more)
    return np.asarray(picture), facts


def _turn_of(image: Image.Image) -> Image.Transpose | None:
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


def _make_dataset(folder, files, pixels, results, others, beside) -> Dataset:
    broken = {
        file.name: result for file, result in zip(files, results, strict=True) if isinstance(result, str)
    }
    rows = np.array([row for row, file in enumerate(files) if file.name not in broken])
    classes, labels = np.unique([files[row].class_name or "" for row in rows], return_inverse=True)
    is_test = _choose_tests(np.array([files[row].is_test for row in rows]), labels)
    order = np.argsort(is_test, kind="stable")  # training images first
    rows, labels = rows[order], labels[order].astype(np.int32)
    pixels = _take(pixels, rows)
    if not _has_color(pixels):
        pixels = pixels[..., :1].copy()
    count = len(rows) - int(is_test.sum())
    arrays = [pixels, labels if len(classes) > 1 else None]
    train = [None if array is None else array[:count] for array in arrays]
    test = [None if array is None or count == len(rows) else array[count:] for array in arrays]
    dataset = make_dataset(folder.name, str(folder), *train, *test)
    report = _describe(
        dataset, [files[row] for row in rows], [results[row] for row in rows], broken, others, beside
    )
    class_names = tuple(map(str, classes)) if len(classes) > 1 else None
    return dataclasses.replace(dataset, class_names=class_names, report=report)


def _take(pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns some rows of an array. Moves ascending rows inside the array, because a copy needs memory."""
    if (np.diff(rows) <= 0).any():
        return pixels[rows]
    for target, row in enumerate(rows):
        if target != row:
            pixels[target] = pixels[row]
    return pixels[: len(rows)]


def _choose_tests(is_test: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Makes all images of a class training images if the class would have no training image."""
    trained = np.bincount(labels, weights=~is_test)
    return is_test & (trained[labels] > 0)


def _has_color(pixels: np.ndarray) -> bool:
    return any((part[..., :1] != part).any() for part in np.array_split(pixels, -(-len(pixels) // 1000)))


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
