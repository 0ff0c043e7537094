"""Tests Doctor: its rows, and where its remarks go. tests/gan/test_health.py tests the rules."""

import json
import math

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks import Doctor
from conftest import BATCH_SIZE, STEPS, fit, make_dataset, make_gan, make_images, make_labels
from gan.data import pipeline
from gan.health import DIVERGENCE, RANGE, count_different
from gan.notice import Notice

IMAGES, LABELS = make_images(), make_labels()
HALF = (IMAGES / 255).astype(np.float32)  # the wrong range [0, 1]


def train_on_half_range(doctor, epochs=1):
    """Trains a tiny GAN on images in [0, 1], the one cause that every training shows after an epoch."""
    data = pipeline(HALF, batch_size=BATCH_SIZE, seed=5)
    make_gan().fit(data, steps_per_epoch=STEPS, epochs=epochs, verbose=0, callbacks=[doctor])
    return doctor


def test_a_row_holds_the_numbers_of_the_epoch():
    gan = make_gan(num_classes=3)
    doctor = Doctor((IMAGES, LABELS), (IMAGES[:33], LABELS[:33]), count=33, seed=4)
    history = fit(gan, epochs=2, callbacks=[doctor]).history
    row = doctor.rows[1]
    assert (row["epoch"], row["steps"]) == (2, 2 * STEPS)
    assert [row["d_loss"], row["g_loss"]] == pytest.approx(
        [history["d_loss"][1], history["g_loss"][1]], rel=1e-5
    )
    assert "penalty" not in row and "val_frechet_distance" not in row
    assert row["generator_rate"] == pytest.approx(2e-3)
    rows = np.linspace(0, 39, 33).round().astype(int)
    floats, labels = (IMAGES[rows] / 127.5 - 1).astype(np.float32), LABELS[rows]
    latents = np.random.default_rng(4).standard_normal((33, 4), np.float32)
    samples = gan.generator([latents, labels]).numpy()
    for name, images, some in (
        ("training", floats, labels),
        ("generated", samples, labels),
        ("test", (IMAGES[:33] / 127.5 - 1).astype(np.float32), LABELS[:33]),
    ):
        logits = gan.discriminator([images, some]).numpy()
        expected = [logits.mean(), logits.std()]
        np.testing.assert_allclose([row[f"{name}_logits"], row[f"{name}_spread"]], expected, rtol=1e-4)
    assert row["generated_variety"] == pytest.approx(count_different(samples, floats), rel=1e-3)


def test_the_distance_and_the_penalty_are_in_the_row_if_they_are_measured():
    gan = make_gan(penalty="r1")
    doctor = Doctor((IMAGES, None))
    distances = iter([3.0, 2.0, 4.0])

    class Measured(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_frechet_distance"] = next(distances)

    fit(gan, epochs=3, callbacks=[Measured(), doctor])
    assert [row["val_frechet_distance"] for row in doctor.rows] == [3, 2, 4]
    assert all(row["penalty"] >= 0 for row in doctor.rows)
    # uint8 images cannot have a wrong range
    assert not {"test_logits", "test_spread", "training_minimum"} & doctor.rows[0].keys()


def test_few_test_images_and_the_range_of_floats():
    doctor = Doctor(((IMAGES / 127.5 - 1).astype(np.float32), LABELS), (IMAGES[:31], LABELS[:31, np.newaxis]))
    fit(make_gan(num_classes=3), callbacks=[doctor])
    assert (doctor.rows[0]["training_minimum"], doctor.rows[0]["training_maximum"]) == (-1, 1)
    assert "test_logits" not in doctor.rows[0]  # the mean of 31 logits is too uncertain


def test_rates_of_optimizers_without_adaptive_steps_are_left_out():
    doctor = Doctor((IMAGES, None))
    fit(make_gan(generator_optimizer=keras.optimizers.SGD(0.1)), callbacks=[doctor])
    assert not {"generator_rate", "discriminator_rate"} & doctor.rows[0].keys()


def test_a_remark_goes_to_the_terminal_the_file_and_tensorboard(tmp_path, capsys):
    folder, file = tmp_path / "logs", tmp_path / "doctor.json"
    doctor = train_on_half_range(Doctor((HALF, None), file=file, log_dir=folder), epochs=2)
    (remark,) = doctor.remarks
    assert (remark.cause, remark.epoch, remark.since_epoch) == (RANGE, 1, 1)
    assert capsys.readouterr().out == f"\n{remark}\n\n"
    stored = json.loads(file.read_text("utf-8"))
    assert stored == {"remarks": [vars(remark)], "rows": doctor.rows}
    events = EventAccumulator(str(folder)).Reload()
    (event,) = events.Tensors("doctor")
    assert event.step == 1
    assert event.tensor_proto.string_val[0].decode() == remark.to_markdown()


def test_verbose_0_and_a_healthy_training_print_nothing(capsys):
    assert train_on_half_range(Doctor((HALF, None), verbose=0)).remarks
    doctor = Doctor((IMAGES, None))
    fit(make_gan(), epochs=2, callbacks=[doctor])
    assert doctor.remarks == []
    assert capsys.readouterr().out == ""


def test_numbers_that_are_not_finite_are_null_in_the_file(tmp_path):
    gan = make_gan()
    for weight in gan.discriminator.trainable_variables:
        weight.assign(np.full_like(weight.numpy(), np.nan))
    doctor = Doctor((IMAGES, None), file=tmp_path / "doctor.json", verbose=0)
    fit(gan, callbacks=[doctor])
    assert [remark.cause for remark in doctor.remarks] == [DIVERGENCE]
    row = json.loads((tmp_path / "doctor.json").read_text("utf-8"), parse_constant=pytest.fail)["rows"][0]
    assert row["d_loss"] is None and row["epoch"] == 1


def test_a_resumed_fit_continues_the_rows(tmp_path):
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    fit(make_gan(), epochs=3, callbacks=[Doctor((IMAGES, None), file=whole)])
    gan = make_gan()
    fit(gan, epochs=2, callbacks=[Doctor((IMAGES, None), file=parts)])
    fit(gan, epochs=3, start_step=2 * STEPS, callbacks=[Doctor((IMAGES, None), file=parts)])
    assert parts.read_bytes() == whole.read_bytes()


def test_a_row_of_a_later_epoch_or_of_a_damaged_file_is_not_kept(tmp_path):
    file = tmp_path / "doctor.json"
    rows = [{"epoch": epoch, "d_loss": None} for epoch in (1, 2, 3)]
    edited = json.dumps({"rows": [{"epoch": 1, "d_loss": "x"}]})
    for text, kept in (
        (json.dumps({"rows": rows}), [1, 2]),
        ('{"rows": [', [2]),
        ('{"rows": [[1]]}', [2]),
        (edited, [2]),
    ):
        file.write_text(text, "utf-8")
        doctor = Doctor((IMAGES, None), file=file, verbose=0)
        fit(make_gan(), epochs=2, start_step=STEPS, callbacks=[doctor])
        assert [row["epoch"] for row in doctor.rows] == kept
    assert not math.isnan(doctor.rows[0]["d_loss"])


def test_a_long_training_keeps_its_rows(tmp_path):
    row = {f"number_{index}": 1 / 3 for index in range(20)}
    rows = [{"epoch": epoch} | row for epoch in range(1, 3001)]
    file = tmp_path / "doctor.json"
    file.write_text(json.dumps({"rows": rows}), "utf-8")
    assert file.stat().st_size > 1 << 20
    doctor = Doctor((IMAGES, None), file=file)
    length = {"initial_epoch": 3000, "epochs": 3001, "steps_per_epoch": STEPS}
    make_gan().fit(make_dataset(), **length, verbose=0, callbacks=[doctor])
    assert [row["epoch"] for row in doctor.rows] == [*range(1, 3002)]


def test_without_a_file_a_continued_fit_keeps_the_rows_in_memory():
    doctor = Doctor((IMAGES, None))
    gan = make_gan()
    fit(gan, epochs=2, callbacks=[doctor])
    fit(gan, epochs=3, start_step=2 * STEPS, callbacks=[doctor])
    assert [row["epoch"] for row in doctor.rows] == [1, 2, 3]
    fit(gan, epochs=1, callbacks=[doctor])  # a new training
    assert [row["epoch"] for row in doctor.rows] == [1]


def test_a_file_that_cannot_be_written_does_not_end_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    doctor = Doctor((IMAGES, None), file=tmp_path / "file" / "doctor.json")
    with pytest.warns(Notice, match="was not written"):
        fit(make_gan(), epochs=2, callbacks=[doctor])
    assert len(doctor.rows) == 2


def test_the_folder_of_the_file_is_created(tmp_path):
    fit(make_gan(), callbacks=[Doctor((IMAGES, None), file=tmp_path / "a" / "b" / "doctor.json")])
    assert (tmp_path / "a" / "b" / "doctor.json").is_file()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 0}, "`count` must be a whole number"),
        ({"file": "gs://bucket/doctor.json"}, "local folders only"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Doctor((IMAGES, None), **arguments)


@pytest.mark.parametrize(
    "data, message",
    [
        ((IMAGES, None), "needs labels"),
        ((IMAGES, LABELS + 1), "must lie in 0..2"),
        ((IMAGES, LABELS[:5]), "one label for each image"),
        ((IMAGES[:, :4], LABELS), "shape of the model's images"),
        (IMAGES, r"must be \(images, labels\)"),
        ((IMAGES,), r"must be \(images, labels\)"),
    ],
)
def test_wrong_data_are_refused_before_training(data, message):
    gan = make_gan(num_classes=3)
    with pytest.raises(ValueError, match=message):
        gan.fit(make_dataset(3), steps_per_epoch=STEPS, verbose=0, callbacks=[Doctor(data)])
    assert int(gan.step.numpy()) == 0
