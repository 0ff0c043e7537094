"""The numbers that flags and settings accept."""

import argparse
import dataclasses
from collections.abc import Callable

LARGEST_INT = 2**31 - 1
LARGEST_SEED = 2**32 - 1  # of NumPy's global seed, which Keras sets too
MOST_LAYERS, MOST_UNITS = 100, 10_000
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, 2.0**127  # of float32, to a factor of two


@dataclasses.dataclass(frozen=True)
class Limits:
    """A kind of number and its range. As a function it is a `type` for argparse.

    Example: `COUNT("3")` is 3; `COUNT("0")` raises.
    """

    kind: type
    description: str
    contains: Callable[[float], bool]
    metavar: str = "N"

    def __call__(self, text: str) -> int | float:
        try:
            number = self.kind(text)
        except ValueError:
            number = None
        if number is None or not self.contains(number):
            raise argparse.ArgumentTypeError(f"{text!r} is not {self.description}")
        return number

    def accept(self, value) -> bool:
        """Tells whether a value from a file is such a number."""
        return type(value) in (int, self.kind) and self.contains(value)


def whole_number(smallest: int, largest: int) -> Limits:
    """Returns the limits of a whole number."""
    return Limits(int, f"a whole number from {smallest} to {largest}", lambda n: smallest <= n <= largest)


COUNT, COUNT_FROM_0 = whole_number(1, LARGEST_INT), whole_number(0, LARGEST_INT)
SEED, LAYERS = whole_number(0, LARGEST_SEED), whole_number(0, MOST_LAYERS)
UNITS = whole_number(1, MOST_UNITS)
FRACTION = Limits(float, "a number from 0 and less than 1", lambda n: 0 <= n < 1, "FRACTION")
POSITIVE = Limits(float, "a positive number of float32", lambda n: SMALLEST_FLOAT <= n <= LARGEST_FLOAT, "X")
POSITIVE_OR_0 = Limits(float, f"0 or {POSITIVE.description}", lambda n: n == 0 or POSITIVE.contains(n), "X")
