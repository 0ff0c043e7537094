"""Tests long runs: memory stays constant over 50,000 steps, and a kill loses no finished epoch."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

HERE = Path(__file__).parent

LONG = """
import os, resource, sys
sys.path[:0] = [{tests!r}, {root!r}]
import keras
import callbacks
from conftest import make_dataset, make_gan, make_images

EARLY, EPOCHS = 10, 50


class Watch(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 in (EARLY, EPOCHS):
            pages = int(open("/proc/self/statm").read().split()[1])
            threads = len(os.listdir("/proc/self/task"))
            print(pages * resource.getpagesize() / 2**20, len(os.listdir("/proc/self/fd")), threads)


gan = make_gan()
gan.compile(steps_per_execution=8)
images = make_images(100)
watchers = [
    callbacks.SampleGrid("samples", real_images=images),
    callbacks.TensorBoardSamples("logs/samples", real_images=images),
    callbacks.TensorBoard("logs", write_graph=False),
    keras.callbacks.CSVLogger("history.csv"),
    callbacks.Checkpoint("checkpoints", every_n_epochs=10),  # a save leaves 0.2 MiB: docs/speed.md
    Watch(),
]
gan.fit(make_dataset(), steps_per_epoch=1000, epochs=EPOCHS, verbose=0, callbacks=watchers)
"""


def run(script, folder):
    script = script.format(tests=str(HERE), root=str(HERE.parent))
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc of Linux")
def test_memory_handles_and_threads_stay_as_they_are(tmp_path):
    process = run(LONG, tmp_path)
    assert process.returncode == 0, process.stderr[-2000:]
    early, late = (list(map(float, line.split())) for line in process.stdout.splitlines())
    assert late[0] < 1.01 * early[0]  # memory, MiB
    assert late[1:] == early[1:]  # open files, threads


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
import keras
import callbacks
from conftest import fit, make_gan, make_images


class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)


images = make_images(100)
watchers = [callbacks.TensorBoard("logs"), callbacks.TensorBoardSamples("logs/samples"), Kill()]
fit(make_gan(metrics=[keras.metrics.MeanSquaredError()]), 5, callbacks=watchers, validation_data=images)
"""


@pytest.mark.slow
def test_tensorboard_loses_no_epoch_that_was_done(tmp_path):
    process = run(KILLED, tmp_path)
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]

    def steps(log_dir, tag):
        events = EventAccumulator(os.fspath(tmp_path / log_dir)).Reload()
        return [event.step for event in events.Tensors(tag)]

    assert steps("logs/train", "epoch_d_loss") == [1, 2, 3]
    assert steps("logs/validation", "epoch_mean_squared_error") == [1, 2, 3]
    assert steps("logs/samples", "samples/generated") == [0, 1, 2, 3]
