"""Reads .npz files, the format of `numpy.savez` and of `keras.datasets`."""

import zipfile
from pathlib import Path

import numpy as np

from .dataset import LARGEST_PAYLOAD, DataError, Dataset, make_dataset

ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # the names in files of `keras.datasets`
MEDMNIST_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def load_npz(path: Path) -> Dataset:
    """Loads an .npz file with the array `x_train`. `y_train`, `x_test` and `y_test` are optional.

    Also accepts the names in files of MedMNIST: `train_images`, `train_labels`, `test_images`, `test_labels`.
    """
    try:
        with zipfile.ZipFile(path) as archive, np.load(path, allow_pickle=False) as file:
            names = file.files
            keys = MEDMNIST_ARRAYS if "train_images" in names and "x_train" not in names else ARRAYS
            _refuse_bombs(archive, keys)
            arrays = {key: file[key] for key in keys if key in file}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("one of its arrays is not in NumPy's format")
    except Exception as error:  # NumPy and zipfile raise errors of many kinds for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not a usable .npz file: {reason}") from error
    if keys[0] not in arrays:
        expected = "the training images must be named x_train (or train_images)"
        raise DataError(f"{path}: {expected}. Received: {names}")
    return make_dataset(path.stem, str(path), *map(arrays.get, keys))


def _refuse_bombs(archive: zipfile.ZipFile, keys: tuple[str, ...]) -> None:
    """Raises ValueError if the arrays unpack to more than LARGEST_PAYLOAD bytes."""
    members = [item for item in archive.infolist() if item.filename.removesuffix(".npy") in keys]
    unpacked = sum(item.file_size for item in members)
    if unpacked > LARGEST_PAYLOAD:
        raise ValueError(f"its arrays unpack to {unpacked:,} bytes; at most {LARGEST_PAYLOAD:,} are read")
