"""Measures the cost of the data checks in an epoch: `python tests/benchmarks/data_checks.py`."""

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from gan.batches import BatchChecks

COUNT, BATCH_SIZE, ROUNDS = 60_000, 64, 3


class Batches(keras.utils.PyDataset):
    """The batches of two arrays."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return COUNT // BATCH_SIZE  # the last images do not fill a batch

    def __getitem__(self, index):
        rows = slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)
        return self.images[rows], self.labels[rows]


def read(data) -> float:
    """Reads all batches once. Returns the CPU seconds."""
    started = time.process_time()
    is_indexed = isinstance(data, keras.utils.PyDataset)
    for _ in (data[index] for index in range(data.num_batches)) if is_indexed else data:
        pass
    return time.process_time() - started


def main() -> None:
    """Prints the CPU seconds with and without the checks."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (COUNT, 28, 28, 1)).astype(np.float32)
    labels = random.integers(0, 10, COUNT).astype(np.int32)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH_SIZE, drop_remainder=True)
    checks = BatchChecks((28, 28, 1), 10)
    for name, data in (("tf.data", dataset.prefetch(2)), ("PyDataset", Batches(images, labels))):
        checked = checks.check(data)["x"]
        for _ in range(ROUNDS):
            print(f"{name}: {read(data):.3f} s without checks, {read(checked):.3f} s with checks")
    started = time.process_time()
    checks.check(images, labels)
    print(f"arrays: {time.process_time() - started:.3f} s for the checks")


if __name__ == "__main__":
    main()
