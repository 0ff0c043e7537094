from data_files import IMAGES, write_npz
from gan.data import load


def test_the_checksum_sees_one_pixel(tmp_path):
    one = load(str(write_npz(tmp_path / "one.npz", x_train=IMAGES)))
    changed = IMAGES.copy()
    changed[0, 0, 0, 0] ^= 1
    other = load(str(write_npz(tmp_path / "other.npz", x_train=changed)))
    assert one.checksum != other.checksum
