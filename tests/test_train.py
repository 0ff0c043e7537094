"""Tests train.py from the command line. Some tests run it in another process."""

import csv
import dataclasses
import json
import os
import signal
import sys
import time

import keras
import numpy as np
import pytest

import train
from conftest import QUICK, assert_same_run, size_of, start
from gan import networks
from gan.commands import program, training
from gan.data import Dataset, load
from gan.files import read_json
from gan.runs import RunFolder, settings

pytestmark = pytest.mark.usefixtures("no_process_left")

SHORT = [*QUICK, "--steps-per-epoch", "3"]


def run(*arguments):
    return train.main([*map(str, arguments)])


def test_a_run_leaves_what_the_readme_says(somewhere, capsys):
    assert run(*SHORT, "--epochs", 2, "--name", "first") == 0
    folder = RunFolder(somewhere / "runs" / "first")
    names = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert {
        "config.json", "history.csv", "gan.keras", "generator.keras",
        "samples/epoch_0000.png", "samples/epoch_0002.png", "samples/epochs.gif", "samples/real.png",
        "checkpoints/epoch_0002.json", "checkpoints/epoch_0002.weights.h5", "doctor.json",
    } <= names  # fmt: skip
    assert size_of(folder.samples / "real.png") == size_of(folder.samples / "epoch_0002.png")
    with open(folder.history, newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    config = folder.read_config()
    assert config["settings"]["steps_per_epoch"] == 3
    assert config["data"]["name"] == "digits"
    output = capsys.readouterr().out
    assert "tensorboard --logdir runs/first" in output
    assert "Data:       digits, 1,438 images, 10 classes\nRecipe:     few" in output
    assert "runs/first/samples/epoch_0002.png" in output.replace(str(somewhere) + os.sep, "")

    generator = keras.models.load_model(folder.generator)
    assert generator.trainable_variables
    assert generator([keras.ops.zeros((2, 100)), keras.ops.zeros(2, "int32")]).shape == (2, 28, 28, 1)
    gan = keras.models.load_model(folder.model)
    assert int(gan.step) == 6
    assert gan.num_classes == 10


def test_a_failure_is_explained_by_the_doctor(somewhere, capsys):
    """The second half of the run is a resume, which keeps the failure and the rows of the first half."""
    assert run(*SHORT, "--failure", "wrong-range", "--epochs", 1, "--name", "a") == 0
    output = capsys.readouterr().out
    assert "Failure:    the training images lie in [0, 1]" in output
    assert output.count("Doctor, after epoch 1: the training images have the wrong range") == 1
    assert "Doctor:     the training images have the wrong range (since epoch 1)" in output
    assert run("--resume", "runs/a", "--epochs", 2) == 0
    found = read_json(somewhere / "runs" / "a" / "doctor.json")
    assert [row["epoch"] for row in found["rows"]] == [1, 2]
    assert [remark["epoch"] for remark in found["remarks"]] == [1]
    assert "Doctor, after" not in capsys.readouterr().out
    assert (somewhere / "runs" / "a" / "logs" / "doctor").is_dir()


def test_unconditional_with_every_other_choice(somewhere):
    choices = ["--unconditional", "--loss", "hinge", "--penalty", "wgan_gp", "--ema-half-life", "0"]
    choices += [
        "--decay-epochs",
        0,
        "--discriminator-steps",
        2,
        "--mixed-precision",
        "bfloat16",
        "--jit",
        "off",
    ]
    rates = ["--generator-learning-rate", 1e-4, "--discriminator-learning-rate", 2e-4]
    assert run(*SHORT, *choices, *rates, "--minutes", 0.001, "--seed", 3, "--run-dir", "here") == 0
    gan = keras.models.load_model(somewhere / "here" / "gan.keras")
    assert (gan.num_classes, gan.seed, gan.average_generator) == (None, 3, None)
    compiled = gan.get_compile_config()
    assert compiled["loss"]["class_name"] == "Hinge"
    assert compiled["penalty"]["class_name"] == "WganGP"
    assert (compiled["discriminator_steps"], compiled["jit_compile"]) == (2, False)
    assert gan.generator.layers[-2].dtype_policy.name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"  # the global policy is unchanged
    assert [float(p.learning_rate) for p in gan.optimizer.optimizers] == pytest.approx([1e-4, 2e-4])


def test_quiet_prints_nothing(somewhere, capfd):
    assert run(*SHORT, "--epochs", 1, "--quiet", "--name", "still") == 0
    assert capfd.readouterr().out == ""


def test_dry_run_prints_the_settings_and_writes_nothing(somewhere, capsys):
    assert run(*SHORT, "--dry-run") == 0
    shown = json.loads(capsys.readouterr().out)["settings"]
    assert shown.keys() == settings.Settings.__dataclass_fields__.keys()
    assert shown["batch_size"] == 8
    assert list(somewhere.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bogus"], ["--epochs", "0"], ["--epochs", "two"], ["--minutes", "-1"], ["--minutes", "nan"],
        ["--epochs", "1", "--minutes", "1"], ["--batch-size", "1.5"], ["--loss", "bce"],
        ["--seed", "-1"], ["--seed", str(2**32)], ["--generator-learning-rate", "0"],
        ["--ema-half-life", "-5"],
        ["--generator-learning-rate", "1e39"], ["--epochs", str(10**30)], ["--ema-half-life", "1e300"],
        ["--name", "a/b"], ["--name", ""], ["--name", ".."],
        ["--name", "a", "--resume", "b"],
        ["--epoch", "3"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_flags_exit_with_2(somewhere, capsys, arguments):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.py: error: ")
    assert error.count("\n") == 1
    assert list(somewhere.iterdir()) == []


def put_run(folder, **changes):
    folder.mkdir(parents=True)
    RunFolder(folder).write_config(changes)


USAGE_ERRORS = {
    "absent data": (["--dataset", "absent"], "Received: 'absent'"),
    "absent run": (
        ["--resume", "absent"],
        "absent is not a run folder: config.json cannot be read (No such file or directory)\n",
    ),
    "existing run": ([*SHORT, "--name", "taken"], "runs/taken exists; choose another name"),
    "existing folder": ([*SHORT, "--run-dir", "runs"], "runs exists; choose another name\n"),
    "a batch of too many": ([*SHORT, "--batch-size", 1439], "more than the 1438 images"),
    "no name": (["--dataset", ""], "Received: ''"),
    "unwritable": ([*SHORT, "--run-dir", "runs/taken/config.json/run"], "cannot be written: Not a dir"),
    "not a config": (["--resume", "runs/taken"], "settings or data are missing"),
    "too long a folder": (["--run-dir", "x" * 300], "File name too long"),
    "too long a dataset": (["--dataset", "x" * 300], "File name too long"),
    "no such home": (["--dataset", "~nobody-of-this-name/x"], "home directory"),
}


@pytest.mark.parametrize("arguments, message", USAGE_ERRORS.values(), ids=USAGE_ERRORS)
def test_what_cannot_run_gets_one_line_and_touches_nothing(somewhere, capsys, arguments, message):
    put_run(somewhere / "runs" / "taken", something="else")
    before = sorted(somewhere.rglob("*"))
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("train.py: error: ")
    assert error.count("\n") == 1
    assert sorted(somewhere.rglob("*")) == before


def test_images_that_the_networks_cannot_make(somewhere, capsys):
    np.savez("tiny.npz", x_train=np.zeros((64, 3, 30, 1), np.uint8))
    assert run("--dataset", "tiny.npz", "--name", "tiny") == 2
    error = capsys.readouterr().err
    assert "at least 4 pixels" in error
    assert "tiny.npz" in error
    assert not (somewhere / "runs").exists()


def test_data_of_ones_own(somewhere):
    np.savez("own.npz", x_train=np.zeros((20, 16, 12, 3), np.uint8))
    few = ["--steps-per-epoch", 2, "--epochs", 1, "--batch-size", 10]
    assert run("--dataset", "own.npz", *few, "--name", "own") == 0
    folder = RunFolder(somewhere / "runs" / "own")
    assert folder.read_config()["settings"]["conditional"] is False
    assert keras.models.load_model(folder.generator).output_shape == (None, 16, 12, 3)


@pytest.mark.parametrize("count, steps", [(settings.SMALL_DATASET, 96), (9999, 500), (1000, 500), (399, 192)])
def test_an_epoch_is_one_pass_of_a_large_set_or_at_most_50_of_a_small_one(count, steps):
    dataset = Dataset("mine", "mine", np.zeros((count, 1, 1, 1), np.uint8))
    chosen = settings.Settings.new({"batch_size": 100}, dataset)
    assert chosen.steps_per_epoch == steps


@pytest.mark.parametrize(
    "count, given, epochs",
    [
        (3000, {}, 30),  # the recipe's, because 30 epochs of 500 steps of 32 images are 160 passes
        (800, {}, 10),
        (164, {}, 4),  # of 256 steps
        (32, {}, 4),  # of 48 steps
        (800, {"steps_per_epoch": 1000}, 5),
        (800, {"epochs": 30}, 30),
        (800, {"minutes": 1}, None),
    ],
)
def test_by_default_few_images_get_at_most_200_passes(count, given, epochs):
    dataset = Dataset("mine", "mine", np.zeros((count, 8, 8, 3), np.uint8))
    chosen = settings.Settings.new(given, dataset)
    assert (chosen.recipe, chosen.epochs, chosen.decay_epochs) == ("images32", epochs, epochs or 0)


def test_a_run_of_other_networks_is_not_resumed(somewhere, monkeypatch, capsys):
    assert run(*SHORT, "--epochs", 1, "--name", "old") == 0
    monkeypatch.setattr(networks, "KERNEL_SIZE", 2)
    assert run("--resume", "runs/old", "--epochs", 2) == 2
    assert (
        "is not damaged, but belongs to a model with other layers" in capsys.readouterr().err.splitlines()[-1]
    )


@pytest.mark.exact
def test_resume_takes_more_epochs_and_refuses_other_settings(somewhere, capsys):
    assert run(*SHORT, "--epochs", 1, "--name", "short") == 0
    assert run(*SHORT, "--epochs", 3, "--name", "long") == 0
    assert run("--resume", "runs/short", "--batch-size", 16, "--seed", 1) == 2
    error = capsys.readouterr().err
    assert "--batch-size 16 (the run has --batch-size 8)" in error
    assert "--seed 1 (the run has --seed 0)" in error
    assert run("--resume", "runs/short", "--epochs", 3, "--batch-size", 8, "--dataset", "digits") == 0
    assert "Changed:    --epochs 3 (before: --epochs 1)\n" in capsys.readouterr().out
    assert_same_run(somewhere / "runs" / "short", somewhere / "runs" / "long", epochs=3)
    assert RunFolder(somewhere / "runs" / "short").read_config()["settings"]["epochs"] == 3


@pytest.mark.exact
def test_a_hand_edited_config_is_resumed(somewhere, capsys):
    """The file has other values that --resume may change, another layout, and a missing setting."""
    assert run(*SHORT, "--epochs", 1, "--name", "edited") == 0
    assert run(*SHORT, "--epochs", 2, "--name", "given") == 0
    path = RunFolder(somewhere / "runs" / "edited").config
    config = json.loads(path.read_text())
    config["settings"] |= {"epochs": 2, "dropout": 0}
    del config["settings"]["discriminator_steps"]
    path.write_text("\ufeff" + json.dumps(config | {"note": "mine", "checksum": "of an older version"}))
    assert run("--resume", "runs/edited") == 0
    assert "Resuming after epoch 1 of 2." in capsys.readouterr().out
    assert_same_run(somewhere / "runs" / "edited", somewhere / "runs" / "given", epochs=2)
    path.write_text(path.read_text().replace('"batch_size": 8', '"batch_size": "8"'))
    assert run("--resume", "runs/edited") == 2
    wrong = "batch_size='8' is not a whole number from 1 to 2147483647"
    assert capsys.readouterr().err == f"train.py: error: runs/edited/config.json: {wrong}\n"


@pytest.mark.exact
def test_a_run_whose_checkpoints_are_a_link_is_resumed(somewhere):
    assert run(*SHORT, "--epochs", 1, "--name", "linked") == 0
    assert run(*SHORT, "--epochs", 2, "--name", "plain") == 0
    checkpoints = somewhere / "runs" / "linked" / "checkpoints"
    checkpoints.rename(somewhere / "another disk")
    checkpoints.symlink_to(somewhere / "another disk")
    assert run("--resume", "runs/linked", "--epochs", 2) == 0
    assert checkpoints.is_symlink()
    assert (somewhere / "another disk" / "epoch_0002.json").is_file()
    assert_same_run(somewhere / "runs" / "linked", somewhere / "runs" / "plain", epochs=2)


def test_checkpoints_on_a_disk_that_is_absent(somewhere, capsys):
    """The command changes no file of the run."""
    assert run(*SHORT, "--epochs", 1, "--name", "linked") == 0
    checkpoints = somewhere / "runs" / "linked" / "checkpoints"
    checkpoints.rename(somewhere / "another disk")
    checkpoints.symlink_to(somewhere / "absent disk")
    before = {path: path.lstat().st_mtime_ns for path in (somewhere / "runs").rglob("*")}
    assert run("--resume", "runs/linked", "--epochs", 2) == 2
    assert "checkpoints is a link to a folder that does not exist" in capsys.readouterr().err
    assert {path: path.lstat().st_mtime_ns for path in (somewhere / "runs").rglob("*")} == before


def test_labels_that_are_asked_for_and_absent(somewhere, capsys):
    np.savez("own.npz", x_train=np.zeros((20, 8, 8, 1), np.uint8))
    assert run("--dataset", "own.npz", "--conditional", "--batch-size", 4) == 2
    assert "--conditional needs labels, and " in capsys.readouterr().err


def test_damaged_and_foreign_pictures_do_not_stop_the_export(somewhere, capsys):
    assert run(*SHORT, "--epochs", 1, "--name", "hurt") == 0
    folder = RunFolder(somewhere / "runs" / "hurt")
    folder.model.unlink()
    (folder.samples / "epoch_0001.png").write_bytes(b"no picture")
    (folder.samples / "epoch_of_mine.png").write_bytes(b"no picture either")
    assert run("--resume", "runs/hurt", "--epochs", 2) == 0
    assert folder.model.is_file()
    (notice,) = capsys.readouterr().err.splitlines()
    assert notice.startswith("train.py: NOTICE: runs/hurt/samples/epoch_0001.png is left out of epochs.gif: ")


def test_resume_finds_the_same_data_elsewhere(somewhere):
    np.savez("own.npz", x_train=np.zeros((20, 8, 8, 1), np.uint8))
    few = ["--steps-per-epoch", 2, "--batch-size", 4, "--epochs", 1]
    assert run("--dataset", "own.npz", *few, "--name", "own") == 0
    os.rename("own.npz", "moved.npz")
    assert run("--resume", "runs/own", "--epochs", 2) == 2
    assert run("--resume", "runs/own", "--epochs", 2, "--dataset", "moved.npz") == 0
    stored = RunFolder(somewhere / "runs" / "own").read_config()["settings"]
    assert stored["dataset"] == str(somewhere / "moved.npz")


def test_resume_refuses_other_data(somewhere, capsys):
    np.savez("own.npz", x_train=np.zeros((20, 8, 8, 1), np.uint8))
    few = ["--steps-per-epoch", 2, "--batch-size", 4, "--epochs", 1]
    assert run("--dataset", "own.npz", *few, "--name", "own") == 0
    np.savez("own.npz", x_train=np.ones((20, 8, 8, 1), np.uint8))
    assert run("--resume", "runs/own", "--epochs", 2) == 2
    assert "own.npz has changed since the start of runs/own (20 training" in capsys.readouterr().err
    os.remove("own.npz")
    assert run("--resume", "runs/own", "--epochs", 2) == 2
    assert "give --dataset PATH" in capsys.readouterr().err


def test_losses_that_explode_end_with_1(somewhere, capsys):
    assert run(*SHORT, "--epochs", 3, "--generator-learning-rate", 1e30, "--name", "hot") == 1
    assert "was not finite in epoch 1. Start" in capsys.readouterr().err


def test_without_tensorflow_one_line_says_what_to_do():
    process = start("--dry-run", program=("-S", "train.py"))  # without site-packages
    output, error = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert error.startswith("train.py: error: tensorflow is not installed")
    assert error.count("\n") == 1
    process = start("generate", program=("-S", "-m", "gan"))
    output, error = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    assert error.startswith("python -m gan: error: tensorflow is not installed")
    assert error.count("\n") == 1
    process = start(program=("-S", "-c", "from gan import GAN"))
    _, error = process.communicate(timeout=60)
    assert error.splitlines()[-1].startswith("ModuleNotFoundError: tensorflow is not installed")


@pytest.mark.slow
def test_a_reader_that_goes_away_gets_no_traceback(tmp_path):
    process = start(*SHORT, "--epochs", 1, "--run-dir", tmp_path / "run")
    process.stdout.close()
    assert process.wait(timeout=300) == 1
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


def test_resume_says_where_it_stands():
    ten = settings.Settings(epochs=10, decay_epochs=10)
    assert training._describe_resume(ten, 3) == "Resuming after epoch 3 of 10."
    longer = dataclasses.replace(ten, epochs=12)
    assert training._describe_resume(longer, 10) == (
        "Resuming after epoch 10 of 12. After epoch 10 both learning rates stay at their final value."
    )
    assert training._describe_resume(ten, 10) == (
        "All 10 epochs are done. To train until epoch N, use --epochs N."
    )
    assert training._describe_resume(ten, 0) == (
        "There is no checkpoint to continue from: training starts again from the beginning."
    )
    timed = settings.Settings(minutes=2.5)
    assert training._describe_resume(timed, 3) == (
        "Resuming after epoch 3, for 2.5 minutes; the number of epochs depends on the machine."
    )


def test_the_recipe_in_a_line():
    given = settings.Settings.new({"recipe": "best", "loss": "hinge", "dropout": 0.1}, load("digits"))
    assert given.describe_recipe((28, 28, 1)) == "best --dropout 0.1 --loss hinge, 8 epochs of 500 steps"
    timed = settings.Settings.new({"minutes": 5.0}, load("digits"))
    assert timed.describe_recipe((28, 28, 1)) == "few, for 5 minutes, constant learning rates"


@pytest.mark.slow
def test_a_damaged_checkpoint_is_a_notice(somewhere, capsys):
    assert run(*SHORT, "--epochs", 2, "--name", "hurt") == 0
    weights = somewhere / "runs" / "hurt" / "checkpoints" / "epoch_0002.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1])
    capsys.readouterr()
    assert run("--resume", "runs/hurt") == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("train.py: NOTICE: ")
    assert captured.err.count("\n") == 1
    assert "Resuming after epoch 1 of 2." in captured.out


def test_what_to_type_can_be_typed(somewhere, monkeypatch):
    scripts = somewhere / "an environment" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "tensorboard").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(scripts / "python"))
    monkeypatch.setenv("PATH", "")
    assert program.command("tensorboard", "a b") == "'an environment/bin/tensorboard' 'a b'"
    monkeypatch.setenv("PATH", str(scripts))
    assert program.command("tensorboard", "--logdir", "a") == "tensorboard --logdir a"
    assert program.command("python", "a") == "python a"  # the folder of tensorboard has no python
    assert program.shorten("/elsewhere/train.py") == "/elsewhere/train.py"


KILLER = """
import os, signal, sys
import keras
import train

WHERE, EPOCH = sys.argv.pop(1), int(sys.argv.pop(1))


class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if WHERE == "within" and self.epoch == EPOCH and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch, logs=None):  # pictures and history are written, the checkpoint is not yet
        if WHERE == "between" and epoch == EPOCH:
            os.kill(os.getpid(), signal.SIGKILL)


watchers = train._watchers
train._watchers = lambda *arguments: [*watchers(*arguments), Kill()]
sys.exit(train.main())
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    process = start(*SHORT, "--epochs", 3, "--run-dir", folder)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-2000:]
    return folder


def resume(folder):
    process = start("--resume", folder)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error[-2000:]
    return output


@pytest.mark.exact
@pytest.mark.slow
@pytest.mark.parametrize("where, epoch", [("between", 1), ("within", 2), ("within", 0)])
def test_killed_and_resumed_equals_uninterrupted(uninterrupted, tmp_path, where, epoch):
    folder = tmp_path / "run"
    process = start(where, epoch, *SHORT, "--epochs", 3, "--run-dir", folder, program=("-c", KILLER))
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    resume(folder)
    assert_same_run(folder, uninterrupted, epochs=3)


@pytest.mark.exact
@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_and_resumed_equals_uninterrupted(uninterrupted, tmp_path, signal_number):
    folder = tmp_path / "run"
    process = start(*SHORT, "--epochs", 3, "--run-dir", folder)
    while not (folder / "checkpoints" / "epoch_0001.json").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal_number)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 128 + signal_number
    assert f"--resume {folder}" in output
    assert "Traceback" not in error
    resume(folder)
    assert_same_run(folder, uninterrupted, epochs=3)
