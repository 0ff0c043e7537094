"""Compares networks that make features without labels: which one notices that images are wrong?

python tests/benchmarks/feature_networks.py fashion_mnist.npz
python tests/benchmarks/feature_networks.py FOLDER --image-size 32

Prints the Fréchet distance of damaged real images, divided by the floor (the distance of undamaged real
images). A good network gives every damage a ratio above 1, and orders the damages like the classifier, which
knows the labels.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[2]))

from gan.data import load
from gan.metrics import classifiers, frechet_distance
from gan.metrics.features import FeatureNetwork, extract, train_autoencoder

MOST_IMAGES = 2000
MOST_TURNED = 20_000
STEPS = 1500  # of each training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--image-size", type=int)
    options = parser.parse_args()
    classifiers.TRAINING_STEPS = classifiers.STEPS_FOR_LARGE = STEPS
    dataset = load(options.dataset, options.image_size)
    networks = dict(train_networks(dataset))
    count = min(MOST_IMAGES, len(dataset.test_images), len(dataset.train_images) // 2)
    reference = {name: extract(one, dataset.test_images[:count])[0] for name, one in networks.items()}
    floors, ratios = None, []
    for damage, images in damaged_images(dataset, count):
        distances = [
            frechet_distance(reference[name], extract(one, images)[0]) for name, one in networks.items()
        ]
        if floors is None:
            floors = distances
            print(f"{'':18}" + "".join(f"{name:>13}" for name in networks))
            print(f"{damage:18}" + "".join(f"{value:13.4g}" for value in floors), flush=True)
        else:
            ratios.append(np.divide(distances, floors))
            print(f"{damage:18}" + "".join(f"{value:13.2f}" for value in ratios[-1]), flush=True)
    ranks = np.argsort(np.argsort(ratios, 0), 0)
    agreement = [np.corrcoef(ranks[:, 0], ranks[:, column])[0, 1] for column in range(len(networks))]
    print(f"{'smallest ratio':18}" + "".join(f"{value:13.2f}" for value in np.min(ratios, 0)))
    print(f"{'mean ratio':18}" + "".join(f"{value:13.2f}" for value in np.exp(np.log(ratios).mean(0))))
    print(f"{'rank correlation':18}" + "".join(f"{value:13.2f}" for value in agreement))


def train_networks(dataset):
    """Yields the name and the network, and prints the time of each training."""
    images = dataset.train_images
    turned = images[:: -(-len(images) * 4 // MOST_TURNED)]
    turned, turns = (
        np.concatenate([np.rot90(turned, k, (1, 2)) for k in range(4)]),
        np.arange(4).repeat(len(turned)),
    )
    trainings = {
        "classifier": lambda: classifiers.train_classifier(images, dataset.train_labels, verbose=0),
        "random": lambda: FeatureNetwork(dataset.image_shape),
        "turns": lambda: classifiers.train_classifier(turned, turns.astype(np.int32), verbose=0),
        "autoencoder": lambda: train_autoencoder(images, verbose=0),
    }
    for name, train in trainings.items():
        started = time.perf_counter()
        yield name, train()
        print(f"{name}: trained in {time.perf_counter() - started:.0f} s", flush=True)


def damaged_images(dataset, count: int):
    """Yields a description and images: first undamaged training images, then damaged ones."""
    numbers = np.random.default_rng(0)
    images, labels = dataset.train_images, dataset.train_labels
    real = images[numbers.permutation(len(images))[:count]]
    yield "floor", real
    for radius in (0.5, 1, 2):
        yield f"blur {radius} pixels", np.stack([blur(image, radius) for image in real])
    for deviation in (8, 20, 50):
        noise = numbers.normal(0, deviation, real.shape)
        yield f"noise {deviation} of 255", np.clip(real + noise, 0, 255).astype(np.uint8)
    order = np.argsort(np.bincount(labels))[::-1]  # the largest classes first
    for missing in (1, 2, 4):
        kept = np.flatnonzero(~np.isin(labels, order[:missing]))
        yield f"without {missing} classes", images[numbers.permutation(kept)[:count]]
    for different in (200, 50, 10):
        few = images[numbers.permutation(len(images))[:different]]
        yield f"{different} images only", few[numbers.integers(0, different, count)]
    for share in (0.05, 0.2):
        copied = real.copy()
        copied[numbers.random(count) < share] = real[0]
        yield f"{share:.0%} one image", copied


def blur(image: np.ndarray, radius: float) -> np.ndarray:
    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius))).reshape(image.shape)


if __name__ == "__main__":
    main()
