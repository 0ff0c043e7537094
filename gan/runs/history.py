"""A run's history.csv: one row for each epoch."""

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path

from ..files import write_whole
from ..old_keys import translate_old_keys


def keep_history(path: Path, epochs_done: int, columns: Iterable[str]) -> bool:
    """Keeps the rows of the epochs that are done, with the columns of today; a resumed run writes the others.

    Args:
        path: the file.
        epochs_done: number of epochs.
        columns: names of the logs that the run will write, without "epoch".

    Returns:
        Whether there is a row for each epoch that is done.
    """
    try:
        rows = {row["epoch"]: row for row in _read_rows(path)}
    except (FileNotFoundError, csv.Error):
        rows = {}
    kept = [rows[str(epoch)] for epoch in range(epochs_done) if str(epoch) in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["epoch", *sorted(columns)], restval="NA", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(kept)
    if kept:
        write_whole(path, text.getvalue().encode())
    else:
        path.unlink(missing_ok=True)
    return len(kept) == epochs_done


def read_history(path: Path) -> list[dict[str, float]]:
    """Reads the rows. A value that is missing is left out.

    Raises:
        ValueError: one line, when the file is missing, empty or damaged.
    """
    try:
        rows = [
            {name: float(value) for name, value in row.items() if value not in ("", "NA")}
            for row in _read_rows(path)
        ]
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except (ValueError, csv.Error):
        raise ValueError(f"{path} is damaged: it holds values that are not numbers") from None
    if not rows or any(not math.isfinite(row.get("epoch", math.nan)) for row in rows):
        raise ValueError(
            f"{path} holds no epochs yet; finish the run by  python train.py --resume {path.parent}"
        )
    return rows


def _read_rows(path: Path) -> list[dict[str, str]]:
    """The complete rows, with the column names of today; none for a file without a header."""
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.DictReader(file)
        if "epoch" not in (rows.fieldnames or []):
            return []
        return [translate_old_keys(row) for row in rows if None not in row and None not in row.values()]
