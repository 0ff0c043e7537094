"""Gradient penalties: what is added to the discriminator's loss to keep it smooth.

A penalty sees the discriminator as a function from images to logits and is differentiated a second
time by the discriminator's step, so everything here must be differentiable twice.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

__all__ = ["R1", "R2", "Penalty", "PenaltySum", "WganGP", "get"]

TINY = 1e-12  # under a square root, whose slope at 0 is infinite


class Penalty:
    """Base of the penalties: a weight, and what it weighs.

    A penalty of one's own needs `__call__` and, to be saved with a model, registration with Keras:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class DriftPenalty(Penalty):  # keeps a critic's outputs near zero (Karras et al. 2018)
        def __call__(self, critic, real_images, fake_images, uniform):
            return self.weight * tf.reduce_mean(tf.square(critic(real_images)))

    gan.compile(loss="wasserstein", penalty=DriftPenalty(weight=1e-3))
    ```

    Args:
        weight: how much it counts, not negative.
    """

    def __init__(self, weight: float):
        if not weight >= 0:
            raise ValueError(f"`weight` must not be negative. Received: weight={weight}")
        self.weight = weight

    def __call__(self, critic: Callable, real_images, fake_images, uniform):
        """The penalty, a float32 scalar.

        Args:
            critic: maps images to logits (batch, 1), in the batch's order of labels where it has any.
            real_images: (batch, height, width, channels), in [-1, 1].
            fake_images: likewise, detached from the generator.
            uniform: (batch, 1, 1, 1), random numbers between 0 and 1 that follow from (seed, step),
                for penalties that need chance.
        """
        raise NotImplementedError

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config: dict) -> "Penalty":
        """The penalty that `get_config` described."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="gan")
class R1(Penalty):
    """Zero-centred gradient penalty on real images (Mescheder et al. 2018).

    `weight / 2 * E[||grad_x D(x)||^2]` over real images x, the squared norm summed over height, width
    and channels. The paper's gamma is `weight`; its released code writes `reg_param = gamma / 2`.

    Reference: https://arxiv.org/abs/1801.04406, equation 9.

    Args:
        weight: gamma, not negative. The default suits 28x28 images in [-1, 1]: with 0.1 the digits turn
            typical, with 1 careless.
    """

    def __init__(self, weight: float = 0.3):
        super().__init__(weight)

    def __call__(self, critic, real_images, fake_images, uniform):
        return 0.5 * self.weight * mean_squared_gradient_norm(critic, real_images)


@keras.saving.register_keras_serializable(package="gan")
class R2(Penalty):
    """Zero-centred gradient penalty on fake images (Mescheder et al. 2018).

    `weight / 2 * E[||grad_x D(x)||^2]` over fake images x: R1's other half, without which the
    relativistic loss diverges (Huang et al. 2024).

    References: https://arxiv.org/abs/1801.04406, section 4.1; https://arxiv.org/abs/2501.05441,
    equation 4.

    Args:
        weight: gamma, not negative. The default suits 28x28 images in [-1, 1].
    """

    def __init__(self, weight: float = 0.1):
        super().__init__(weight)

    def __call__(self, critic, real_images, fake_images, uniform):
        return 0.5 * self.weight * mean_squared_gradient_norm(critic, fake_images)


@keras.saving.register_keras_serializable(package="gan")
class WganGP(Penalty):
    """One-centred gradient penalty between real and fake images (Gulrajani et al. 2017).

    `weight * E[(||grad_x D(x)|| - 1)^2]` over x = u * real + (1 - u) * fake, u uniform in (0, 1) for
    each image. It belongs to the Wasserstein loss and wants `discriminator_steps=5`, and a
    discriminator without batch norm.

    Reference: https://arxiv.org/abs/1704.00028, equation 3.

    Args:
        weight: the paper's lambda, not negative.
    """

    def __init__(self, weight: float = 10.0):
        super().__init__(weight)

    def __call__(self, critic, real_images, fake_images, uniform):
        between = uniform * real_images + (1.0 - uniform) * fake_images
        norms = tf.sqrt(squared_gradient_norms(critic, between) + TINY)
        return self.weight * tf.reduce_mean(tf.square(norms - 1.0))


@keras.saving.register_keras_serializable(package="gan")
class PenaltySum:
    """Several penalties at once: `"r1+r2"` is `PenaltySum([R1(0.1), R2(0.1)])`.

    Args:
        penalties: penalties, or callables like them.
    """

    def __init__(self, penalties: list[Callable]):
        self.penalties = penalties

    def __call__(self, critic: Callable, real_images, fake_images, uniform):
        """The sum of what each adds."""
        return sum(penalty(critic, real_images, fake_images, uniform) for penalty in self.penalties)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"penalties": [keras.saving.serialize_keras_object(one) for one in self.penalties]}

    @classmethod
    def from_config(cls, config: dict) -> "PenaltySum":
        """The sum that `get_config` described."""
        return cls([keras.saving.deserialize_keras_object(one) for one in config["penalties"]])


def squared_gradient_norms(critic: Callable, images):
    """||grad_x D(x)||^2 of each image, summed over its pixels: (batch,).

    Where a discriminator looks at its batch, D is the sum of the batch's logits.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = critic(images)
    return tf.reduce_sum(tf.square(tape.gradient(logits, images)), axis=[1, 2, 3])


def mean_squared_gradient_norm(critic: Callable, images):
    """E[||grad_x D(x)||^2], averaged over the batch."""
    return tf.reduce_mean(squared_gradient_norms(critic, images))


BY_NAME = {
    "r1": R1,
    "r2": R2,
    "r1+r2": lambda: PenaltySum([R1(0.1), R2(0.1)]),
    "wgan_gp": WganGP,
}


def get(identifier):
    """The penalty that a name, a class, a serialized config, a callable or None stands for.

    Raises:
        ValueError: for an unknown name, or an object that cannot be called.
    """
    if isinstance(identifier, str) and identifier in BY_NAME:
        return BY_NAME[identifier]()
    if isinstance(identifier, type):
        identifier = identifier()
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(
        f"Invalid `penalty`. Expected None, one of {', '.join(BY_NAME)}, or a callable of (critic, "
        f"real_images, fake_images, uniform). Received: penalty={identifier!r}"
    )
