"""Measures ratios of times. The compared calls run in turn, so other load on the machine slows all calls."""

import dataclasses
import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

__all__ = ["Contender", "Row", "Sample", "compare", "fit_contender", "interleave", "now", "repeat", "since"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Holds the seconds of one unit of work: wall time, and CPU time of all cores."""

    wall: float
    cpu: float


Contender = Callable[[], Sample]  # runs one of the compared calls and returns its time


@dataclasses.dataclass(frozen=True)
class Row:
    """Holds one row of the table: the ratio of a measurement to a reference.

    Attributes:
        section: the section of the benchmarks.
        what: the name of the measurement.
        over: the name of the reference.
        ratio: the median ratio over the rounds. `low` and `high` are the quartiles, or None for a single
            measurement.
        cpu_ratio: the median ratio of CPU seconds, or None if CPU seconds were not measured.
        amount: the median measurement, in `unit`.
        at_most, at_least: the target, if there is one.
    """

    section: str
    what: str
    over: str
    ratio: float
    low: float | None = None
    high: float | None = None
    cpu_ratio: float | None = None
    amount: float | None = None
    unit: str = "ms"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Returns whether the ratio meets the target, or None if there is no target."""
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return None if self.at_least is None else self.ratio >= self.at_least


def now() -> Sample:
    """Reads the clocks after all devices have finished. A call can return before a GPU has finished."""
    tf.test.experimental.sync_devices()
    return Sample(time.perf_counter(), time.process_time())


def since(then: Sample) -> Sample:
    """Returns the seconds since `then`, after all devices have finished."""
    current = now()
    return Sample(current.wall - then.wall, current.cpu - then.cpu)


def repeat(work: Callable[[], object], count: int) -> Contender:
    """Makes a contender that measures the mean time of `count` calls in a row."""

    def measure() -> Sample:
        begin = now()
        for _ in range(count):
            work()
        spent = since(begin)
        return Sample(spent.wall / count, spent.cpu / count)

    return measure


def fit_contender(gan, dataset, steps: int) -> Contender:
    """Makes a contender that measures the mean time of `steps` steps of `fit`, after warm-up steps."""
    warm_up = min(8, steps)

    def measure() -> Sample:
        clock = _StepClock(warm_up, steps)
        gan.fit(dataset, steps_per_epoch=warm_up + steps, epochs=1, verbose=0, callbacks=[clock])
        return clock.sample

    return measure


class _StepClock(keras.callbacks.Callback):
    def __init__(self, warm_up: int, steps: int):
        super().__init__()
        self.warm_up, self.steps = warm_up, steps

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.warm_up - 1:
            self.begin = now()
        if batch == self.warm_up + self.steps - 1:
            spent = since(self.begin)
            self.sample = Sample(spent.wall / self.steps, spent.cpu / self.steps)


def interleave(contenders: dict[str, Contender], rounds: int) -> dict[str, list[Sample]]:
    """Runs all contenders in turn, `rounds` times. A warm-up round comes first and does not count.

    The order is reversed after each round, because a contender can affect the contender after it.
    """
    for measure in contenders.values():
        measure()
    samples = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(rounds):
        for name in order:
            samples[name].append(contenders[name]())
        order.reverse()
    return samples


def compare(
    section: str, samples: dict[str, list[Sample]], what: str, over: str, scale: float = 1.0, **target
) -> Row:
    """Returns the row for the ratio of one contender to another. Multiplies the ratios by `scale`."""
    pairs = list(zip(samples[what], samples[over], strict=True))
    ratios = sorted(scale * a.wall / b.wall for a, b in pairs)
    return Row(
        section,
        what,
        over,
        ratio=statistics.median(ratios),
        low=ratios[len(ratios) // 4],
        high=ratios[-1 - len(ratios) // 4],
        cpu_ratio=statistics.median(scale * a.cpu / b.cpu for a, b in pairs),
        amount=1000 * statistics.median(a.wall for a, _ in pairs),
        **target,
    )
