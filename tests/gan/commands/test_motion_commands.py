"""Tests `generate --text`, `interpolate` and `film` from the command line."""

import shutil

import numpy as np
import pytest
from PIL import Image

import train
from conftest import QUICK, size_of
from gan import __main__ as program
from gan.images import split_grid
from gan.metrics import load_classifier
from gan.metrics.features import extract

pytestmark = pytest.mark.usefixtures("somewhere")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Makes a folder with a conditional run and a run without labels, of two epochs."""
    folder = tmp_path_factory.mktemp("runs")
    short = [*QUICK, "--steps-per-epoch", "1", "--epochs", "2", "--quiet"]
    for name, more in {"one": [], "bare": ["--unconditional"]}.items():
        assert train.main([*short, *more, "--run-dir", str(folder / name)]) == 0
    return folder


def run(*arguments):
    return program.main([*map(str, arguments)])


def pixels(path):
    with Image.open(path) as file:
        return np.asarray(file)[..., np.newaxis]


def frames_of(path):
    with Image.open(path) as film:
        for number in range(film.n_frames):
            film.seek(number)
            yield np.asarray(film.convert("L"))[..., np.newaxis]


def read_digits(images):
    return extract(load_classifier("mnist"), images)[1].argmax(1).tolist()


def test_a_line_of_text_reads_as_it_was_asked_for(capsys):
    assert run("generate", "--text", "31 42", "--seed", 0, "--output", "line.png") == 0
    assert capsys.readouterr().out == "5 images: line.png (--seed 0 draws them again)\n"
    line = pixels("line.png")[::2, ::2]
    digits = np.stack(np.split(line, 5, axis=1))
    assert not digits[2].any()
    assert read_digits(digits[[0, 1, 3, 4]]) == [3, 1, 4, 2]


def test_a_walk_through_the_classes_passes_each_class():
    assert run("interpolate", "--seed", 0, "--count", 3, "--frames", 4) == 0
    frames = [*frames_of("interpolation.gif")]
    assert len(frames) == 40  # the last frame of a loop is its first frame
    stations = [split_grid(frame, 28, 28)[0] for frame in frames[::4]]
    assert read_digits(np.concatenate(stations)) == np.arange(10).repeat(3).tolist()


def test_a_walk_from_class_to_class_goes_there_and_back(capsys):
    walk = ["interpolate", "--seed", 0, "--from", 3, "--to", 8, "--frames", 5]
    assert run(*walk, "--output", "walk.webp") == run(*walk, "--output", "walk.png") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("10 frames: walk.webp") and second.startswith("6 frames: walk.png")
    frames = [split_grid(frame, 28, 28)[0] for frame in frames_of("walk.webp")]
    rows = split_grid(pixels("walk.png"), 28, 28)
    assert len(frames) == 10 and rows.shape[:2] == (8, 6)
    assert read_digits(rows[:, 0]) == [3] * 8 and read_digits(rows[:, -1]) == [8] * 8
    np.testing.assert_array_equal(np.stack(frames)[:6].swapaxes(0, 1), rows)
    np.testing.assert_array_equal(frames[6:], frames[4:0:-1])


def test_a_walk_in_a_class_keeps_the_class_and_returns():
    assert (
        run("interpolate", "--seed", 0, "--class", 4, "--frames", 3, "--count", 5, "--output", "a.png") == 0
    )
    rows = split_grid(pixels("a.png"), 28, 28)
    assert rows.shape[:2] == (5, 16)
    np.testing.assert_array_equal(rows[:, 0], rows[:, -1])
    assert np.mean(np.array(read_digits(rows.reshape(-1, 28, 28, 1))) == 4) > 0.9


def test_a_run_walks_with_and_without_labels(runs):
    assert run("interpolate", runs / "bare", "--frames", 2, "--count", 1) == 0
    assert len([*frames_of(runs / "bare" / "interpolation.gif")]) == 10
    assert run("interpolate", runs / "one", "--frames", 2, "--count", 2, "--output", "one.gif") == 0
    assert len([*frames_of("one.gif")]) == 20


def test_a_film_shows_every_epoch(runs, capsys):
    assert run("film", runs / "one") == run("film", runs / "one", "--output", "film.webp") == 0
    assert capsys.readouterr().out.endswith("3 epochs: film.webp\n")
    pictures = [pixels(runs / "one" / "samples" / f"epoch_000{epoch}.png") for epoch in range(3)]
    for path in (runs / "one" / "film.gif", "film.webp"):
        np.testing.assert_array_equal([*frames_of(path)], pictures)
    assert run("film", runs / "one", "--output", "strip.png") == 0
    assert size_of("strip.png")[0] == 3 * 60 - 4


def test_a_strip_of_many_epochs_says_how_many_it_shows(runs, somewhere, capsys):
    shutil.copytree(runs / "one", somewhere / "long")
    for epoch in range(3, 20):
        shutil.copy("long/samples/epoch_0002.png", f"long/samples/epoch_{epoch:04}.png")
    assert run("film", "long", "--output", "strip.png") == 0
    assert capsys.readouterr().out == "12 epochs: strip.png\n"
    assert size_of("strip.png")[0] == 12 * 60 - 4


def test_a_film_leaves_out_damaged_pictures(runs, somewhere, capsys):
    shutil.copytree(runs / "one", somewhere / "hurt")
    (somewhere / "hurt" / "samples" / "epoch_0001.png").write_bytes(b"x")
    assert run("film", "hurt") == 0
    output = capsys.readouterr()
    assert output.out == "2 epochs: hurt/film.gif\n"
    with Image.open("hurt/film.gif") as film:
        film.seek(1)
        assert film.info["duration"] == 2000  # the last picture stays longer
    assert "hurt/samples/epoch_0001.png is left out of film.gif: " in output.err
    shutil.rmtree(somewhere / "hurt" / "samples")
    assert run("film", "hurt") == 2
    assert "hurt/samples has no pictures of epochs" in capsys.readouterr().err


WRONG = {
    "too wide": (
        ["interpolate", "--count", "100", "--scale", "7", "--frames", "1", "--output", "a.webp"],
        "A .webp file is at most 16,383 pixels wide and high. Received: 20,986x196.",
    ),
    "an array at a scale": (["generate", "--scale", "2", "--output", "a.npy"], "leave out --scale"),
    "text and count": (["generate", "--text", "1", "--count", "2"], "leave out --count"),
    "only spaces": (["generate", "--text", " "], "at least one character"),
    "text of other characters": (["generate", "--text", "1a"], "has the classes 0 to 9. Received: a"),
    "text without labels": (["generate", "{runs}/bare", "--text", "1"], "was trained without labels"),
    "text and class": (["generate", "--text", "1", "--class", "1"], "not allowed with"),
    "half a walk": (["interpolate", "--from", "1"], "--from and --to belong together"),
    "two walks": (["interpolate", "--from", "1", "--to", "2", "--class", "3"], "leave out --from and --to"),
    "no class": (["interpolate", "--class", "ten"], "has the classes 0 to 9. Received: ten"),
    "no classes": (["interpolate", "{runs}/bare", "--class", "1"], "was trained without labels"),
    "no animation": (["interpolate", "--output", "a.mp4"], "must end in .gif, .webp, .png"),
    "no film": (["film", "{runs}/one", "--output", "film"], "must end in .gif, .webp, .png"),
    "no run": (["film", "absent"], "absent is not a run folder"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_a_mistake_gets_one_line(arguments, message, runs, somewhere, capsys):
    assert run(*(word.format(runs=runs) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not [*somewhere.iterdir()]
