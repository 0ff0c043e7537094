import keras
import numpy as np
import pytest
import tensorflow as tf

from gan.optimizer import TwoPlayerOptimizer


def make(generator=None, discriminator=None):
    optimizer = TwoPlayerOptimizer(
        generator or keras.optimizers.Adam(1e-3), discriminator or keras.optimizers.SGD(4e-3)
    )
    weights = [keras.Variable(np.ones(2, np.float32)) for _ in range(3)]
    optimizer.build_players(weights[:1], weights[1:])
    return optimizer, weights


def rates(optimizer):
    return [float(player.learning_rate.numpy()) for player in optimizer.optimizers]


def test_each_variable_goes_to_its_player():
    optimizer, weights = make(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.5))
    optimizer.apply([np.ones(2, np.float32)] * 3, weights)
    assert [float(w.numpy()[0]) for w in weights] == pytest.approx([0.9, 0.5, 0.5])


def test_players_learn_together_or_one_by_one():
    optimizer, weights = make()
    gradient = np.ones(2, np.float32)
    optimizer.apply([gradient], weights[:1])
    assert (int(optimizer.iterations), float(weights[1].numpy()[0])) == (0, 1.0)
    optimizer.apply([gradient] * 2, weights[1:])
    assert int(optimizer.iterations) == 1
    optimizer.apply([gradient] * 3)  # gradients in the order of `build_players`
    assert [int(player.iterations) for player in optimizer.optimizers] == [2, 2]


def test_keras_contract_of_several_optimizers():
    optimizer, _ = make()
    assert [player.name for player in optimizer.optimizers] == ["generator", "discriminator"]
    assert isinstance(optimizer, keras.optimizers.Optimizer)
    assert len(optimizer.variables) == 1 + sum(len(p.variables) for p in optimizer.optimizers)


def test_setting_the_rate_keeps_the_ratio():
    optimizer, _ = make()
    optimizer.learning_rate = 1e-4
    assert rates(optimizer) == pytest.approx([1e-4, 4e-4])
    assert float(optimizer.learning_rate.numpy()) == pytest.approx(1e-4)


@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "graph", "XLA"])
def test_assigning_the_rate_keeps_the_ratio(jit_compile):
    optimizer, _ = make()
    count = len(optimizer.variables)

    def halve():
        optimizer.learning_rate.assign(optimizer.learning_rate * 0.5)
        optimizer.learning_rate.assign_sub(optimizer.learning_rate * 0.5)

    halve() if jit_compile is None else tf.function(halve, jit_compile=jit_compile)()
    assert rates(optimizer) == pytest.approx([2.5e-4, 1e-3])
    assert float(optimizer.learning_rate) == pytest.approx(2.5e-4)
    assert len(optimizer.variables) == count


@pytest.mark.parametrize("who", [0, 1])
def test_a_schedule_makes_the_rate_unsettable_for_both(who):
    players = [keras.optimizers.Adam(1e-3), keras.optimizers.Adam(1e-3)]
    players[who] = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5))
    optimizer, _ = make(*players)
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 1e-5
    assert float(keras.ops.convert_to_numpy(players[1 - who].learning_rate)) == pytest.approx(1e-3)


def test_only_a_number_can_be_set():
    optimizer, _ = make()
    with pytest.raises(TypeError, match="set a number"):
        optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5)
    assert rates(optimizer) == pytest.approx([1e-3, 4e-3])


@pytest.mark.parametrize(
    "player",
    [
        keras.optimizers.SGD(0.1, loss_scale_factor=8.0),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ],
    ids=["factor", "wrapper"],
)
def test_a_player_that_scales_the_loss_is_refused(player):
    with pytest.raises(ValueError, match="must not scale the loss"):
        TwoPlayerOptimizer(keras.optimizers.SGD(0.1), player)


def test_one_object_for_both_is_refused():
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="two objects"):
        TwoPlayerOptimizer(adam, adam)


def test_unknown_variables_are_not_guessed():
    optimizer = TwoPlayerOptimizer(keras.optimizers.Adam(), keras.optimizers.Adam())
    with pytest.raises(ValueError, match="build_players"):
        optimizer.build([keras.Variable(np.ones(2))])


def test_survives_serialization():
    optimizer, _ = make(keras.optimizers.Adam(1e-3, beta_1=0.3))
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert copy.get_config() == optimizer.get_config()
    assert copy.generator_optimizer.beta_1 == 0.3
