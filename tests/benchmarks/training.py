"""Compares the train step of `fit` with the bare step, other options, and the steps of other projects."""

import keras
import numpy as np

from gan import GAN, build_discriminator, build_generator
from gan.data import pipeline
from steps import (
    LATENT_DIM,
    Batch,
    bare_step,
    textbook_step,
    tutorial_discriminator,
    tutorial_generator,
    tutorial_step,
)
from timing import Contender, Row, compare, fit_contender, interleave, repeat

__all__ = [
    "BATCH_SIZE",
    "NUM_CLASSES",
    "make_dataset",
    "make_gan",
    "make_networks",
    "measure_rivals",
    "measure_schemes",
]

BATCH_SIZE, NUM_CLASSES = 64, 10  # as in train.py
TUTORIAL_BATCH_SIZE = 256
IMAGES = 60_000  # the number of training images of MNIST
STEPS = 24  # steps in a row for one sample
FIT, LOOP, FLOOR = "fit", "loop over the step of fit", "bare step"
GROUPED = "fit, 8 steps per execution (train.py)"
PLAIN = "fit, no penalty"
PIPELINE, TEXTBOOK = "input pipeline alone", "keras.io guide's step"
TUTORIAL, TUTORIAL_HERE = "tutorial's step and networks, per image", "tutorial's step, our networks"


def make_networks(base_filters: int = 32) -> tuple[keras.Model, keras.Model]:
    """Builds a new generator and a new discriminator with the default options."""
    return (
        build_generator(latent_dim=LATENT_DIM, num_classes=NUM_CLASSES, base_filters=base_filters),
        build_discriminator(num_classes=NUM_CLASSES, base_filters=base_filters),
    )


def make_gan(base_filters: int = 32, ema_half_life_images: float | None = 10_000, **compile_arguments) -> GAN:
    """Makes the GAN that train.py makes for MNIST, but with Keras's default of one step per execution."""
    networks = make_networks(base_filters)
    gan = GAN(*networks, num_classes=NUM_CLASSES, ema_half_life_images=ema_half_life_images)
    gan.compile(**compile_arguments)
    return gan


def make_dataset(batch_size: int = BATCH_SIZE):
    """Returns batches of noise instead of MNIST, from `gan.data.pipeline`."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 28, 28, 1), np.uint8)
    return pipeline(images, rng.integers(0, NUM_CLASSES, IMAGES), batch_size=batch_size, seed=0)


def measure_rivals(rounds: int) -> list[Row]:
    """Compares the step of `fit` with the bare step, the pipeline, and the steps of other projects."""
    samples = interleave(_rivals(), rounds)
    section = "step"
    per_image = BATCH_SIZE / TUTORIAL_BATCH_SIZE
    return [
        compare(section, samples, FIT, FLOOR, at_most=1.10),
        compare(section, samples, GROUPED, FLOOR, at_most=1.10),
        compare(section, samples, FIT, LOOP),
        compare(section, samples, PIPELINE, FIT, at_most=0.02),
        compare(section, samples, PLAIN, FIT),
        compare(section, samples, TEXTBOOK, PLAIN),
        compare(section, samples, TUTORIAL_HERE, PLAIN),
        compare(section, samples, TUTORIAL, GROUPED, scale=per_image, at_least=6),
    ]


def _rivals() -> dict[str, Contender]:
    dataset = make_dataset()
    gan = make_gan()
    batch = Batch(BATCH_SIZE, NUM_CLASSES)
    gan.make_train_function()
    batches, iterator = iter(dataset), iter(dataset)
    tutorial = (tutorial_generator(), tutorial_discriminator(), Batch(TUTORIAL_BATCH_SIZE, None))
    return {
        FIT: fit_contender(gan, dataset, STEPS),
        FLOOR: repeat(bare_step(*make_networks(), batch), STEPS),
        LOOP: repeat(lambda: gan.train_function(iterator), STEPS),
        GROUPED: fit_contender(make_gan(steps_per_execution=8), dataset, STEPS),
        PLAIN: fit_contender(make_gan(penalty=None), dataset, STEPS),
        PIPELINE: repeat(lambda: next(batches), 10 * STEPS),
        TEXTBOOK: repeat(textbook_step(*make_networks(), batch), STEPS),
        TUTORIAL_HERE: repeat(tutorial_step(*make_networks(), batch), STEPS),
        TUTORIAL: repeat(tutorial_step(*tutorial), 2),
    }


def measure_schemes(rounds: int) -> list[Row]:
    """Compares options of the GAN in `fit`, and the bare step with and without a joined batch."""
    dataset, batch = make_dataset(), Batch(BATCH_SIZE, NUM_CLASSES)
    choices = {
        "no penalty": {"penalty": None},
        "penalty r1+r2": {"penalty": "r1+r2"},
        "penalty wgan_gp": {"penalty": "wgan_gp"},
        "loss relativistic": {"loss": "relativistic"},
        "jit_compile": {"jit_compile": True},
    }
    contenders = {FIT: fit_contender(make_gan(), dataset, STEPS)}
    contenders["no moving average"] = fit_contender(make_gan(ema_half_life_images=None), dataset, STEPS)
    for name, arguments in choices.items():
        contenders[name] = fit_contender(make_gan(**arguments), dataset, STEPS)
    keras.config.set_dtype_policy("mixed_bfloat16")
    contenders["mixed_bfloat16"] = fit_contender(make_gan(), dataset, STEPS)
    keras.config.set_dtype_policy("float32")
    contenders[FLOOR] = repeat(bare_step(*make_networks(), batch), STEPS)
    contenders["bare step, real and fake as one batch"] = repeat(
        bare_step(*make_networks(), batch, join=True), STEPS
    )
    samples = interleave(contenders, rounds)
    return [
        compare("schemes", samples, name, FLOOR if name.startswith(FLOOR) else FIT)
        for name in contenders
        if name not in (FIT, FLOOR)
    ]
