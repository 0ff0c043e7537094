import gzip
import os
import struct

import numpy as np
import pytest
import tensorflow as tf

from conftest import make_images
from gan import data

IMAGES = make_images(23)
LABELS = np.arange(23)
LIKE_MNIST = {"images": np.pad(IMAGES, ((0, 0), (10, 10), (10, 10), (0, 0))), "labels": LABELS % 10}


def batches(count, **kwargs):
    arguments = {"batch_size": 5, "seed": 3} | kwargs
    return [labels.numpy() for _, labels in data.pipeline(IMAGES, LABELS, **arguments).take(count)]


def write_idx_folder(folder, images=IMAGES, labels=LABELS, splits=("train", "t10k"), pack=bytes):
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        arrays = {"images-idx3": images[..., 0]} | ({} if labels is None else {"labels-idx1": labels})
        for part, array in arrays.items():
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            content = head + array.astype(np.uint8).tobytes()
            (folder / f"{split}-{part}-ubyte").write_bytes(pack(content))
    return folder


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments):
        raise data.DataError("no network: no answer from anywhere")

    monkeypatch.setattr(data, "download", refuse)


def test_every_sample_once_a_pass():
    order = np.concatenate(batches(23))
    for start in range(0, len(order), 23):
        np.testing.assert_array_equal(np.sort(order[start : start + 23]), LABELS)
    assert not np.array_equal(order[:23], order[23:46])


def test_starts_at_any_step():
    whole = batches(12)
    for step in (1, 4, 5, 11):
        np.testing.assert_array_equal(batches(12 - step, start_step=step), whole[step:])


def test_the_seed_decides_the_order():
    np.testing.assert_array_equal(batches(4), batches(4))
    assert not np.array_equal(batches(4), batches(4, seed=4))


@pytest.mark.parametrize("images", [IMAGES, IMAGES.astype(np.float32) / 127.5 - 1], ids=["uint8", "float"])
def test_batches_are_floats_in_range_with_their_labels(images):
    dataset = data.pipeline(images, LABELS, batch_size=5, seed=0)
    assert dataset.element_spec[0] == tf.TensorSpec((5, 8, 8, 1), tf.float32)
    batch, labels = next(iter(dataset))
    np.testing.assert_allclose(batch, IMAGES[labels.numpy()] / 127.5 - 1, atol=1e-6)


def test_without_labels_batches_are_images():
    dataset = data.pipeline(IMAGES, batch_size=30, seed=0)  # larger than the data
    assert dataset.element_spec == tf.TensorSpec((30, 8, 8, 1), tf.float32)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (IMAGES[..., 0], None, r"Received: shape=\(23, 8, 8\)"),
        (IMAGES[:0], None, "not be empty"),
        (IMAGES.repeat(2, -1), None, r"Received: shape=\(23, 8, 8, 2\)"),
        (IMAGES.astype(np.float32), None, "from 0 to 255"),
        (IMAGES.astype(np.int32), None, "dtype=int32"),
        (IMAGES, LABELS[:5], r"shape \(23,\).*Received: int64 of shape \(5,\)"),
        (IMAGES, LABELS / 2, "Received: float64"),
        (IMAGES, LABELS - 1, "labels from -1"),
    ],
)
def test_pipeline_refuses_wrong_arrays(images, labels, message):
    with pytest.raises(data.DataError, match=message):
        data.pipeline(images, labels, batch_size=5, seed=0)


def test_pipeline_refuses_labels_that_the_gan_does_not_have():
    with pytest.raises(data.DataError, match=r"lie in 0\.\.9\. Received: labels from 0 to 22"):
        data.pipeline(IMAGES, LABELS, batch_size=5, seed=0, num_classes=10)
    data.pipeline(IMAGES, LABELS, batch_size=5, seed=0, num_classes=23)


def test_prefetches_to_the_device_there_is():
    dataset = tf.data.Dataset.range(5)
    cpu = tf.config.list_logical_devices("CPU")[0]
    assert list(data._prefetch(dataset, [cpu]).as_numpy_iterator()) == list(range(5))
    assert list(data._prefetch(dataset, []).as_numpy_iterator()) == list(range(5))


def test_embedded_digits():
    digits = data.load("digits")
    assert digits.train_images.shape == (1438, 28, 28, 1)
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert digits.num_classes == 10
    assert digits.train_images.max() == 255
    assert digits.checksum == data.load("digits").checksum


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_idx_folder(tmp_path, pack):
    folder = write_idx_folder(tmp_path / "mine", pack=pack)
    dataset = data.load(str(folder))
    np.testing.assert_array_equal(dataset.train_images, IMAGES)
    np.testing.assert_array_equal(dataset.test_labels, LABELS)
    assert (dataset.name, dataset.source, dataset.num_classes) == ("mine", str(folder), 23)


def test_idx_folder_of_training_images_alone(tmp_path):
    dataset = data.load(str(write_idx_folder(tmp_path / "mine", labels=None, splits=["train"])))
    assert dataset.num_classes is None
    assert dataset.test_images is None


def test_npz(tmp_path):
    path = write_npz(tmp_path / "mine.npz", x_train=IMAGES, y_train=LABELS)
    dataset = data.load(str(path))
    np.testing.assert_array_equal(dataset.train_images, IMAGES)
    assert dataset.name == "mine"


def test_labels_in_a_column_are_taken_as_labels(tmp_path):
    path = write_npz(tmp_path / "like_cifar.npz", x_train=IMAGES, y_train=LABELS[:, None])
    np.testing.assert_array_equal(data.load(str(path)).train_labels, LABELS)


def test_the_checksum_sees_one_pixel(tmp_path):
    one = data.load(str(write_npz(tmp_path / "one.npz", x_train=IMAGES)))
    changed = IMAGES.copy()
    changed[0, 0, 0, 0] ^= 1
    other = data.load(str(write_npz(tmp_path / "other.npz", x_train=changed)))
    assert one.checksum != other.checksum


def make_damaged_zip(path):
    np.savez_compressed(path, x_train=np.random.default_rng(0).integers(0, 9, IMAGES.shape, np.uint8))
    content = bytearray(path.read_bytes())
    content[100:108] = b"\xff" * 8  # within the compressed pixels
    path.write_bytes(content)


def make_npy(path):
    with open(path, "wb") as file:
        np.save(file, IMAGES)


def make_object_npz(path):
    write_npz(path, x_train=np.array([{}], dtype=object))


BROKEN = {
    "absent": (lambda path: None, "No such dataset"),
    "random bytes": (lambda path: path.write_bytes(bytes(range(1, 200))), "it is not a zip archive"),
    "not a zip": (lambda path: path.write_bytes(b"<html>"), "not a usable .npz"),
    "empty": (lambda path: path.write_bytes(b""), "not a usable .npz"),
    "truncated": (
        lambda path: path.write_bytes(write_npz(path, x_train=IMAGES).read_bytes()[:-200]),
        "not a usable .npz",
    ),
    "damaged": (make_damaged_zip, "not a usable .npz"),
    "pickled": (make_object_npz, "not a usable .npz.*allow_pickle"),
    "single array": (make_npy, "not a usable .npz file: it is not a zip archive"),
    "other names": (lambda path: write_npz(path, a=IMAGES), "no array x_train, only: a"),
    "floats": (lambda path: write_npz(path, x_train=IMAGES / 255), "must be uint8"),
    "too few labels": (
        lambda path: write_npz(path, x_train=IMAGES, y_train=LABELS[:3]),
        "one for each",
    ),
    "huge label": (
        lambda path: write_npz(path, x_train=IMAGES, y_train=LABELS + 2**32),
        "no more of them than images. Received: labels up to 4294967318 for 23 images",
    ),
}


@pytest.mark.parametrize("write, message", BROKEN.values(), ids=BROKEN)
def test_broken_npz_gets_one_line(tmp_path, write, message):
    path = tmp_path / "mine.npz"
    write(path)
    with pytest.raises(data.DataError, match=message) as error:
        data.load(str(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_ambiguous_and_empty_folders_are_refused(tmp_path):
    folder = write_idx_folder(tmp_path / "mine")
    (folder / "train-images-idx3-ubyte.gz").touch()
    with pytest.raises(data.DataError, match="which one is meant"):
        data.load(str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(data.DataError, match="no IDX file"):
        data.load(str(tmp_path / "empty"))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_known_names_are_found_in_the_cache(empty_cache, no_network, name):
    write_idx_folder(empty_cache / name, **LIKE_MNIST)
    dataset = data.load(name)
    assert (dataset.name, dataset.source) == (name, name)
    np.testing.assert_array_equal(dataset.train_images, LIKE_MNIST["images"])


@pytest.mark.parametrize("other", [{"images": IMAGES}, {"labels": LABELS}], ids=["images", "labels"])
def test_what_is_not_mnist_is_not_taken_for_it(empty_cache, no_network, other):
    folder = write_idx_folder(empty_cache / "mnist", **(LIKE_MNIST | other))
    with pytest.raises(data.DataError, match="this is not mnist") as error:
        data.load("mnist")
    assert str(folder) in str(error.value)


def test_keras_own_cache_is_used(empty_cache, no_network):
    empty_cache.mkdir(parents=True)
    write_npz(empty_cache / "mnist.npz", x_train=LIKE_MNIST["images"], y_train=LIKE_MNIST["labels"])
    assert data.load("auto").name == "mnist"


def test_a_download_that_broke_off_is_completed(empty_cache, monkeypatch):
    folder = write_idx_folder(empty_cache / "mnist", **LIKE_MNIST)
    (folder / "train-labels-idx1-ubyte").unlink()
    asked = []

    def complete(hashes, mirrors, to_folder):
        asked.append(to_folder)
        write_idx_folder(to_folder, **LIKE_MNIST)

    monkeypatch.setattr(data, "download", complete)
    assert data.load("mnist").num_classes == 10
    assert asked == [folder]


def test_a_broken_npz_in_the_cache_is_not_the_end(empty_cache, no_network):
    empty_cache.mkdir(parents=True)
    (empty_cache / "mnist.npz").write_bytes(b"half a file")
    with pytest.raises(data.DataError, match="mnist.npz: not a usable .npz.*no network"):
        data.load("mnist")
    write_idx_folder(empty_cache / "mnist", **LIKE_MNIST)
    assert data.load("mnist").num_classes == 10


def test_what_a_killed_download_left_is_no_data(empty_cache, no_network):
    folder = write_idx_folder(empty_cache / "mnist", **LIKE_MNIST)
    (folder / ".77-train-images-idx3-ubyte").write_bytes(b"half")
    assert data.load("mnist").num_classes == 10
    (folder / "train-images-idx3-ubyte").unlink()
    with pytest.raises(data.DataError, match="no network"):  # so it asked for it again
        data.load("mnist")


def test_without_mnist_auto_says_loudly_that_it_takes_the_digits(no_network):
    dataset = data.load("auto")
    assert (dataset.name, dataset.source) == ("digits", "digits")
    assert "MNIST is not to be had" in dataset.notice
    assert "no network" in dataset.notice


def test_without_mnist_mnist_names_three_ways_to_supply_it(no_network, empty_cache):
    with pytest.raises(data.DataError) as error:
        data.load("mnist")
    for part in (
        "no network",
        str(empty_cache / "mnist"),
        str(empty_cache / "mnist.npz"),
        "--dataset",
    ):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_the_real_mnist(mnist_path):
    mnist = data.load(os.fspath(mnist_path))
    assert mnist.train_images.shape == (60000, 28, 28, 1)
    assert mnist.test_images.shape == (10000, 28, 28, 1)
    expected = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(mnist.train_labels), expected)
