"""Reads and repairs the history.csv of a run, which has one row for each epoch, from epoch 1."""

import csv
import io
import math
import warnings
from collections.abc import Iterable
from pathlib import Path

from ..files import write_whole
from ..notice import Notice
from ..old_keys import translate_old_keys


def keep_history(path: Path, epochs_done: int, columns: Iterable[str]) -> None:
    """Keeps the rows of finished epochs in a history.csv, and removes all other rows.

    A resumed run writes the rows of the later epochs again. The file gets the columns of the current
    version. Deletes the file if it has no rows of finished epochs. Warns if rows are missing. Also warns if
    an older version wrote the file: older versions counted epochs from 0.

    Args:
        path: the history.csv.
        epochs_done: number of finished epochs.
        columns: names of the logs that the run will write, without "epoch".
    """
    try:
        rows, is_old = _read_rows(path)
    except (FileNotFoundError, csv.Error):
        rows, is_old = [], False
    by_epoch = {row["epoch"]: row for row in rows}
    kept = [by_epoch[str(epoch)] for epoch in range(1, epochs_done + 1) if str(epoch) in by_epoch]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["epoch", *sorted(columns)], restval="NA", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(kept)
    if kept:
        write_whole(path, text.getvalue().encode())
    else:
        path.unlink(missing_ok=True)
    if is_old and kept:
        warnings.warn(
            f"{path} was rewritten: epochs count from 1 now, as in the names of the pictures",
            Notice,
            stacklevel=2,
        )
    if len(kept) < epochs_done:
        warnings.warn(
            f"{path} lacks rows of epochs up to {epochs_done}: the missing rows are lost",
            Notice,
            stacklevel=2,
        )


def read_history(path: Path) -> list[dict[str, float]]:
    """Reads the rows of a history.csv. Leaves out missing values.

    Raises:
        ValueError: with a message of one line, if the file is missing, empty or damaged.
    """
    try:
        rows = [
            {name: float(value) for name, value in row.items() if value not in ("", "NA")}
            for row in _read_rows(path)[0]
        ]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except (ValueError, csv.Error):
        raise ValueError(f"{path} is damaged: the file contains values that are not numbers") from None
    if not rows or any(not math.isfinite(row.get("epoch", math.nan)) for row in rows):
        finish = f"finish the run with:  python train.py --resume {path.parent}"
        raise ValueError(f"{path} contains no epochs yet; {finish}")
    return rows


def _read_rows(path: Path) -> tuple[list[dict[str, str]], bool]:
    """Returns the complete rows with current column names, and whether an older version wrote the file.

    Older versions counted epochs from 0. In a file of an older version, this function adds 1 to each epoch.
    Returns no rows if the file has no header.
    """
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        table = csv.DictReader(file)
        if "epoch" not in (table.fieldnames or []):
            return [], False
        rows = [translate_old_keys(row) for row in table if None not in row and None not in row.values()]
    is_old = any(row["epoch"] == "0" for row in rows)
    for row in rows:
        if is_old and row["epoch"].isdecimal() and len(row["epoch"]) < 10:
            row["epoch"] = str(int(row["epoch"]) + 1)
    return rows, is_old
