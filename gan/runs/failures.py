"""Trainings that fail, to learn from: `train.py --failure NAME`. docs/failures.md shows each of them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..images import spread_rows


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
    """Keeps a few images, evenly spread, so that all classes remain."""
    rows = spread_rows(len(images), FEW_IMAGES)
    return images[rows], None if labels is None else labels[rows]


def _scale_wrongly(images: np.ndarray, labels: np.ndarray | None) -> tuple:
    """Scales pixels to floats in [0, 1]."""
    return images.astype(np.float32) / 255, labels


FEW_IMAGES = 50
# Small networks and short epochs, so that a run takes two or three minutes on two CPU cores.
SHORT = {"base_filters": 16, "steps_per_epoch": 100, "epochs": 8}
FAILURES = {
    "wrong-range": Failure(
        "the training images lie in [0, 1], and the generator draws in [-1, 1]", SHORT, _scale_wrongly
    ),
    "divergence": Failure(
        "the Wasserstein loss has no limit without a penalty",
        SHORT | {"loss": "wasserstein", "penalty": "none"},
    ),
    "high-rates": Failure(
        "the learning rates are fifty times too high",
        SHORT | {"generator_learning_rate": 0.1, "discriminator_learning_rate": 0.1},
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
        SHORT | {"translation": 0.0, "penalty_weight": 0.03},
        _keep_few,
    ),
    "collapse": Failure(
        "a latent has only one number, and nothing shows the discriminator that all samples are alike",
        SHORT | {"latent_dim": 1, "conditional": False, "minibatch_deviation": False},
    ),
    "little-variety": Failure("a latent has only one number", SHORT | {"latent_dim": 1}),
}


def change_data(failure: str | None, images: np.ndarray, labels: np.ndarray | None) -> tuple:
    """Returns the training images and labels of a run, changed if its failure changes them."""
    change = None if failure is None else FAILURES[failure].change
    return (images, labels) if change is None else change(images, labels)
