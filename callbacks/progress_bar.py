"""Keras's progress bar, short enough for a narrow terminal."""

from collections.abc import Sequence

import keras


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Shows chosen logs only, and the time of a step without the time that compiling the step takes.

    A GAN's logs make a line of some 125 characters, which Keras cannot overwrite where a terminal is
    narrower and wraps it: each step would add a line. `fit` takes this in place of its own bar.

    Where XLA compiles the train step, as it does on a GPU, a line says so before the first step.

    Args:
        shown: the keys of the logs to show.

    Example:

    ```python
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[ProgressBar(["d_loss", "g_loss"])])
    ```
    """

    def __init__(self, shown: Sequence[str]):
        super().__init__()
        self.shown = shown
        self._is_compiled = False

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._is_compiled = False
        if self.verbose and self.model.jit_compile:
            print("Compiling the train step, which takes up to half a minute...", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        if not self._is_compiled:  # the first step compiled it: the clock of the bar starts here
            self._is_compiled = True
            self.progbar = keras.utils.Progbar(self.target, verbose=self.verbose, stateless_metrics=())
        super().on_train_batch_end(batch, self._choose(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._choose(logs))

    def _choose(self, logs: dict | None) -> dict:
        return {key: value for key, value in (logs or {}).items() if key in self.shown}
