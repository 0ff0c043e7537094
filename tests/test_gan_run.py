from pathlib import Path

import pytest

from gan.run import RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def test_config_survives(folder):
    folder.write_config({"seed": 3, "dataset": "digits"})
    assert folder.read_config() == {"seed": 3, "dataset": "digits"}


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_damaged_config_gets_one_line(folder, content):
    folder.write_config({})
    folder.config.write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        folder.read_config()


def test_another_folder_is_no_run(tmp_path):
    with pytest.raises(ValueError, match="is not a run folder"):
        RunFolder(tmp_path).read_config()


def test_everything_is_in_the_folder():
    folder = RunFolder(Path("runs/one"))
    names = [name for name, value in vars(RunFolder).items() if isinstance(value, property)]
    assert len(names) == 8
    assert all(getattr(folder, name).parent == folder.path for name in names)


def test_history_loses_the_epochs_to_be_replayed(folder):
    folder.write_config({})
    folder.history.write_bytes(b"epoch,loss\r\n0,2.5\r\n1,2.0\r\n2,1")  # as Keras writes it; killed over it
    folder.trim_history(2)
    assert folder.history.read_bytes() == b"epoch,loss\r\n0,2.5\r\n1,2.0\r\n"
    folder.trim_history(0)
    assert folder.history.read_bytes() == b"epoch,loss\r\n"


def test_no_history_yet(folder):
    folder.trim_history(0)
    assert not folder.history.exists()
