"""Measures a step on one, two and four local workers, and checks a model of the time of a step.

`python tests/benchmarks/workers.py` takes about six minutes. The workers share the cores of this machine, so
they cannot be faster than one process: the measurement shows the cost of the exchange between workers. The
model predicts the time of a step on several machines:

    T(n, B) = T1(B / n) + 2 (n - 1) (E L + S / (n R))

n workers share a batch of B images. T1 is the time of a step of one process. TensorFlow adds up the S bytes
of a step in E exchanges. Each exchange goes twice around a ring of n workers, in 2 (n - 1) messages of
latency L. The network sends R bytes per second. On one machine the workers share the cores: n T1(B / n)
replaces T1(B / n). Reference: Patarasuk & Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002.
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

COUNTS, BATCH_SIZES = (2, 4), (64, 256)
STEPS, WARM_UP = 60, 10
EXCHANGES = 29  # gradients, batch norm, deviation, moving statistics, logs (CollectiveReduceV2)
TIMEOUT_SECONDS = 300
NETWORKS = {
    "1 Gbit/s, 0.2 ms": (125e6, 2e-4),
    "10 Gbit/s, 0.1 ms": (1.25e9, 1e-4),
    "100 Gbit/s, 0.02 ms": (12.5e9, 2e-5),
}


def main() -> None:
    """Measures all numbers of workers, and prints the measured and the predicted times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", type=int, metavar="BATCH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(run_worker(options.worker)))
        return
    sizes = sorted({batch // count for batch in BATCH_SIZES for count in (1, *COUNTS)})
    alone = {size: measure(1, size) for size in sizes}
    facts = alone[BATCH_SIZES[0]]
    size_bytes = facts["bytes"]
    print(f"exchanged in a step: {size_bytes / 1e6:.2f} MB in {EXCHANGES} exchanges")
    print(f"multiplications in a step: {facts['multiplications'] / 1e6:.1f} million for each image")
    for size in sizes:
        print(f"1 process, batch {size}: {alone[size]['ms']:.1f} ms")
    seconds = {size: alone[size]["ms"] / 1e3 for size in sizes}
    latency = None
    for batch in BATCH_SIZES:
        for count in COUNTS:
            measured = measure(count, batch)["ms"] / 1e3
            computing = count * seconds[batch // count]
            if latency is None:  # the first measurement gives the latency, and the others check the model
                latency = (measured - computing) / (2 * (count - 1) * EXCHANGES)
                print(f"latency of an exchange, from 2 workers and batch {batch}: {1e3 * latency:.1f} ms")
            predicted = computing + exchange_seconds(count, latency, size_bytes)
            print(
                f"{count} workers here, batch {batch}: {1e3 * measured:.1f} ms, "
                f"{measured / seconds[batch]:.2f} times one process; predicted {1e3 * predicted:.1f} ms, "
                f"measured / predicted {measured / predicted:.2f}"
            )
    predict_networks(seconds, size_bytes)


def predict_networks(seconds: dict[int, float], size_bytes: int) -> None:
    """Prints the predicted times on several machines like this one."""
    small, large = min(seconds), max(seconds)
    per_image = (seconds[large] - seconds[small]) / (large - small)
    start = seconds[large] - per_image * large
    print(f"1 process: {1e3 * start:.1f} ms + {1e3 * per_image:.3f} ms for each image")
    for name, (rate, latency) in NETWORKS.items():
        for count in (2, 4, 8):
            cost = exchange_seconds(count, latency, size_bytes, rate)
            pays = cost / (per_image * (1 - 1 / count))
            speedups = []
            for batch in (64, 256, 1024):
                one = seconds[large] + per_image * (batch - large)
                speedups.append(one / (one - per_image * batch * (1 - 1 / count) + cost))
            said = ", ".join(f"{speedup:.2f}" for speedup in speedups)
            pays = max(count, round(pays))
            print(
                f"{name}, {count} machines: pays from a batch of {pays}; "
                f"batch 64, 256, 1024: {said} times as fast"
            )


def exchange_seconds(count: int, latency: float, size_bytes: int, rate: float = math.inf) -> float:
    """Returns the time of the exchanges in a step. Without a rate, the latency includes the sending."""
    return 2 * (count - 1) * (EXCHANGES * latency + size_bytes / (count * rate))


def measure(count: int, batch_size: int) -> dict:
    """Runs workers, and returns what worker 0 measured."""
    from gan.commands.launcher import free_ports

    words = [sys.executable, __file__, "--worker", str(batch_size)]
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    processes = []
    for index in range(count):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | ({"TF_CONFIG": json.dumps(task)} if count > 1 else {})
        processes.append(
            subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        )
    try:
        output, _ = processes[0].communicate(timeout=TIMEOUT_SECONDS)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return json.loads(output.splitlines()[-1])


def run_worker(batch_size: int) -> dict:
    """Trains the networks of `fast` and returns the milliseconds of a step and the exchanged bytes."""
    import keras
    import tensorflow as tf

    several = "TF_CONFIG" in os.environ
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if several else tf.distribute.get_strategy()

    from sizes import multiplications_of_step

    from gan.recipes import FAST
    from training import NUM_CLASSES, make_dataset

    with strategy.scope():
        gan = FAST.make_gan(num_classes=NUM_CLASSES)
        FAST.compile(gan)
    times = []

    def note_time(batch, logs):
        float(logs["loss"])  # waits until the step is done
        times.append(time.perf_counter())

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=note_time)
    gan.fit(make_dataset(batch_size), steps_per_epoch=STEPS, verbose=0, callbacks=[clock])
    gaps = sorted(end - begin for begin, end in itertools.pairwise(times[WARM_UP:]))
    trained = [*gan.generator.trainable_variables, *gan.discriminator.trainable_variables]
    statistics = [v for v in gan.generator.non_trainable_variables if v.dtype == "float32"]
    return {
        "ms": 1e3 * gaps[len(gaps) // 2],
        "bytes": sum(4 * int(tf.size(v)) for v in [*trained, *statistics]),
        "multiplications": multiplications_of_step(gan),
    }


if __name__ == "__main__":
    main()
