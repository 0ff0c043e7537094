"""Recipes: the size of the networks and how they learn, with the reason for each value.

docs/recipe.md tells how they were found, and which trials failed. Values that no recipe changes have their
reasons elsewhere: R1's weight in gan/penalties.py, Adam's beta1 in gan/optimizer.py, class norm in
gan/networks.py.
"""

import contextlib
import dataclasses

import keras

from . import losses, penalties
from .limits import COUNT, COUNT_FROM_0, FRACTION, LAYERS, POSITIVE, POSITIVE_OR_0, UNITS, setting
from .model import GAN
from .networks import build_discriminator, build_generator
from .optimizer import recommended_optimizer

FINAL_RATE = 0.01  # times the first
POLICIES = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
JIT = {"auto": "auto", "on": True, "off": False}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings that determine a training, except the data and the seed. The defaults are `fast`.

    Each field holds the type, the default, the help text and the limits of a setting: see
    `gan.limits.setting`. train.py has a flag for each.

    Example:

    ```python
    from gan.recipes import RECIPES

    recipe = RECIPES["best"]
    gan = recipe.make_gan(num_classes=10)
    recipe.compile(gan, decay_steps=recipe.epochs * 936)    # and now `fit` it on (images, labels)
    ```
    """

    # Five minutes of MNIST on two CPU cores.
    epochs: int | None = setting(5, "stop after N epochs", COUNT, group="length")
    # 128 is hardly faster per image, and makes half the updates.
    batch_size: int = setting(64, "images in a batch", COUNT)
    # The textbooks' length; 50 do as well.
    latent_dim: int = setting(100, "length of a latent vector", UNITS)
    # Half a DCGAN's: what counts is the discriminator's depth, and seconds.
    base_filters: int = setting(32, "channels at half the image's size; each halving doubles them", UNITS, 32)
    # With this layer the distance without labels is half of that without it.
    generator_depth: int = setting(1, "3x3 convolutions of the generator at its smallest size", LAYERS, 0)
    # 1.7 times the seconds of none, where the distance stops at 2.
    discriminator_depth: int = setting(2, "3x3 convolutions of the discriminator at that size", LAYERS, 0)
    # It costs nothing. The distance without labels is two thirds of that without it.
    minibatch_deviation: bool = setting(
        True, "show the discriminator how much its batch varies, or do not", before=True
    )
    # The penalty keeps the discriminator smooth without the noise of dropout.
    dropout: float = setting(0.0, "fraction of the discriminator's channels to drop", FRACTION, 0.3)
    # 60,000 images are not learned by heart in five epochs.
    translation: float = setting(
        0.0, "largest random shift of the discriminator's images, as a fraction of their sides", FRACTION, 0.0
    )
    # The largest gain in quality.
    conditional: bool = setting(True, "train with the labels of the data, or without", off="--unconditional")
    # The relativistic loss with R1 alone diverges; with R1 and R2 it takes longer.
    loss: str = setting("non_saturating", "adversarial loss", tuple(losses.BY_NAME))
    # Without a penalty distances are nearly twice as large, and the digits turn typical.
    penalty: str = setting("r1", "gradient penalty", ("none", *penalties.BY_NAME))
    # The penalty wgan_gp needs more: its paper uses 5.
    discriminator_steps: int = setting(1, "discriminator updates for each update of the generator", COUNT, 1)
    # 1e-3 is slower to start, 4e-3 breaks down in the second epoch.
    generator_learning_rate: float = setting(2e-3, "learning rate of the generator's Adam", POSITIVE)
    discriminator_learning_rate: float = setting(2e-3, "learning rate of the discriminator's Adam", POSITIVE)
    # With 0.999 Adam follows growing gradients too late, and the discriminator sometimes breaks down.
    beta_2: float = setting(0.99, "beta2 of both Adams", FRACTION, 0.99)
    # None: all epochs. The distance stays at 2 until the rates fall.
    decay_epochs: int | None = setting(
        None,
        "epochs in which both learning rates decay along a cosine to a hundredth; 0: constant rates "
        "(default: all of --epochs, but dcgan 0; with --minutes 0)",
        COUNT_FROM_0,
        before=0,
    )
    # A sixth of an epoch: in the first epochs, distances are half of those without an average.
    ema_half_life: float = setting(
        10_000.0,
        "half-life of the average of the generator, which draws the samples, in images; 0: none",
        POSITIVE_OR_0,
    )
    mixed_precision: str = setting(
        "none", "compute in this type, but keep the weights in float32", tuple(POLICIES), "none"
    )
    jit: str = setting("auto", "compile the train step by XLA; auto: on a GPU", tuple(JIT), "auto")

    def make_gan(
        self, image_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int | None = None, seed: int = 0
    ):
        """Returns a `GAN` of this recipe's networks, not compiled yet: see `compile`.

        Args:
            image_shape: (height, width, channels) of the images; height and width divisible by 4.
            num_classes: number of labels for a conditional GAN, or None.
            seed: determines the initial weights, dropout and all latents. It sets Keras's own seed.

        Raises:
            ValueError: when the image's sides are not divisible by 4.
        """
        keras.utils.set_random_seed(seed)
        labels_and_size = (num_classes, self.base_filters)
        others = (self.discriminator_depth, self.dropout, self.translation, self.minibatch_deviation)
        with _dtype_policy(POLICIES[self.mixed_precision]):
            generator = build_generator(image_shape, self.latent_dim, *labels_and_size, self.generator_depth)
            discriminator = build_discriminator(image_shape, *labels_and_size, *others)
            average = {"ema_half_life_images": self.ema_half_life or None}
            return GAN(generator, discriminator, num_classes=num_classes, seed=seed, **average)

    def compile(self, gan, decay_steps: int = 0, **more) -> None:
        """Compiles a GAN with this recipe's optimizers, loss and penalty.

        Args:
            gan: a GAN from `make_gan`.
            decay_steps: number of train steps in which both learning rates decay along a cosine to a
                hundredth, best all steps of the training (Loshchilov & Hutter 2017,
                https://arxiv.org/abs/1608.03983, equation 5); 0: constant learning rates.
            more: other arguments of `GAN.compile`: metrics, steps_per_execution, ….
        """
        rates = [self.generator_learning_rate, self.discriminator_learning_rate]
        arguments = {
            "loss": self.loss,
            "penalty": None if self.penalty == "none" else self.penalty,
            "discriminator_steps": self.discriminator_steps,
            "jit_compile": JIT[self.jit],
        } | more
        updates = [decay_steps, decay_steps * arguments["discriminator_steps"]]
        if decay_steps:
            schedule = keras.optimizers.schedules.CosineDecay
            rates = [schedule(rate, steps, FINAL_RATE) for rate, steps in zip(rates, updates, strict=True)]
        gan.compile(*(recommended_optimizer(rate, self.beta_2) for rate in rates), **arguments)


@contextlib.contextmanager
def _dtype_policy(name: str):
    """Makes models of this policy in the block."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


FAST = Recipe()
BEST = Recipe(
    epochs=56,  # an hour of MNIST on two CPU cores
    latent_dim=50,  # so the trained generator takes 1.3 MB
    generator_learning_rate=5e-4,  # at 2e-3 the discriminator gave way after eight epochs of a long run
    discriminator_learning_rate=5e-4,  # as the generator's
)
FEW = Recipe(
    epochs=6,  # of 500 steps, three minutes
    translation=0.125,  # without it 4.4 % of the samples were near-copies, with it 1.2 %
)
DCGAN = Recipe(  # the network that this project began from, with the optimizers of Radford et al. 2015
    epochs=45,  # where its distance no longer falls
    generator_depth=0,
    discriminator_depth=0,
    minibatch_deviation=False,
    dropout=0.3,
    conditional=False,
    penalty="none",
    generator_learning_rate=2e-4,
    discriminator_learning_rate=2e-4,
    beta_2=0.999,
    decay_epochs=0,
    ema_half_life=0.0,
)
RECIPES = {"fast": FAST, "best": BEST, "few": FEW, "dcgan": DCGAN}
