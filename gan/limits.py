"""The limits of numbers in settings, and the dataclass field of a setting."""

import argparse
import dataclasses
from collections.abc import Callable

LARGEST_INT = 2**31 - 1
LARGEST_SEED = 2**32 - 1  # limit of NumPy's global seed, which Keras also sets
MOST_LAYERS, MOST_UNITS = 100, 10_000
SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, 2.0**127  # the range of float32, up to a factor of two
ALWAYS = object()  # value of `before` for a setting that all versions have


@dataclasses.dataclass(frozen=True)
class Limits:
    """Holds a type of number and its range. An object of this class is a `type` for argparse.

    Example: `COUNT("3")` returns 3. `COUNT("0")` raises `argparse.ArgumentTypeError`.
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
        """Returns whether a value from a file has this type and lies in the range."""
        return type(value) in (int, self.kind) and self.contains(value)


def whole_number(smallest: int, largest: int) -> Limits:
    """Creates the limits of a whole number."""
    return Limits(int, f"a whole number from {smallest} to {largest}", lambda n: smallest <= n <= largest)


COUNT, COUNT_FROM_0 = whole_number(1, LARGEST_INT), whole_number(0, LARGEST_INT)
SEED, LAYERS = whole_number(0, LARGEST_SEED), whole_number(0, MOST_LAYERS)
UNITS = whole_number(1, MOST_UNITS)
FRACTION = Limits(float, "a number of at least 0 and less than 1", lambda n: 0 <= n < 1, "FRACTION")
POSITIVE = Limits(float, "a positive float32 number", lambda n: SMALLEST_FLOAT <= n <= LARGEST_FLOAT, "X")
POSITIVE_OR_0 = Limits(float, f"0 or {POSITIVE.description}", lambda n: n == 0 or POSITIVE.contains(n), "X")


def setting(
    default, help_text: str, accepted=None, before=ALWAYS, *, group: str = "recipe", off: str | None = None
):
    """Creates the dataclass field of a setting, with the data for the flag, `--help` and config.json.

    Args:
        default: the value in the recipe `fast`, or the default of a setting outside of the recipes.
        help_text: the text in `--help`. The program adds the default if the text does not contain it.
        accepted: the `Limits` of a number, or a tuple of choices. None: any text, or true and false.
        before: the value for an old config.json that does not contain the setting. The code used this value
            before the setting existed. A function computes the value from the other settings. `ALWAYS`: every
            version writes the setting.
        group: group of flags in `--help`.
        off: the flag for false. None: `--no-` and the name of the setting.
    """
    metadata = {"help": help_text, "accepted": accepted, "before": before, "group": group, "off": off}
    return dataclasses.field(default=default, metadata=metadata)
