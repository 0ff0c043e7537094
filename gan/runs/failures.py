"""Trainings that fail, to learn from: `train.py --failure NAME`. docs/failures.md shows each of them."""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Failure:
    """Holds what makes a training fail.

    Attributes:
        reason: why the training fails, one sentence for the user.
        settings: the settings that differ from the recipe. A flag of the command line overrides them, so the
            user can try the cure: `train.py --failure discriminator-wins --penalty r1`.
        change: a function of the training images and the labels that returns other ones, or None.
    """

    reason: str
    settings: dict
    change: Callable[[np.ndarray, np.ndarray | None], tuple] | None = None


def _keep_few(images: np.ndarray, labels: np.ndarray | None) -> tuple:
    """Keeps the first 200 images."""
    return images[:FEW_IMAGES], None if labels is None else labels[:FEW_IMAGES]


def _lighten(images: np.ndarray, labels: np.ndarray | None) -> tuple:
    """Scales pixels from 0..255 to 127..255, which the pipeline maps to [0, 1]."""
    return (127 + (images.astype(np.uint16) * 128) // 255).astype(np.uint8), labels


FEW_IMAGES = 200
# Small networks and short epochs, so that a run takes two or three minutes on two CPU cores.
SHORT = {"base_filters": 16, "steps_per_epoch": 100, "epochs": 12}
FAILURES = {
    "wrong-range": Failure(
        "the training images lie in [0, 1], and the generator draws in [-1, 1]", SHORT, _lighten
    ),
    "high-rates": Failure(
        "both learning rates are ten times too high",
        SHORT | {"generator_learning_rate": 2e-2, "discriminator_learning_rate": 2e-2},
    ),
    "discriminator-wins": Failure(
        "the discriminator has no penalty, and learns faster than the generator",
        SHORT | {"penalty": "none", "generator_learning_rate": 1e-4},
    ),
    "generator-wins": Failure(
        "the discriminator learns much more slowly than the generator",
        SHORT | {"discriminator_learning_rate": 1e-5},
    ),
    "memorizing": Failure(
        f"the discriminator sees only {FEW_IMAGES} training images, and always unchanged",
        SHORT | {"translation": 0.0},
        _keep_few,
    ),
    "little-variety": Failure("the latents have only two numbers", SHORT | {"latent_dim": 2}),
}


def change_data(failure: str | None, images: np.ndarray, labels: np.ndarray | None) -> tuple:
    """Returns the training images and labels of a run, changed if its failure changes them."""
    change = None if failure is None else FAILURES[failure].change
    return (images, labels) if change is None else change(images, labels)
