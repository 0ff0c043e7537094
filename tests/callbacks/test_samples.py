"""Tests SampleGrid, TensorBoardSamples and the code that they share."""

import os
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageSequence
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import ProgressBar, SampleGrid, TensorBoardSamples
from conftest import STEPS, both_kinds, fit, make_dataset, make_gan, make_images, size_of


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels(path):
    return np.asarray(Image.open(path))


def summaries(folder):
    """Returns the image summaries in a folder as {tag: {step: picture}}."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return {
        tag: {
            event.step: tf.io.decode_png(tf.make_ndarray(event.tensor_proto)[2]).numpy()
            for event in events.Tensors(tag)
        }
        for tag in events.Tags()["tensors"]
    }


@both_kinds
def test_grid_writes_every_epoch_before_training_too(gan, tmp_path):
    fit(gan, epochs=2, callbacks=[SampleGrid(tmp_path / "new" / "folder", columns=4, scale=1)])
    folder = tmp_path / "new" / "folder"
    assert names_in(folder) == ["epoch_0000.png", "epoch_0001.png", "epoch_0002.png", "epochs.gif"]
    rows = gan.num_classes or 10
    assert pixels(folder / "epoch_0002.png").shape == (rows * 10 - 2, 4 * 10 - 2)
    assert not np.array_equal(pixels(folder / "epoch_0001.png"), pixels(folder / "epoch_0002.png"))


def test_small_images_are_enlarged_and_a_resumed_fit_keeps_the_scale(tmp_path):
    fit(make_gan(), callbacks=[SampleGrid(tmp_path / "one", rows=2, columns=2, scale=3)])
    fit(make_gan(), epochs=2, start_step=STEPS, callbacks=[SampleGrid(tmp_path / "one", rows=2, columns=2)])
    fit(make_gan(), callbacks=[SampleGrid(tmp_path / "two", rows=2, columns=2)])
    for name in ("epoch_0000.png", "epoch_0002.png", "epochs.gif"):
        assert size_of(tmp_path / "one" / name) == (54, 54)
    assert size_of(tmp_path / "two" / "epoch_0001.png") == (7 * 18, 7 * 18)
    square = pixels(tmp_path / "two" / "epoch_0001.png")[:7, :7]
    assert (square == square[0, 0]).all()


def test_the_film_shows_every_epoch(tmp_path):
    fit(make_gan(), epochs=3, callbacks=[SampleGrid(tmp_path, columns=2, rows=2, scale=1)])
    with Image.open(tmp_path / "epochs.gif") as film:
        assert film.n_frames == 4
        assert film.size == (18, 18)
        film.seek(3)
        np.testing.assert_array_equal(np.asarray(film.convert("L")), pixels(tmp_path / "epoch_0003.png"))


def test_the_same_latents_at_every_epoch(tmp_path):
    decoder = keras.Sequential([keras.Input((5,)), keras.layers.Dense(16, "tanh")])
    decoder.add(keras.layers.Reshape((4, 4, 1)))
    decoder.compile(keras.optimizers.SGD(0.0), "mse")  # its weights never change, so its samples must not
    latents, images = np.zeros((8, 5), np.float32), np.zeros((8, 4, 4, 1), np.float32)
    decoder.fit(latents, images, epochs=2, verbose=0, callbacks=[SampleGrid(tmp_path)])
    for epoch in (1, 2):
        np.testing.assert_array_equal(
            pixels(tmp_path / "epoch_0000.png"), pixels(tmp_path / f"epoch_{epoch:04d}.png")
        )


def test_a_row_for_each_class(tmp_path):
    gan = make_gan(3)
    grid = SampleGrid(tmp_path, columns=5, scale=1)
    fit(gan, callbacks=[grid])
    expected = gan([grid.latents, np.repeat([0, 1, 2], 5)])
    row = (np.asarray(expected[5:10]) + 1) * 127.5  # class 1
    shown = pixels(tmp_path / "epoch_0001.png")[10:18, :].reshape(8, -1)
    np.testing.assert_allclose(shown[:, :8], row[0, ..., 0], atol=0.51)
    np.testing.assert_allclose(shown[:, 10:18], row[1, ..., 0], atol=0.51)


def test_off_epochs_write_nothing(tmp_path):
    fit(make_gan(), epochs=3, callbacks=[SampleGrid(tmp_path, every_n_epochs=2)])
    assert names_in(tmp_path) == ["epoch_0000.png", "epoch_0002.png", "epochs.gif"]


def test_a_resumed_fit_goes_on_with_the_numbers(tmp_path):
    gan = make_gan()
    fit(gan, epochs=1, callbacks=[SampleGrid(tmp_path)])
    first = (tmp_path / "epoch_0000.png").stat().st_mtime_ns
    fit(gan, epochs=2, start_step=STEPS, callbacks=[SampleGrid(tmp_path)])
    assert (tmp_path / "epoch_0000.png").stat().st_mtime_ns == first
    assert "epoch_0002.png" in names_in(tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_real_images_in_either_range(tmp_path, dtype):
    real = make_images() if dtype == np.uint8 else make_images().astype(dtype) / 127.5 - 1
    fit(make_gan(), callbacks=[SampleGrid(tmp_path, columns=3, rows=2, scale=1, real_images=real)])
    grid = pixels(tmp_path / "real.png")
    assert grid.shape == pixels(tmp_path / "epoch_0000.png").shape
    np.testing.assert_array_equal(grid[:8, :8], make_images()[0, ..., 0])


def test_tensorboard_shows_samples_and_real_images(gan, tmp_path):
    real = make_images()
    fit(gan, epochs=2, callbacks=[TensorBoardSamples(tmp_path, columns=3, rows=2, scale=1, real_images=real)])
    shown = summaries(tmp_path)
    assert sorted(shown) == ["samples/generated", "samples/real"]
    assert sorted(shown["samples/generated"]) == [0, 1, 2]
    np.testing.assert_array_equal(shown["samples/real"][0][:8, :8, 0], real[0, ..., 0])


def test_tensorboard_has_each_epoch_as_soon_as_it_is_done(tmp_path):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(sorted(summaries(tmp_path)["samples/generated"]))

    fit(make_gan(), epochs=2, callbacks=[TensorBoardSamples(tmp_path), Look()])
    assert seen == [[0, 1], [0, 1, 2]]


def test_both_show_the_same_samples(tmp_path):
    grid, board = (SampleGrid(tmp_path / "png", rows=2), TensorBoardSamples(tmp_path / "logs", rows=2))
    fit(make_gan(), callbacks=[grid, board])
    shown = summaries(tmp_path / "logs")["samples/generated"][1][..., 0]
    np.testing.assert_array_equal(shown, pixels(tmp_path / "png" / "epoch_0001.png"))


def test_a_long_film_opens_one_picture_at_a_time(tmp_path):
    resource = pytest.importorskip("resource")
    grid = SampleGrid(tmp_path)
    for epoch in range(60):
        grid.show_samples(epoch, np.full((2, 2, 1), epoch, np.uint8))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 20, limits[1]))
    try:
        grid.on_train_end()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with Image.open(tmp_path / "epochs.gif") as film:
        assert film.n_frames == 60


def test_the_film_has_the_order_of_the_epochs_and_leaves_out_what_is_damaged(tmp_path):
    grid = SampleGrid(tmp_path)
    for epoch in (9999, 10000, 2):
        grid.show_samples(epoch, np.full((2, 2, 1), epoch // 50, np.uint8))
    (tmp_path / "epoch_0004.png").write_bytes((tmp_path / "epoch_0002.png").read_bytes()[:40])
    (tmp_path / "epoch_of_mine.png").touch()
    with pytest.warns(UserWarning, match=r"epoch_0004.png is left out of epochs.gif: "):
        grid.on_train_end()
    with Image.open(tmp_path / "epochs.gif") as film:
        frames = [np.asarray(frame.convert("L"))[0, 0] for frame in ImageSequence.Iterator(film)]
    assert frames == [0, 199, 200]


def test_the_progress_bar_fits_into_80_columns(capsys):
    bar = ProgressBar(["d_loss", "g_loss"])
    gan = make_gan()
    gan.fit(make_dataset(), steps_per_epoch=STEPS, epochs=1, verbose=1, callbacks=[bar])
    lines = [re.sub("\x1b[^m]*m", "", line) for line in re.split("[\r\n\b]", capsys.readouterr().out)]
    assert any("d_loss: " in line and "g_loss: " in line for line in lines)
    assert not any("logits" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_any_keras_model_from_latents_to_images_will_do(tmp_path):
    decoder = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(48, "tanh"), keras.layers.Reshape((4, 4, 3))]
    )
    decoder.compile("sgd", "mse")
    latents, images = np.zeros((8, 5), np.float32), np.zeros((8, 4, 4, 3), np.float32)
    callbacks = [SampleGrid(tmp_path, columns=2, scale=1), TensorBoardSamples(tmp_path / "logs")]
    decoder.fit(latents, images, verbose=0, callbacks=callbacks)
    assert pixels(tmp_path / "epoch_0001.png").shape == (10 * 6 - 2, 2 * 6 - 2, 3)


@pytest.mark.parametrize("arguments", [{"columns": 0}, {"rows": -1}, {"every_n_epochs": 1.5}])
def test_arguments_are_checked(arguments):
    name = next(iter(arguments))
    with pytest.raises(ValueError, match=f"`{name}` must be a whole number of at least 1"):
        SampleGrid("folder", **arguments)
