"""Recipes: what the networks are made of and how they learn, with the reason for each value.

docs/recipe.md tells how they were found, and what was tried and lost.
"""

import dataclasses

__all__ = ["PRESETS", "Recipe"]


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
        generator_learning_rate, discriminator_learning_rate: Adam's, with beta1 0.5.
        ema_half_life: of the generator's average, in images seen; 0 for no average.

    Example:

    ```python
    from gan.presets import PRESETS

    recipe = PRESETS["best"]
    gan = recipe.make_gan(num_classes=10)
    recipe.compile(gan)    # and now `fit` it on batches of (images, labels)
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

    def compile(self, gan, **more) -> None:
        """Lets its players learn as this recipe says; `more` of `GAN.compile`: metrics and the like."""
        import keras

        gan.compile(
            keras.optimizers.Adam(self.generator_learning_rate, beta_1=0.5),
            keras.optimizers.Adam(self.discriminator_learning_rate, beta_1=0.5),
            loss=self.loss,
            penalty=None if self.penalty == "none" else self.penalty,
            update=self.update,
            **more,
        )


FAST = Recipe(
    epochs=10,
    batch_size=64,
    latent_dim=100,
    width=32,
    generator_depth=0,
    discriminator_depth=2,
    dropout=0.0,
    translation=0.0,
    loss="non_saturating",
    penalty="r1",
    generator_learning_rate=2e-3,
    discriminator_learning_rate=2e-3,
    ema_half_life=10_000.0,
    update="alternating",
)
BEST = dataclasses.replace(FAST, epochs=60)
FEW = dataclasses.replace(FAST, epochs=10, translation=0.125)
PRESETS = {"fast": FAST, "best": BEST, "few": FEW}
