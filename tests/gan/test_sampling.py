"""Tests drawing from any generator, and the trained generator in the package."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import without_tensorflow
from gan import __main__ as program
from gan import build_generator, sampling
from gan.metrics import load_classifier
from gan.metrics.features import extract
from gan.recipes import RECIPES
from gan.sampling import blend_classes, draw, interpolate, load_trained_generator


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
            program.main(["generate", "--class", str(digit), "--seed", "0", "--output", f"{digit}.npy"]) == 0
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
    command = [sys.executable, "-m", "gan", "generate", "--class", "4"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (process.returncode, without_tensorflow(process.stderr)) == (0, "")
    assert process.stdout.startswith("100 images: generated.png (--seed ")


def test_a_damaged_file_gets_one_line(somewhere, monkeypatch, capsys):
    (somewhere / "damaged.keras").write_bytes(sampling.FILE.read_bytes()[:-1])
    monkeypatch.setattr(sampling, "FILE", somewhere / "damaged.keras")
    assert program.main(["generate"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "reinstall the package" in error
    assert not (somewhere / "generated.png").exists()


def build_one_hot_generator():
    """Builds a conditional generator without an embedding."""
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    choice = keras.layers.CategoryEncoding(3, output_mode="one_hot")(labels)
    pixels = keras.layers.Dense(64, "tanh")(keras.layers.Concatenate()([latents, choice]))
    return keras.Model([latents, labels], keras.layers.Reshape((8, 8, 1))(pixels))


class Subclassed(keras.Model):
    """A generator that is not a functional model."""

    def __init__(self, is_conditional=False):
        super().__init__()
        self.dense = keras.layers.Dense(64, "tanh")
        self.image = keras.layers.Reshape((8, 8, 1))
        if is_conditional:
            self.embedding = keras.layers.Embedding(3, 4)

    def call(self, inputs):
        if isinstance(inputs, list):
            latents, labels = inputs
            inputs = latents + self.embedding(labels)
        return self.image(self.dense(inputs))


def test_any_generator_draws_in_batches(monkeypatch):
    subclassed, conditional = Subclassed(), Subclassed(is_conditional=True)
    subclassed(np.zeros((1, 4), np.float32))
    conditional([np.zeros((1, 4), np.float32), np.zeros(1, np.int32)])
    for generator, labels in (
        (build_generator((8, 8, 1), 4, base_filters=2), None),
        (build_generator((8, 8, 1), 4, 3, base_filters=2), np.arange(7) % 3),
        (build_one_hot_generator(), [0, 1, 2, 0, 1, 2, 0]),
        (subclassed, None),
        (conditional, np.arange(7) % 3),
    ):
        monkeypatch.setattr(sampling, "BATCH_SIZE", 500)
        images = draw(generator, 7, labels, seed=1)
        assert (images.shape, images.dtype) == ((7, 8, 8, 1), np.uint8)
        monkeypatch.setattr(sampling, "BATCH_SIZE", 3)
        difference = draw(generator, 7, labels, seed=1).astype(int) - images
        assert np.abs(difference).max() <= 1
        assert draw(generator, 0, labels if labels is None else []).shape == (0, 8, 8, 1)


@pytest.mark.parametrize(
    "labels, message",
    [
        (None, "A conditional generator needs `labels`: 2 integers"),
        ([0], r"shape \(2,\), one for each image. Received: \(1,\)"),
        ([0.0, 1.5], "Labels must be integers. Received: float64"),
        (["0", "1"], "Labels must be integers"),
        ([0, 3], r"Labels must lie in 0..2. Received: labels from 0 to 3"),
        ([-1, 2], "Labels must lie in 0..2. Received: labels from -1 to 2"),
        ([0, 2**32 + 1], "Received: labels from 0 to 4294967297"),
    ],
    ids=str,
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        draw(build_generator((8, 8, 1), 4, 3, base_filters=2), 2, labels)


def test_labels_of_a_generator_that_does_not_tell_its_classes():
    for labels in ([0, -1], [0, 2**32 + 1]):
        with pytest.raises(ValueError, match="Labels must lie in"):
            draw(build_one_hot_generator(), 2, labels)


def test_what_is_no_generator_is_refused():
    with pytest.raises(ValueError, match="need a conditional generator"):
        draw(build_generator((8, 8, 1), 4, base_filters=2), 2, [0, 1])
    with pytest.raises(ValueError, match="must be built"):
        draw(Subclassed(), 2)


def test_many_generators_draw_without_a_warning_of_retracing(caplog, monkeypatch):
    monkeypatch.setattr(tf.get_logger(), "propagate", True)
    for _ in range(6):
        draw(build_generator((8, 8, 1), 4, base_filters=2, depth=0), 2)
    assert "retracing" not in caplog.text


def test_interpolated_latents_lie_on_the_circle_through_both():
    start, end = np.random.default_rng(0).standard_normal((2, 50), np.float32)
    way = interpolate(start, end, np.linspace(0, 1, 5))
    np.testing.assert_allclose(way[[0, -1]], [start, end], atol=1e-6)
    unit = [one / np.linalg.norm(one) for one in (start, end)]
    way = interpolate(*unit, np.linspace(0, 1, 9))
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.diff(np.linalg.norm(np.diff(way, axis=0), axis=1)), 0, atol=1e-6)


@pytest.mark.parametrize("factor", [1, -1, 3])
def test_latents_of_one_direction_are_interpolated_along_a_line(factor):
    start = np.ones(4, np.float32)
    middle = interpolate(start, factor * start, np.array([0.5]))[0]
    np.testing.assert_allclose(middle, (1 + factor) / 2 * start)


@pytest.mark.parametrize("shape", [(28, 28, 1), (30, 30, 3)])
def test_blended_classes_agree_with_labels(shape):
    generator = build_generator(shape, 4, 3, base_filters=2)
    generator.set_weights(
        [np.random.default_rng(0).uniform(0.1, 1, w.shape) for w in generator.get_weights()]
    )
    latents = np.random.default_rng(0).standard_normal((3, 4), np.float32)
    blended = blend_classes(generator)
    drawn = generator.predict([latents, np.arange(3)], verbose=0)
    np.testing.assert_array_equal(blended.predict([latents, np.eye(3)], verbose=0), drawn)
    halves = blended.predict([latents, np.full((3, 3), 1 / 3)], verbose=0)
    assert np.isfinite(halves).all() and not np.array_equal(halves, drawn)


@pytest.mark.parametrize(
    "make, message",
    [
        (build_one_hot_generator, "labels in the layers category_encoding"),
        (
            lambda: build_generator((8, 8, 1), 4, base_filters=2),
            "generator without labels, or not functional",
        ),
        (Subclassed, "without labels, or not functional"),
    ],
)
def test_generators_that_cannot_be_blended_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        blend_classes(make())


def test_a_terminal_shows_how_much_is_drawn(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sampling, "BATCH_SIZE", 2)
    generator = build_generator((8, 8, 1), 4, base_filters=2)
    draw(generator, 5, verbose=1)
    output = capsys.readouterr()
    assert output.out == "" and "3/3" in output.err
    draw(generator, 5)
    assert capsys.readouterr() == ("", "")
