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
    assert len(names) == 8
    assert all(getattr(folder, name).parent == folder.path for name in names)


def test_only_one_process_writes(folder):
    owner = rf"is being written by another process \({os.getpid()}\)"
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


@pytest.mark.parametrize("name", [".lock", "checkpoints", "logs/train", "history.csv"])
@pytest.mark.parametrize("is_there", [False, True])
def test_links_out_of_the_folder_are_refused(tmp_path, name, is_there):
    run, outside = RunFolder(tmp_path / "run"), tmp_path / "outside"
    (run.path / name).parent.mkdir(parents=True)
    (run.path / name).symlink_to(outside)
    if is_there:
        outside.write_text("precious")
    with pytest.raises(ValueError, match=rf"{name} is a link"), run.open_for_writing():
        pass
    assert outside.exists() == is_there
    assert not is_there or outside.read_text() == "precious"


def test_a_lock_behind_a_link_is_not_taken(tmp_path):
    (tmp_path / ".lock").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError), lock(tmp_path):
        pass
    assert not (tmp_path / "outside").exists()


def test_empty_is_what_a_process_left_that_died_before_its_start(tmp_path):
    assert RunFolder(tmp_path / "absent").is_empty()
    (tmp_path / ".lock").touch()
    assert RunFolder(tmp_path).is_empty()
    assert not RunFolder(tmp_path / ".lock").is_empty()
