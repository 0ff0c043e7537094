"""Loads datasets by name or path."""

import dataclasses
from pathlib import Path

from .dataset import DataError, Dataset
from .idx import load_idx_folder
from .known import SERVERS, load_digits, load_known, name_of
from .npz import load_npz

NAMES = ("auto", *SERVERS, "digits")


def load(source: str) -> Dataset:
    """Loads a dataset by its name or path.

    - "auto": MNIST, if MNIST is on this machine or can be downloaded. Otherwise the digits in this package,
      with a notice.
    - "mnist", "fashion_mnist", "cifar10", "cifar100": the datasets of `keras.datasets`. Keras keeps the
      downloaded files in `~/.keras/datasets`.
    - "digits": 1,797 real handwritten digits in this package, scaled from 8x8 to 28x28.
    - a folder of IDX files with MNIST's names (`train-images…`, `train-labels…`, `t10k-…`). Labels and
      test files may be missing.
    - an `.npz` file with uint8 images `x_train`. Integer labels `y_train`, and `x_test` and `y_test`, are
      optional.

    Raises:
        DataError: if the data cannot be loaded. The message is one line: the source, the problem and a
            remedy.
    """
    if source == "auto":
        try:
            return load_known("mnist")
        except DataError as error:
            notice = (
                f"MNIST could not be downloaded ({error.__cause__}), so this run uses the 8x8 digits in this "
                "package. Samples will have less detail. Run `--dataset mnist` to see how to supply MNIST."
            )
            return dataclasses.replace(load_digits(), notice=notice)
    if source == "digits":
        return load_digits()
    if source in SERVERS:
        return load_known(source)
    try:
        path = Path(source).expanduser().resolve()
        is_folder, is_npz = bool(source) and path.is_dir(), path.suffix == ".npz" and path.is_file()
        if is_folder or is_npz:
            dataset = load_idx_folder(path) if is_folder else load_npz(path)
            return dataclasses.replace(dataset, name=name_of(dataset))
    except (OSError, RuntimeError) as error:
        raise DataError(f"{source}: {getattr(error, 'strerror', None) or error}") from error
    accepted = f"{', '.join(NAMES)}, a folder of IDX files, or an .npz file"
    raise DataError(f"No such dataset. Accepted: {accepted}. Received: {source!r}")
