"""Tests faults: kills at every point of the writing code and at random moments, full disks, damaged files,
and other processes. After each fault, the resumed run equals a run without faults.
"""

import errno
import functools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import train
from conftest import QUICK, assert_same_run, start
from gan import files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_process_left")]

EPOCHS = 3
SHORT = [*QUICK, "--steps-per-epoch", 8]
MEASURED = [*SHORT, "--validation"]
MANY_EPOCHS = 40
SECONDS_TO_LIVE = 12.0  # latest random kill: long enough for the start and all epochs

# Runs train.py and kills it at a point of the writing code. The first argument names the point.
KILLER = """
import os, re, signal, sys
from pathlib import Path

WANTED = sys.argv.pop(1)


def point(what, path):
    name = re.sub(r"^\\.partial-[0-9a-f]{8}-", "", Path(path).name)
    if f"{what} {name}" == WANTED:
        os.kill(os.getpid(), signal.SIGKILL)


def watch(owner, name, what, path_of):
    action = getattr(owner, name)

    def watched(*arguments, **kwargs):
        path = path_of(*arguments)
        point(f"before {what}", path)
        result = action(*arguments, **kwargs)
        point(f"after {what}", path)
        return result

    setattr(owner, name, watched)


def write_half_first(path, content):
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    point("half of", path)
    return write(path, content)


write, Path.write_bytes = Path.write_bytes, write_half_first
watch(os, "fsync", "flush", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
watch(os, "replace", "rename", lambda source, target: target)
watch(Path, "unlink", "removal", lambda path, **kwargs: path)

import train

sys.exit(train.main())
"""


def finish(process, expected=0):
    """Waits for a process and returns its error output."""
    output, error = process.communicate(timeout=300)
    assert process.returncode == expected, (output + error)[-2000:]
    assert "Traceback" not in error
    return error


def start_or_resume(folder, arguments, program=("train.py",), **kwargs):
    is_begun = (folder / "config.json").exists()
    how = ["--resume", folder] if is_begun else [*arguments, "--run-dir", folder]
    return start(*how, program=program, **kwargs)


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def wait_for_lock(folder, process):
    """Waits until the process holds the lock of the folder or has ended."""
    lock = folder / ".lock"
    while process.poll() is None and not (lock.exists() and lock.read_text() == str(process.pid)):
        time.sleep(0.01)


def run(*arguments):
    return train.main([*map(str, arguments)])


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    """Makes runs without faults. Each command line runs only once."""

    @functools.cache
    def make(*arguments):
        folder = tmp_path_factory.mktemp("left_alone") / "run"
        assert run(*arguments, "--run-dir", folder, "--quiet") == 0
        return folder

    return make


PICTURES = ["real.png", "epoch_0002.png", "epochs.gif"]
STATES = ["epoch_0002.weights.h5", "epoch_0002.json", "gan.keras", "generator.keras"]
POINTS = [f"{when} {name}" for name in ["config.json", *PICTURES, *STATES] for when in (
    "half of", "before flush", "after flush", "before rename", "after rename"
) if not (when == "half of" and name.endswith((".gif", ".keras")))]  # fmt: skip
POINTS += ["before flush checkpoints", "before removal epoch_0001.json", "after removal epoch_0001.json"]
POINTS += ["before removal epoch_0001.weights.h5", "after removal epoch_0001.weights.h5"]


@pytest.mark.exact
@pytest.mark.parametrize("part", [0, 1])
def test_killed_at_every_point_of_the_writing_code(left_alone, tmp_path, part):
    """Kills and resumes one run at half of the points. The other value of `part` covers the other half."""
    expected = left_alone(*SHORT, "--epochs", EPOCHS)
    folder, killed = tmp_path / "run", 0
    for point in POINTS[part::2]:
        for fresh in (False, True):  # only a new run reaches a point that this run has passed
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
            process = start_or_resume(folder, [*SHORT, "--epochs", EPOCHS], program=("-c", KILLER, point))
            process.communicate(timeout=300)
            if process.returncode == -signal.SIGKILL:
                killed += 1
                break
            assert (fresh, process.returncode) == (False, 0)
            assert_same_run(folder, expected, EPOCHS)
    assert killed == len(POINTS[part::2])
    finish(start_or_resume(folder, [*SHORT, "--epochs", EPOCHS]))
    assert_same_run(folder, expected, EPOCHS)
    assert not list(folder.rglob(".partial-*"))


@pytest.mark.exact
@pytest.mark.parametrize("chain", [0, 1])
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "SIGINT"])
def test_stopped_at_random_moments(left_alone, tmp_path, request, chain, signal_number):
    """Stops and resumes a run many times. The run also keeps its best checkpoint, chosen by a metric."""
    arguments = [*MEASURED, "--epochs", MANY_EPOCHS]
    expected = left_alone(*arguments)
    kills = request.config.getoption("--kills")
    stops = kills // 2 if signal_number == signal.SIGKILL else kills // 6
    moments, completed = random.Random(chain), 0
    folder = tmp_path / "0"
    for _ in range(stops):
        process = start_or_resume(folder, arguments, start_new_session=True)
        if signal_number == signal.SIGINT:  # an earlier SIGINT gives a traceback from the import
            wait_for_lock(folder, process)
        try:
            process.wait(moments.uniform(0.0, SECONDS_TO_LIVE))
        except subprocess.TimeoutExpired:
            process.send_signal(signal_number)
        _, error = process.communicate(timeout=300)
        ended = -signal.SIGKILL if signal_number == signal.SIGKILL else 128 + signal_number
        assert process.returncode in (0, ended), error[-2000:]
        assert "Traceback" not in error
        if process.returncode == 0:
            assert_same_run(folder, expected, MANY_EPOCHS)
            completed += 1
            folder = tmp_path / str(completed)
    finish(start_or_resume(folder, arguments))
    assert_same_run(folder, expected, MANY_EPOCHS)


@pytest.mark.exact
@pytest.mark.parametrize("seconds_between", [0.0, 0.02, 0.2])
def test_ctrl_c_twice(left_alone, tmp_path, seconds_between):
    folder = tmp_path / "run"
    process = start(*SHORT, "--epochs", EPOCHS, "--run-dir", folder)
    wait_for(folder / "checkpoints" / "epoch_0001.weights.h5", process)
    process.send_signal(signal.SIGINT)
    time.sleep(seconds_between)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode in (128 + signal.SIGINT, -signal.SIGINT)
    assert "Traceback" not in error
    finish(start("--resume", folder))
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


@pytest.mark.exact
def test_two_processes_on_one_folder(left_alone, tmp_path):
    folder = tmp_path / "run"
    first = start(*SHORT, "--epochs", EPOCHS, "--run-dir", folder)
    wait_for(folder / "config.json", first)
    first.send_signal(signal.SIGSTOP)  # stopped while others open the folder
    for others in (["--resume", folder, "--epochs", 9], [*SHORT, "--run-dir", folder]):
        error = finish(start(*others), expected=2)
        assert error.count("\n") == 1
        assert f"({first.pid})" in error or "exists" in error
    first.send_signal(signal.SIGCONT)
    finish(first)
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


@pytest.mark.exact
def test_the_folder_vanishes(left_alone, tmp_path):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    process = start(*SHORT, "--epochs", EPOCHS, "--run-dir", folder)
    wait_for(folder / "checkpoints" / "epoch_0001.json", process)
    folder.rename(elsewhere)
    error = finish(process, expected=1)
    assert error.count("\n") == 1
    assert "cannot be written: No such file or directory" in error
    assert not folder.exists()
    finish(start("--resume", elsewhere))
    assert_same_run(elsewhere, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


@pytest.mark.exact
@pytest.mark.parametrize("largest_file", [100, 3_000, 30_000, 600_000])  # smaller than a checkpoint
def test_a_disk_that_takes_no_more(left_alone, tmp_path, largest_file):
    """The system limits the size of every file. The limit holds for files of TensorFlow and HDF5 too."""
    folder = tmp_path / "run"
    process = start(
        *SHORT, "--epochs", EPOCHS, "--run-dir", folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file)),
    )  # fmt: skip
    _, error = process.communicate(timeout=300)
    assert process.returncode in (1, 2)
    assert error.count("\n") == 1, error
    assert "cannot be written: File too large" in error
    finish(start_or_resume(folder, [*SHORT, "--epochs", EPOCHS]))
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


FAILING = [
    ("write_bytes", errno.ENOSPC, "config.json", 2),
    ("write_bytes", errno.ENOSPC, "epoch_0002.png", 1),
    ("write_bytes", errno.EROFS, "epoch_0002.weights.h5", 1),
    ("write_bytes", errno.EIO, "epoch_0002.json", 1),
    ("fsync", errno.EIO, "epoch_0002.weights.h5", 1),
    ("fsync", errno.EIO, "epoch_0002.json", 1),
    ("fsync", errno.ENOSPC, "gan.keras", 1),
    ("replace", errno.EROFS, "epoch_0002.weights.h5", 1),
    ("replace", errno.EACCES, "epoch_0002.json", 1),
    ("replace", errno.EIO, "epochs.gif", 1),
    ("replace", errno.ENOSPC, "generator.keras", 1),
]


@pytest.mark.exact
@pytest.mark.parametrize("call, number, name, code", FAILING, ids=lambda value: str(value))
def test_a_write_that_fails(left_alone, tmp_path, monkeypatch, capsys, call, number, name, code):
    folder, failures = tmp_path / "run", []

    def path_of(argument):
        is_open = isinstance(argument, int)
        return os.readlink(f"/proc/self/fd/{argument}") if is_open else str(argument)

    def fail(action):
        def failing(*arguments):
            if path_of(arguments[-1] if call == "replace" else arguments[0]).endswith(name):
                failures.append(name)
                raise OSError(number, os.strerror(number))
            return action(*arguments)

        return failing

    with monkeypatch.context() as patch:
        owner = files.Path if call == "write_bytes" else files.os
        patch.setattr(owner, call, fail(getattr(owner, call)))
        assert run(*SHORT, "--epochs", EPOCHS, "--run-dir", folder) == code
    assert failures == [name]
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"cannot be written: {os.strerror(number)}" in error
    how = ["--resume", folder] if code == 1 else [*SHORT, "--epochs", EPOCHS, "--run-dir", folder]
    assert run(*how) == 0
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip(path, seed):
    before = path.read_bytes()
    content = bytearray(before)
    content[random.Random(seed).randrange(len(content))] ^= 1 << seed % 8
    if path.suffix == ".json" and parse(content) == parse(before):
        return flip(path, seed + 8)  # for example a last digit that does not change the parsed number
    path.write_bytes(content)


def parse(content):
    try:
        return json.loads(content)
    except ValueError:
        return None


DAMAGES = {"cut": cut, "empty": empty, "missing": Path.unlink}
DAMAGES |= {f"bit {seed}": functools.partial(flip, seed=seed) for seed in range(8)}


@pytest.fixture(scope="module")
def two_epochs(left_alone):
    return left_alone(*SHORT, "--epochs", EPOCHS - 1)


@pytest.mark.exact
@pytest.mark.parametrize("name", ["epoch_0002.weights.h5", "epoch_0002.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    left_alone, two_epochs, tmp_path, capsys, name, damage
):
    folder = tmp_path / "run"
    shutil.copytree(two_epochs, folder)
    DAMAGES[damage](folder / "checkpoints" / name)
    assert run("--resume", folder, "--epochs", EPOCHS) == 0
    captured = capsys.readouterr()
    assert "Resuming after epoch 1 of 3" in captured.out
    if (damage, name) != ("missing", "epoch_0002.json"):  # like after a kill: no notice
        assert re.fullmatch(rf"train\.py: NOTICE: .*{name} is .*\n", captured.err)
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


@pytest.mark.exact
def test_all_checkpoints_damaged(left_alone, two_epochs, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(two_epochs, folder)
    for path in (folder / "checkpoints").iterdir():
        cut(path)
    assert run("--resume", folder, "--epochs", EPOCHS) == 0
    captured = capsys.readouterr()
    assert captured.err.count("NOTICE") == 2
    assert "There is no checkpoint to continue from: training starts again" in captured.out
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


@pytest.mark.parametrize("damage", ["cut", "empty", "missing"])
def test_a_damaged_config_gets_one_line(two_epochs, tmp_path, capsys, damage):
    folder = tmp_path / "run"
    shutil.copytree(two_epochs, folder)
    DAMAGES[damage](folder / "config.json")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run("--resume", folder, "--epochs", EPOCHS) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "config.json" in error
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_damaged_best_checkpoint_is_told_of(tmp_path, capsys):
    """The damaged checkpoint is not the newest, so training does not repeat its epoch."""
    folder = tmp_path / "run"
    assert run(*SHORT, "--epochs", EPOCHS - 1, "--run-dir", folder) == 0
    cut(folder / "checkpoints" / "epoch_0001.weights.h5")
    assert run("--resume", folder, "--epochs", EPOCHS) == 0
    assert re.search(r"NOTICE: .*epoch_0001.weights.h5 is damaged", capsys.readouterr().err)


@pytest.mark.exact
def test_numbers_that_turn_bad_late(left_alone, tmp_path, monkeypatch, capsys):
    """Images become NaN in the second epoch, within an execution of eight steps."""
    import tensorflow as tf

    folder, feed = tmp_path / "run", train._feed

    def poisoned(gan, job, start_step):
        def poison(step, batch):
            images, labels = batch
            return tf.where(step == 12, np.nan, images), labels

        return feed(gan, job, start_step).enumerate(start_step).map(poison)

    with monkeypatch.context() as patch:
        patch.setattr(train, "_feed", poisoned)
        assert run(*SHORT, "--epochs", EPOCHS, "--run-dir", folder) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"was not finite in epoch 2; the last good checkpoint is in {folder}" in error
    assert not (folder / "gan.keras").exists()
    assert run("--resume", folder) == 0
    assert_same_run(folder, left_alone(*SHORT, "--epochs", EPOCHS), EPOCHS)


def test_lost_rows_and_pictures_are_told_of(two_epochs, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(two_epochs, folder)
    (folder / "history.csv").unlink()
    (folder / "samples" / "epoch_0001.png").unlink()
    assert run("--resume", folder, "--epochs", EPOCHS) == 0
    captured = capsys.readouterr()
    assert "Resuming after epoch 2 of 3" in captured.out
    lacks = [line for line in captured.err.splitlines() if "lacks" in line]
    assert ["history.csv lacks rows" in lacks[0], "samples lacks pictures" in lacks[1]] == [True, True]


def test_two_new_runs_of_one_name(tmp_path):
    processes = [start(*SHORT, "--epochs", 1, "--run-dir", tmp_path / "run") for _ in range(2)]
    errors = sorted((process.communicate(timeout=300)[1], process.returncode) for process in processes)
    assert sorted(code for _, code in errors) == [0, 2]
    assert [error.count("\n") for error, code in errors if code == 2] == [1]


@pytest.mark.exact
def test_the_best_so_far_survives_a_damaged_checkpoint(left_alone, tmp_path):
    """Training repeats the epoch of a best checkpoint that was lost."""
    arguments = [*MEASURED, "--epochs", 6]
    expected, folder = left_alone(*arguments), tmp_path / "run"
    assert run(*MEASURED, "--epochs", 5, "--run-dir", folder) == 0
    for path in (folder / "checkpoints").glob("epoch_0005*"):
        cut(path)
    assert run("--resume", folder, "--epochs", 6) == 0
    assert_same_run(folder, expected, 6)
    names = [{path.name for path in (each / "checkpoints").iterdir()} for each in (folder, expected)]
    assert names[0] == names[1]
