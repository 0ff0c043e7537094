"""Measures the share of callbacks and validation in the time of an epoch, and the cost of `generate`."""

import contextlib
import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import callbacks
from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance
from gan.metrics.classifiers import load_classifier
from timing import Row, Sample, compare, interleave, now, repeat, since
from training import NUM_CLASSES, make_dataset, make_gan

__all__ = ["measure_callbacks", "measure_generate"]

STEPS_IN_EPOCH = 936  # one pass over MNIST
STEPS_PER_EXECUTION = 8
STEPS_RUN = 64  # the time of a step is the mean over these steps, without the first execution
VALIDATION_IMAGES, VALIDATION_BATCH_SIZE = 5000, 250  # as in train.py
EPOCH, OURS, VALIDATION = "epoch", "callbacks of train.py, all", "validation, 5,000 images"


def measure_callbacks(rounds: int) -> list[Row]:
    """Measures the time of the callbacks and of validation, as fractions of an epoch.

    All steps take about the same time. So only 64 steps run, and their time is scaled to 936 steps.
    """
    metrics = [
        metric(load_classifier("mnist")) for metric in (FrechetDistance, ClassifierScore, ClassBalance)
    ]
    gan = make_gan(metrics=metrics, steps_per_execution=STEPS_PER_EXECUTION)
    # The time for drawing the progress bar counts, so the bar is drawn into a buffer.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        watched = _callbacks(Path(folder))
        clocks = {name: _HookClock(callback) for name, callback in watched.items()}
        steps = _EpochClock(clocks)
        gan.fit(
            make_dataset(),
            steps_per_epoch=STEPS_RUN,
            epochs=1 + rounds,
            validation_data=_validation_data(),
            callbacks=[*watched.values(), steps],
            verbose=1,
        )
    samples = {name: epochs[1:] for name, epochs in steps.samples.items()}  # the first epoch compiles
    rows = [compare("epoch", samples, name, EPOCH) for name in watched]
    return [
        compare("epoch", samples, OURS, EPOCH, at_most=0.02),
        *rows,
        compare("epoch", samples, VALIDATION, EPOCH, at_most=0.05),
    ]


def _callbacks(folder: Path) -> dict[str, keras.callbacks.Callback]:
    real_images = np.zeros((1000, 28, 28, 1), np.uint8)
    real_data = (real_images, np.arange(1000) % NUM_CLASSES)
    return {
        "ProgressBar": callbacks.ProgressBar(("d_loss", "g_loss")),
        "TerminateOnNaN (Keras)": keras.callbacks.TerminateOnNaN(),
        "SampleGrid": callbacks.SampleGrid(folder / "samples", real_images=real_images, seed=0),
        "TensorBoardSamples": callbacks.TensorBoardSamples(folder / "logs", real_images=real_images, seed=0),
        "TensorBoardLogits": callbacks.TensorBoardLogits(folder / "discriminator", real_data, real_data),
        "TensorBoard (Keras)": keras.callbacks.TensorBoard(folder / "logs", write_graph=False),
        "CSVLogger (Keras)": keras.callbacks.CSVLogger(folder / "history.csv"),
        "TimeLimit": callbacks.TimeLimit(60),
        "Checkpoint": callbacks.Checkpoint(folder / "checkpoints", monitor="val_frechet_distance"),
    }


def _validation_data() -> tf.data.Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (VALIDATION_IMAGES, 28, 28, 1), np.uint8)
    labels = rng.integers(0, NUM_CLASSES, VALIDATION_IMAGES, np.int32)
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(VALIDATION_BATCH_SIZE).prefetch(1)


class _HookClock:
    """Adds up the seconds that the hooks of a callback take in each epoch."""

    def __init__(self, callback: keras.callbacks.Callback):
        self.reset()
        for name in ("on_train_batch_begin", "on_train_batch_end", "on_epoch_begin", "on_epoch_end"):
            setattr(callback, name, self._timed("batch" in name, getattr(callback, name)))

    def reset(self) -> None:
        self.batches, self.epoch = Sample(0, 0), Sample(0, 0)

    def _timed(self, is_of_batch: bool, hook):
        def timed(*arguments, **named):
            begin = now()
            hook(*arguments, **named)
            if is_of_batch:
                self.batches = _sum([self.batches, since(begin)])
            else:
                self.epoch = _sum([self.epoch, since(begin)])

        return timed

    def per_epoch(self) -> Sample:
        """Returns the seconds of the hooks in one epoch of MNIST."""
        return _sum([_scale(self.batches, STEPS_IN_EPOCH / STEPS_RUN), self.epoch])


class _EpochClock(keras.callbacks.Callback):
    """Collects the times of an epoch of MNIST and of its parts.

    This callback must be the last one of `fit`, so that the hooks of the other callbacks have run.
    """

    def __init__(self, clocks: dict[str, _HookClock]):
        super().__init__()
        self.clocks = clocks
        self.samples = {name: [] for name in (*clocks, EPOCH, OURS, VALIDATION)}

    def on_train_batch_end(self, batch, logs=None):
        if batch == STEPS_PER_EXECUTION - 1:
            self.begin = now()
        if batch == STEPS_RUN - 1:
            self.steps = _scale(since(self.begin), STEPS_IN_EPOCH / (STEPS_RUN - STEPS_PER_EXECUTION))

    def on_test_begin(self, logs=None):
        self.test_begin = now()

    def on_test_end(self, logs=None):
        self.samples[VALIDATION].append(since(self.test_begin))

    def on_epoch_end(self, epoch, logs=None):
        parts = {name: clock.per_epoch() for name, clock in self.clocks.items()}
        for name, sample in parts.items():
            self.samples[name].append(sample)
        self.samples[OURS].append(_sum(parts.values()))
        once_an_epoch = [clock.epoch for clock in self.clocks.values()]
        self.samples[EPOCH].append(_sum([self.steps, self.samples[VALIDATION][-1], *once_an_epoch]))
        for clock in self.clocks.values():
            clock.reset()


def _sum(samples: Iterable[Sample]) -> Sample:
    samples = list(samples)
    return Sample(sum(sample.wall for sample in samples), sum(sample.cpu for sample in samples))


def _scale(sample: Sample, factor: float) -> Sample:
    return Sample(factor * sample.wall, factor * sample.cpu)


def measure_generate(rounds: int, count: int = 10_000) -> list[Row]:
    """Compares `generate` with the compiled generator alone, in batches of the same size."""
    gan = make_gan()
    batch_size = 500  # divides the count
    latents = tf.random.normal((batch_size, gan.latent_dim))
    labels = tf.range(batch_size) % NUM_CLASSES
    draw = tf.function(lambda: gan.sampler([latents, labels], training=False), autograph=False)

    def draw_all():
        for _ in range(count // batch_size):
            draw()

    ours, bare = f"generate({count})", "the bare generator"
    contenders = {ours: repeat(lambda: gan.generate(count), 1), bare: repeat(draw_all, 1)}
    return [compare("generate", interleave(contenders, rounds), ours, bare, at_most=1.05)]
