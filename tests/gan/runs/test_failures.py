"""Tests the settings and the data of the trainings that fail. test_train.py runs one of them."""

import dataclasses

import numpy as np
import pytest

from gan.data import Dataset
from gan.recipes import RECIPES
from gan.runs import Settings
from gan.runs.failures import FAILURES, FEW_IMAGES, change_data

IMAGES = np.arange(60_000, dtype=np.uint16).astype(np.uint8).reshape(-1, 1, 1, 1)
LABELS = np.arange(60_000, dtype=np.int32) // 6000  # sorted, as in a folder
DATASET = Dataset("mine", "mine", np.broadcast_to(IMAGES, (60_000, 4, 4, 1)), LABELS)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_changes_the_settings_of_the_recipe(failure):
    settings = Settings.new({"failure": failure}, DATASET)
    assert Settings.read(dataclasses.asdict(settings)) == settings
    changes = FAILURES[failure].settings
    assert {name: getattr(settings, name) for name in changes} == changes
    kept = vars(RECIPES["fast"]).keys() - changes.keys() - {"decay_epochs", "penalty_weight"}
    assert all(getattr(settings, name) == getattr(RECIPES["fast"], name) for name in kept)


def test_flags_override_a_failure():
    settings = Settings.new({"failure": "discriminator-wins", "penalty": "r1", "epochs": 3}, DATASET)
    assert (settings.penalty, settings.epochs, settings.generator_learning_rate) == ("r1", 3, 1e-4)
    assert settings.penalty_weight > 0


def test_wrong_range_gives_images_from_0_to_1():
    images, labels = change_data("wrong-range", DATASET.train_images, LABELS)
    assert labels is LABELS and images.dtype == np.float32
    np.testing.assert_allclose(images, DATASET.train_images / 255, rtol=1e-6)


def test_memorizing_keeps_few_images_of_all_classes():
    images, labels = change_data("memorizing", DATASET.train_images, LABELS)
    assert len(images) == len(labels) == FEW_IMAGES
    assert np.unique(labels).tolist() == list(range(10))
    assert change_data("memorizing", DATASET.train_images, None)[1] is None


@pytest.mark.parametrize("failure", [None, "collapse"])
def test_other_runs_keep_their_images(failure):
    images, labels = change_data(failure, DATASET.train_images, LABELS)
    assert images is DATASET.train_images and labels is LABELS
