"""Compares the time per multiplication: for sizes of batches, widths of networks, and sizes of images."""

import dataclasses
import math

import numpy as np
from keras import layers

from gan.data import pipeline
from gan.recipes import RECIPES
from timing import Row, compare, fit_contender, interleave
from training import NUM_CLASSES, make_dataset, make_gan

__all__ = ["measure_images", "measure_sizes", "multiplications_of_step"]

SIZES = ((16, 32), (64, 32), (256, 32), (1024, 32), (64, 64), (64, 96), (64, 128))  # batch, base_filters
REFERENCE = (64, 32)
IMAGES = ((28, 1), (28, 3), (32, 1), (32, 3), (64, 1), (64, 3))  # side, channels
IMAGE_STEPS = 8


def measure_sizes(rounds: int) -> list[Row]:
    """Compares the time per multiplication with the time for the default batch size and base_filters.

    All ratios are 1 if the time is proportional to the number of multiplications.
    """
    contenders, arithmetic = {}, {}
    for batch_size, base_filters in SIZES:
        gan = make_gan(base_filters=base_filters, penalty=None)
        name = _name(batch_size, base_filters)
        steps = max(3, round(24 * 64 * 32 / (batch_size * base_filters)))
        contenders[name] = fit_contender(gan, make_dataset(batch_size), steps)
        arithmetic[name] = batch_size * multiplications_of_step(gan)
    samples = interleave(contenders, rounds)
    reference = _name(*REFERENCE)
    return [
        compare("sizes", samples, name, reference, scale=arithmetic[reference] / arithmetic[name])
        for name in contenders
    ]


def measure_images(rounds: int) -> list[Row]:
    """Compares the time of a step for images of several sizes, and the time per multiplication.

    The networks are those of the recipes images32 and images64.
    """
    contenders, arithmetic = {}, {}
    for side, channels in IMAGES:
        recipe, shape = RECIPES["images64" if side > 32 else "images32"], (side, side, channels)
        gan = recipe.make_gan(shape, NUM_CLASSES)
        recipe.compile(gan)
        images = np.random.default_rng(0).integers(0, 256, (1000, *shape), np.uint8)
        labels = np.arange(1000) % NUM_CLASSES
        name = f"{side}x{side}x{channels}"
        dataset = pipeline(images, labels, batch_size=recipe.batch_size, seed=0)
        contenders[name] = fit_contender(gan, dataset, IMAGE_STEPS)
        arithmetic[name] = multiplications_of_step(gan)
    samples = interleave(contenders, rounds)
    reference = next(iter(contenders))
    rows = [compare("images", samples, name, reference) for name in contenders]
    for name in contenders:
        scale = arithmetic[reference] / arithmetic[name]
        row = compare("images", samples, name, reference, scale=scale)
        rows.append(dataclasses.replace(row, what=f"{name}, per multiplication"))
    return rows


def _name(batch_size: int, base_filters: int) -> str:
    return f"batch {batch_size}, base_filters {base_filters}, per multiplication"


def multiplications_of_step(gan) -> int:
    """Returns the number of multiplications of a train step for one image.

    The generator has three passes: one forward pass and two backward passes. The discriminator has eight
    passes: three forward, two backward to the weights, and three backward to the input.
    """
    return 3 * _multiplications(gan.generator) + 8 * _multiplications(gan.discriminator)


def _multiplications(network) -> int:
    """Returns the number of multiplications of one forward pass of one image."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, layers.Conv2DTranspose):
            total += math.prod(layer.input.shape[1:3]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Conv2D):
            total += math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total
