"""Keras's TensorBoard callback, such that a kill loses no epoch that was done."""

import keras

__all__ = ["TensorBoard"]


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes every epoch's scalars to the disk before the next epoch begins.

    Keras leaves them in memory for up to two minutes, and a process that is killed takes them along.
    All arguments are Keras's.

    Example:

    ```python
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[TensorBoard("logs")])
    ```
    """

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        for writer in self._writers.values():
            writer.flush()
