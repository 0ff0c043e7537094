"""Keras's progress bar, short enough for a narrow terminal."""

from collections.abc import Sequence

import keras


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Shows a progress bar with only the chosen logs. The time per step does not include the compilation.

    All logs of a GAN make a line of about 125 characters. A narrower terminal wraps the line, and Keras
    cannot overwrite a wrapped line: each step would add a line. `fit` uses this callback instead of its own
    progress bar.

    If XLA compiles the train step, for example on a GPU, the callback says so before the first step.

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
        if not self._is_compiled:  # the first step includes the compilation: the bar measures the later steps
            self._is_compiled = True
            self.progbar = keras.utils.Progbar(self.target, verbose=self.verbose, stateless_metrics=())
        super().on_train_batch_end(batch, self._choose(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._choose(logs))

    def _choose(self, logs: dict | None) -> dict:
        return {key: value for key, value in (logs or {}).items() if key in self.shown}
