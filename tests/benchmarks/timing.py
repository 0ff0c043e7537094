"""Ratios that a shared and noisy machine cannot spoil: everything compared is run turn by turn."""

import dataclasses
import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

__all__ = ["Contender", "Row", "Sample", "compare", "fit_contender", "interleave", "now", "repeat", "since"]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Seconds that one unit of work took: by the clock, and of all cores together."""

    wall: float
    cpu: float


Contender = Callable[[], Sample]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: a measure over a reference, round by round.

    Attributes:
        section: the part of the benchmark that it belongs to.
        what: what was measured.
        over: what it is divided by.
        ratio: the median over the rounds; `low` and `high` are the quartiles,
            or None of what was measured once.
        cpu_ratio: the same of CPU seconds, or None where they were not measured.
        amount: how much that was, the median, in `unit`s.
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
        """Whether the target is reached; None without one."""
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return None if self.at_least is None else self.ratio >= self.at_least


def now() -> Sample:
    """Reads the clocks, after every device has done its work: a call returns before a GPU has done it."""
    tf.test.experimental.sync_devices()
    return Sample(time.perf_counter(), time.process_time())


def since(then: Sample) -> Sample:
    """Returns the seconds since the clocks were read, after every device has done its work."""
    current = now()
    return Sample(current.wall - then.wall, current.cpu - then.cpu)


def repeat(work: Callable[[], object], count: int) -> Contender:
    """Makes a contender of a call: the mean of `count` in a row."""

    def measure() -> Sample:
        begin = now()
        for _ in range(count):
            work()
        spent = since(begin)
        return Sample(spent.wall / count, spent.cpu / count)

    return measure


def fit_contender(gan, dataset, steps: int) -> Contender:
    """A step of `fit`: the mean of `steps` within one epoch, whose first steps are left out."""
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
    """Runs all in turn, `rounds` times after one round of warm-up that is left out.

    Every second round goes backwards, so that none gains by its neighbor.
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
    """The row of one contender over another, the ratios multiplied by `scale`."""
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
