"""Recipes: the size of the networks and how they learn, with the reason for each value.

docs/recipe.md tells how they were found, and which trials failed. Values that no recipe changes have their
reasons elsewhere: R1's weight in gan/penalties.py, Adam's betas in gan/optimizer.py, class norm and the
batch's deviation in gan/networks.py.
"""

import dataclasses

__all__ = ["RECIPES", "Recipe"]

FINAL_RATE = 0.01  # times the first


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All settings that determine a training, except the data and the seed.

    Args:
        epochs: number of passes over the data that it was made for.
        batch_size: images in a batch.
        latent_dim: length of a latent vector.
        base_filters: channels of the largest hidden feature maps: see `build_generator`.
        generator_depth, discriminator_depth: 3x3 convolutions at the smallest size.
        dropout: fraction of the discriminator's channels dropped, in [0, 1).
        translation: largest shift of the images that the discriminator sees, as a fraction of their sides.
        loss, penalty: see `GAN.compile`; penalty "none" for none.
        generator_learning_rate, discriminator_learning_rate: Adam's learning rates at the first step.
        ema_half_life: half-life of the generator's average, in images seen; 0 for no average.

    Example:

    ```python
    from gan.recipes import RECIPES

    recipe = RECIPES["best"]
    gan = recipe.make_gan(num_classes=10)
    recipe.compile(gan, decay_steps=recipe.epochs * 936)    # and now `fit` it on (images, labels)
    ```
    """

    epochs: int | None
    batch_size: int
    latent_dim: int
    base_filters: int
    generator_depth: int
    discriminator_depth: int
    dropout: float
    translation: float
    loss: str
    penalty: str
    generator_learning_rate: float
    discriminator_learning_rate: float
    ema_half_life: float

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
        import keras

        from .model import GAN
        from .networks import build_discriminator, build_generator

        keras.utils.set_random_seed(seed)
        return GAN(
            build_generator(
                image_shape, self.latent_dim, num_classes, self.base_filters, self.generator_depth
            ),
            build_discriminator(
                image_shape,
                num_classes,
                self.base_filters,
                self.discriminator_depth,
                self.dropout,
                self.translation,
            ),
            num_classes=num_classes,
            seed=seed,
            ema_half_life_images=self.ema_half_life or None,
        )

    def compile(self, gan, decay_steps: int = 0, **more) -> None:
        """Compiles a GAN with this recipe's optimizers, loss and penalty.

        Args:
            gan: a GAN from `make_gan`.
            decay_steps: number of train steps in which both learning rates decay along a cosine to a
                hundredth, best all steps of the training (Loshchilov & Hutter 2017,
                https://arxiv.org/abs/1608.03983, equation 5); 0: constant learning rates.
            more: other arguments of `GAN.compile`: metrics, steps_per_execution, ….
        """
        import keras

        from .optimizer import recommended_optimizer

        rates = [self.generator_learning_rate, self.discriminator_learning_rate]
        updates = [decay_steps, decay_steps * more.get("discriminator_steps", 1)]
        if decay_steps:
            schedule = keras.optimizers.schedules.CosineDecay
            rates = [schedule(rate, steps, FINAL_RATE) for rate, steps in zip(rates, updates, strict=True)]
        gan.compile(
            *(recommended_optimizer(rate) for rate in rates),
            loss=self.loss,
            penalty=None if self.penalty == "none" else self.penalty,
            **more,
        )


FAST = Recipe(
    epochs=5,  # five minutes of MNIST on two CPU cores
    batch_size=64,  # 128 is hardly quicker per image, for half the updates
    latent_dim=100,  # the textbooks'; 50 do as well
    base_filters=32,  # half a DCGAN's: what counts is the discriminator's depth, and seconds
    generator_depth=1,  # without labels, where ten digits must be told apart, the distance falls to half
    discriminator_depth=2,  # 1.7 times the seconds of none, where the distance stops at 2
    dropout=0.0,  # the penalty keeps the discriminator smooth without its noise
    translation=0.0,  # 60,000 images are not learned by heart in five epochs
    loss="non_saturating",  # the relativistic one with R1 alone diverges; with R1 and R2 it takes longer
    penalty="r1",  # without it distances are nearly twice as large, and the digits turn typical
    generator_learning_rate=2e-3,  # 1e-3 is slower to start, 4e-3 breaks down in the second epoch
    discriminator_learning_rate=2e-3,  # as the generator's; 4e-3 breaks down too
    ema_half_life=10_000.0,  # images, a sixth of an epoch: on the way, distances are half of those without
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
RECIPES = {"fast": FAST, "best": BEST, "few": FEW}
