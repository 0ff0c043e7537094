"""A variant of Keras's CSVLogger that writes each row to the disk immediately."""

import csv
import io
import os
from pathlib import Path

import keras

from gan.files import local_path, write_whole


class HistoryFile(keras.callbacks.CSVLogger):
    """Writes the logs of each epoch as a row of a CSV file, from epoch 1, and flushes the row to the disk.

    Keras's CSVLogger counts epochs from 0. It does not flush rows to the disk, so a power cut may lose rows.
    Put this callback before `Checkpoint` in the list of callbacks: then each epoch with a checkpoint has a
    row. All arguments are the arguments of Keras's CSVLogger.

    Raises:
        OSError: if the file cannot be written. The error contains the name of the file.

    Example:

    ```python
    callbacks = [HistoryFile("history.csv", append=True), Checkpoint("checkpoints")]
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=callbacks)
    ```
    """

    def __init__(self, filename, *args, **kwargs):
        super().__init__(local_path(filename), *args, **kwargs)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        if not self.append_header:
            with open(self.filename, newline="") as file:
                self.keys = [
                    key for key in csv.DictReader(file, delimiter=self.sep).fieldnames if key != "epoch"
                ]

    def on_epoch_end(self, epoch, logs=None):
        try:
            if self.keys is not None and not (logs or {}).keys() <= set(self.keys):
                self._add_columns(logs)
            super().on_epoch_end(epoch + 1, logs)
            os.fsync(self.csv_file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.filename)) from error

    def _add_columns(self, logs: dict) -> None:
        """Writes the file again, with more columns for new logs."""
        self.csv_file.close()
        with open(self.filename, newline="") as file:
            rows = list(csv.DictReader(file, delimiter=self.sep))
        self.keys = sorted(set(self.keys) | logs.keys())
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ["epoch", *self.keys], restval="NA", delimiter=self.sep)
        writer.writeheader()
        writer.writerows(rows)
        write_whole(Path(self.filename), text.getvalue().encode())
        self.csv_file = open(self.filename, "a")  # noqa: SIM115, Keras closes it
        self.writer, self.append_header = None, False
