"""Compares the time per multiplication for batches of 16 to 1024 images and for 32 to 128 base filters."""

import math

from keras import layers

from timing import Row, compare, fit_contender, interleave
from training import make_dataset, make_gan

__all__ = ["measure_sizes"]

SIZES = ((16, 32), (64, 32), (256, 32), (1024, 32), (64, 64), (64, 96), (64, 128))  # batch, base_filters
REFERENCE = (64, 32)


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
        arithmetic[name] = batch_size * _multiplications_of_step(gan)
    samples = interleave(contenders, rounds)
    reference = _name(*REFERENCE)
    return [
        compare("sizes", samples, name, reference, scale=arithmetic[reference] / arithmetic[name])
        for name in contenders
    ]


def _name(batch_size: int, base_filters: int) -> str:
    return f"batch {batch_size}, base_filters {base_filters}, per multiplication"


def _multiplications_of_step(gan) -> int:
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
