"""Writes samples and real images to TensorBoard."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from .base import SampleCallback


class TensorBoardSamples(SampleCallback):
    """Writes samples to TensorBoard after every n-th epoch, and real images once.

    The image summaries are `samples/generated` and `samples/real`. TensorBoard shows both side by side,
    because both names begin with `samples/`. The step is the number of finished epochs; 0 means before
    training. The callback flushes each summary at once: TensorBoard shows the summary immediately, and a
    killed process loses no summary.

    Args:
        log_dir: folder for `tensorboard --logdir`. It is created if it does not exist.
        **kwargs: `columns`, `rows`, `real_images`, `every_n_epochs`, `seed`, `scale`, `class_names`:
            see `SampleCallback`.

    Example:

    ```python
    callbacks = [TensorBoardSamples("logs/images", real_images=images), keras.callbacks.TensorBoard("logs")]
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=callbacks)
    ```
    """

    def __init__(self, log_dir: str | Path, **kwargs):
        super().__init__(**kwargs)
        self.log_dir = str(log_dir)  # a folder, or an address that TensorFlow can write to

    def on_train_begin(self, logs=None):
        self.writer = tf.summary.create_file_writer(self.log_dir)
        super().on_train_begin(logs)

    def show_samples(self, epochs_done: int, grid: np.ndarray) -> None:
        self._write("samples/generated", grid, epochs_done)

    def show_real(self, grid: np.ndarray) -> None:
        self._write("samples/real", grid, step=0)

    def on_train_end(self, logs=None):
        self.writer.close()

    def _write(self, tag: str, grid: np.ndarray, step: int) -> None:
        # Keras's TensorBoard callback may have turned off recording.
        with self.writer.as_default(), tf.summary.record_if(True):
            tf.summary.image(tag, grid[np.newaxis], step=step)
        self.writer.flush()
