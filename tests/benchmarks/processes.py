"""Measures the time from the start of a process to the first step, and the memory of a process.

Each script below runs in a new Python process and prints the measurement. Linux's /proc gives the memory.
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import Row, Sample, compare, interleave

__all__ = ["measure_memory", "measure_start"]

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
IMPORT, REFERENCE = "import tensorflow", "import tensorflow, networks, one bare step"
LIBRARY, TRAIN = "first step of fit", "first four steps shown by train.py"

PRINT_PEAK = """
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

FIRST_BARE_STEP = """
import tensorflow
from steps import Batch, bare_step
from training import BATCH_SIZE, NUM_CLASSES, make_networks
bare_step(*make_networks(), Batch(BATCH_SIZE, NUM_CLASSES))()
"""

FIRST_STEP = """
import numpy as np
from gan import GAN, build_discriminator, build_generator
from gan.data import pipeline
gan = GAN(build_generator(num_classes=10), build_discriminator(num_classes=10), num_classes=10)
gan.compile()
images, labels = np.zeros((640, 28, 28, 1), np.uint8), np.zeros(640, np.int32)
gan.fit(pipeline(images, labels, batch_size=64, seed=0), steps_per_epoch=1, verbose=0)
"""

LONG_FIT = """
import resource
import time
import keras
from gan import GAN, build_discriminator, build_generator
from gan.data import load, pipeline

def resident_mebibytes():
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * resource.getpagesize() / 2**20

class Watch(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 in (1_000, 6_000, 15_000, 20_000):
            print(resident_mebibytes(), time.perf_counter())

gan = GAN(build_generator(base_filters=4, latent_dim=8), build_discriminator(base_filters=4))
gan.compile()
data = pipeline(load("digits").train_images, batch_size=4, seed=0)
gan.fit(data, steps_per_epoch=20_000, verbose=0, callbacks=[Watch()])
"""


def measure_start(rounds: int) -> list[Row]:
    """Measures whole processes in turn. The first run of each contender only fills the disk cache."""
    contenders = {
        IMPORT: lambda: _clock_script(IMPORT),
        REFERENCE: lambda: _clock_script(FIRST_BARE_STEP),
        LIBRARY: lambda: _clock_script(FIRST_STEP),
        TRAIN: _clock_train,
    }
    samples = interleave(contenders, rounds)
    return [
        compare("start", samples, IMPORT, REFERENCE),
        compare("start", samples, LIBRARY, REFERENCE, at_most=1.3),
        compare("start", samples, TRAIN, REFERENCE, at_most=1.3),
    ]


def measure_memory(_: int) -> list[Row]:
    """Measures the memory growth over 19,000 steps of a small GAN, and the peak memory of the default GAN.

    The peak includes the first step of the default GAN. Each measurement runs once.
    """
    lines = _run_script(LONG_FIT).splitlines()
    memory, clock = zip(*(map(float, line.split()) for line in lines), strict=True)
    first_steps, last_steps = clock[1] - clock[0], clock[3] - clock[2]
    bare, first = (_peak_mebibytes(script) for script in (IMPORT, FIRST_STEP))
    return [
        _memory_row("after 20,000 steps", "after 1,000 steps", memory[-1], memory[0], at_most=1.01),
        Row(
            "memory",
            "time of the last 5,000 steps",
            "time of 5,000 steps after 1,000",
            last_steps / first_steps,
            amount=last_steps,
            unit="s",
        ),
        _memory_row("peak up to the first step", "peak of import tensorflow", first, bare),
    ]


def _memory_row(what: str, over: str, mebibytes: float, reference: float, **target) -> Row:
    return Row("memory", what, over, mebibytes / reference, amount=mebibytes, unit="MiB", **target)


def _peak_mebibytes(script: str) -> float:
    return int(_run_script(script + PRINT_PEAK)) / 1024


def _run_script(script: str) -> str:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": f"{HERE}{os.pathsep}{PROJECT}"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def _clock_script(script: str) -> Sample:
    wall, cpu = time.perf_counter(), os.times()
    _run_script(script)
    return _elapsed(wall, cpu)


def _clock_train() -> Sample:
    """Measures the time until the progress bar of train.py shows the first steps in a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, str(PROJECT / "train.py"), "--dataset", "digits"]
        program += ["--run-dir", f"{folder}/run"]
        wall, cpu = time.perf_counter(), os.times()
        child, terminal = pty.fork()
        if child == 0:
            try:
                os.execv(program[0], program)
            finally:
                os._exit(127)  # otherwise, the child process would continue this benchmark
        _read_until(terminal, re.compile(rb"\b\d+/500\b"))
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)
        return _elapsed(wall, cpu)


def _read_until(terminal: int, pattern: re.Pattern) -> None:
    seen = b""
    while not pattern.search(seen):
        if not (more := os.read(terminal, 1024)):
            raise RuntimeError(f"train.py ended before the first step: {seen.decode(errors='replace')}")
        seen += more


def _elapsed(wall: float, cpu: os.times_result) -> Sample:
    now = os.times()
    spent = now.children_user + now.children_system - cpu.children_user - cpu.children_system
    return Sample(time.perf_counter() - wall, spent)
