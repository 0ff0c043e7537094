"""Shows a progress bar on a terminal."""

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import keras

Item = TypeVar("Item")


def show_progress(items: Iterable[Item], count: int, unit: str, verbose: int = 1) -> Iterator[Item]:
    """Yields items, and shows a progress bar on stderr. Shows nothing if stderr is not a terminal.

    Args:
        items: the items to yield, such as the results of a work.
        count: number of items.
        unit: name of an item, for the time of one item.
        verbose: 0 shows no progress bar.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    bar = keras.utils.Progbar(count, verbose=1 if verbose and is_terminal else 0, unit_name=unit)
    for number, item in enumerate(items, 1):
        yield item
        with contextlib.redirect_stdout(sys.stderr):
            bar.update(number)
