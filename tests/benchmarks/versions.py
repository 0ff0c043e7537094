"""Compares the train steps of two versions: `python tests/benchmarks/versions.py OTHER_CHECKOUT`.

Each version runs in a separate process, with the default conditional networks, batches of 64 and eight steps
per execution. One process waits while the other process measures. The script prints a line for each pair of
measurements, and the median ratio this / other. The script takes about five minutes on two cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]

WORKER = """
import json
import sys
import time

sys.path.insert(0, sys.argv[1])
import numpy as np
import tensorflow as tf
from gan import GAN, build_discriminator, build_generator
from gan.data import pipeline

generator, discriminator = build_generator(num_classes=10), build_discriminator(num_classes=10)
gan = GAN(generator, discriminator, num_classes=10)
gan.compile(steps_per_execution=8)
rng = np.random.default_rng(0)
images, labels = rng.integers(0, 256, (6400, 28, 28, 1), np.uint8), rng.integers(0, 10, 6400)
dataset, steps = pipeline(images, labels, batch_size=64, seed=0), int(sys.argv[2])
gan.fit(dataset, steps_per_epoch=16, verbose=0)
print(flush=True)
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    gan.fit(dataset, steps_per_epoch=steps, verbose=0)
    tf.test.experimental.sync_devices()  # waits for the GPU
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps({name: value / steps for name, value in seconds.items()}), flush=True)
"""


def main() -> None:
    """Measures both versions in pairs and prints the ratios."""
    options = _parse()
    versions = [_start(folder, options.steps) for folder in (HERE, options.other)]
    for version in versions:
        version.stdout.readline()  # waits until the version has compiled its step
    pairs = []
    for number in range(options.pairs):
        order = versions if number % 2 == 0 else versions[::-1]
        measured = {version: _measure(version) for version in order}
        pairs.append([measured[version] for version in versions])
        this, other = pairs[-1]
        ratios = {name: this[name] / other[name] for name in this}
        print(f"pair {number + 1}: {this['wall'] * 1000:.1f} ms / {other['wall'] * 1000:.1f} ms = ", end="")
        print(f"{ratios['wall']:.3f}; ratio of CPU seconds {ratios['cpu']:.3f}", flush=True)
    for name in ("wall", "cpu"):
        ratios = sorted(this[name] / other[name] for this, other in pairs)
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        print(f"{name}: median {statistics.median(ratios):.3f}, quartiles {low:.3f} to {high:.3f}")
    for version in versions:
        version.stdin.close()
        version.wait()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT", help="folder of the other version")
    parser.add_argument("--pairs", type=int, default=8, metavar="N", help="number of pairs (default: 8)")
    parser.add_argument(
        "--steps", type=int, default=96, metavar="N", help="steps in a measurement, a multiple of 8"
    )
    return parser.parse_args()


def _start(folder: Path, steps: int) -> subprocess.Popen:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", WORKER, str(folder.resolve()), str(steps)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, text=True, env=environment, cwd=folder, **pipes)


def _measure(version: subprocess.Popen) -> dict[str, float]:
    version.stdin.write("\n")
    version.stdin.flush()
    return json.loads(version.stdout.readline())


if __name__ == "__main__":
    main()
