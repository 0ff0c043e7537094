"""Tests the output of the progress bar."""

import re
import time

import keras
import pytest

from callbacks import ProgressBar
from conftest import STEPS, fit, make_gan

COMPILATION = 3.0  # seconds


class SlowFirstStep(keras.callbacks.Callback):
    """Makes the first step of the first epoch as slow as a compilation."""

    is_first = True

    def on_train_batch_begin(self, batch, logs=None):
        if self.is_first:
            time.sleep(COMPILATION)
        self.is_first = False


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_time_of_a_step_leaves_out_the_compilation(capsys, verbose):
    gan = make_gan()
    fit(gan, epochs=2, callbacks=[ProgressBar(["d_loss"]), SlowFirstStep()], verbose=verbose)
    times = re.findall(r"(\d+)(m?s)/step", capsys.readouterr().out)
    milliseconds = [int(number) * (1 if unit == "ms" else 1000) for number, unit in times]
    assert milliseconds
    assert max(milliseconds) < 1000 * COMPILATION / STEPS


def test_the_compilation_is_announced(capsys):
    gan = make_gan(jit_compile=True)
    fit(gan, callbacks=[ProgressBar(["d_loss", "g_loss"])], verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Compiling the train step, which takes up to half a minute..."
    assert "d_loss" in lines[-1] and "real_logits" not in lines[-1]
    fit(gan, callbacks=[ProgressBar(["d_loss", "g_loss"])])
    assert capsys.readouterr().out == ""
