"""Adversarial losses. Each loss has one formula for each player.

A loss takes logits, not models. So you can compare the code with the formula in the paper, and test the loss
without a network. In the formulas D(x) is the logit of a real image, D(G(z)) is the logit of a fake image,
and E is the mean over the batch.
"""

import keras
from keras import ops


class Configurable:
    """Base class for objects that Keras saves as the arguments of their constructor."""

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict):
        """Creates an object from the result of `get_config`."""
        return cls(**config)


class AdversarialLoss(Configurable):
    """Base class of the losses. A loss has one method for each player.

    Both methods take `real_logits` and `fake_logits`, float32 tensors of shape (batch, 1). Each method
    returns a float32 scalar, which the player minimizes. Your own loss needs both methods. Register your
    loss with Keras if you save a model with the loss:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class Exponential(AdversarialLoss):
        def discriminator_loss(self, real_logits, fake_logits):
            return ops.mean(ops.exp(-real_logits)) + ops.mean(ops.exp(fake_logits))

        def generator_loss(self, real_logits, fake_logits):
            return ops.mean(ops.exp(-fake_logits))
    ```

    Attributes:
        compares_with_real: whether the generator's loss uses `real_logits`. If True, the train step computes
            the real logits again with the updated discriminator.
    """

    compares_with_real = False

    def discriminator_loss(self, real_logits, fake_logits):
        """Returns the scalar that the discriminator minimizes."""
        raise NotImplementedError

    def generator_loss(self, real_logits, fake_logits):
        """Returns the scalar that the generator minimizes. No gradient flows through the real logits."""
        raise NotImplementedError


class SmoothableLoss(AdversarialLoss):
    """Base class of the losses with one-sided label smoothing (Salimans et al. 2016).

    The discriminator's target is 1 - `label_smoothing` for real images, and 0 for fake images.

    Reference: https://arxiv.org/abs/1606.03498, section 3.4.

    Args:
        label_smoothing: the target for real images is 1 - `label_smoothing`; in [0, 0.5).
    """

    def __init__(self, label_smoothing: float = 0.0):
        if not 0 <= label_smoothing < 0.5:
            raise ValueError(f"`label_smoothing` must lie in [0, 0.5). Received: {label_smoothing!r}")
        self.label_smoothing = label_smoothing

    def get_config(self) -> dict:
        return {"label_smoothing": self.label_smoothing}


class CrossEntropyLoss(SmoothableLoss):
    """Base class of the two losses of the original GAN. Both have the same discriminator loss.

    The discriminator loss is the cross-entropy, with s = `label_smoothing`:
    E[(1 - s) softplus(-D(x)) + s softplus(D(x))] + E[softplus(D(G(z)))].
    """

    def discriminator_loss(self, real_logits, fake_logits):
        # softplus(u) = softplus(-u) + u, so the smoothed term is softplus(-D(x)) + s D(x).
        real_loss = ops.softplus(-real_logits) + self.label_smoothing * real_logits
        return ops.mean(real_loss) + ops.mean(ops.softplus(fake_logits))


@keras.saving.register_keras_serializable(package="gan")
class NonSaturating(CrossEntropyLoss):
    """The non-saturating loss of the original GAN (Goodfellow et al. 2014).

    - discriminator: E[softplus(-D(x))] + E[softplus(D(G(z)))], the cross-entropy
    - generator: E[softplus(-D(G(z)))], which equals -E[log sigmoid(D(G(z)))]

    Reference: https://arxiv.org/abs/1406.2661, section 3.

    Args:
        label_smoothing: the target for real images is 1 - `label_smoothing`; in [0, 0.5).
    """

    def generator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.softplus(-fake_logits))


@keras.saving.register_keras_serializable(package="gan")
class Minimax(CrossEntropyLoss):
    """The minimax loss of the original GAN (Goodfellow et al. 2014).

    - discriminator: E[softplus(-D(x))] + E[softplus(D(G(z)))], the cross-entropy
    - generator: -E[softplus(D(G(z)))], which equals E[log(1 - sigmoid(D(G(z))))]

    The gradient of the generator's loss vanishes when the discriminator is sure that an image is fake. Use
    this loss to demonstrate the problem.

    Reference: https://arxiv.org/abs/1406.2661, equation 1.

    Args:
        label_smoothing: the target for real images is 1 - `label_smoothing`; in [0, 0.5).
    """

    def generator_loss(self, real_logits, fake_logits):
        return -ops.mean(ops.softplus(fake_logits))


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


@keras.saving.register_keras_serializable(package="gan")
class LeastSquares(SmoothableLoss):
    """The least squares loss (Mao et al. 2017), with the target 1 for real images and 0 for fake images.

    - discriminator: 1/2 E[(D(x) - 1)^2] + 1/2 E[D(G(z))^2]
    - generator: 1/2 E[(D(G(z)) - 1)^2]

    Reference: https://arxiv.org/abs/1611.04076, equation 9.

    Args:
        label_smoothing: the discriminator's target for real images is 1 - `label_smoothing`; in [0, 0.5).
    """

    def discriminator_loss(self, real_logits, fake_logits):
        target = 1.0 - self.label_smoothing
        return 0.5 * (ops.mean(ops.square(real_logits - target)) + ops.mean(ops.square(fake_logits)))

    def generator_loss(self, real_logits, fake_logits):
        return 0.5 * ops.mean(ops.square(fake_logits - 1.0))


@keras.saving.register_keras_serializable(package="gan")
class Wasserstein(AdversarialLoss):
    """The Wasserstein loss (Arjovsky et al. 2017): the difference between the mean logits.

    - discriminator: E[D(G(z))] - E[D(x)]
    - generator: -E[D(G(z))]

    The loss does not limit the discriminator's gradients. Use the loss with a penalty, preferably `wgan_gp`.

    Reference: https://arxiv.org/abs/1701.07875, equations 2 and 3.
    """

    def discriminator_loss(self, real_logits, fake_logits):
        return ops.mean(fake_logits) - ops.mean(real_logits)

    def generator_loss(self, real_logits, fake_logits):
        return -ops.mean(fake_logits)


@keras.saving.register_keras_serializable(package="gan")
class Relativistic(AdversarialLoss):
    """The relativistic loss (Jolicoeur-Martineau 2018; Huang et al. 2024).

    Compares each fake image with the real image at the same position in the batch.

    - discriminator: E[softplus(-(D(x) - D(G(z))))]
    - generator: E[softplus(-(D(G(z)) - D(x)))]

    R3GAN uses this loss with the penalty `r1+r2`, without batch norm, and with little momentum.

    References: https://arxiv.org/abs/1807.00734, section 4.1; https://arxiv.org/abs/2501.05441,
    equation 2.
    """

    compares_with_real = True

    def discriminator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.softplus(fake_logits - real_logits))

    def generator_loss(self, real_logits, fake_logits):
        return ops.mean(ops.softplus(real_logits - fake_logits))


def added_losses(network: keras.Model) -> list:
    """Returns the losses from `add_loss` and activity regularizers in the last call of a network."""
    losses = network.losses  # the losses of weight regularizers come last
    return losses[: len(losses) - len(_regularized(network))]


def sum_added(network: keras.Model, added: list):
    """Returns the sum of the losses that a network added and the losses of its weight regularizers."""
    terms = added + [variable.regularizer(variable) for variable in _regularized(network)]
    return sum(ops.sum(ops.cast(term, "float32")) for term in terms)


def _regularized(network: keras.Model) -> list[keras.Variable]:
    return [variable for variable in network.trainable_weights if variable.regularizer is not None]


BY_NAME = {
    "non_saturating": NonSaturating,
    "minimax": Minimax,
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
}


def resolve(identifier, by_name: dict):
    """Creates an object from a name, a class or a serialized config. Returns any other object unchanged."""
    if isinstance(identifier, str) and identifier in by_name:
        return by_name[identifier]()
    if isinstance(identifier, type):
        return identifier()
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    return identifier


def get(identifier) -> AdversarialLoss:
    """Returns a loss for a name, a class, a serialized config or a loss object.

    Raises:
        ValueError: for an unknown name, or for an object without the two methods.
    """
    loss = resolve(identifier, BY_NAME)
    methods = ("discriminator_loss", "generator_loss")
    if all(callable(getattr(loss, method, None)) for method in methods):
        return loss
    raise ValueError(
        f"Invalid `loss`. Expected one of {', '.join(BY_NAME)}, or an object with the methods "
        f"{' and '.join(methods)}. Received: loss={identifier!r}"
    )
