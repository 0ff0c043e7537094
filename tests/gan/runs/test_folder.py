import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan.runs import RunFolder
from gan.runs.lock import LockedError, lock


@pytest.fixture
def folder(tmp_path):
    with RunFolder(tmp_path / "run").open_for_writing():
        yield RunFolder(tmp_path / "run")


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
    names = vars(folder).keys() - {"path"}
    assert len(names) == 10
    assert all(getattr(folder, name).parent == folder.path for name in names)


def test_only_one_process_writes(folder):
    owner = rf"another process \({os.getpid()}\) is writing to "
    with pytest.raises(LockedError, match=owner), RunFolder(folder.path).open_for_writing():
        pass


def test_a_dead_process_holds_no_lock(tmp_path, request):
    script = "import os, sys; from pathlib import Path; from gan.runs.lock import lock\n"
    script += "with lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    process = subprocess.run([sys.executable, "-c", script, tmp_path], cwd=request.config.rootpath)
    assert process.returncode == -9
    assert (tmp_path / ".lock").read_text()
    with RunFolder(tmp_path).open_for_writing():
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_what_a_dead_process_left_is_removed(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (
        ".partial-01234567-config.json",
        "checkpoints/.partial-89abcdef-epoch_0001.json",
        "mine.txt",
    ):
        (tmp_path / name).touch()
    assert not RunFolder(tmp_path).is_empty()
    with RunFolder(tmp_path).open_for_writing():
        assert sorted(path.name for path in tmp_path.rglob("*")) == [".lock", "checkpoints", "mine.txt"]


def test_links_are_followed(tmp_path):
    """A run may keep its checkpoints on another disk.

    Files that a dead process left on that disk are removed too.
    """
    run, elsewhere = RunFolder(tmp_path / "run"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".partial-01234567-epoch_0001.json").touch()
    (elsewhere / "mine.txt").touch()
    run.path.mkdir()
    run.checkpoints.symlink_to(elsewhere)
    run.config.symlink_to(elsewhere / "config.json")
    with run.open_for_writing():
        run.write_config({"seed": 3})
    assert run.config.is_symlink()
    assert json.loads((elsewhere / "config.json").read_text()) == {"seed": 3}
    assert sorted(path.name for path in elsewhere.iterdir()) == ["config.json", "mine.txt"]


def test_files_that_are_not_ours_are_ignored(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".partial-of-a-user").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "absent")
    with RunFolder(tmp_path).open_for_writing():
        pass
    names = [".lock", ".partial-of-a-user", "broken", "pipe"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_disk_without_locks_gets_a_notice_and_works(tmp_path, monkeypatch, number):
    def refuse(file):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys.modules["gan.runs.lock"], "_take", refuse)
    with pytest.warns(UserWarning, match="on a disk without file locks"), lock(tmp_path):
        (tmp_path / "file").touch()


def test_empty_is_what_a_process_left_that_died_before_its_start(tmp_path):
    assert RunFolder(tmp_path / "absent").is_empty()
    (tmp_path / ".lock").touch()
    assert RunFolder(tmp_path).is_empty()
    assert not RunFolder(tmp_path / ".lock").is_empty()
