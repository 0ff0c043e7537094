"""Settings: their types, limits and help texts, and the numbers that they accept."""

import argparse
import dataclasses
from collections.abc import Callable

LARGEST_INT = 2**31 - 1
LARGEST_SEED = 2**32 - 1  # of NumPy's global seed, which Keras sets too
MOST_LAYERS, MOST_UNITS = 100, 10_000
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, 2.0**127  # of float32, to a factor of two
ALWAYS = object()  # `before` of a setting that every version had


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


def setting(
    default, help_text: str, accepted=None, before=ALWAYS, *, group: str = "recipe", off: str | None = None
):
    """Returns the dataclass field of a setting: all that its flag, its help and its file need.

    Args:
        default: the value of the recipe `fast`, or of a setting that no recipe has.
        help_text: the line in `--help`. The default is added, unless the text has it.
        accepted: the `Limits` of a number, a tuple of choices, or None for any text, or true and false.
        before: the value in a config.json without this setting: the value that the code used before the
            setting existed. `ALWAYS`: every version wrote it.
        group: group of flags in `--help`.
        off: the flag for false. None: `--no-` and the setting's name.
    """
    metadata = {"help": help_text, "accepted": accepted, "before": before, "group": group, "off": off}
    return dataclasses.field(default=default, metadata=metadata)
