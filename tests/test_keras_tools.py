"""Tests that standard Keras tools have their documented effect on both players in a real `fit`."""

import csv
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import STEPS, assert_same_state, fit, make_dataset, make_gan

OWN_PROJECT = (Path(__file__).parents[1] / "docs" / "own-project.md").read_text("utf-8")
RATES = ("learning_rate_generator", "learning_rate_discriminator")


def rates(gan):
    return [float(player.learning_rate.numpy()) for player in gan.optimizer.optimizers]


def poison(network):
    """Makes the outputs of a network NaN."""
    for variable in network.trainable_variables:
        variable.assign(np.full(variable.shape, np.nan))


class Interrupt(keras.callbacks.Callback):
    """Raises KeyboardInterrupt in the middle of an epoch, as Ctrl-C does."""

    def __init__(self, epoch):
        super().__init__()
        self.interrupted_epoch, self.epoch = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.interrupted_epoch and batch == 1:
            raise KeyboardInterrupt


def test_learning_rate_scheduler_sets_and_logs_both(gan):
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    gan.compile(keras.optimizers.Adam(4e-4), keras.optimizers.Adam(8e-4))
    history = fit(gan, epochs=2, callbacks=[scheduler]).history
    assert rates(gan) == pytest.approx([1e-4, 2e-4])
    assert history[RATES[0]] == pytest.approx([2e-4, 1e-4])
    assert history[RATES[1]] == pytest.approx([4e-4, 2e-4])


def test_learning_rate_scheduler_of_the_epoch_alone(gan):
    fit(gan, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 1e-5)])
    assert rates(gan) == pytest.approx([1e-5, 1e-5])


def test_rates_under_float16_change_and_are_logged_alike(num_classes, mixed_float16):
    gan = make_gan(num_classes)
    gan.compile(keras.optimizers.Adam(4e-4), keras.optimizers.Adam(8e-4))
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    plateau = keras.callbacks.ReduceLROnPlateau("d_loss", 0.1, patience=1, min_delta=1e9, mode="min")
    history = fit(gan, epochs=2, callbacks=[scheduler, plateau]).history
    assert history[RATES[0]] == pytest.approx([2e-4, 1e-4])
    assert history[RATES[1]] == pytest.approx([4e-4, 2e-4])
    assert rates(gan) == pytest.approx([1e-5, 2e-5])


@pytest.mark.parametrize("scheduled", [(0,), (1,), (0, 1)], ids=["generator", "discriminator", "both"])
def test_schedules_are_followed_and_cannot_be_set(num_classes, scheduled):
    halving = keras.optimizers.schedules.ExponentialDecay(1e-3, STEPS, 0.5)
    players = [keras.optimizers.Adam(halving if who in scheduled else 1e-3) for who in (0, 1)]
    gan = make_gan(num_classes, generator_optimizer=players[0], discriminator_optimizer=players[1])
    expected = [5e-4 if who in scheduled else 1e-3 for who in (0, 1)]
    fit(gan)

    def read():
        return [
            float(keras.ops.convert_to_numpy(player.learning_rate)) for player in gan.optimizer.optimizers
        ]

    assert read() == pytest.approx(expected)
    with pytest.raises(TypeError, match="not settable"):
        gan.optimizer.learning_rate = 1e-6
    assert read() == pytest.approx(expected)
    with pytest.raises(TypeError, match="not settable"):
        fit(gan, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 1e-6)])


def test_a_rate_of_zero_stops_both(gan):
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    before = [v.numpy() for v in gan.trainable_variables]
    fit(gan, callbacks=[scheduler])
    for old, new in zip(before, gan.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_reduce_lr_on_plateau_reduces_both(gan):
    plateau = keras.callbacks.ReduceLROnPlateau("d_loss", 0.1, patience=1, min_delta=1e9, mode="min")
    gan.compile(keras.optimizers.Adam(1e-3), keras.optimizers.Adam(2e-3))
    history = fit(gan, epochs=2, callbacks=[plateau]).history
    assert rates(gan) == pytest.approx([1e-4, 2e-4])
    assert RATES[1] in history


def test_tensorboard_logs_both_rates_and_the_speed(gan, tmp_path):
    board = keras.callbacks.TensorBoard(tmp_path, write_steps_per_second=True, histogram_freq=1)
    fit(gan, epochs=2, callbacks=[board])
    events = EventAccumulator(str(tmp_path / "train"), size_guidance={"tensors": 0}).Reload()
    read = {
        tag: [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in (*(f"epoch_{rate}" for rate in RATES), "epoch_loss", "epoch_steps_per_second")
    }
    assert read["epoch_learning_rate_generator"] == pytest.approx([2e-3, 2e-3])
    assert read["epoch_learning_rate_discriminator"] == pytest.approx([2e-3, 2e-3])
    assert len(read["epoch_loss"]) == 2
    assert min(read["epoch_steps_per_second"]) > 0


@pytest.mark.parametrize("steps_per_execution", [1, 3])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_terminate_on_nan_sees_either_player(num_classes, player, steps_per_execution):
    gan = make_gan(num_classes, steps_per_execution=steps_per_execution)
    poison(getattr(gan, player))
    history = fit(gan, epochs=3, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history.epoch) == 1
    assert int(gan.step) == steps_per_execution
    assert math.isnan(history.history["loss"][0])


def test_terminate_on_nan_sees_the_generator_alone():
    class PoisonsTheGenerator:
        def discriminator_loss(self, real_logits, fake_logits):
            return tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)

        def generator_loss(self, real_logits, fake_logits):
            return tf.reduce_mean(fake_logits) * np.nan

    gan = make_gan(loss=PoisonsTheGenerator())
    history = fit(gan, epochs=3, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history.epoch) == 1


def test_terminate_on_nan_sees_one_that_passes_within_an_execution():
    class NaNOnce:
        """A loss that is NaN at the second of three steps in an execution, and finite at the other steps."""

        def __init__(self):
            self.step = None

        def discriminator_loss(self, real_logits, fake_logits):
            factor = tf.where(tf.equal(self.step.value, 1), np.nan, 0.0)
            return tf.reduce_mean(fake_logits) * tf.cast(factor, tf.float32)

        generator_loss = discriminator_loss

    loss = NaNOnce()
    gan = make_gan(loss=loss, optimizer=keras.optimizers.SGD(0.0), steps_per_execution=3)
    loss.step = gan.step
    history = fit(gan, epochs=3, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history.epoch) == 1


@pytest.mark.exact
def test_model_checkpoint_keeps_a_model_that_goes_on(gan, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    fit(gan, epochs=2, callbacks=[checkpoint])
    earlier = keras.models.load_model(tmp_path / "1.keras")
    fit(earlier, epochs=2, start_step=STEPS)
    assert_same_state(gan, earlier)


@pytest.mark.exact
def test_model_checkpoint_of_weights(gan, num_classes, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    fit(gan, epochs=2, callbacks=[checkpoint])
    earlier = make_gan(num_classes)
    earlier.load_weights(tmp_path / "1.weights.h5")
    fit(earlier, epochs=2, start_step=STEPS)
    assert_same_state(gan, earlier)


def test_early_stopping_restores_both_players(gan, num_classes):
    stopping = keras.callbacks.EarlyStopping(
        "d_loss", min_delta=1e9, patience=2, mode="min", restore_best_weights=True
    )
    history = fit(gan, epochs=9, callbacks=[stopping])
    assert len(history.epoch) == 3
    best = make_gan(num_classes)
    fit(best, epochs=1)
    for one, other in zip(gan.get_weights(), best.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_csv_logger_writes_every_log(gan, tmp_path):
    history = fit(gan, epochs=2, callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")]).history
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for key, values in history.items():
        assert [float(row[key]) for row in rows] == pytest.approx(values)


@pytest.mark.exact
def test_backup_and_restore_goes_on_to_the_same_bits(gan, num_classes, tmp_path):
    uninterrupted = make_gan(num_classes)
    fit(uninterrupted, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        fit(gan, epochs=3, callbacks=[keras.callbacks.BackupAndRestore(tmp_path), Interrupt(epoch=2)])
    resumed = make_gan(num_classes)
    (line,) = [line for line in OWN_PROJECT.splitlines() if line.startswith("epochs_done = json.loads")]
    names = {"json": json, "backup": tmp_path / "training_metadata.json"}
    exec(line, names)
    dataset = make_dataset(num_classes, start_step=names["epochs_done"] * STEPS)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    history = resumed.fit(dataset, steps_per_epoch=STEPS, epochs=3, verbose=0, callbacks=[backup])
    assert history.epoch == [2]
    assert_same_state(uninterrupted, resumed)


def test_swap_ema_weights_swaps_both_players(gan):
    """At the end of an epoch, the networks hold the averages, and the average variables hold the weights."""
    seen = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for player in self.model.optimizer.optimizers:
                pairs = (player._trainable_variables, player._model_variables_moving_average)
                seen.append([[keras.ops.convert_to_numpy(v) for v in variables] for variables in pairs])

    gan.compile(optimizer=keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5))
    fit(gan, epochs=2, callbacks=[Look(), keras.callbacks.SwapEMAWeights(swap_on_epoch=True), Look()])
    generator_before, discriminator_before, generator_after, discriminator_after = seen[:4]  # epoch 1
    for before, after in ((generator_before, generator_after), (discriminator_before, discriminator_after)):
        (weights, averages), (weights_now, averages_now) = before, after
        assert any(not np.allclose(w, a, atol=1e-4) for w, a in zip(weights, averages, strict=True))
        for old, new in zip(averages + weights, weights_now + averages_now, strict=True):
            np.testing.assert_allclose(old, new, atol=1e-6)


def test_swap_ema_weights_without_averages_says_so():
    with pytest.raises(ValueError, match="at least one inner optimizer has `use_ema=True`"):
        fit(make_gan(), callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)])


def test_all_of_them_in_one_fit(gan, tmp_path):
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=1),
        keras.callbacks.TensorBoard(tmp_path / "logs"),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "val_loss", save_best_only=True),
        keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
    ]
    data = make_dataset(gan.num_classes)
    history = fit(gan, epochs=3, validation_data=data, validation_steps=2, callbacks=callbacks)
    assert history.epoch == [0, 1, 2]
    assert max(rates(gan)) < 2e-3
    assert keras.models.load_model(tmp_path / "best.keras").compiled
