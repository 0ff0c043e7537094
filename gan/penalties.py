"""Gradient penalties: terms in the discriminator's loss that keep the discriminator smooth.

A penalty is a function of a `DiscriminatorPass`. This object holds the images, the logits, and the gradients
of the logits with respect to the images. The logits and gradients come from the same pass as the
discriminator's loss. TensorFlow differentiates the gradients in a penalty again, with respect to the weights.
So every operation of the discriminator must be differentiable twice.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from . import losses

EPSILON = 1e-12  # keeps a square root away from 0, where its slope is infinite


@dataclasses.dataclass(frozen=True)
class DiscriminatorPass:
    """Holds one pass of the discriminator over a batch: the input of a penalty.

    The discriminator's loss uses the same pass. So a penalty needs no extra pass, and dropout and random
    translation use the same random numbers as in the loss. Each gradient is the gradient of the sum of the
    batch's logits. If the images of a batch influence each other (`MinibatchDeviation`, batch norm), the
    gradients include this influence.

    Attributes:
        discriminator: a function that maps images to logits (batch, 1) in a new training pass with a new
            dropout mask. For a conditional GAN the function uses the labels of the batch in the same order.
        real_images: (batch, height, width, channels), float32 in [-1, 1].
        fake_images: images of the generator, like `real_images`. No gradient flows to the generator.
        real_logits: (batch, 1), D(x) of the real images.
        fake_logits: (batch, 1), D(x) of the fake images.
        real_gradients: grad_x D(x) at the real images, with the shape of the images.
        fake_gradients: grad_x D(x) at the fake images, with the shape of the images.
        uniform: (batch, 1, 1, 1), random numbers between 0 and 1, new for each update of the discriminator.
            The numbers depend only on the seed and on the number of the update.
    """

    discriminator: Callable
    real_images: tf.Tensor
    fake_images: tf.Tensor
    real_logits: tf.Tensor
    fake_logits: tf.Tensor
    real_gradients: tf.Tensor
    fake_gradients: tf.Tensor
    uniform: tf.Tensor


class Penalty(losses.Configurable):
    """Base class of the penalties. A penalty has a weight and a formula.

    Your own penalty needs `__call__`. Register your penalty with Keras if you save a model with the penalty.
    If the constructor has other arguments than `weight`, write a `get_config` that returns all arguments:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class DriftPenalty(Penalty):  # keeps the real logits near zero (Karras et al. 2018)
        def __call__(self, discriminator_pass):
            return self.weight * tf.reduce_mean(tf.square(discriminator_pass.real_logits))

    gan.compile(loss="wasserstein", penalty=DriftPenalty(weight=1e-3))
    ```

    Args:
        weight: factor of the penalty, not negative.
    """

    def __init__(self, weight: float):
        if not weight >= 0:
            raise ValueError(f"`weight` must not be negative. Received: weight={weight}")
        self.weight = weight

    def __call__(self, discriminator_pass: DiscriminatorPass):
        """Returns the penalty, a float32 scalar."""
        raise NotImplementedError

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"weight": self.weight}


@keras.saving.register_keras_serializable(package="gan")
class R1(Penalty):
    """Zero-centered gradient penalty on real images (Mescheder et al. 2018).

    `weight / 2 * E[||grad_x D(x)||^2]` over real images x. The squared norm is a sum over height, width and
    channels. `weight` is gamma in the paper. In the authors' code, `reg_param` is gamma / 2.

    Reference: https://arxiv.org/abs/1801.04406, equation 9.

    Args:
        weight: gamma, not negative. The default suits 28x28 images in [-1, 1]. With 0.1 the digits are
            clear but less varied. With 1 the digits are varied but less clear.
    """

    def __init__(self, weight: float = 0.3):
        super().__init__(weight)

    def __call__(self, discriminator_pass: DiscriminatorPass):
        return 0.5 * self.weight * tf.reduce_mean(squared_norms(discriminator_pass.real_gradients))


@keras.saving.register_keras_serializable(package="gan")
class R2(Penalty):
    """Zero-centered gradient penalty on fake images (Mescheder et al. 2018).

    `weight / 2 * E[||grad_x D(x)||^2]` over fake images x. With R1 alone the relativistic loss can diverge
    (Huang et al. 2024).

    References: https://arxiv.org/abs/1801.04406, section 4.1; https://arxiv.org/abs/2501.05441,
    equation 4.

    Args:
        weight: gamma, not negative. The default suits 28x28 images in [-1, 1].
    """

    def __init__(self, weight: float = 0.1):
        super().__init__(weight)

    def __call__(self, discriminator_pass: DiscriminatorPass):
        return 0.5 * self.weight * tf.reduce_mean(squared_norms(discriminator_pass.fake_gradients))


@keras.saving.register_keras_serializable(package="gan")
class WganGP(Penalty):
    """One-centered gradient penalty between real and fake images (Gulrajani et al. 2017).

    `weight * E[(||grad_x D(x)|| - 1)^2]` over x = u * real + (1 - u) * fake, where u is uniform in (0, 1) for
    each image. The penalty needs one more pass of the discriminator, at x. Use the penalty with the
    Wasserstein loss, `discriminator_steps=5`, and a discriminator without batch norm.

    Reference: https://arxiv.org/abs/1704.00028, equation 3.

    Args:
        weight: lambda in the paper, not negative.
    """

    def __init__(self, weight: float = 10.0):
        super().__init__(weight)

    def __call__(self, discriminator_pass: DiscriminatorPass):
        u = discriminator_pass.uniform
        interpolated = u * discriminator_pass.real_images + (1.0 - u) * discriminator_pass.fake_images
        with tf.GradientTape() as tape:
            tape.watch(interpolated)
            logits = discriminator_pass.discriminator(interpolated)
        norms = tf.sqrt(squared_norms(tape.gradient(logits, interpolated)) + EPSILON)
        return self.weight * tf.reduce_mean(tf.square(norms - 1.0))


@keras.saving.register_keras_serializable(package="gan")
class PenaltySum(Penalty):
    """Adds several penalties. `"r1+r2"` is `PenaltySum([R1(0.1), R2(0.1)])`.

    Args:
        penalties: a list of names, penalties, or callables of a `DiscriminatorPass`.
    """

    def __init__(self, penalties: list[Callable]):
        self.penalties = [get(penalty) for penalty in penalties]

    def __call__(self, discriminator_pass: DiscriminatorPass):
        """Returns the sum, a float32 scalar."""
        return sum(penalty(discriminator_pass) for penalty in self.penalties)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {"penalties": [keras.saving.serialize_keras_object(one) for one in self.penalties]}


def squared_norms(gradients):
    """Returns ||gradient||^2 of each image, (batch,): the sum of squares over all axes except the first."""
    return tf.reduce_sum(tf.square(gradients), axis=range(1, len(gradients.shape)))


BY_NAME = {"r1": R1, "r2": R2, "r1+r2": lambda weight: PenaltySum([R1(weight), R2(weight)])}
BY_NAME |= {"wgan_gp": WganGP}
WEIGHTS = {"r1": 0.3, "r2": 0.1, "r1+r2": 0.1, "wgan_gp": 10.0}  # for images of 28x28 pixels


def recommended_weight(name: str, image_shape: tuple[int, ...]) -> float:
    """Returns the weight of a named penalty for images of a size.

    The weights of R1 and R2 are proportional to the number of pixels. Reason: if an image is enlarged by the
    factor 2, each of four pixels has a quarter of the gradient, so the squared norm falls to a quarter. The
    gradient norm of WGAN-GP has the target 1 for every size.

    Args:
        name: a key of `WEIGHTS`.
        image_shape: (height, width, channels).
    """
    pixels = 1.0 if name == "wgan_gp" else math.prod(image_shape[:2]) / 28**2
    return WEIGHTS[name] * pixels


def get(identifier, image_shape: tuple[int, ...] = (28, 28, 1)):
    """Returns a penalty for a name, a class, a serialized config or a callable, and None for None.

    A name gives the penalty its recommended weight for images of `image_shape`.

    Raises:
        ValueError: for an unknown name, or for an object that is not callable.
    """
    named = {
        name: functools.partial(make, recommended_weight(name, image_shape)) for name, make in BY_NAME.items()
    }
    penalty = losses.resolve(identifier, named)
    if penalty is None or callable(penalty):
        return penalty
    raise ValueError(
        f"Invalid `penalty`. Expected None, one of {', '.join(BY_NAME)}, or a callable of a "
        f"`DiscriminatorPass`. Received: penalty={identifier!r}"
    )
