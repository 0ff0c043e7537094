import keras
import numpy as np
import pytest

from gan import losses

REAL = np.array([[2.0], [-0.5], [0.3]], np.float32)
FAKE = np.array([[-1.5], [0.7], [-0.2]], np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FORMULAS = {  # as the papers write them
    "non_saturating": (
        -np.mean(np.log(sigmoid(REAL))) - np.mean(np.log(1 - sigmoid(FAKE))),
        -np.mean(np.log(sigmoid(FAKE))),
    ),
    "hinge": (
        -np.mean(np.minimum(0, REAL - 1)) - np.mean(np.minimum(0, -FAKE - 1)),
        -np.mean(FAKE),
    ),
}


@pytest.mark.parametrize("name", losses.BY_NAME)
def test_values_are_the_papers(name):
    loss = losses.get(name)
    discriminator, generator = FORMULAS[name]
    assert float(loss.discriminator_loss(REAL, FAKE)) == pytest.approx(discriminator, rel=1e-6)
    assert float(loss.generator_loss(REAL, FAKE)) == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("name", losses.BY_NAME)
def test_large_logits_stay_finite(name):
    loss = losses.get(name)
    extreme = np.array([[1e4], [-1e4]], np.float32)
    assert np.isfinite(float(loss.discriminator_loss(extreme, extreme)))
    assert np.isfinite(float(loss.generator_loss(extreme, extreme)))


@pytest.mark.parametrize("name", losses.BY_NAME)
def test_survives_serialization(name):
    loss = losses.get(name)
    copy = losses.get(keras.saving.serialize_keras_object(loss))
    assert type(copy) is type(loss)


def test_unknown_loss_names_the_accepted():
    with pytest.raises(ValueError, match="non_saturating, hinge.*Received: loss='mse'"):
        losses.get("mse")


def test_own_loss_needs_only_two_methods():
    class Own:
        def discriminator_loss(self, real_logits, fake_logits): ...

        def generator_loss(self, real_logits, fake_logits): ...

    own = Own()
    assert losses.get(own) is own
