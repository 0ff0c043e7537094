"""Keras's TensorBoard callback; a kill loses no epoch, and a long run loses no memory."""

import keras


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes every epoch's scalars, from epoch 1, to the disk before the next epoch begins.

    Keras leaves them in memory for up to two minutes, and a process that is killed takes them along. At
    every batch it also makes summaries that `update_freq="epoch"`, the default, throws away, and each
    leaves half a kibibyte behind; here they are not made. All arguments are Keras's.

    Example:

    ```python
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[TensorBoard("logs")])
    ```
    """

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, None if self.update_freq == "epoch" else logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch + 1, logs)  # Keras counts from 0
        for writer in self._writers.values():
            writer.flush()
