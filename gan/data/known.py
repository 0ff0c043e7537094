"""The datasets that have names: MNIST, Fashion-MNIST and the digits in this package."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from ..files import cache_folder
from .dataset import DataError, Dataset, make_dataset
from .download import download
from .idx import find_idx_files, load_idx_folder
from .npz import load_npz

DIGITS = Path(__file__).parents[1] / "assets" / "digits.npz"

MIRRORS = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    "fashion_mnist": (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
}
HASHES = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
}


def load_known(name: str) -> Dataset:
    """Loads MNIST or Fashion-MNIST from the cache; downloads files that are missing there."""
    folder = cache_folder() / "datasets" / name
    npz = folder.with_suffix(".npz")
    broken = ""
    if npz.is_file():
        try:
            return _as_known(name, load_npz(npz))
        except DataError as error:
            broken = f"{error}; "
    try:
        if not all(find_idx_files(folder)):
            download(HASHES[name], MIRRORS[name], folder)
        return _as_known(name, load_idx_folder(folder))
    except DataError as error:
        reason = DataError(f"{broken}{error}")
        raise DataError(
            f"{name} is not on this machine and could not be downloaded ({reason}). Supply it in one of "
            f"three ways: put its four IDX files into {folder}, or its .npz file at {npz}, or pass the file "
            "or folder by --dataset PATH."
        ) from reason


def _as_known(name: str, dataset: Dataset) -> Dataset:
    """Checks that a dataset looks like the known one, and makes the known name its source."""
    if (dataset.image_shape, dataset.num_classes) != ((28, 28, 1), 10):
        raise DataError(
            f"{dataset.source}: this is not {name}, which has images of shape (28, 28, 1) and labels 0..9. "
            f"Received: shape={dataset.image_shape}, number of classes={dataset.num_classes}"
        )
    return dataclasses.replace(dataset, source=name)


def load_digits() -> Dataset:
    """Loads the digits in this package. Every fifth digit belongs to the test split."""
    with np.load(DIGITS, allow_pickle=False) as file:
        images, labels = np.stack([_enlarge(image) for image in file["images"]]), file["labels"]
    is_test = np.arange(len(images)) % 5 == 4
    splits = images[~is_test], labels[~is_test], images[is_test], labels[is_test]
    return make_dataset("digits", "digits", *splits)


def _enlarge(image: np.ndarray) -> np.ndarray:
    """Scales an 8x8 digit, 0..16, to 24x24 pixels, 0..255, and centers it in 28x28, as in MNIST."""
    picture = Image.fromarray(image.astype(np.float32) * (255 / 16))
    large = np.asarray(picture.resize((24, 24), Image.Resampling.BICUBIC))
    return np.pad(np.clip(np.rint(large), 0, 255).astype(np.uint8), 2)
