"""A GAN that is an ordinary Keras model."""

from gan import metrics  # registers them, so that a model saved with them loads
from gan.model import GAN
from gan.networks import build_discriminator, build_generator

__all__ = ["GAN", "build_discriminator", "build_generator", "metrics"]
