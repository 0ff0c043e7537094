"""Keras's CSVLogger, such that a row is on the disk before a checkpoint counts on it."""

import os

import keras

__all__ = ["HistoryFile"]


class HistoryFile(keras.callbacks.CSVLogger):
    """Writes the logs of each epoch as a row of a CSV file, and flushes it to the disk.

    Keras leaves the last step to the system, which a power cut may beat. Put it before `Checkpoint`: then
    no epoch that a run resumes from lacks its row. All arguments are Keras's.

    Raises:
        OSError: with the file's name, when it cannot be written.

    Example:

    ```python
    callbacks = [HistoryFile("history.csv", append=True), Checkpoint("checkpoints")]
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=callbacks)
    ```
    """

    def on_epoch_end(self, epoch, logs=None):
        try:
            super().on_epoch_end(epoch, logs)
            os.fsync(self.csv_file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.filename)) from error
