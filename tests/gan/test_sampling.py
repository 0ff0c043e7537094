"""The generator that comes with the package: what it draws, and by what command."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gan import __main__ as program
from gan import sampling
from gan.metrics.classifiers import extract, load_classifier
from gan.recipes import RECIPES
from gan.sampling import load_trained_generator


@pytest.fixture(scope="module")
def generator():
    return load_trained_generator()


def test_it_is_of_the_best_recipe_and_small(generator):
    expected = RECIPES["best"].make_gan(num_classes=10).generator
    assert [w.shape for w in generator.weights] == [w.shape for w in expected.weights]
    assert [layer.name for layer in generator.layers] == [layer.name for layer in expected.layers]
    assert sampling.FILE.stat().st_size < 1_500_000


def test_it_draws_the_digit_asked_for(somewhere):
    for digit in range(10):
        assert (
            program.main(["generate", "--digit", str(digit), "--seed", "0", "--output", f"{digit}.npy"]) == 0
        )
    drawn = np.concatenate([np.load(f"{digit}.npy") for digit in range(10)])
    predictions = extract(load_classifier("mnist"), drawn)[1].argmax(1)
    requested = np.arange(10).repeat(100)
    assert (predictions == requested).mean() > 0.98
    assert len(np.unique(drawn, axis=0)) == 1000


def test_without_a_run_the_grid_goes_here(somewhere, capsys):
    assert program.main(["generate"]) == 0
    assert (somewhere / "generated.png").is_file()
    assert capsys.readouterr().out.startswith("100 images: generated.png (--seed ")


@pytest.mark.slow
def test_a_process_of_its_own_draws_too(somewhere, request):
    environment = os.environ | {"PYTHONPATH": str(request.config.rootpath)}
    command = [sys.executable, "-m", "gan", "generate", "--digit", "4"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("100 images: generated.png (--seed ")


def test_a_damaged_file_gets_one_line(somewhere, monkeypatch, capsys):
    (somewhere / "damaged.keras").write_bytes(sampling.FILE.read_bytes()[:-1])
    monkeypatch.setattr(sampling, "FILE", somewhere / "damaged.keras")
    assert program.main(["generate"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "reinstall the package" in error
    assert not (somewhere / "generated.png").exists()
