import threading
import time
import urllib.error

import keras
import numpy as np
import pytest

from data_files import IMAGES, LABELS, write_idx_folder, write_npz
from gan.data import DataError, known, load

COLORED = np.repeat(np.pad(IMAGES, ((0, 0), (12, 12), (12, 12), (0, 0))), 3, axis=-1)


def test_embedded_digits():
    digits = load("digits")
    assert digits.train_images.shape == (1438, 28, 28, 1)
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert digits.num_classes == 10
    assert digits.train_images.max() == 255
    assert digits.checksum == load("digits").checksum == known.CHECKSUMS["digits"]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_known_names_come_from_keras(monkeypatch, capsys, name):
    """Keras's progress goes to stderr, because stdout may hold a report. CIFAR's labels are (count, 1)."""
    images, labels = (COLORED, LABELS[:, None]) if name.startswith("cifar") else (IMAGES[..., 0], LABELS)

    def load_data():
        print("Downloading")
        return (images, labels.astype(np.int64)), (images[:5], labels[:5])

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", load_data)
    dataset = load(name)
    assert (dataset.name, dataset.source, dataset.num_classes) == (name, name, 23)
    np.testing.assert_array_equal(dataset.train_images, images.reshape(dataset.train_images.shape))
    np.testing.assert_array_equal(dataset.test_labels, LABELS[:5])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Downloading\n")


@pytest.mark.parametrize("name", known.SERVERS)
def test_without_a_network_a_line_says_how_to_supply_the_data(no_network, name):
    with pytest.raises(
        DataError, match=rf"{name} is not on this machine.*no network in this test.*--dataset"
    ) as error:
        load(name)
    assert "\n" not in str(error.value)


@pytest.fixture
def hanging(monkeypatch):
    """Makes a download that continues until the returned event is set."""
    end = threading.Event()

    def load_data():
        end.wait(60)
        return (IMAGES[..., 0], LABELS), (IMAGES[..., 0], LABELS)

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    monkeypatch.setattr(known, "SECONDS_TO_ANSWER", 0.3)
    yield end
    end.set()


@pytest.mark.parametrize("answer", ["none", "refused"])
def test_a_machine_without_a_network_waits_a_limited_time(hanging, monkeypatch, answer):
    def ask(server, timeout):
        if answer == "refused":
            raise urllib.error.URLError("no route to host")
        hanging.wait(60)
        raise TimeoutError

    monkeypatch.setattr(known.urllib.request, "urlopen", ask)
    started = time.monotonic()
    with pytest.raises(DataError, match="no network: no answer from https://storage.googleapis.com"):
        load("mnist")
    assert time.monotonic() - started < 10


def test_the_limit_is_ten_seconds():
    assert known.SECONDS_TO_ANSWER == 10


@pytest.mark.parametrize("answer", ["page", "not found"])
def test_a_slow_download_takes_its_time(hanging, monkeypatch, answer):
    class Page:
        def close(self):
            pass

    def ask(server, timeout):
        threading.Timer(0.6, hanging.set).start()
        if answer == "not found":
            raise urllib.error.HTTPError(server, 404, "Not Found", None, None)
        return Page()

    monkeypatch.setattr(known.urllib.request, "urlopen", ask)
    assert load("mnist").num_classes == 23


def test_known_data_of_another_packing_in_the_cache_are_used(somewhere, no_network, monkeypatch):
    """Keras would treat these files as damaged and delete them."""
    cache = somewhere / "keras" / "datasets"
    cache.mkdir(parents=True)
    write_npz(cache / "mnist.npz", x_train=IMAGES[..., 0], y_train=LABELS)
    with pytest.raises(DataError, match="no network"):
        load("mnist")
    monkeypatch.setitem(known.CHECKSUMS, "mnist", load(str(cache / "mnist.npz")).checksum)
    assert (load("mnist").name, load("auto").source) == ("mnist", "mnist")
    (cache / "mnist.npz").unlink()
    write_idx_folder(cache / "mnist", splits=("train",))  # older versions saved here
    assert load("mnist").source == "mnist"


def test_known_data_in_a_file_have_their_name(tmp_path, monkeypatch):
    """The name of the dataset does not depend on the name of the file or the format of its arrays."""
    write_npz(tmp_path / "any.npz", x_train=IMAGES[..., 0], y_train=LABELS)
    write_idx_folder(tmp_path / "folder", splits=("train",))
    for path in (tmp_path / "any.npz", tmp_path / "folder"):
        dataset = load(str(path))
        assert (dataset.name, dataset.source) == (path.stem, str(path))
        monkeypatch.setitem(known.CHECKSUMS, "fashion_mnist", dataset.checksum)
        dataset = load(str(path))
        assert (dataset.name, dataset.source) == ("fashion_mnist", str(path))
        monkeypatch.undo()
