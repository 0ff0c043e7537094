"""Tests that files of the version before `gan/` had subpackages still load, resume, evaluate and draw."""

import csv
import json
import shutil
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import train
from callbacks import Checkpoint
from conftest import STEPS, fit, make_gan, size_of
from gan import __main__ as program
from gan.runs import RunFolder, read_history

OLD = Path(__file__).parent / "fixtures" / "before_rooms"


def test_a_model_loads_draws_and_trains_on():
    gan = keras.saving.load_model(OLD / "gan.keras")
    with np.load(OLD / "drawn.npz") as drawn:
        difference = gan.generate(6, seed=3).astype(int) - drawn["images"]
    assert np.abs(difference).max() <= 1  # other processors round differently
    assert int(gan.step) == STEPS
    assert "update" not in gan.get_compile_config()
    assert [int(player.iterations) for player in gan.optimizer.optimizers] == [STEPS, STEPS]
    history = fit(gan, epochs=2, start_step=STEPS).history
    assert np.isfinite(history["penalty"]).all()
    assert int(gan.step) == 2 * STEPS


def test_a_simultaneous_model_loads_with_a_warning():
    with pytest.warns(UserWarning, match="update='simultaneous', which was removed"):
        gan = keras.saving.load_model(OLD / "gan_simultaneous.keras")
    fit(gan, epochs=2, start_step=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = keras.saving.load_model(OLD / "gan_simultaneous.keras", compile=False)
    assert plain.generate(3).shape == (3, 8, 8, 1)


def test_a_checkpoint_restores(tmp_path):
    shutil.copytree(OLD / "checkpoints", tmp_path / "checkpoints")
    gan = make_gan(3, penalty="r1", dropout=0.3)
    assert Checkpoint(tmp_path / "checkpoints").restore(gan) == 1
    saved = keras.saving.load_model(OLD / "gan.keras")
    for one, other in zip(gan.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def run(somewhere):
    shutil.copytree(OLD / "run", somewhere / "run")
    return RunFolder(somewhere / "run")


def test_a_run_is_resumed(run, capsys):
    assert train.main(["--resume", str(run.path), "--epochs", "2"]) == 0
    captured = capsys.readouterr()
    assert "Resuming after epoch 1 of 2." in captured.out
    assert "few --batch-size 8 --latent-dim 4 --base-filters 2" in captured.out
    settings = json.loads(run.config.read_text())["settings"]
    assert settings["recipe"] == "few"
    assert settings["base_filters"] == 2
    assert not settings.keys() & {"preset", "width", "update", "unconditional"}
    assert (settings["conditional"], settings["discriminator_steps"]) == (True, 1)
    assert "history.csv was rewritten: epochs count from 1 now" in captured.err
    first, second = read_history(run.history)
    assert first["val_smallest_class_share"] == 0.0
    assert np.isfinite([second["val_smallest_class_share"], second["penalty"]]).all()
    with open(run.history, newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert size_of(run.samples / "epoch_0002.png") == size_of(run.samples / "epoch_0001.png")
    assert int(keras.saving.load_model(run.model).step) == 16


def test_a_run_is_evaluated_drawn_from_and_compared(run, somewhere, capsys):
    assert program.main(["evaluate", str(run.path), "--quick"]) == 0
    assert "smallest class share" in capsys.readouterr().out
    assert program.main(["generate", str(run.path), "--class", "4", "--output", "four.png"]) == 0
    assert size_of("four.png") == (596, 596)
    assert program.main(["compare", str(run.path)]) == 0


def test_a_simultaneous_run_is_evaluated_and_drawn_from_but_not_resumed(somewhere, capsys):
    shutil.copytree(OLD / "run_simultaneous", somewhere / "run")
    assert train.main(["--resume", "run", "--epochs", "2"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "update='simultaneous' is not 'alternating', the only value" in error
    assert program.main(["generate", "run", "--count", "3"]) == 0
    assert program.main(["evaluate", "run", "--quick", "--json"]) == 0


def test_runs_of_both_updates_are_not_averaged(run, somewhere, capsys):
    shutil.copytree(OLD / "run_simultaneous", somewhere / "other")
    assert program.main(["compare", "run", "other"]) == 0
    output = capsys.readouterr().out
    assert "update=simultaneous" in output
    assert "mean" not in output


def test_an_old_run_and_a_new_one_differ_by_what_differs(run, somewhere, capsys):
    """`compare` does not show a setting as different if only its name changed."""
    stored = run.read_config()
    shutil.copytree(run.path, somewhere / "new")
    new = RunFolder(somewhere / "new")
    values = {"recipe" if key == "preset" else key: value for key, value in stored["settings"].items()}
    values["base_filters"] = values.pop("width")
    del values["update"]
    new.write_config(stored | {"settings": values | {"seed": 1}})
    assert program.main(["compare", "run", "new"]) == 0
    output = capsys.readouterr().out
    assert "seed=1" in output
    assert "2 seeds, mean ± spread" in output
    assert "width" not in output
