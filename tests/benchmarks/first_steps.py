"""Measures the first steps and the first evaluation: `python tests/benchmarks/first_steps.py xla|graph`."""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from gan.data import pipeline
from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance
from gan.recipes import RECIPES

COUNT, STEPS = 2000, 8


def main() -> None:
    """Prints the seconds of the first round, which compiles, and of the second round."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (COUNT, 28, 28, 1), np.uint8)
    labels = random.integers(0, 10, COUNT).astype(np.int32)
    recipe = RECIPES["fast"]
    gan = recipe.make_gan(num_classes=10)
    metrics = [metric("mnist") for metric in (FrechetDistance, ClassifierScore, ClassBalance)]
    recipe.compile(gan, steps_per_execution=STEPS, metrics=metrics)
    gan.jit_compile = sys.argv[1:] == ["xla"]
    training = pipeline(images, labels, batch_size=64, seed=0)
    validation = tf.data.Dataset.from_tensor_slices((images, labels)).batch(250)
    for number in (1, 2):
        times = [time.perf_counter()]
        gan.fit(training, steps_per_epoch=STEPS, verbose=0)
        times.append(time.perf_counter())
        gan.evaluate(validation, verbose=0)
        times.append(time.perf_counter())
        steps, evaluation = times[1] - times[0], times[2] - times[1]
        print(f"round {number}: {STEPS} steps {steps:.1f} s, evaluation of {COUNT} images {evaluation:.1f} s")


if __name__ == "__main__":
    main()
