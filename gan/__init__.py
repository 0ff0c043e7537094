"""A GAN that is an ordinary Keras model."""

from gan.model import GAN
from gan.networks import build_discriminator, build_generator

__all__ = ["GAN", "build_discriminator", "build_generator"]
