"""Datasets as arrays, and the pipeline that feeds them to `fit`.

`load` turns a name or a path into uint8 arrays; `pipeline` turns arrays into endless batches whose
order follows from (seed, step) alone, so that a run resumes at any step.
"""

import dataclasses
import hashlib
import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from gan import images as image_tools
from gan.download import download
from gan.files import cache_folder
from gan.idx import LARGEST_PAYLOAD, DataError, read_idx

__all__ = ["NAMES", "DataError", "Dataset", "load", "pipeline"]

NAMES = ("auto", "mnist", "fashion_mnist", "digits")
IDX_STEMS = {"train": "train", "test": "t10k"}
NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
LARGEST_SIDE = 512  # pixels; the networks grow with the square of it
BATCHES_AHEAD = 2
ASSETS = Path(__file__).parent / "assets"

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


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images as uint8 (count, height, width, channels), labels as int32 (count,) or None.

    Attributes:
        name: what it is called in a run's name and config: a known name, or the file's.
        source: a name or an absolute path that `load` accepts to get the same data again.
        notice: what the person who asked should be told of it, or "".
    """

    name: str
    source: str
    train_images: np.ndarray
    train_labels: np.ndarray | None = None
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    notice: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.train_images.shape[1:]

    @property
    def num_classes(self) -> int | None:
        """One more than the largest label, or None without labels."""
        return None if self.train_labels is None else int(self.train_labels.max()) + 1

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the training images and labels and their shapes, in hexadecimal."""
        summary = hashlib.sha256()
        for array in (self.train_images, self.train_labels):
            if array is not None:
                summary.update(repr((array.shape, array.dtype.str)).encode())
                summary.update(np.ascontiguousarray(array))
        return summary.hexdigest()


def load(source: str) -> Dataset:
    """Loads a dataset by its name or path.

    - "auto": MNIST if it is here or can be downloaded, else the embedded digits, with a notice.
    - "mnist", "fashion_mnist": from the cache (`~/.keras/datasets`, or under `$KERAS_HOME`) or by
      download.
    - "digits": 1,797 real handwritten digits, 8x8 scaled to 28x28, that are part of this package.
    - a folder of IDX files named like MNIST's (`train-images…`, `train-labels…`, `t10k-…`; labels and
      test files may be missing), or an `.npz` with uint8 images `x_train` and perhaps integer labels
      `y_train`, and `x_test`, `y_test`.

    Raises:
        DataError: one line that says what is wrong, with which file, and what to do.
    """
    if source == "auto":
        try:
            return _load_known("mnist")
        except DataError as error:
            return dataclasses.replace(load("digits"), notice=_explain_fallback(error.__cause__))
    if source == "digits":
        return _load_digits()
    if source in NAMES:
        return _load_known(source)
    try:
        path = Path(source).expanduser().resolve()
        is_folder, is_npz = source and path.is_dir(), path.suffix == ".npz" and path.is_file()
    except (OSError, RuntimeError) as error:
        raise DataError(f"{source}: {getattr(error, 'strerror', None) or error}") from error
    if is_folder:
        return _load_idx_folder(path, name=path.name)
    if is_npz:
        return _load_npz(path, name=path.stem)
    raise DataError(
        f"No such dataset: {source!r}. Accepted are {', '.join(NAMES)}, a folder of IDX files, or an "
        ".npz file; this is none of them."
    )


def pipeline(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    num_classes: int | None = None,
) -> tf.data.Dataset:
    """Endless batches in a random order that follows from the seed and the step alone.

    Each pass over the data has an order of its own and holds every image once; a batch may span the
    end of one pass and the start of the next. Images stay as they are given until their batch is made.

    Args:
        images: (count, height, width, channels), uint8 0..255 or floats in [-1, 1].
        labels: integers (count,), from 0; or None.
        batch_size: images in a batch.
        seed: integer that the order follows from.
        start_step: number of batches to leave out: those a resumed run has seen.
        num_classes: of the GAN that the labels are for, which they are checked against; None: they
            are not.

    Returns:
        A dataset of `images` (batch_size, height, width, channels), float32 in [-1, 1], or of
        `(images, labels)` with int32 labels (batch_size,).

    Raises:
        DataError: when the arrays have the wrong shape, type or range.

    Example:

    ```python
    digits = load("digits")
    dataset = pipeline(digits.train_images, digits.train_labels, batch_size=64, seed=0)
    gan.fit(dataset, steps_per_epoch=500)
    ```
    """
    _check_images(images)
    _check_labels(images, labels)
    if labels is not None and num_classes is not None and labels.max() >= num_classes:
        raise DataError(
            f"labels must lie in 0..{num_classes - 1}. Received: labels from {labels.min()} to {labels.max()}"
        )
    arrays = [tf.constant(images)] + ([] if labels is None else [tf.constant(labels, tf.int32)])

    @tf.autograph.experimental.do_not_convert  # it has nothing to convert, and looking for it takes time
    def make_batch(step):
        positions = step * batch_size + tf.range(batch_size, dtype=tf.int64)
        rows = _shuffle(positions, len(images), seed)
        batch = [tf.gather(array, rows) for array in arrays]
        floats = tf.cast(batch[0], tf.float32)
        batch[0] = image_tools.to_float(floats) if images.dtype == np.uint8 else floats
        return batch[0] if labels is None else tuple(batch)

    dataset = tf.data.Dataset.counter(start_step).map(make_batch, num_parallel_calls=2)
    options = tf.data.Options()
    # Autotuning has nothing to tune here, and its thread, which wakes at ever longer intervals, keeps
    # the end of `fit` waiting for its next turn.
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    return _prefetch(dataset, tf.config.list_logical_devices("GPU"))


def _shuffle(positions, count: int, seed: int):
    """Where the sample at each position of the endless sequence stands in the arrays.

    The pass is part of the key, so each has its own permutation.
    """
    passes, index = positions // count, positions % count
    keys = tf.stack([tf.fill(tf.shape(passes), tf.constant(seed, tf.int64)), passes, passes * 0], 1)
    return tf.raw_ops.RandomIndexShuffle(
        index=index, seed=keys, max_index=tf.constant(count - 1, tf.int64), rounds=4
    )


def _prefetch(dataset: tf.data.Dataset, gpus: list) -> tf.data.Dataset:
    """Prepares batches ahead, in the GPU's memory where there is one and no strategy shares them."""
    if gpus and not tf.distribute.has_strategy():
        return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name, BATCHES_AHEAD))
    return dataset.prefetch(BATCHES_AHEAD)


def _check_images(images: np.ndarray, name: str = "images") -> None:
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not images.size:
        raise DataError(
            f"{name} must have shape (count, height, width, channels), grey (1) or colour (3), and not "
            f"be empty. Received: shape={images.shape}"
        )
    try:
        image_tools.check_range(images)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def _check_labels(images: np.ndarray, labels: np.ndarray | None, name: str = "labels") -> None:
    if labels is None:
        return
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{name} must be integers of shape ({len(images)},), one for each image. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0:
        raise DataError(f"{name} must count from 0. Received: labels from {labels.min()}")


def _make_dataset(name: str, source: str, where: Path, splits: dict) -> Dataset:
    """Checks what was read of each split and gives it the shapes and types of a `Dataset`."""
    arrays = {}
    for split, (images, labels) in splits.items():
        if images is None:
            continue
        images = images[..., np.newaxis] if images.ndim == 3 else images
        labels = labels[:, 0] if labels is not None and labels.shape[1:] == (1,) else labels
        if images.dtype != np.uint8:
            raise DataError(
                f"{where}: {split} images must be uint8 (0..255): convert them before they are saved. "
                f"Received: {images.dtype}"
            )
        _check_images(images, f"{where}: {split} images")
        if max(images.shape[1:3]) > LARGEST_SIDE:
            raise DataError(
                f"{where}: {split} images must have at most {LARGEST_SIDE} pixels a side. "
                f"Received: shape={images.shape}"
            )
        _check_labels(images, labels, f"{where}: {split} labels")
        if split == "train" and labels is not None and labels.max() >= len(images):
            raise DataError(
                f"{where}: labels must number the classes from 0, no more of them than images. "
                f"Received: labels up to {labels.max()} for {len(images)} images"
            )
        if split == "test":
            _check_that_splits_fit(where, images, labels, arrays)
        arrays[f"{split}_images"] = images
        arrays[f"{split}_labels"] = None if labels is None else labels.astype(np.int32)
    return Dataset(name, source, **arrays)


def _check_that_splits_fit(where: Path, images, labels, train: dict) -> None:
    shape, train_labels = train["train_images"].shape[1:], train["train_labels"]
    if images.shape[1:] != shape:
        raise DataError(
            f"{where}: test images must have the training images' shape {shape}. Received: {images.shape[1:]}"
        )
    if labels is not None and train_labels is not None and labels.max() > train_labels.max():
        raise DataError(
            f"{where}: test labels must be among the training labels, up to {train_labels.max()}. "
            f"Received: {labels.max()}"
        )


def _load_digits() -> Dataset:
    with np.load(ASSETS / "digits.npz", allow_pickle=False) as file:
        small, labels = file["images"], file["labels"]
    large = np.stack([_enlarge(image) for image in small])
    held_out = np.arange(len(large)) % 5 == 4
    splits = {
        "train": (large[~held_out], labels[~held_out]),
        "test": (large[held_out], labels[held_out]),
    }
    return _make_dataset("digits", "digits", ASSETS / "digits.npz", splits)


def _enlarge(image: np.ndarray) -> np.ndarray:
    """An 8x8 digit, 0..16, as 24x24 pixels, 0..255, in the middle of 28x28, as MNIST has it."""
    picture = Image.fromarray(image.astype(np.float32) * (255 / 16))
    large = np.asarray(picture.resize((24, 24), Image.Resampling.BICUBIC))
    return np.pad(np.clip(np.rint(large), 0, 255).astype(np.uint8), 2)


def _load_known(name: str) -> Dataset:
    cache = cache_folder() / "datasets"
    npz, folder = cache / f"{name}.npz", cache / name
    broken = ""
    if npz.is_file():
        try:
            return _as_known(name, _load_npz(npz, name))
        except DataError as error:
            broken = f"{error}; "
    try:
        if not _is_complete(folder):
            download(HASHES[name], MIRRORS[name], folder)
        return _as_known(name, _load_idx_folder(folder, name))
    except DataError as error:
        reason = DataError(f"{broken}{error}")
        raise DataError(
            f"{name} is not on this machine and cannot be downloaded ({reason}). Three ways to supply it: "
            f"put its four IDX files into {folder}; or its .npz at {npz}; or name the file or folder by "
            "--dataset PATH."
        ) from reason


def _as_known(name: str, dataset: Dataset) -> Dataset:
    """The dataset under the name it was asked for by, once it is sure to look like that."""
    if (dataset.image_shape, dataset.num_classes) != ((28, 28, 1), 10):
        raise DataError(
            f"{dataset.source}: this is not {name}, whose images have shape (28, 28, 1) and labels 0..9. "
            f"Received: shape={dataset.image_shape}, number of labels={dataset.num_classes}"
        )
    return dataclasses.replace(dataset, source=name)


def _is_complete(folder: Path) -> bool:
    """Whether a folder has all four files, packed or not; a broken download has fewer."""
    parts = [f"*{stem}-{part}*" for stem in IDX_STEMS.values() for part in ("images", "labels")]
    return all(_find_one(folder, pattern) for pattern in parts)


def _explain_fallback(reason: Exception) -> str:
    return (
        f"MNIST is not to be had ({reason}), so this run uses the small set of 8x8 digits that ships with "
        "the package: its samples will be coarser. `--dataset mnist` says how to supply MNIST."
    )


def _load_idx_folder(folder: Path, name: str) -> Dataset:
    splits = {}
    for split, stem in IDX_STEMS.items():
        images = _find_one(folder, f"*{stem}-images*")
        labels = _find_one(folder, f"*{stem}-labels*")
        splits[split] = (
            None if images is None else read_idx(images, dimensions=3),
            None if labels is None else read_idx(labels, dimensions=1),
        )
    if splits["train"][0] is None:
        raise DataError(f"{folder}: no IDX file named like train-images-idx3-ubyte or ….gz in it")
    return _make_dataset(name, str(folder), folder, splits)


def _find_one(folder: Path, pattern: str) -> Path | None:
    # A file with a dot in front is one that another process is writing, or was killed over.
    found = sorted(path for path in folder.glob(pattern) if path.is_file() and path.name[0] != ".")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{folder}: which one is meant? Keep one of {names}")
    return found[0] if found else None


def _load_npz(path: Path, name: str) -> Dataset:
    try:
        with open(path, "rb") as raw:
            if not zipfile.is_zipfile(raw):
                raise ValueError("it is not a zip archive of named arrays")
            raw.seek(0)
            file = np.load(raw, allow_pickle=False)
            wanted = [key for key in file.files if key in NPZ_ARRAYS]
            _refuse_bombs(file.zip, wanted)
            arrays = {key: file[key] for key in wanted}
            keys = ", ".join(file.files)
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("what is called an array in it is none")
    except Exception as error:  # whatever a file that anyone may have written makes NumPy stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: not a usable .npz file: {reason}") from error
    if "x_train" not in arrays:
        raise DataError(f"{path}: it holds no array x_train, only: {keys or 'nothing'}")
    splits = {split: (arrays.get(f"x_{split}"), arrays.get(f"y_{split}")) for split in ("train", "test")}
    return _make_dataset(name, str(path), path, splits)


def _refuse_bombs(archive: zipfile.ZipFile, keys: list[str]) -> None:
    """A small file may unpack to any size; how much is read at most is said before it is."""
    unpacked = sum(archive.getinfo(f"{key}.npy").file_size for key in keys)
    if unpacked > LARGEST_PAYLOAD:
        raise ValueError(f"its arrays unpack to {unpacked:,} bytes; at most {LARGEST_PAYLOAD:,} are read")
