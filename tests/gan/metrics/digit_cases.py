"""Contains the embedded digits, and images that a broken generator may draw."""

import functools

import numpy as np

from gan.data import load
from gan.metrics import load_classifier
from gan.metrics.features import extract


@functools.cache
def classify_digits():
    """Returns the pixels, features and logits of each case."""
    digits = load("digits")
    even, odd = digits.train_images[::2], digits.train_images[1::2]
    rng = np.random.default_rng(0)
    cases = {
        "reference": even,
        "real": odd,
        "copies": even.copy(),
        "ones": odd[digits.train_labels[1::2] == 1],
        "one image": np.repeat(odd[:1], len(odd), axis=0),
        "noise": rng.integers(0, 256, odd.shape, np.uint8),
        "blended": odd // 2 + odd[::-1] // 2,  # two digits in one image
    }
    classifier = load_classifier("digits")
    return {name: (images, *extract(classifier, images)) for name, images in cases.items()}
