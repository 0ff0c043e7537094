"""Recipes: what the networks are made of and how they learn, with the reason for each value.

docs/recipe.md tells how they were found, and what was tried and lost. What no recipe changes has its reason
where it stands: R1's weight in gan/penalties.py, Adam's betas in gan/optimizer.py, the norms of each class
and the deviation of the batch in gan/networks.py.
"""

import dataclasses

__all__ = ["PRESETS", "Recipe"]

FINAL_RATE = 0.01  # of the first


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a GAN learns in how many steps, but for data and seed.

    Args:
        epochs: how many passes over the data it is meant for.
        batch_size: images in a batch.
        latent_dim: length of a latent vector.
        width: channels of the largest hidden feature maps: see `build_generator`.
        generator_depth, discriminator_depth: 3x3 convolutions at the smallest size.
        dropout: share of the discriminator's channels dropped, in [0, 1).
        translation: the most by which the discriminator shifts what it sees, as a share of the side.
        loss, penalty, update: see `GAN.compile`; penalty "none" for none.
        generator_learning_rate, discriminator_learning_rate: Adam's, in the beginning.
        ema_half_life: of the generator's average, in images seen; 0 for no average.

    Example:

    ```python
    from gan.presets import PRESETS

    recipe = PRESETS["best"]
    gan = recipe.make_gan(num_classes=10)
    recipe.compile(gan, decay_steps=recipe.epochs * 936)    # and now `fit` it on (images, labels)
    ```
    """

    epochs: int | None
    batch_size: int
    latent_dim: int
    width: int
    generator_depth: int
    discriminator_depth: int
    dropout: float
    translation: float
    loss: str
    penalty: str
    generator_learning_rate: float
    discriminator_learning_rate: float
    ema_half_life: float
    update: str

    def make_gan(
        self,
        image_shape: tuple[int, int, int] = (28, 28, 1),
        num_classes: int | None = None,
        seed: int = 0,
    ):
        """A `GAN` of this recipe's networks, to be compiled by `compile`.

        Args:
            image_shape: (height, width, channels) of the images; height and width divisible by 4.
            num_classes: number of labels for a conditional GAN, or None.
            seed: what the initial weights, dropout and all latents follow from. It sets Keras's own.

        Raises:
            ValueError: when the image's sides are not divisible by 4.
        """
        import keras

        from gan.model import GAN
        from gan.networks import build_discriminator, build_generator

        keras.utils.set_random_seed(seed)
        return GAN(
            build_generator(image_shape, self.latent_dim, num_classes, self.width, self.generator_depth),
            build_discriminator(
                image_shape,
                num_classes,
                self.width,
                self.discriminator_depth,
                self.dropout,
                self.translation,
            ),
            num_classes=num_classes,
            seed=seed,
            ema_half_life_images=self.ema_half_life or None,
        )

    def compile(self, gan, decay_steps: int = 0, **more) -> None:
        """Lets its players learn as this recipe says.

        Args:
            gan: what `make_gan` made.
            decay_steps: train steps over which both rates fall along a cosine to a hundredth, best all
                that there will be (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983, equation
                5); 0: they stay.
            more: of `GAN.compile`: metrics, steps_per_execution, ….
        """
        import keras

        from gan.optimizer import recommended_optimizer

        rates = [self.generator_learning_rate, self.discriminator_learning_rate]
        if decay_steps:
            rates = [keras.optimizers.schedules.CosineDecay(rate, decay_steps, FINAL_RATE) for rate in rates]
        gan.compile(
            *(recommended_optimizer(rate) for rate in rates),
            loss=self.loss,
            penalty=None if self.penalty == "none" else self.penalty,
            update=self.update,
            **more,
        )


FAST = Recipe(
    epochs=5,  # five minutes of MNIST on two CPU cores
    batch_size=64,  # 128 is hardly quicker per image, for half the updates
    latent_dim=100,  # the textbooks'; 50 do as well
    width=32,  # half a DCGAN's: what counts is the discriminator's depth, and seconds
    generator_depth=1,  # without labels, where ten digits must be told apart, the distance falls to half
    discriminator_depth=2,  # 1.7 times the seconds of none, where the distance stops at 2
    dropout=0.0,  # the penalty keeps the discriminator smooth without its noise
    translation=0.0,  # 60,000 images are not learned by heart in five epochs
    loss="non_saturating",  # the relativistic one with R1 alone diverges; with R1 and R2 it takes longer
    penalty="r1",  # without it distances are nearly twice as large, and the digits turn typical
    generator_learning_rate=2e-3,  # 1e-3 is slower to start, 4e-3 breaks down in the second epoch
    discriminator_learning_rate=2e-3,  # as the generator's; 4e-3 breaks down too
    ema_half_life=10_000.0,  # images, a sixth of an epoch: on the way, distances are half of those without
    update="alternating",  # both at once are a tenth quicker, and start slower
)
BEST = dataclasses.replace(
    FAST,
    epochs=56,  # an hour of MNIST on two CPU cores
    latent_dim=50,  # so the trained generator takes 1.3 MB
    generator_learning_rate=5e-4,  # at 2e-3 the discriminator gave way after eight epochs of a long run
    discriminator_learning_rate=5e-4,  # as the generator's
)
FEW = dataclasses.replace(
    FAST,
    epochs=6,  # of 500 steps, three minutes
    translation=0.125,  # without it 4.4 % of the samples were near-copies, with it 1.2 %
)
PRESETS = {"fast": FAST, "best": BEST, "few": FEW}
