"""Training for so many minutes."""

import time

import keras


class TimeLimit(keras.callbacks.Callback):
    """Ends training at the first epoch's end after so many minutes.

    Args:
        minutes: counted from the start of `fit`, more than 0.

    Raises:
        ValueError: when `minutes` is not positive.
    """

    def __init__(self, minutes: float):
        super().__init__()
        if not minutes > 0:
            raise ValueError(f"`minutes` must be positive. Received: minutes={minutes!r}")
        self.minutes = minutes

    def on_train_begin(self, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if time.monotonic() - self.started >= 60 * self.minutes:
            self.model.stop_training = True
