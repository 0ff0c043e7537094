import keras
import numpy as np
import pytest
import tensorflow as tf

from gan import losses

REAL = np.array([[2.0], [-0.5], [0.3]], np.float32)
FAKE = np.array([[-1.5], [0.7], [-0.2]], np.float32)
SMOOTH = [losses.NonSaturating, losses.Minimax, losses.LeastSquares]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def mean(x):
    return float(np.mean(x))


def cross_entropy(real, fake):
    return -mean(np.log(sigmoid(real))) - mean(np.log(1 - sigmoid(fake)))


# The formulas of the papers: (discriminator loss, generator loss). Each player minimizes its own loss.
FORMULAS = {
    "non_saturating": (cross_entropy, lambda real, fake: -mean(np.log(sigmoid(fake)))),
    "minimax": (cross_entropy, lambda real, fake: mean(np.log(1 - sigmoid(fake)))),
    "hinge": (
        lambda real, fake: -mean(np.minimum(0, real - 1)) - mean(np.minimum(0, -fake - 1)),
        lambda real, fake: -mean(fake),
    ),
    "least_squares": (
        lambda real, fake: mean((real - 1) ** 2) / 2 + mean(fake**2) / 2,
        lambda real, fake: mean((fake - 1) ** 2) / 2,
    ),
    "wasserstein": (lambda real, fake: -(mean(real) - mean(fake)), lambda real, fake: -mean(fake)),
    "relativistic": (
        lambda real, fake: -mean(np.log(sigmoid(real - fake))),
        lambda real, fake: -mean(np.log(sigmoid(fake - real))),
    ),
}


def slopes(formula, real, fake):
    """Computes the derivatives of the formula with respect to both logits, by central differences."""
    found = []
    for which in (0, 1):
        logits = [real.astype(np.float64), fake.astype(np.float64)]
        slope = np.zeros_like(logits[which])
        for index in np.ndindex(slope.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [array.copy() for array in logits]
                moved[which][index] += step
                ends.append(formula(*moved))
            slope[index] = (ends[0] - ends[1]) / 2e-5
        found.append(slope)
    return found


@pytest.mark.parametrize("player", [0, 1], ids=["discriminator", "generator"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_gradients_are_the_papers(name, player):
    loss, formula = losses.get(name), FORMULAS[name][player]
    real, fake = tf.constant(REAL), tf.constant(FAKE)
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        value = (loss.discriminator_loss, loss.generator_loss)[player](real, fake)
    gradients = tape.gradient(value, [real, fake], unconnected_gradients="zero")
    assert float(value) == pytest.approx(formula(REAL, FAKE), rel=1e-6)
    for gradient, slope in zip(gradients, slopes(formula, REAL, FAKE), strict=True):
        np.testing.assert_allclose(gradient, slope, atol=1e-6)


def test_every_loss_has_its_formula():
    assert FORMULAS.keys() == losses.BY_NAME.keys()


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_that_compares_with_real_says_so(name):
    loss = losses.get(name)
    differs = float(loss.generator_loss(REAL, FAKE)) != float(loss.generator_loss(REAL + 1, FAKE))
    assert loss.compares_with_real == differs


@pytest.mark.parametrize("name", losses.BY_NAME)
def test_large_logits_stay_finite(name):
    loss = losses.get(name)
    extreme = np.array([[1e4], [-1e4]], np.float32)
    assert np.isfinite(float(loss.discriminator_loss(extreme, extreme)))
    assert np.isfinite(float(loss.generator_loss(extreme, extreme)))


@pytest.mark.parametrize("loss", [losses.NonSaturating, losses.Minimax])
def test_smoothed_cross_entropy_has_its_targets(loss):
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    expected = float(bce(np.full((3, 1), 0.9), REAL)) + float(bce(np.zeros((3, 1)), FAKE))
    smoothed = loss(label_smoothing=0.1)
    assert float(smoothed.discriminator_loss(REAL, FAKE)) == pytest.approx(expected, rel=1e-6)
    assert float(smoothed.generator_loss(REAL, FAKE)) == float(loss().generator_loss(REAL, FAKE))


def test_smoothed_least_squares_has_its_targets():
    smoothed = losses.LeastSquares(label_smoothing=0.1)
    expected = mean((REAL - 0.9) ** 2) / 2 + mean(FAKE**2) / 2
    assert float(smoothed.discriminator_loss(REAL, FAKE)) == pytest.approx(expected, rel=1e-6)
    assert float(smoothed.generator_loss(REAL, FAKE)) == pytest.approx(mean((FAKE - 1) ** 2) / 2, rel=1e-6)


@pytest.mark.parametrize("smoothing", [-0.1, 0.5, float("nan")])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"`label_smoothing` must lie in \[0, 0.5\)"):
        losses.NonSaturating(smoothing)


@pytest.mark.parametrize("name", losses.BY_NAME)
def test_survives_serialization(name):
    loss = losses.get(name)
    copy = losses.get(keras.saving.serialize_keras_object(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize("loss", SMOOTH)
def test_smoothing_survives_serialization(loss):
    copy = losses.get(keras.saving.serialize_keras_object(loss(label_smoothing=0.2)))
    assert copy.label_smoothing == 0.2


def test_unknown_loss_names_the_accepted():
    with pytest.raises(ValueError, match="non_saturating, minimax.*Received: loss='mse'"):
        losses.get("mse")


def test_own_loss_needs_only_two_methods():
    class Own:
        def discriminator_loss(self, real_logits, fake_logits): ...

        def generator_loss(self, real_logits, fake_logits): ...

    own = Own()
    assert losses.get(own) is own
    assert isinstance(losses.get(losses.Hinge), losses.Hinge)
