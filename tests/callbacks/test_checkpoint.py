import json

import keras
import numpy as np
import pytest

from callbacks import Checkpoint, TimeLimit
from conftest import STEPS, assert_same_state, fit, make_gan


class Pretend(keras.callbacks.Callback):
    """Puts chosen values of a metric into the logs, before the checkpoint reads the logs."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["quality"] = self.values[epoch]


def epochs_in(folder):
    manifests = {path.stem for path in folder.glob("*.json")}
    weights = {path.name.removesuffix(".weights.h5") for path in folder.glob("*.weights.h5")}
    assert manifests == weights
    assert not list(folder.glob(".*"))
    return sorted(int(name.removeprefix("epoch_")) for name in manifests)


@pytest.mark.exact
def test_a_restored_model_goes_on_to_the_same_bits(gan, num_classes, tmp_path):
    fit(gan, epochs=3, callbacks=[Checkpoint(tmp_path)])
    (tmp_path / "epoch_0003.json").unlink()  # as if the process died before it wrote this file
    resumed = make_gan(num_classes)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.restore(resumed) == 2
    fit(resumed, epochs=3, start_step=2 * STEPS, callbacks=[checkpoint])
    assert_same_state(gan, resumed)
    assert epochs_in(tmp_path) == [2, 3]


def test_a_checkpoint_of_other_networks_is_named(tmp_path):
    fit(make_gan(num_classes=3), callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(ValueError, match="is not damaged, but belongs to a model with other layers"):
        Checkpoint(tmp_path).restore(make_gan())


def test_nothing_to_restore(tmp_path):
    assert Checkpoint(tmp_path / "absent").restore(make_gan()) == 0


def test_keeps_the_newest(tmp_path):
    fit(make_gan(), epochs=5, callbacks=[Checkpoint(tmp_path, keep=3)])
    assert epochs_in(tmp_path) == [3, 4, 5]


def test_every_n_epochs_and_the_last(tmp_path):
    fit(make_gan(), epochs=5, callbacks=[Checkpoint(tmp_path, every_n_epochs=2, keep=9)])
    assert epochs_in(tmp_path) == [2, 4, 5]


@pytest.mark.parametrize("mode, best", [("min", 2), ("max", 3)])
def test_keeps_the_best(tmp_path, mode, best):
    values = [5.0, 1.0, 9.0, 4.0, 4.0, float("nan")]
    checkpoint = Checkpoint(tmp_path, every_n_epochs=6, keep=1, monitor="quality", mode=mode)
    fit(make_gan(), epochs=6, callbacks=[Pretend(values), checkpoint])
    assert epochs_in(tmp_path) == [best, 6]


def test_the_best_so_far_is_known_after_a_restore(tmp_path):
    gan = make_gan()
    fit(gan, epochs=2, callbacks=[Pretend([1.0, 3.0]), Checkpoint(tmp_path, keep=1, monitor="quality")])
    checkpoint = Checkpoint(tmp_path, keep=1, monitor="quality")
    done = checkpoint.restore(gan)
    values = [None, None, 2.0]
    fit(gan, epochs=3, start_step=done * STEPS, callbacks=[Pretend(values), checkpoint])
    assert epochs_in(tmp_path) == [1, 3]


@pytest.mark.parametrize("suffix", ["json", "weights.h5"])
def test_a_best_one_that_is_damaged_is_told_of_and_best_no_more(tmp_path, suffix):
    values = [1.0, 5.0, 4.0, 2.0]
    fit(make_gan(), epochs=3, callbacks=[Pretend(values), Checkpoint(tmp_path, keep=1, monitor="quality")])
    (tmp_path / f"epoch_0001.{suffix}").write_bytes(b"{}")
    gan, checkpoint = make_gan(), Checkpoint(tmp_path, keep=1, monitor="quality")
    with pytest.warns(UserWarning, match=rf"epoch_0001\.{suffix} is damaged"):
        assert checkpoint.restore(gan) == 3
    fit(gan, epochs=4, start_step=3 * STEPS, callbacks=[Pretend(values), checkpoint])
    assert epochs_in(tmp_path) == [4]


def test_an_unknown_monitor_is_named(tmp_path):
    with pytest.warns(UserWarning, match="'fid' is not in the logs.*d_loss"):
        fit(make_gan(), callbacks=[Checkpoint(tmp_path, monitor="fid")])
    assert epochs_in(tmp_path) == [1]


@pytest.mark.exact
def test_a_damaged_checkpoint_falls_back_with_a_warning(tmp_path):
    fit(make_gan(), epochs=2, callbacks=[Checkpoint(tmp_path)])
    with open(tmp_path / "epoch_0002.weights.h5", "r+b") as file:
        file.seek(1000)
        file.write(b"\xff\xff")
    expected, restored = make_gan(), make_gan()
    fit(expected, epochs=1)
    with pytest.warns(UserWarning, match=r"epoch_0002\.weights\.h5 is damaged"):
        assert Checkpoint(tmp_path).restore(restored) == 1
    assert_same_state(expected, restored)


def test_a_new_training_is_kept_from_pushing_out_an_old_one(tmp_path):
    fit(make_gan(), epochs=2, callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(ValueError, match="contains checkpoints up to epoch 2, but training starts at 0"):
        fit(make_gan(), epochs=1, callbacks=[Checkpoint(tmp_path)])
    assert epochs_in(tmp_path) == [1, 2]


def test_training_taken_up_from_before_supersedes_what_came_after(tmp_path):
    gan, checkpoint = make_gan(), Checkpoint(tmp_path)
    fit(gan, epochs=3, callbacks=[checkpoint])
    fit(gan, epochs=1, callbacks=[checkpoint])  # epochs count from 0 again
    assert epochs_in(tmp_path) == [1]
    assert checkpoint.restore(make_gan()) == 1


def test_a_state_that_is_not_finite_is_never_saved(tmp_path):
    gan = make_gan()
    fit(gan, callbacks=[Checkpoint(tmp_path)])
    kernel = gan.discriminator.trainable_variables[0]
    kernel.assign(np.full(kernel.shape, np.nan))
    fit(gan, epochs=2, start_step=STEPS, callbacks=[Checkpoint(tmp_path)])
    assert epochs_in(tmp_path) == [1]


def test_the_manifest_says_what_it_belongs_to(tmp_path):
    history = fit(make_gan(), callbacks=[Checkpoint(tmp_path)]).history
    manifest = json.loads((tmp_path / "epoch_0001.json").read_text())
    assert manifest["epoch"] == 1
    assert manifest["bytes"] == (tmp_path / "epoch_0001.weights.h5").stat().st_size
    assert manifest["logs"]["d_loss"] == pytest.approx(history["d_loss"][0])


def test_any_keras_model_will_do(tmp_path):
    def make():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    x, y = np.ones((8, 3), np.float32), np.ones((8, 1), np.float32)
    model, resumed, checkpoint = make(), make(), Checkpoint(tmp_path)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[checkpoint])
    assert checkpoint.restore(resumed) == 1
    assert int(resumed.optimizer.iterations) == 1
    for each in (model, resumed):
        each.fit(x, y, epochs=2, initial_epoch=1, verbose=0, shuffle=False)
    for one, other in zip(model.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "arguments, message",
    [({"keep": 0}, "`keep`"), ({"every_n_epochs": 0}, "`every_n_epochs`"), ({"mode": "best"}, "`mode`")],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint("folder", **arguments)


def test_time_limit_ends_at_an_epochs_end():
    gan = make_gan()
    assert len(fit(gan, epochs=9, callbacks=[TimeLimit(minutes=1e-6)]).epoch) == 1
    assert len(fit(gan, epochs=2, callbacks=[TimeLimit(minutes=60)]).epoch) == 2
    with pytest.raises(ValueError, match="must be positive"):
        TimeLimit(0)
