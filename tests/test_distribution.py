"""Tests several devices and several workers. The slow tests run real processes that talk over loopback."""

import contextlib
import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import train
from conftest import QUICK, assert_same_run, make_images, make_labels, start
from gan import GAN
from gan.commands import workers
from gan.commands.launcher import free_ports
from gan.data import Dataset, load, pipeline, validation_batches
from gan.distribution import check_strategy, is_chief, share

pytestmark = pytest.mark.usefixtures("no_process_left")
ON_WORKERS = ["--distribute", "multiworker"]
SHORT = [*QUICK, "--steps-per-epoch", 8, *ON_WORKERS]
LATEST_SECONDS = 60.0  # no fault may take longer to be noticed


def context(replicas, number=0, of=1):
    return tf.distribute.InputContext(of, number, replicas)


@pytest.mark.parametrize(("replicas", "of"), [(1, 1), (2, 1), (2, 2), (4, 2), (4, 4)])
def test_workers_read_each_image_once(replicas, of):
    """The parts of all workers, put together, are the batches of one process."""
    images, labels = make_images(20), make_labels(20)
    dataset = pipeline(images, labels, batch_size=8, seed=3, start_step=5)
    here = replicas // of
    parts = [
        list(dataset.make_part(context(replicas, number, of)).take(3 * here).as_numpy_iterator())
        for number in range(of)
    ]
    for step, batch in enumerate(dataset.take(3).as_numpy_iterator()):
        pieces = [part for worker in parts for part in worker[step * here : (step + 1) * here]]
        for whole, *split in zip(batch, *pieces, strict=True):
            np.testing.assert_array_equal(whole, np.concatenate(split))


@pytest.mark.parametrize(
    ("count", "replicas", "expected"), [(48, 2, 48), (49, 4, 48), (5, 4, 4), (30, 3, 30)]
)
def test_replicas_validate_the_same_images(count, replicas, expected):
    images = make_images(count)
    dataset = Dataset("tiny", "nowhere", images, None, images)
    batches = validation_batches(dataset, has_labels=False, batch_size=16, replicas=replicas)
    parts = [
        np.concatenate(
            list(batches.make_part(context(replicas, number, replicas)).take(batches.steps_per_pass))
        )
        for number in range(replicas)
    ]
    together = {image.tobytes() for part in parts for image in part}
    assert len(together) == sum(map(len, parts)) == expected


def test_too_few_images_for_validation_are_refused():
    images = make_images(3)
    with pytest.raises(ValueError, match="3 images for validation are too few for 4 replicas"):
        validation_batches(Dataset("tiny", "nowhere", images, None, images), False, replicas=4)


def test_one_process_is_the_chief_and_shares_with_itself():
    strategy = tf.distribute.get_strategy()
    assert is_chief(strategy)
    assert share({"a": 1}, strategy) == [{"a": 1}]


def test_other_strategies_are_refused(gan):
    check_strategy(tf.distribute.get_strategy())
    strategy = tf.distribute.experimental.CentralStorageStrategy(["CPU:0"], "CPU:0")
    with strategy.scope(), pytest.raises(ValueError, match="A GAN supports .* Received: CentralStorage"):
        GAN(gan.generator, gan.discriminator)


RIGHT = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}


@pytest.mark.parametrize(
    "wrong",
    [
        "not JSON",
        "[]",
        json.dumps(RIGHT | {"task": {"type": "worker", "index": 2}}),
        json.dumps(RIGHT | {"task": {"type": "ps", "index": 0}}),
        json.dumps(RIGHT | {"task": {}}),
        json.dumps(RIGHT | {"cluster": {"worker": ["a:1", "a:1"]}}),
        json.dumps(RIGHT | {"cluster": {"worker": ["a", "b"]}}),
        json.dumps(RIGHT | {"cluster": {"worker": ["a:1"], "ps": ["c:3"]}}),
        json.dumps({"cluster": RIGHT["cluster"]}),
    ],
)
def test_a_wrong_tf_config_is_refused(wrong, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", wrong)
    assert train.main(["--distribute", "multiworker"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "TF_CONFIG must list each worker once" in line
    assert line.rstrip().endswith(wrong)


def test_a_right_tf_config_is_read(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(RIGHT))
    assert workers.read_tf_config() == (["a:1", "b:2"], 1)
    chief = {"cluster": {"chief": ["c:3"], "worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(chief))
    assert workers.read_tf_config() == (["c:3", "a:1"], 0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (ON_WORKERS, "needs TF_CONFIG, or --workers N"),
        (["--workers", "2"], "--workers needs --distribute multiworker"),
        ([*ON_WORKERS, "--workers", "0"], "'0' is not a whole number"),
        ([*ON_WORKERS, "--workers", "2", "--resume", "nowhere"], "nowhere is not a run folder"),
        (["--distribute", "horovod"], "invalid choice: 'horovod'"),
    ],
)
def test_wrong_flags_are_refused(flags, message, monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert train.main(flags) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_workers_that_differ_are_named(monkeypatch):
    facts = [{"settings": {"seed": 0}, "weights": "a"}, {"settings": {"seed": 1}, "weights": "a"}]
    monkeypatch.setattr(workers, "share", lambda mine, strategy: facts)
    with pytest.raises(workers.UsageError, match=r"settings.seed is 0 on worker 0, and 1 on worker 1\."):
        workers.check_agreement(facts[0], tf.distribute.get_strategy())


def run_case(case, folder, replicas=1, workers=0):
    """Runs a case of replica_cases.py, and returns the arrays of each worker."""
    files = [folder / f"{case}-{replicas}-{workers}-{number}.npz" for number in range(workers or 1)]
    program = ("tests/replica_cases.py",)
    configs = make_configs(workers) if workers else [{}]
    processes = [
        start(case, replicas, file, program=program, env=os.environ | config)
        for file, config in zip(files, configs, strict=True)
    ]
    for process in processes:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error[-3000:]
    return [dict(np.load(file)) for file in files]


def make_configs(count):
    """Returns the TF_CONFIG of each worker, in a dictionary for its environment."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(count)]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": index}} for index in range(count)]
    return [{"TF_CONFIG": json.dumps(task)} for task in tasks]


def assert_close(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_allclose(other[name], array, err_msg=name, **tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["train_plain", "train_default_networks", "measure"])
def test_replicas_and_workers_compute_what_one_device_computes(case, tmp_path):
    (one,) = run_case(case, tmp_path)
    tolerance = {"rtol": 1e-4} if case == "measure" else {"atol": 1e-5}
    others = [run_case(case, tmp_path, replicas)[0] for replicas in (2, 4)]
    others += [part for count in (2, 4) for part in run_case(case, tmp_path, workers=count)]
    for other in others:
        assert_close(one, other, **tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["train_with_statistics", "train_in_float16"])
def test_all_workers_have_the_same_weights(case, tmp_path):
    one, other = run_case(case, tmp_path, workers=2)
    assert_close(one, other, rtol=0)
    assert all(np.isfinite(array).all() for array in one.values())
    (mirrored,) = run_case(case, tmp_path, replicas=2)
    assert one.keys() == mirrored.keys()


@pytest.mark.slow
def test_all_replicas_skip_an_overflow_of_one_replica(tmp_path):
    parts = run_case("overflow_on_one_replica", tmp_path, replicas=2)
    parts += run_case("overflow_on_one_replica", tmp_path, workers=2)
    assert len({float(part["scale"]) for part in parts}) == 1


@pytest.mark.slow
def test_two_replicas_work_with_tools_of_keras(tmp_path):
    run_case("use_keras_tools", tmp_path, replicas=2)


@pytest.mark.slow
def test_workers_share_values(tmp_path):
    one, other = run_case("share_values", tmp_path, workers=2)
    np.testing.assert_array_equal(one["shared"], other["shared"])
    assert [len(row[1]) for row in one["shared"]] == [10, 3]
    assert [bool(one["is_chief"]), bool(other["is_chief"])] == [True, False]


def launch(folder, *arguments, count=2):
    return start(*SHORT, "--workers", count, "--run-dir", folder, *arguments)


def end(process, expected=0, timeout=200):
    """Waits until a process ends. Returns its output and the lines of its error output."""
    output, error = process.communicate(timeout=timeout)
    assert process.returncode == expected, output + error
    return output, [
        line for line in error.splitlines() if not re.match(r"[WIEF]\d{4}|WARNING: All log", line)
    ]


def wait_for(path, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.05)


def children_of(process):
    """Returns the process IDs of the workers of a launcher, in the order of their start."""
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("utf-8")
    return [int(number) for number in text.split()]


def assert_ended(numbers, seconds=20):
    """Checks that no process with these IDs runs."""
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        assert time.monotonic() < deadline, f"one of the workers {numbers} still runs"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_ends_the_run_and_the_resumed_run_is_the_same(killed, tmp_path):
    end(launch(tmp_path / "whole", "--epochs", 4))
    process = launch(tmp_path / "killed", "--epochs", 4)
    wait_for(tmp_path / "killed" / "checkpoints" / "epoch_0002.json", process)
    numbers, began = children_of(process), time.monotonic()
    os.kill(numbers[killed], signal.SIGKILL)
    _, lines = end(process, expected=1)
    assert time.monotonic() - began < LATEST_SECONDS
    (line,) = lines
    assert f"worker {killed} was ended by SIGKILL" in line
    assert f"--distribute multiworker --workers 2 --resume {tmp_path / 'killed'}" in line
    assert_ended(numbers)
    end(start(*ON_WORKERS, "--workers", 2, "--resume", tmp_path / "killed"))
    assert_same_run(tmp_path / "whole", tmp_path / "killed", epochs=4)


@pytest.mark.slow
def test_a_run_continues_with_another_number_of_workers(tmp_path):
    folder = tmp_path / "run"
    end(launch(folder, "--epochs", 1, "--validation"))
    for count, epochs in ((4, 2), (None, 3)):
        several = [] if count is None else [*ON_WORKERS, "--workers", count]
        output, _ = end(start("--resume", folder, "--epochs", epochs, *several))
        assert f"Resuming after epoch {epochs - 1} of {epochs}" in output
    assert sorted(path.name for path in (folder / "workers").iterdir()) == [
        f"worker_{n}.log" for n in (1, 2, 3)
    ]
    assert len((folder / "history.csv").read_text("utf-8").splitlines()) == 4
    assert {path.name for path in (folder / "samples").glob("epoch_*.png")} == {
        f"epoch_{n:04d}.png" for n in range(4)
    }


@pytest.mark.slow
def test_workers_end_with_their_launcher_and_after_ctrl_c(tmp_path):
    process = launch(tmp_path / "killed", "--epochs", 500)
    wait_for(tmp_path / "killed" / "checkpoints" / "epoch_0001.json", process)
    numbers = children_of(process)
    process.kill()
    assert_ended(numbers)
    process = launch(tmp_path / "stopped", "--epochs", 500)
    wait_for(tmp_path / "stopped" / "checkpoints" / "epoch_0001.json", process)
    numbers = children_of(process)
    process.send_signal(signal.SIGINT)
    output, _ = end(process, expected=130)
    assert f"--workers 2 --resume {tmp_path / 'stopped'}" in output
    assert_ended(numbers)


@pytest.mark.slow
def test_a_time_limit_stops_all_workers_at_the_same_epoch(tmp_path):
    output, _ = end(launch(tmp_path / "run", "--minutes", 0.01))
    assert "Trained to step 8" in output


def start_by_hand(count, *arguments, run_dir, only=None):
    """Starts workers with TF_CONFIG, as a scheduler does."""
    configs = make_configs(count)
    return [
        start(*SHORT, "--run-dir", run_dir, *arguments, env=os.environ | config)
        for config in (configs if only is None else [configs[only]])
    ]


@pytest.mark.slow
def test_a_worker_that_never_comes_ends_the_others(tmp_path):
    (process,) = start_by_hand(2, "--worker-timeout", 5, run_dir=tmp_path / "run", only=0)
    _, lines = end(process, expected=2)
    assert "these workers of TF_CONFIG did not start within 5 s: 127.0.0.1:" in lines[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_workers_started_by_hand_train_also_if_one_is_late(tmp_path):
    first, second = make_configs(2)
    arguments = [*SHORT, "--epochs", 1, "--run-dir", tmp_path / "run"]
    one = start(*arguments, env=os.environ | first)
    time.sleep(8)
    other = start(*arguments, env=os.environ | second)
    end(other)
    output, _ = end(one)
    assert "Trained to step 8" in output


@pytest.mark.slow
def test_workers_started_by_hand_end_if_one_is_killed(tmp_path):
    one, other = start_by_hand(2, "--epochs", 500, run_dir=tmp_path / "run")
    wait_for(tmp_path / "run" / "checkpoints" / "epoch_0001.json", one)
    other.kill()
    began = time.monotonic()
    _, lines = end(one, expected=75)
    assert time.monotonic() - began < LATEST_SECONDS
    assert "another worker ended or could not be reached" in lines[-1]
    assert f"--distribute multiworker --resume {tmp_path / 'run'}" in lines[-1]


@pytest.mark.slow
def test_the_program_of_the_page_trains_with_two_workers(tmp_path, request):
    page = (request.config.rootpath / "docs" / "distributed.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    paths = {"PYTHONPATH": str(request.config.rootpath)}
    configs = make_configs(2)
    processes = [
        start(program=(tmp_path / "program.py",), env=os.environ | paths | config, cwd=tmp_path)
        for config in configs
    ]
    for process in processes:
        end(process)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"program.py", "samples", "checkpoints", "gan.keras"}


@pytest.mark.slow
def test_workers_started_by_hand_end_after_sigterm(tmp_path):
    processes = start_by_hand(2, "--epochs", 500, run_dir=tmp_path / "run")
    wait_for(tmp_path / "run" / "checkpoints" / "epoch_0001.json", processes[0])
    for process in processes:
        process.terminate()
    codes = {process.wait(timeout=LATEST_SECONDS) for process in processes}
    assert codes <= {128 + signal.SIGTERM, workers.LOST_WORKER_CODE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mine", "theirs", "difference"),
    [
        (["--seed", 1], ["--seed", 2], "settings.seed is 1 on worker 0, and 2 on worker 1"),
        ([], ["--base-filters", 4], "settings.base_filters is 2 on worker 0, and 4 on worker 1"),
        ([], ["--unconditional"], "settings.conditional is True on worker 0, and False on worker 1"),
        ([], ["--dataset", "other.npz"], "data.checksum is "),
    ],
)
def test_workers_that_differ_are_refused(mine, theirs, difference, tmp_path):
    digits = load("digits")
    arrays = {"x_train": digits.train_images[:-1], "y_train": digits.train_labels[:-1]}
    np.savez(tmp_path / "other.npz", **arrays)
    theirs = [tmp_path / one if one == "other.npz" else one for one in theirs]
    first, second = make_configs(2)
    arguments = [*SHORT, "--recipe", "few", "--epochs", 1, "--run-dir", tmp_path / "run"]
    one = start(*arguments, *mine, env=os.environ | first)
    other = start(*arguments, *theirs, env=os.environ | second)
    for process in (one, other):
        _, lines = end(process, expected=2)
        assert f"the workers differ: {difference}" in lines[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_data_that_one_worker_lacks_end_all_workers(tmp_path):
    first, second = make_configs(2)
    arguments = [*SHORT, "--epochs", 1, "--run-dir", tmp_path / "run"]
    one = start(*arguments, env=os.environ | first)
    other = start(*arguments, "--dataset", tmp_path / "missing.npz", env=os.environ | second)
    _, lines = end(other, expected=2)
    assert "missing.npz" in lines[-1]
    _, lines = end(one, expected=75)
    assert "another worker ended or could not be reached" in lines[-1]


def test_workers_with_other_lists_are_refused():
    """Worker 0 knows two workers, and worker 1 knows three."""
    first, second, third = (f"127.0.0.1:{port}" for port in free_ports(3))
    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(workers.meet, [first, second], 0, 20.0),
            pool.submit(workers.meet, [first, second, third], 1, 20.0),
        ]
        errors = [call.exception(timeout=30) for call in calls]
    assert any("has another TF_CONFIG" in str(error) for error in errors)
    assert all(isinstance(error, workers.UsageError) for error in errors)


def test_two_workers_with_the_same_index_are_refused(monkeypatch):
    """Both workers have the index 0. Each host knows itself under the name of the other."""
    (port,) = free_ports(1)
    with pytest.raises(workers.UsageError, match=r"localhost:.* has the index 0 in TF_CONFIG, but its place"):
        workers.meet([f"127.0.0.1:{port}", f"localhost:{port}"], 0, 5.0)


def test_workers_meet_also_if_one_is_late():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(workers.meet, addresses, index, 20.0) for index in (0, 1)]
        time.sleep(1)
        calls.append(pool.submit(workers.meet, addresses, 2, 20.0))
        assert [call.result(timeout=30) for call in calls] == [None] * 3


@pytest.mark.slow
def test_a_port_in_use_is_reported(tmp_path):
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster = {"worker": [f"127.0.0.1:{taken.getsockname()[1]}", "127.0.0.1:1"]}
        config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
        process = start(
            *SHORT, "--worker-timeout", 10, "--run-dir", tmp_path / "run",
            env=os.environ | {"TF_CONFIG": json.dumps(config)},
        )  # fmt: skip
        _, lines = end(process, expected=2)
    assert "cannot use its port" in lines[-1]
    assert "Address already in use" in lines[-1]


@pytest.mark.slow
def test_mirrored_trains_on_the_devices_of_this_machine(tmp_path):
    arguments = [*QUICK, "--steps-per-epoch", 8, "--epochs", 1, "--distribute", "mirrored"]
    output, _ = end(start(*arguments, "--run-dir", tmp_path / "run"))
    assert "Trained to step 8" in output
