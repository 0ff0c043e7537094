"""Keras's CSVLogger; each row is on the disk before a checkpoint is written."""

import os

import keras


class HistoryFile(keras.callbacks.CSVLogger):
    """Writes the logs of each epoch as a row of a CSV file, from epoch 1, and flushes it to the disk.

    Keras's CSVLogger counts epochs from 0. It leaves the flush to the operating system, and a power cut may
    lose the row. Put this callback before `Checkpoint`: then no epoch that a run resumes from lacks its row.
    All arguments are Keras's.

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
            super().on_epoch_end(epoch + 1, logs)
            os.fsync(self.csv_file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.filename)) from error
