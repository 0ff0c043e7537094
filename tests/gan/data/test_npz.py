import numpy as np
import pytest

from data_files import IMAGES, LABELS, write_npz
from gan.data import DataError, load


def test_npz(tmp_path):
    path = write_npz(tmp_path / "mine.npz", x_train=IMAGES, y_train=LABELS)
    dataset = load(str(path))
    np.testing.assert_array_equal(dataset.train_images, IMAGES)
    assert dataset.name == "mine"


def test_labels_in_a_column_are_taken_as_labels(tmp_path):
    path = write_npz(tmp_path / "like_cifar.npz", x_train=IMAGES, y_train=LABELS[:, None])
    np.testing.assert_array_equal(load(str(path)).train_labels, LABELS)


def make_damaged_zip(path):
    np.savez_compressed(path, x_train=np.random.default_rng(0).integers(0, 9, IMAGES.shape, np.uint8))
    content = bytearray(path.read_bytes())
    content[100:108] = b"\xff" * 8  # bytes of the compressed pixels
    path.write_bytes(content)


def make_npy(path):
    with open(path, "wb") as file:
        np.save(file, IMAGES)


def make_object_npz(path):
    write_npz(path, x_train=np.array([{}], dtype=object))


BROKEN = {
    "random bytes": (lambda path: path.write_bytes(bytes(range(1, 200))), "not a zip file"),
    "not a zip": (lambda path: path.write_bytes(b"<html>"), "not a usable .npz"),
    "empty": (lambda path: path.write_bytes(b""), "not a usable .npz"),
    "truncated": (
        lambda path: path.write_bytes(write_npz(path, x_train=IMAGES).read_bytes()[:-200]),
        "not a usable .npz",
    ),
    "damaged": (make_damaged_zip, "not a usable .npz"),
    "pickled": (make_object_npz, "not a usable .npz.*allow_pickle"),
    "single array": (make_npy, "not a usable .npz file: File is not a zip file"),
    "other names": (
        lambda path: write_npz(path, a=IMAGES),
        r"must be named x_train \(or train_images\). Received: \['a'\]",
    ),
    "a name of two lines": (lambda path: write_npz(path, **{"a\nb": IMAGES}), "must be named x_train"),
    "floats": (lambda path: write_npz(path, x_train=IMAGES / 255), "must be uint8"),
    "too few labels": (lambda path: write_npz(path, x_train=IMAGES, y_train=LABELS[:3]), "one for each"),
    "huge label": (
        lambda path: write_npz(path, x_train=IMAGES, y_train=LABELS + 2**32),
        r"0\.\.2147483647. Received: labels from 4294967296 to 4294967318",
    ),
}


@pytest.mark.parametrize("write, message", BROKEN.values(), ids=BROKEN)
def test_broken_npz_gets_one_line(tmp_path, write, message):
    path = tmp_path / "mine.npz"
    write(path)
    with pytest.raises(DataError, match=message) as error:
        load(str(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_names_of_medmnist_work(tmp_path):
    labels = LABELS[:, None]
    arrays = {"train_images": IMAGES[..., 0], "train_labels": labels, "val_images": IMAGES[:2, ..., 0]}
    write_npz(tmp_path / "bloodmnist.npz", **arrays, test_images=IMAGES[:5, ..., 0], test_labels=labels[:5])
    dataset = load(str(tmp_path / "bloodmnist.npz"))
    np.testing.assert_array_equal(dataset.train_images, IMAGES)
    np.testing.assert_array_equal(dataset.train_labels, LABELS)
    np.testing.assert_array_equal(dataset.test_labels, LABELS[:5])
