"""Makes a dataset of a folder of pictures: finds the pictures and classes, and reports what was read."""

import collections
import dataclasses
import os
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ImageColor

from .dataset import LARGEST_SIDE, DataError, Dataset, make_dataset
from .pictures import HowToFit, digest_text, most_common_side, read_pictures

FITS = ("crop", "pad")
ONE_IN_N_FOR_TESTS = 5
FEW_OF_A_CLASS = 20
SUFFIXES = {".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SUFFIXES |= {".ppm", ".pgm", ".pbm", ".pnm"}
NEVER_SHOWN = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # and hidden files, such as .DS_Store


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    name: str  # relative to the folder, with slashes, for messages
    class_name: str | None

    @property
    def is_test(self) -> bool:
        """Returns whether the file belongs to the test set. Only its name decides, not its folder."""
        digest = digest_text(unicodedata.normalize("NFC", self.path.name))
        return int(digest[:16], 16) % ONE_IN_N_FOR_TESTS == 0


def load_image_folder(
    folder: Path, image_size: int | None, fit: str, background: str, verbose: int = 1
) -> Dataset:
    """Loads a folder of pictures. Each subfolder with pictures is a class; without subfolders, no labels.

    Pillow decodes the pictures. Pictures with transparency are drawn over the background. 16 bits become 8.
    Of an animation, the first frame is used. If all pictures are gray, the images have one channel,
    otherwise three. The pictures of deeper subfolders belong to the class of the first subfolder. Hidden
    files, files of other types and the folders of runs are ignored.

    One picture in five is a test image. The SHA-256 of its file name decides this, so a file stays in
    its set when you add other files or move the file to another folder. Exception: if all pictures of a class
    would be test images, all of them are training images.

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
        paths = [file.path for file in files]
        how = HowToFit(image_size or most_common_side(paths), fit, background)
        pixels, results = read_pictures(folder, paths, how, verbose)
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
            if path.exists() and not path.is_file():  # for example a named pipe, which would block
                others["not a file"] += 1
            elif path.suffix.lower() in SUFFIXES:
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
