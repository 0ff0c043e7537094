"""A callback that limits the time of a training."""

import time

import keras

from gan.distribution import share


class TimeLimit(keras.callbacks.Callback):
    """Stops the training after a number of minutes, at the end of the current epoch.

    With several workers, each worker needs this callback. All workers stop at the same epoch.

    Args:
        minutes: time from the start of `fit`; more than 0.

    Raises:
        ValueError: if `minutes` is not positive.
    """

    def __init__(self, minutes: float):
        super().__init__()
        if not minutes > 0:
            raise ValueError(f"`minutes` must be positive. Received: minutes={minutes!r}")
        self.minutes = minutes

    def on_train_begin(self, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        is_over = time.monotonic() - self.started >= 60 * self.minutes
        if any(share(is_over, self.model.distribute_strategy)):
            self.model.stop_training = True
