"""Tests a folder of pictures from train.py to the commands: report, training, names of classes, quality."""

import json
import re

import keras
import numpy as np
import pytest
from PIL import Image

import train
from gan import __main__ as program
from gan.files import read_json
from gan.images import split_grid, to_uint8
from gan.metrics import classifiers, features
from gan.runs import RunFolder, read_history

pytestmark = pytest.mark.usefixtures("somewhere")

SMALL = ["--image-size", "8", "--batch-size", "8", "--base-filters", "2", "--steps-per-epoch", "2"]
SMALL += ["--epochs", "1", "--generator-depth", "0", "--discriminator-depth", "0"]
# Without the penalty and validation, a run takes half of the time.
QUICK = [*SMALL, "--image-depth", "0", "--penalty", "none", "--no-validation"]


def write_pictures(folder, count, color, size=(10, 12)):
    folder.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(0)
    for number in range(count):
        pixels = np.clip(numbers.normal(color, 25, (*size, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.fixture(autouse=True)
def short_trainings(monkeypatch):
    monkeypatch.setattr(classifiers, "TRAINING_STEPS", 5)
    monkeypatch.setattr(features, "TRAINING_STEPS", 5)


@pytest.fixture
def pictures(somewhere):
    write_pictures(somewhere / "my pictures (1)" / "red ones", 80, (200, 30, 30))
    write_pictures(somewhere / "my pictures (1)" / "green", 60, (30, 200, 30))
    (somewhere / "my pictures (1)" / "green" / "broken.png").write_bytes(b"x")
    return somewhere / "my pictures (1)"


def run(*arguments):
    return program.main([*map(str, arguments)])


def test_a_folder_trains_and_its_classes_keep_their_names(pictures, somewhere, capsys):
    assert train.main(["--dataset", "my pictures (1)", *SMALL, "--name", "one"]) == 0
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert lines[0].startswith("Pictures:   140 used, 8x8 in color; ")
    assert lines[2] == "              green/broken.png: not a picture"
    assert lines[3] == "Classes:    green 60, red ones 80"
    assert output.index("Pictures:") < output.index("Training a classifier") < output.index("Run folder:")
    (floor,) = re.findall(r"Floor:      real images have a Fréchet distance of (\S+)\n", output)
    assert f" (real images: {floor})," in output
    folder = RunFolder("runs/one")
    assert folder.read_class_names() == ["green", "red ones"]
    for picture in ("real.png", "epoch_0001.png"):
        grid = np.asarray(Image.open(folder.samples / picture))
        assert split_grid(grid, 8, 8).shape == (2, 10, 8, 8, 3)
        assert grid.shape[1] > 10 * 10 * 7  # the names are beside the images
    assert "val_frechet_distance" in read_history(folder.history)[0]

    assert (
        run("generate", "runs/one", "--class", "red ones", "--count", 3, "--seed", 1, "--output", "a.npy")
        == 0
    )
    assert run("generate", "runs/one", "--class", "1", "--count", 3, "--seed", 1, "--output", "b.npy") == 0
    assert np.array_equal(np.load("a.npy"), np.load("b.npy"))
    capsys.readouterr()
    assert run("generate", "runs/one", "--class", "blue") == 2
    assert "runs/one has the classes green, red ones. Received: blue" in capsys.readouterr().err
    assert run("evaluate", "runs/one", "--quick") == 0
    assert "\nred ones" in capsys.readouterr().out
    assert "the classifier of my pictures (1)" in (folder.evaluation / "report.json").read_text()
    assert run("compare", "runs/one") == 0
    assert run("generate", "runs/one", "--count", 20, "--output", "grid.png") == 0
    grid = np.asarray(Image.open("grid.png"))
    assert split_grid(grid, 8, 8).shape == (2, 10, 8, 8, 3) and grid.shape[1] > 10 * 10 * 7


def test_a_run_on_a_folder_continues_and_notices_new_pictures(pictures, capsys):
    assert train.main(["--dataset", "my pictures (1)", *QUICK, "--name", "one", "--fit", "pad"]) == 0
    assert train.main(["--resume", "runs/one", "--epochs", "2", "--quiet"]) == 0
    assert len(read_history(RunFolder("runs/one").history)) == 2
    write_pictures(pictures / "green", 70, (0, 0, 90))
    capsys.readouterr()
    assert train.main(["--resume", "runs/one", "--epochs", "3", "--quiet"]) == 2
    assert "has changed since the start of runs/one (" in capsys.readouterr().err


def test_pictures_without_labels_are_measured_too(somewhere, capsys):
    write_pictures(somewhere / "plain", 120, (90, 90, 90))
    assert train.main(["--dataset", "plain", *SMALL, "--name", "one"]) == 0
    assert "Training an autoencoder on plain, once" in capsys.readouterr().out
    folder = RunFolder("runs/one")
    columns = read_history(folder.history)[0].keys()
    assert "val_frechet_distance" in columns and "val_classifier_score" not in columns
    assert read_json(folder.checkpoints / "epoch_0001.json")["logs"]["val_frechet_distance"] > 0
    assert run("evaluate", "runs/one", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["network"] == {"name": "the autoencoder of plain"}
    distance = report["against_test"]["frechet_distance"]
    assert distance["samples"] > distance["real"] > 0
    assert report["samples_alone"].keys() == {"near_copies"} and "classes" not in report
    assert run("evaluate", "runs/one") == 0
    assert "near-copies of training images" in capsys.readouterr().out
    assert run("compare", "runs/one") == 0
    assert run("generate", "runs/one", "--class", "0") == 2


def test_a_dry_run_prints_the_report_and_changes_nothing(pictures, somewhere, capsys):
    assert train.main(["--dataset", "my pictures (1)", *SMALL, "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["data"]["class_names"] == ["green", "red ones"]
    assert captured.err.splitlines()[0].startswith("Pictures:   140 used")
    assert not (somewhere / "runs").exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--image-size", "3"], "'3' is not a whole number from 4 to 512"),
        (["--fit", "stretch"], "invalid choice: 'stretch'"),
        (["--background", "nocolor"], "must be a color, such as white.*Received: 'nocolor'"),
        (["--start-from", "absent"], "absent is not a run folder"),
    ],
)
def test_a_wrong_flag_gets_one_line(pictures, somewhere, capsys, flags, message):
    assert train.main(["--dataset", "my pictures (1)", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not (somewhere / "runs").exists()


def test_images_of_odd_sides_are_drawn_larger_and_cropped(somewhere, capsys):
    write_pictures(somewhere / "odd", 40, (90, 0, 0), (30, 30))
    sizes = ["--image-size", "30", *QUICK[2:]]
    assert train.main(["--dataset", "odd", *sizes, "--name", "one"]) == 0
    assert capsys.readouterr().out.count("Size:       the generator draws 32x32 and crops to 30x30") == 1
    assert run("generate", "runs/one", "--count", 2, "--output", "two.npy") == 0
    assert np.load("two.npy").shape == (2, 30, 30, 3)


def test_a_run_can_start_from_the_weights_of_another(pictures, somewhere, capsys):
    arguments = ["--dataset", "my pictures (1)", *QUICK]
    assert train.main([*arguments, "--name", "first"]) == 0
    write_pictures(somewhere / "other" / "blue", 20, (0, 0, 200))
    write_pictures(somewhere / "other" / "gray", 20, (9, 9, 9))
    write_pictures(somewhere / "other" / "pink", 20, (200, 90, 90))
    other = ["--dataset", "other", *QUICK, "--start-from", "runs/first"]
    capsys.readouterr()
    assert train.main([*other, "--name", "second"]) == 0
    output = capsys.readouterr().out
    assert "Start from: runs/first" in output
    assert "new weights in the generator: " in output and "label_embedding" in output
    for file in (somewhere / "runs" / "second" / "checkpoints").iterdir():
        file.unlink()  # so the run starts again, from the same weights
    assert train.main(["--resume", "runs/second"]) == 0
    output = capsys.readouterr().out
    assert "training starts again" in output and "Start from: runs/first" in output
    (somewhere / "runs" / "first").rename(somewhere / "moved")
    assert train.main(["--resume", "runs/second", "--epochs", "2", "--quiet"]) == 0  # needs no start any more


def test_the_weights_of_the_start_are_in_the_first_picture(pictures):
    """The same data and networks: the run begins where the other run ended."""
    arguments = ["--dataset", "my pictures (1)", *QUICK]
    assert train.main([*arguments, "--name", "first"]) == 0
    assert train.main([*arguments, "--name", "second", "--start-from", "runs/first"]) == 0
    first, second = (keras.saving.load_model(f"runs/{name}/gan.keras") for name in ("first", "second"))
    begun = np.asarray(Image.open("runs/second/samples/epoch_0000.png"))
    fresh = np.asarray(Image.open("runs/first/samples/epoch_0000.png"))
    assert not np.array_equal(begun, fresh)
    first.average_generator.set_weights(first.generator.get_weights())
    latents = np.random.default_rng(0).standard_normal((20, 100), np.float32)
    drawn = to_uint8(first([latents, np.repeat(np.arange(2), 10)]))
    assert np.abs(split_grid(begun, 8, 8).reshape(drawn.shape).astype(int) - drawn).max() <= 1
    assert first.num_classes == second.num_classes == 2


def test_a_start_of_which_no_layer_fits_is_refused(pictures, somewhere, capsys):
    arguments = ["--dataset", "my pictures (1)", *QUICK]
    assert train.main([*arguments, "--name", "first"]) == 0
    other = [*arguments, "--base-filters", "3", "--latent-dim", "7", "--start-from", "runs/first"]
    capsys.readouterr()
    assert train.main([*other, "--name", "second"]) == 2
    assert "no layer fits the generator of this run" in capsys.readouterr().err
    assert not (somewhere / "runs" / "second").exists()
