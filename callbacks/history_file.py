"""The history of a training as a CSV file that a kill cannot damage."""

import csv
import io
import itertools
from pathlib import Path

import keras

from gan.files import write_whole

__all__ = ["HistoryFile"]


class HistoryFile(keras.callbacks.Callback):
    """Writes the logs of each epoch as a row of a CSV file.

    Like `keras.callbacks.CSVLogger`, with three differences. The file is on the disk, whole, when the epoch
    ends: put it before `Checkpoint`, and no epoch that a run resumes from lacks its row. A resumed training
    replaces the rows of the epochs that it repeats. Logs that come later get columns of their own.

    Args:
        filename: the file.
        separator: character between two values.
        append: whether to keep the rows that the file has.

    Raises:
        OSError: with the file's name, when it cannot be written.

    Example:

    ```python
    callbacks = [HistoryFile("history.csv", append=True), Checkpoint("checkpoints")]
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=callbacks)
    ```
    """

    def __init__(self, filename: str | Path, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = Path(filename)
        self.separator = separator
        self.append = append

    def on_train_begin(self, logs=None):
        self._rows = self._read() if self.append and self.filename.exists() else []

    def on_epoch_end(self, epoch, logs=None):
        self._rows = [row for row in self._rows if int(row["epoch"]) < epoch]
        self._rows.append({"epoch": epoch} | dict(sorted((logs or {}).items())))
        text = io.StringIO(newline="")
        columns = dict.fromkeys(itertools.chain(*self._rows))
        writer = csv.DictWriter(text, columns, restval="NA", delimiter=self.separator)
        writer.writeheader()
        writer.writerows(self._rows)
        write_whole(self.filename, text.getvalue().encode())

    def _read(self) -> list[dict[str, str]]:
        """The complete rows."""
        with open(self.filename, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter=self.separator)
            return [row for row in rows if None not in row and None not in row.values()]
