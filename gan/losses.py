"""Adversarial losses: what each player wants of the discriminator's logits.

A loss sees logits, never models, so that it can be read beside its paper and tested without a
network. In the formulas D(x) is the logit of a real image, D(G(z)) that of a fake one, and E the
mean over the batch.
"""

import keras
from keras import ops

__all__ = ["AdversarialLoss", "Hinge", "NonSaturating", "get"]


class AdversarialLoss:
    """Base of the losses: one method for each player.

    Both methods take `real_logits` and `fake_logits`, float32 tensors of shape (batch, 1), and
    return a float32 scalar to be minimized. A loss of one's own needs the two methods and, to be
    saved with a model, registration with Keras:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class LeastSquares(AdversarialLoss):
        def discriminator_loss(self, real_logits, fake_logits):
            return ops.mean((real_logits - 1) ** 2) + ops.mean(fake_logits**2)

        def generator_loss(self, real_logits, fake_logits):
            return ops.mean((fake_logits - 1) ** 2)
    ```
    """

    def discriminator_loss(self, real_logits, fake_logits):
        """What the discriminator minimizes: a scalar."""
        raise NotImplementedError

    def generator_loss(self, real_logits, fake_logits):
        """What the generator minimizes: a scalar. The real logits are constants to it."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "AdversarialLoss":
        """The loss that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="gan")
class NonSaturating(AdversarialLoss):
    """The original GAN's loss in the form that does not saturate (Goodfellow et al. 2014).

    - discriminator: E[softplus(-D(x))] + E[softplus(D(G(z)))], the cross-entropy of its verdicts
    - generator: E[softplus(-D(G(z)))], that is -E[log sigmoid(D(G(z)))]

    Reference: https://arxiv.org/abs/1406.2661, section 3.
    """

    def discriminator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))

    def generator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.softplus(-fake_logits))


@keras.saving.register_keras_serializable(package="gan")
class Hinge(AdversarialLoss):
    """The hinge loss (Lim & Ye 2017; Miyato et al. 2018).

    - discriminator: E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))]
    - generator: -E[D(G(z))]

    References: https://arxiv.org/abs/1705.02894; https://arxiv.org/abs/1802.05957, equations 16, 17.
    """

    def discriminator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(ops.relu(1.0 + fake_logits))

    def generator_loss(self, real_logits, fake_logits):
        return -ops.mean(fake_logits)


BY_NAME = {"non_saturating": NonSaturating, "hinge": Hinge}


def get(identifier) -> AdversarialLoss:
    """The loss that a name, a serialized config or a loss object stands for.

    Raises:
        ValueError: for an unknown name, or an object without the two methods.
    """
    if isinstance(identifier, str) and identifier in BY_NAME:
        return BY_NAME[identifier]()
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    methods = ("discriminator_loss", "generator_loss")
    if all(callable(getattr(identifier, method, None)) for method in methods):
        return identifier
    raise ValueError(
        f"Invalid `loss`. Expected one of {', '.join(BY_NAME)}, or an object with the methods "
        f"{' and '.join(methods)}. Received: loss={identifier!r}"
    )
