"""Loads datasets by name or path."""

import dataclasses
from pathlib import Path

from .dataset import DataError, Dataset
from .folder import load_image_folder
from .idx import is_idx_folder, load_idx_folder
from .known import SERVERS, load_digits, load_known, recognize
from .npz import load_npz

SCALING = {"image_size": None, "fit": "crop", "background": "white"}  # the defaults of `load`
NAMES = ("auto", *SERVERS, "digits")


def load(
    source: str,
    image_size: int | None = None,
    fit: str = "crop",
    background: str = "white",
    verbose: int = 1,
) -> Dataset:
    """Loads a dataset by its name or path.

    - "auto": MNIST, if MNIST is on this machine or can be downloaded. Otherwise the digits in this package,
      with a notice.
    - "mnist", "fashion_mnist", "cifar10", "cifar100": the datasets of `keras.datasets`. Keras keeps the
      downloaded files in `~/.keras/datasets`.
    - "digits": 1,797 real handwritten digits in this package, scaled from 8x8 to 28x28.
    - a folder of pictures, with a subfolder for each class or without subfolders: see `load_image_folder`.
    - a folder of IDX files with MNIST's names (`train-images…`, `train-labels…`, `t10k-…`). Labels and
      test files may be missing.
    - an `.npz` file with uint8 images `x_train`. Integer labels `y_train`, and `x_test` and `y_test`, are
      optional. The names of MedMNIST (`train_images`, …) work too.

    Args:
        source: the name or the path.
        image_size: height and width of the pictures of a folder. None: the most common shorter side, at most
            64. Not for other data.
        fit: how the pictures of a folder become square: "crop" or "pad".
        background: color behind transparent pictures of a folder, and of the borders of "pad".
        verbose: 0 shows no progress bar for the pictures of a folder.

    Raises:
        DataError: if the data cannot be loaded. The message is one line: the source, the problem and a
            remedy.
    """
    scaling = {"image_size": image_size, "fit": fit, "background": background}
    if source in NAMES:
        _refuse_scaling(source, scaling)
        return _load_named(source)
    try:
        path = Path(source).expanduser().resolve()
        is_folder, is_npz = bool(source) and path.is_dir(), path.suffix == ".npz" and path.is_file()
        if is_folder and not is_idx_folder(path):
            return load_image_folder(path, **scaling, verbose=verbose)
        if is_folder or is_npz:
            _refuse_scaling(source, scaling)
            return recognize(load_idx_folder(path) if is_folder else load_npz(path))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{source}: {getattr(error, 'strerror', None) or error}") from error
    accepted = f"{', '.join(NAMES)}, a folder of pictures or of IDX files, or an .npz file"
    raise DataError(f"No such dataset. Accepted: {accepted}. Received: {source!r}")


def _load_named(name: str) -> Dataset:
    if name == "digits":
        return load_digits()
    if name != "auto":
        return load_known(name)
    try:
        return load_known("mnist")
    except DataError as error:
        notice = (
            f"MNIST could not be downloaded ({error.__cause__}), so this run uses the 8x8 digits in this "
            "package. Samples will have less detail. Run `--dataset mnist` to see how to supply MNIST."
        )
        return dataclasses.replace(load_digits(), notice=notice)


def _refuse_scaling(source: str, scaling: dict) -> None:
    given = [name for name, value in scaling.items() if value != SCALING[name]]
    if given:
        names = " and ".join(name.replace("_", " ") for name in given)
        raise DataError(f"{source} is not a folder of pictures: leave out the {names}")
