import numpy as np
import pytest

from data_files import IMAGES, LABELS, write_idx_folder, write_npz
from gan.data import DataError, known, load

LIKE_MNIST = {"images": np.pad(IMAGES, ((0, 0), (10, 10), (10, 10), (0, 0))), "labels": LABELS % 10}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments):
        raise DataError("no network: no answer from anywhere")

    monkeypatch.setattr(known, "download", refuse)


def test_embedded_digits():
    digits = load("digits")
    assert digits.train_images.shape == (1438, 28, 28, 1)
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert digits.num_classes == 10
    assert digits.train_images.max() == 255
    assert digits.checksum == load("digits").checksum


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_known_names_are_found_in_the_cache(empty_cache, no_network, name):
    write_idx_folder(empty_cache / name, **LIKE_MNIST)
    dataset = load(name)
    assert (dataset.name, dataset.source) == (name, name)
    np.testing.assert_array_equal(dataset.train_images, LIKE_MNIST["images"])


@pytest.mark.parametrize("other", [{"images": IMAGES}, {"labels": LABELS}], ids=["images", "labels"])
def test_what_is_not_mnist_is_not_taken_for_it(empty_cache, no_network, other):
    folder = write_idx_folder(empty_cache / "mnist", **(LIKE_MNIST | other))
    with pytest.raises(DataError, match="this is not mnist") as error:
        load("mnist")
    assert str(folder) in str(error.value)


def test_keras_own_cache_is_used(empty_cache, no_network):
    empty_cache.mkdir(parents=True)
    write_npz(empty_cache / "mnist.npz", x_train=LIKE_MNIST["images"], y_train=LIKE_MNIST["labels"])
    assert load("auto").name == "mnist"


def test_a_download_that_broke_off_is_completed(empty_cache, monkeypatch):
    folder = write_idx_folder(empty_cache / "mnist", **LIKE_MNIST)
    (folder / "train-labels-idx1-ubyte").unlink()
    asked = []

    def complete(hashes, mirrors, to_folder):
        asked.append(to_folder)
        write_idx_folder(to_folder, **LIKE_MNIST)

    monkeypatch.setattr(known, "download", complete)
    assert load("mnist").num_classes == 10
    assert asked == [folder]


def test_a_broken_npz_in_the_cache_is_not_the_end(empty_cache, no_network):
    empty_cache.mkdir(parents=True)
    (empty_cache / "mnist.npz").write_bytes(b"half a file")
    with pytest.raises(DataError, match="mnist.npz: not a usable .npz.*no network"):
        load("mnist")
    write_idx_folder(empty_cache / "mnist", **LIKE_MNIST)
    assert load("mnist").num_classes == 10


def test_what_a_killed_download_left_is_no_data(empty_cache, no_network):
    folder = write_idx_folder(empty_cache / "mnist", **LIKE_MNIST)
    (folder / ".77-train-images-idx3-ubyte").write_bytes(b"half")
    assert load("mnist").num_classes == 10
    (folder / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="no network"):  # so it asked for it again
        load("mnist")


def test_without_mnist_mnist_names_three_ways_to_supply_it(no_network, empty_cache):
    with pytest.raises(DataError) as error:
        load("mnist")
    for part in ("no network", f"{empty_cache / 'mnist'},", str(empty_cache / "mnist.npz"), "--dataset"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
