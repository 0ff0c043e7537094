"""Recipes: the size of the networks and the settings of the training, with the reason for each value.

docs/recipe.md describes the experiments behind the recipes, and the experiments that failed. All recipes
share some values. The reasons for these values are in other files: R1's weight in gan/penalties.py, Adam's
beta1 in gan/optimizer.py, conditional batch norm in gan/networks.py.
"""

import contextlib
import dataclasses

import keras

from . import losses, penalties
from .limits import COUNT, COUNT_FROM_0, FRACTION, LAYERS, POSITIVE, POSITIVE_OR_0, UNITS, setting
from .model import GAN
from .networks import build_discriminator, build_generator
from .optimizer import recommended_optimizer

FINAL_RATE = 0.01  # times the first learning rate
POLICIES = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
JIT = {"auto": "auto", "on": True, "off": False}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Holds all settings of a training, except the data and the seed. The defaults are the recipe `fast`.

    Each field holds the type, the default, the help text and the limits of a setting: see
    `gan.limits.setting`. train.py has a flag for each setting.

    Example:

    ```python
    from gan.recipes import RECIPES

    recipe = RECIPES["best"]
    gan = recipe.make_gan(num_classes=10)
    recipe.compile(gan, decay_steps=recipe.epochs * 936)    # next: gan.fit(...)
    ```
    """

    # Five minutes for MNIST on two CPU cores.
    epochs: int | None = setting(
        5,
        "stop after N epochs; the default is smaller for few images: at most 200 passes over the images",
        COUNT,
        group="length",
    )
    # A batch size of 128 is hardly faster per image and gives half as many updates.
    batch_size: int = setting(64, "number of images in a batch", COUNT)
    # The usual length in textbooks. A length of 50 works equally well.
    latent_dim: int = setting(100, "length of a latent vector", UNITS)
    # Half of DCGAN's channels: fewer channels are faster, and the discriminator's depth matters more.
    base_filters: int = setting(
        32, "number of channels at half the image size; the number doubles when the size halves", UNITS, 32
    )
    # Without labels, this convolution halves the Fréchet distance.
    generator_depth: int = setting(
        1, "number of 3x3 convolutions at the generator's smallest size", LAYERS, 0
    )
    # Two convolutions make a step 1.7 times as long. Without them the Fréchet distance stops at 2.
    discriminator_depth: int = setting(
        2, "number of 3x3 convolutions at the discriminator's smallest size", LAYERS, 0
    )
    # In color the strided convolutions alone leave fine hatching in plain areas. MNIST does not show it.
    image_depth: int = setting(
        0, "number of the discriminator's 3x3 convolutions at the size of the image", LAYERS, 0
    )
    # Costs no time. Without labels, the deviation reduces the Fréchet distance to two thirds.
    minibatch_deviation: bool = setting(
        True, "whether the discriminator sees how much the images of its batch vary", before=True
    )
    # The penalty keeps the discriminator smooth. Dropout would add noise.
    dropout: float = setting(
        0.0, "fraction of the discriminator's channels that dropout drops", FRACTION, 0.3
    )
    # The discriminator does not memorize 60,000 images in five epochs.
    translation: float = setting(
        0.0,
        "largest random shift of the discriminator's images, as a fraction of the image side",
        FRACTION,
        0.0,
    )
    # A rectangle and other colors hide parts of each image, so few images are harder to memorize.
    cutout: float = setting(
        0.0,
        "side of a random rectangle that hides a part of each of the discriminator's images, as a fraction "
        "of the image side",
        FRACTION,
        0.0,
    )
    color_jitter: bool = setting(
        False,
        "whether to change brightness, saturation and contrast of the discriminator's images at random",
        before=False,
    )
    # Wrong for digits and letters, so never a default.
    flip: bool = setting(False, "train with the mirror image of each image too", before=False)
    # Labels improve the quality most.
    conditional: bool = setting(True, "train with labels, or without labels", off="--unconditional")
    # The relativistic loss diverges with R1 alone, and takes longer with R1 and R2.
    loss: str = setting("non_saturating", "adversarial loss", tuple(losses.BY_NAME))
    # Without a penalty the Fréchet distance is nearly twice as large, and the digits are less varied.
    penalty: str = setting("r1", "gradient penalty", ("none", *penalties.BY_NAME))
    penalty_weight: float | None = setting(
        None,
        "weight of the penalty (default: for images of 28x28 pixels 0.3 for r1, 0.1 for r2 and r1+r2, 10 for "
        "wgan_gp; the weights of r1 and r2 grow with the number of pixels)",
        POSITIVE_OR_0,
        before=lambda stored: penalties.WEIGHTS.get(str(stored.get("penalty")), 0.0),
    )
    # The penalty wgan_gp needs more updates: its paper uses 5.
    discriminator_steps: int = setting(1, "discriminator updates for each generator update", COUNT, 1)
    # 1e-3 learns more slowly at first. With 4e-3 the training fails in the second epoch.
    generator_learning_rate: float = setting(2e-3, "learning rate of the generator's Adam", POSITIVE)
    discriminator_learning_rate: float = setting(2e-3, "learning rate of the discriminator's Adam", POSITIVE)
    # With 0.999 Adam adapts too late to growing gradients, and the discriminator sometimes fails.
    beta_2: float = setting(0.99, "beta2 of both Adams", FRACTION, 0.99)
    # None: all epochs. The Fréchet distance stays at 2 until the learning rates fall.
    decay_epochs: int | None = setting(
        None,
        "number of epochs in which both learning rates fall along a cosine to a hundredth; 0: constant rates "
        "(default: the number of --epochs; 0 for dcgan and with --minutes)",
        COUNT_FROM_0,
        before=0,
    )
    # A sixth of an epoch. In the first epochs, the moving average halves the Fréchet distance.
    ema_half_life: float = setting(
        10_000.0,
        "half-life, in images, of the generator's moving average, which draws the samples; 0: no average",
        POSITIVE_OR_0,
    )
    mixed_precision: str = setting(
        "none", "type of the computations; the weights stay in float32", tuple(POLICIES), "none"
    )
    jit: str = setting("auto", "compile the train step with XLA; auto: only on a GPU", tuple(JIT), "auto")

    def make_gan(
        self, image_shape: tuple[int, int, int] = (28, 28, 1), num_classes: int | None = None, seed: int = 0
    ):
        """Creates a `GAN` with the networks of this recipe. Call `compile` next.

        Args:
            image_shape: (height, width, channels) of the images; height and width at least 4.
            num_classes: number of classes of a conditional GAN, or None.
            seed: determines the initial weights, dropout and all latents. Also sets the global seed of Keras.

        Raises:
            ValueError: when the height or the width is less than 4.
        """
        keras.utils.set_random_seed(seed)
        labels_and_size = (num_classes, self.base_filters)
        augmentation = {name: getattr(self, name) for name in ("translation", "cutout", "color_jitter")}
        others = {"depth": self.discriminator_depth, "dropout": self.dropout, **augmentation}
        others |= {"minibatch_deviation": self.minibatch_deviation, "image_depth": self.image_depth}
        with _dtype_policy(POLICIES[self.mixed_precision]):
            generator = build_generator(image_shape, self.latent_dim, *labels_and_size, self.generator_depth)
            discriminator = build_discriminator(image_shape, *labels_and_size, **others)
            average = {"ema_half_life_images": self.ema_half_life or None}
            return GAN(generator, discriminator, num_classes=num_classes, seed=seed, **average)

    def compile(self, gan, decay_steps: int = 0, **more) -> None:
        """Compiles a GAN with the optimizers, loss and penalty of this recipe.

        Args:
            gan: a GAN from `make_gan`.
            decay_steps: number of train steps in which both learning rates fall along a cosine to a
                hundredth (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983, equation 5). Usually
                all steps of the training. 0: constant learning rates.
            more: other arguments of `GAN.compile`, for example metrics or steps_per_execution.
        """
        rates = [self.generator_learning_rate, self.discriminator_learning_rate]
        arguments = {
            "loss": self.loss,
            "penalty": self._make_penalty(),
            "discriminator_steps": self.discriminator_steps,
            "jit_compile": JIT[self.jit],
        } | more
        updates = [decay_steps, decay_steps * arguments["discriminator_steps"]]
        if decay_steps:
            schedule = keras.optimizers.schedules.CosineDecay
            rates = [schedule(rate, steps, FINAL_RATE) for rate, steps in zip(rates, updates, strict=True)]
        gan.compile(*(recommended_optimizer(rate, self.beta_2) for rate in rates), **arguments)

    def _make_penalty(self):
        """Returns the penalty with its weight. Without a weight, returns the name: `GAN` chooses."""
        if self.penalty == "none":
            return None
        weight = self.penalty_weight
        return self.penalty if weight is None else penalties.BY_NAME[self.penalty](weight)


@contextlib.contextmanager
def _dtype_policy(name: str):
    """Sets the dtype policy of Keras for the block."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


FAST = Recipe()
BEST = Recipe(
    epochs=56,  # an hour for MNIST on two CPU cores
    latent_dim=50,  # as good as 100, and the file of the trained generator is smaller: 1.3 MB
    generator_learning_rate=5e-4,  # at 2e-3 the discriminator failed after eight epochs of a long run
    discriminator_learning_rate=5e-4,  # the same as the generator's
)
FEW = Recipe(
    epochs=6,  # 500 steps each, three minutes in total
    translation=0.125,  # with shifts, 1.2 % of the samples are near-copies; without shifts, 4.4 %
)
IMAGES32 = Recipe(
    epochs=30,  # of 500 steps for few images: 40 minutes on two slow CPU cores
    batch_size=32,  # half of the images in a batch, so twice as many updates in the same time
    image_depth=1,  # without it, plain areas have fine hatching; a step takes 1.3 times as long
    translation=0.125,  # few images: without shifts, the discriminator memorizes them
)
IMAGES64 = dataclasses.replace(
    IMAGES32,
    base_filters=16,  # as many channels at 8x8 as for 32x32 pixels, so a step is only twice as long
)
DCGAN = Recipe(  # the first network of this project, with the optimizers of Radford et al. 2015
    epochs=45,  # after 45 epochs the Fréchet distance no longer falls
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
RECIPES = {"fast": FAST, "best": BEST, "few": FEW, "images32": IMAGES32, "images64": IMAGES64}
RECIPES |= {"dcgan": DCGAN}
