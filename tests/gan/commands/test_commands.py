"""Tests `python -m gan` from the command line, on runs of train.py."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata

import keras
import numpy as np
import pytest
from PIL import Image

import train
from conftest import QUICK, size_of, without_tensorflow
from gan import GAN, build_discriminator
from gan import __main__ as program
from gan.commands.runs import Source
from gan.data.known import CHECKSUMS
from gan.files import digest
from gan.metrics import classifiers
from gan.runs import RunFolder

pytestmark = pytest.mark.usefixtures("somewhere")

SHORT = [*QUICK, "--validation", "--steps-per-epoch", "2", "--epochs", "2", "--quiet"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Makes a folder with an unconditional run and two conditional runs that differ in the seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, more in {"one": [], "two": ["--seed", "1"], "bare": ["--unconditional"]}.items():
        assert train.main([*SHORT, *more, "--run-dir", str(folder / name)]) == 0
    return folder


def run(*arguments):
    return program.main([*map(str, arguments)])


def test_generate_a_grid_by_default(runs, capsys):
    assert run("generate", runs / "one") == 0
    assert size_of(runs / "one" / "generated.png") == (596, 596)
    output = capsys.readouterr().out
    assert "100 images" in output
    seed = output.rpartition("--seed ")[2].split()[0]
    first = (runs / "one" / "generated.png").read_bytes()
    assert run("generate", runs / "one", "--seed", seed) == 0
    assert (runs / "one" / "generated.png").read_bytes() == first
    assert run("generate", runs / "one", "--seed", int(seed) ^ 1) == 0
    assert (runs / "one" / "generated.png").read_bytes() != first


def test_generate_what_was_asked_for(runs, somewhere):
    assert run("generate", runs / "one", "--class", 4, "--count", 7, "--seed", 3, "--output", "some.npy") == 0
    gan = keras.saving.load_model(runs / "one" / "gan.keras")
    expected = gan.generate(7, np.full(7, 4), seed=3)
    assert np.array_equal(np.load("some.npy"), expected)
    assert run("generate", runs / "one", "--class", 4, "--count", 7, "--seed", 3, "--output", "files") == 0
    names = sorted(path.name for path in (somewhere / "files").iterdir())
    assert names == [f"{number:05d}.png" for number in range(7)]
    assert np.array_equal(np.asarray(Image.open("files/00006.png")), expected[6, :, :, 0])
    assert run("generate", runs / "bare", "--count", 3, "--output", "three.png") == 0
    assert size_of("three.png") == (176, 56)


def test_generate_asks_the_gan_for_its_classes(runs, somewhere):
    """A conditional generator may have no embedding, and an unconditional generator may have one."""
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    choice = keras.layers.CategoryEncoding(3, output_mode="one_hot")(labels)
    pixels = keras.layers.Dense(64, "tanh")(keras.layers.Concatenate()([latents, choice]))
    generator = keras.Model([latents, labels], keras.layers.Reshape((8, 8, 1))(pixels))
    discriminator = build_discriminator((8, 8, 1), num_classes=3, base_filters=2)
    shutil.copytree(runs / "one", somewhere / "own")
    GAN(generator, discriminator, num_classes=3).save(somewhere / "own" / "gan.keras")
    assert run("generate", "own", "--class", 2, "--count", 4, "--output", "four.npy") == 0
    assert np.load("four.npy").shape == (4, 8, 8, 1)
    assert run("generate", "own", "--class", 3) == 2


def test_evaluate_prints_tables_and_keeps_json_and_picture(runs, capsys):
    assert run("evaluate", runs / "one", "--quick") == 0
    captured = capsys.readouterr()
    assert "Fréchet distance" in captured.out
    assert "Drawing 359 samples" in captured.err
    report = json.loads((runs / "one" / "evaluation" / "report.json").read_text())
    assert report["samples"] == 359
    assert report["run"] == str(runs / "one")
    assert report["model_sha256"] == digest(runs / "one" / "gan.keras")
    assert size_of(runs / "one" / "evaluation" / "nearest.png") == (596, 596)
    assert run("evaluate", runs / "one", "--quick", "--json") == 0
    assert json.loads(capsys.readouterr().out) == report  # the same figures and no other output


def test_compare_runs(runs, capsys, somewhere):
    assert run("compare", runs / "one", runs / "two", runs / "bare") == 0
    output = capsys.readouterr().out
    assert "conditional=True, seed=1" in output
    assert output.count("2 seeds, mean ± spread") == 1
    assert size_of(somewhere / "comparison.png") == (2 * (3 * 30 - 2), 14 + 2 * (20 * 30 - 2))


def test_compare_the_epochs_of_one(runs, capsys):
    assert run("compare", runs / "two") == 0
    output = capsys.readouterr().out
    assert [line.split()[0] for line in output.splitlines()[:3]] == ["epoch", "1", "2"]
    assert output.count("best\n") == 1
    assert size_of(runs / "two" / "comparison.png") == (2 * (3 * 30 - 2), 14 + 2 * (20 * 30 - 2))


def test_train_a_classifier(capsys, monkeypatch, somewhere):
    monkeypatch.setattr(classifiers, "TRAINING_STEPS", 3)
    assert run("classifier", "digits", "--output", "own.weights.h5") == 0
    output = capsys.readouterr().out
    assert digest(somewhere / "own.weights.h5") in output
    assert CHECKSUMS["digits"] in output
    assert "Test accuracy: " in output


WRONG = {
    "absent": (["generate", "absent"], "absent is not a run folder"),
    "unfinished": (
        ["generate", "{runs}/half"],
        "is not finished; finish the run with:  python train.py --resume",
    ),
    "no GAN": (["generate", "{runs}/broken"], "cannot be loaded"),
    "no such digit": (["generate", "{runs}/one", "--class", "10"], "has the classes 0 to 9. Received: 10"),
    "no such digit of ours": (["generate", "--class", "10"], "the generator in the package has the classes"),
    "no digits": (["generate", "{runs}/bare", "--class", "1"], "trained without labels"),
    "existing folder": (["generate", "{runs}/one", "--output", "."], "exists: name a new folder"),
    "no format": (["generate", "{runs}/one", "--output", "a.jpg"], "must end in .png or .npy"),
    "nowhere": (["generate", "{runs}/one", "--output", "{runs}/one/config.json/a.png"], "config.json: "),
    "a folder": (["generate", "{runs}/one", "--output", "{runs}/folder.png"], "/folder.png: "),
    "empty settings": (["compare", "{runs}/empty"], "settings or data are missing"),
    "a torn picture": (["compare", "{runs}/torn"], "epoch_0001.png is damaged"),
    "other data": (["evaluate", "{runs}/one", "--dataset", "other.npz"], "the checksums differ"),
    "no data": (["evaluate", "{runs}/one", "--dataset", "absent"], "No such dataset"),
    "no picture": (["compare", "{runs}/one", "--output", "table.txt"], "must end in .png"),
    "no history": (["compare", "{runs}/half"], "history.csv"),
    "no labels": (["classifier", "other.npz", "--output", "a.weights.h5"], "has no labels"),
    "no weights": (["classifier", "digits", "--output", "a.h5"], "must end in .weights.h5"),
}


@pytest.mark.parametrize("arguments, message", WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_gets_one_line(runs, capsys, arguments, message):
    for name in ("half", "broken"):
        (runs / name).mkdir(exist_ok=True)
        shutil.copy(runs / "one" / "config.json", runs / name)
    (runs / "empty").mkdir(exist_ok=True)
    (runs / "folder.png").mkdir(exist_ok=True)
    RunFolder(runs / "empty").write_config({})
    shutil.copytree(runs / "one", runs / "torn", dirs_exist_ok=True)
    (runs / "torn" / "samples" / "epoch_0001.png").write_bytes(b"PNG")
    (runs / "broken" / "gan.keras").write_bytes(b"no zip")
    np.savez("other.npz", x_train=np.zeros((20, 8, 8, 1), np.uint8))
    assert run(*(argument.format(runs=runs) for argument in arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("python -m gan: error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    "arguments",
    [[], ["draw"], ["generate", "a", "--count", "0"], ["generate", "a", "--dig", "1"],
     ["compare"], ["evaluate", "a", "--seed", "-1"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_flags_exit_with_2(arguments, capsys):
    assert run(*arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_evaluate_follows_links(runs, somewhere):
    shutil.copytree(runs / "one", runs / "linked")
    shutil.rmtree(runs / "linked" / "evaluation", ignore_errors=True)  # another test may have made it
    (runs / "linked" / "evaluation").symlink_to(somewhere)
    assert run("evaluate", runs / "linked", "--quick") == 0
    assert sorted(path.name for path in somewhere.iterdir()) == ["nearest.png", "report.json"]


def test_a_process_of_its_own_is_quiet(runs, somewhere):
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(train.__file__)}
    del environment["TF_CPP_MIN_LOG_LEVEL"]
    command = [sys.executable, "-m", "gan", "generate", str(runs / "one"), "--seed", "1", "--output", "a.npy"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (process.returncode, without_tensorflow(process.stderr)) == (0, "")
    assert np.load("a.npy").shape == (100, 28, 28, 1)


def test_another_package_that_imports_gan_is_run_by_its_name(somewhere):
    (somewhere / "mine").mkdir()
    (somewhere / "mine" / "__init__.py").write_text("from gan import GAN")
    (somewhere / "mine" / "__main__.py").write_text("print(__import__('mine').GAN.__name__)")
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(train.__file__)}
    command = [sys.executable, "-m", "mine", "gan"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert process.stdout == "GAN\n", process.stderr


def test_the_same_run_twice_has_no_spread(runs, capsys):
    assert run("compare", runs / "one", runs / "one", runs / "two") == 0
    assert "2 seeds, mean" in capsys.readouterr().out


def test_evaluate_prints_its_report_where_it_cannot_keep_it(runs, capsys):
    shutil.copytree(runs / "one", runs / "blocked")
    shutil.rmtree(runs / "blocked" / "evaluation", ignore_errors=True)
    (runs / "blocked" / "evaluation").write_text("in the way")
    assert run("evaluate", runs / "blocked", "--quick") == 0
    captured = capsys.readouterr()
    assert "Fréchet distance" in captured.out
    assert "NOTICE: the report was not saved in " in captured.err


def test_importing_gan_is_enough_to_load(runs):
    code = f"import gan, keras; print(keras.saving.load_model({str(runs / 'one' / 'gan.keras')!r}).metrics)"
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(train.__file__)}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert "frechet_distance" in process.stdout


def test_a_class_is_found_in_both_forms_of_unicode():
    """A Mac may give a name with separate accents."""
    for form in ("NFC", "NFD"):
        source = Source("a run", None, 2, ["a", "n\u00e9"])
        assert source.find_class(unicodedata.normalize(form, "né")) == 1
