import gzip
import struct

import numpy as np
import pytest

from data_files import IMAGES as FOLDER_IMAGES
from data_files import LABELS, write_idx_folder
from gan.data import DataError, load
from gan.data.idx import read_idx

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def encode(array, kind=8):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


def header(*sizes, kind=8, zeros=0):
    return struct.pack(f">HBB{len(sizes)}I", zeros, kind, len(sizes), *sizes)


@pytest.mark.parametrize("name", ["images", "images.gz", "bïld mit leerzeichen.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_content_decides_not_the_name(tmp_path, name, pack):
    path = tmp_path / name
    path.write_bytes(pack(encode(IMAGES)))
    array = read_idx(path, dimensions=3)
    np.testing.assert_array_equal(array, IMAGES)
    array[0] = 0  # the array must be writable


def flip_a_bit(content):
    damaged = bytearray(gzip.compress(content))
    damaged[-6] ^= 1  # a byte of the checksum
    return bytes(damaged)


GOOD = encode(IMAGES)
MALFORMED = {
    "empty": (b"", "ends within its header, after 0 bytes"),
    "short header": (GOOD[:9], "ends within its header, after 9 bytes"),
    "short gzip header": (gzip.compress(GOOD[:3]), "ends within its header, after 3 bytes"),
    "truncated gzip": (gzip.compress(GOOD)[:-12], "truncated"),
    "wrong checksum": (flip_a_bit(GOOD), "CRC"),
    "damaged deflate": (gzip.compress(GOOD)[:10] + b"\xff" * 20, "damaged|CRC|truncated"),
    "html": (b"<!DOCTYPE html><title>403", "starts with b'<!DO'"),
    "garbage after gzip": (gzip.compress(GOOD) + b"garbage", "[Nn]ot a gzipped file"),
    "short payload": (GOOD[:-1], "24 values, but 23 follow"),
    "long payload": (GOOD + b"\0", "24 values, but more follow"),
    "header only": (header(2, 3, 4), "24 values, but 0 follow"),
    "little-endian": (b"\x03\x08\0\0" + GOOD[4:], "must start with two zero bytes"),
    "labels for images": (encode(IMAGES.reshape(-1)), "must have 3 dimensions .*, but has 1"),
    "four dimensions": (encode(IMAGES[..., None]), "but has 4"),
    "no dimensions": (header(), "but has 0"),
    "int32": (header(2, 3, 4, kind=0x0C), "type 0x0c"),
    "no images": (header(0, 28, 28), "must hold 1 to .* values, .* says 0"),
    "four GiB": (header(65536, 256, 256), "must hold .* says 4294967296"),
    "overflow": (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "must hold .* says 79228162458924105385300197375"),
}


@pytest.mark.parametrize("content, message", MALFORMED.values(), ids=MALFORMED)
def test_malformed_files_get_one_line(tmp_path, content, message):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_idx(path, dimensions=3)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gzip_bomb_is_left_alone_past_what_its_header_says(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(50_000_000)))
    with pytest.raises(DataError, match="but more follow"):
        read_idx(path, dimensions=3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="absent.*No such file"):
        read_idx(tmp_path / "absent", dimensions=3)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_idx_folder(tmp_path, pack):
    folder = write_idx_folder(tmp_path / "mine", pack=pack)
    dataset = load(str(folder))
    np.testing.assert_array_equal(dataset.train_images, FOLDER_IMAGES)
    np.testing.assert_array_equal(dataset.test_labels, LABELS)
    assert (dataset.name, dataset.source, dataset.num_classes) == ("mine", str(folder), 23)


def test_idx_folder_of_training_images_alone(tmp_path):
    dataset = load(str(write_idx_folder(tmp_path / "mine", labels=None, splits=["train"])))
    assert dataset.num_classes is None
    assert dataset.test_images is None


def test_a_file_may_be_there_packed_and_unpacked(tmp_path):
    folder = write_idx_folder(tmp_path / "mine")
    for path in list(folder.iterdir()):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(load(str(folder)).train_images, FOLDER_IMAGES)


def test_ambiguous_and_empty_folders_are_refused(tmp_path):
    folder = write_idx_folder(tmp_path / "mine")
    (folder / "other-train-images-idx3-ubyte").touch()
    with pytest.raises(DataError, match="Keep one of them"):
        load(str(folder))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found no pictures"):
        load(str(tmp_path / "empty"))
