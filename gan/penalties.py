"""Gradient penalties: what is added to the discriminator's loss to keep it smooth.

A penalty sees the discriminator as a function from images to logits and is differentiated a second
time by the discriminator's step, so everything here must be differentiable twice.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

__all__ = ["R1", "get"]


@keras.saving.register_keras_serializable(package="gan")
class R1:
    """Zero-centred gradient penalty on real images (Mescheder et al. 2018).

    `weight / 2 * E[||grad_x D(x)||^2]` over real images x, the squared norm summed over height, width
    and channels. The paper's gamma is `weight`; its released code writes `reg_param = gamma / 2`.

    Reference: https://arxiv.org/abs/1801.04406, equation 9.

    Args:
        weight: gamma, not negative. The default suits 28x28 images in [-1, 1].
    """

    def __init__(self, weight: float = 0.1):
        if not weight >= 0:
            raise ValueError(f"`weight` must not be negative. Received: weight={weight}")
        self.weight = weight

    def __call__(self, critic: Callable, real_images, fake_images):
        """The penalty, a float32 scalar.

        Args:
            critic: maps images to logits (batch, 1).
            real_images: (batch, height, width, channels), in [-1, 1].
            fake_images: likewise, detached from the generator; R1 does not look at them.
        """
        return 0.5 * self.weight * mean_squared_gradient_norm(critic, real_images)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"weight": self.weight}

    @classmethod
    def from_config(cls, config: dict) -> "R1":
        """The penalty that `get_config` described."""
        return cls(**config)


def mean_squared_gradient_norm(critic: Callable, images):
    """E[||grad_x D(x)||^2]: the squared norm per image, summed over pixels, averaged over the batch."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = critic(images)
    gradients = tape.gradient(logits, images)
    return tf.reduce_mean(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]))


BY_NAME = {"r1": R1}


def get(identifier):
    """The penalty that a name, a serialized config, a callable or None stands for.

    Raises:
        ValueError: for an unknown name, or an object that cannot be called.
    """
    if isinstance(identifier, str) and identifier in BY_NAME:
        return BY_NAME[identifier]()
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if identifier is None or callable(identifier):
        return identifier
    raise ValueError(
        f"Invalid `penalty`. Expected None, one of {', '.join(BY_NAME)}, or a callable of (critic, "
        f"real_images, fake_images). Received: penalty={identifier!r}"
    )
