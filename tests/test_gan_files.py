import pytest

from gan.files import digest, whole_file, write_whole


def test_writes_into_a_new_folder(tmp_path):
    path = tmp_path / "new" / "file"
    write_whole(path, b"content")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stands_until_the_new_is_whole(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"old")
    with whole_file(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.suffix == ".txt"
    assert path.read_bytes() == b"new"


def test_digest_is_sha256(tmp_path):
    (tmp_path / "empty").touch()
    assert digest(tmp_path / "empty").startswith("e3b0c44298fc1c14")
