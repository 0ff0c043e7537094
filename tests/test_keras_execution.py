"""Tests how Keras runs a GAN on TensorFlow: precisions, XLA, several steps per execution, replicas."""

import keras
import numpy as np
import pytest

from conftest import STEPS, assert_same_state, fit, make_dataset, make_gan
from gan import losses, penalties


def change_of(gan, player, start):
    """Returns the change of a player's weights in training."""
    before, after = (
        np.concatenate([v.numpy().ravel() for v in getattr(which, player).trainable_variables])
        for which in (start, gan)
    )
    return after - before


def test_mixed_float16_scales_both_players_losses(num_classes, mixed_float16):
    scaled = make_gan(num_classes, optimizer=keras.optimizers.SGD(0.1), dropout=0.0)
    history = fit(scaled, epochs=1).history
    keras.mixed_precision.set_dtype_policy("float32")
    assert isinstance(scaled.optimizer, keras.optimizers.LossScaleOptimizer)
    assert int(scaled.optimizer.step_counter) == 2 * STEPS  # two updates in every step
    start = make_gan(num_classes, dropout=0.0)
    plain = make_gan(num_classes, optimizer=keras.optimizers.SGD(0.1), dropout=0.0)
    expected = fit(plain, epochs=1).history
    assert history["loss"] == pytest.approx(expected["loss"], rel=0.02)  # the logged loss is not scaled
    for player in ("generator", "discriminator"):  # both learn as much as without scaling
        change, reference = change_of(scaled, player, start), change_of(plain, player, start)
        assert np.linalg.norm(change - reference) < 0.1 * np.linalg.norm(reference)


def test_a_step_skipped_by_loss_scaling_leaves_the_latents_order(num_classes, mixed_float16):
    gan = make_gan(num_classes)
    before = [variable.numpy() for variable in gan.trainable_variables]
    gan.optimizer.dynamic_scale.assign(1e38)  # every step overflows and is skipped
    fit(gan)
    for old, new in zip(before, gan.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert [int(player.iterations) for player in gan.optimizer.optimizers] == [0, 0]
    assert int(gan.step) == STEPS  # the step determines the latents


def test_an_overflow_under_loss_scaling_recovers(mixed_float16):
    gan = make_gan()
    gan.optimizer.dynamic_scale.assign(1e30)
    history = fit(gan).history
    assert np.isfinite(history["loss"]).all()
    assert float(gan.optimizer.dynamic_scale) < 1e30
    gan.optimizer.dynamic_scale.assign(1024.0)
    fit(gan, epochs=2, start_step=STEPS)
    assert int(gan.optimizer.inner_optimizer.iterations) == STEPS
    assert all(np.isfinite(weights).all() for weights in gan.get_weights())


@pytest.mark.exact
def test_a_float16_model_is_saved_and_goes_on(num_classes, mixed_float16, tmp_path):
    gan = make_gan(num_classes)
    fit(gan)
    gan.save(tmp_path / "gan.keras")
    keras.mixed_precision.set_dtype_policy("float32")
    copy = keras.models.load_model(tmp_path / "gan.keras")
    assert float(copy.optimizer.dynamic_scale) == float(gan.optimizer.dynamic_scale)
    for model in (gan, copy):
        fit(model, epochs=2, start_step=STEPS)
    assert_same_state(gan, copy)


def test_mixed_bfloat16_trains_without_scaling(num_classes):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        gan = make_gan(num_classes, dropout=0.0)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    history = fit(gan, epochs=2).history
    expected = fit(make_gan(num_classes, dropout=0.0), epochs=2).history
    assert not isinstance(gan.optimizer, keras.optimizers.LossScaleOptimizer)
    assert history["loss"] == pytest.approx(expected["loss"], rel=0.05)
    assert gan.generate(2).dtype == np.uint8


@pytest.mark.parametrize("arguments", [{"steps_per_execution": 4}, {"run_eagerly": True}], ids=str)
def test_ways_of_running_agree(num_classes, arguments):
    recipe = {"dropout": 0.0, "loss": "relativistic", "penalty": "wgan_gp"}
    reference, gan = make_gan(num_classes, **recipe), make_gan(num_classes, **recipe, **arguments)
    length = {"steps_per_epoch": 4, "epochs": 2, "verbose": 0}
    expected, history = (model.fit(make_dataset(num_classes), **length).history for model in (reference, gan))
    assert int(reference.step) == int(gan.step) == 8
    for key, values in expected.items():
        assert history[key] == pytest.approx(values, rel=1e-3, abs=1e-4)


PAIRS = {  # cover every loss and every penalty
    "non_saturating": "r1", "minimax": "r2", "hinge": None, "least_squares": "r1+r2",
    "wasserstein": "wgan_gp", "relativistic": "r1+r2",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("loss", losses.BY_NAME)
def test_xla_computes_what_a_graph_computes(num_classes, loss):
    # Without dropout, because XLA draws other random numbers.
    recipe = {"dropout": 0.0, "loss": loss, "penalty": PAIRS[loss]}
    graph, compiled = make_gan(num_classes, **recipe), make_gan(num_classes, **recipe, jit_compile=True)
    expected, history = fit(graph, epochs=2).history, fit(compiled, epochs=2).history
    for key, values in expected.items():
        assert history[key] == pytest.approx(values, rel=1e-3, abs=1e-4)
    assert set(PAIRS.values()) == {None, *penalties.BY_NAME}
