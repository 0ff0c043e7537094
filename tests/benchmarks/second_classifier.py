"""Compares two classifiers' rankings of runs: `python tests/benchmarks/second_classifier.py RUN RUN …`.

All runs must have the same data. The classifier of the metrics is convolutional. The second classifier has
dense layers only, and this script trains it in about a minute. The latents have a seed that no other part of
the project uses. The table also has a row for real training images.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

import keras
import numpy as np

from gan.data import load, pipeline
from gan.metrics import classifier_for, compare_neighborhoods, frechet_distance
from gan.metrics.features import extract
from gan.runs import RunFolder

SEED = 1234
STEPS, BATCH_SIZE = 2800, 128  # six epochs of MNIST
FIGURES = ("Fréchet", "label acc.", "coverage")


def main() -> None:
    """Prints a row for each run. Sorts the runs by the Fréchet distance with the package's classifier."""
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks/second_classifier.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run")
    runs = parser.parse_args().runs
    try:
        data = _load_common_data(runs)
    except ValueError as error:
        parser.error(str(error))
    chosen = np.random.default_rng(SEED).permutation(len(data.train_images))[: len(data.test_images)]
    labels = {"real training images": data.train_labels[chosen]}
    drawn = {"real training images": data.train_images[chosen]}
    for run in runs:
        gan = keras.saving.load_model(run / "gan.keras", compile=False, safe_mode=True)
        labels[str(run)] = None if gan.num_classes is None else data.train_labels[chosen]
        drawn[str(run)] = gan.generate(len(chosen), labels[str(run)], seed=SEED)
    first, second = classifier_for(data), _train_dense_classifier(data)
    extractors = [lambda images: extract(first, images), lambda images: _extract_dense(second, images)]
    tables = [_measure(extractor, drawn, labels, data) for extractor in extractors]
    predictions = [extractor(data.test_images)[1].argmax(1) for extractor in extractors]
    accuracies = [(prediction == data.test_labels).mean() for prediction in predictions]
    _print(tables, accuracies)


def _load_common_data(runs: list[Path]):
    configs = [RunFolder(run).read_whole_config() for run in runs]
    data = load(configs[0]["settings"]["dataset"])
    if {config["data"]["checksum"] for config in configs} != {data.checksum}:
        raise ValueError("all runs must have the same data, and the data must still be at the same path")
    if data.test_labels is None:
        raise ValueError(f"{data.source} has no test labels: use runs with labeled test data")
    return data


def _measure(extractor, drawn: dict, labels: dict, data) -> dict[str, tuple]:
    """Returns the Fréchet distance, label accuracy and coverage of each run, with one classifier."""
    reference, _ = extractor(data.test_images)
    table = {}
    for name, images in drawn.items():
        features, logits = extractor(images)
        table[name] = (
            frechet_distance(reference, features),
            None if labels[name] is None else (logits.argmax(1) == labels[name]).mean(),
            compare_neighborhoods(reference, features).coverage,
        )
    return table


def _print(tables: list[dict], accuracies: list[float]) -> None:
    width = max(map(len, tables[0])) + 2
    right = [f"test accuracy {accuracy:.2%}" for accuracy in accuracies]
    print(f"{'':{width}}{right[0]:>36}{right[1]:>36}")
    print(f"{'':{width}}" + "".join(f"{figure:>12}" for figure in FIGURES * 2))
    for name in sorted(tables[0], key=lambda name: tables[0][name][0]):
        cells = [f"{d:12.3g}{_percent(a)}{c:12.3f}" for d, a, c in (table[name] for table in tables)]
        print(f"{name:{width}}" + "".join(cells))
    orders = [sorted(table, key=lambda name: table[name][0]) for table in tables]
    print("", "The order is the same." if orders[0] == orders[1] else "The order differs.", sep="\n")


def _percent(value: float | None) -> str:
    return f"{'-':>12}" if value is None else f"{value:12.2%}"


def _train_dense_classifier(data) -> keras.Model:
    """Trains a multilayer perceptron. Returns a model with two outputs: the 64 features and the logits."""
    keras.utils.set_random_seed(SEED)
    layers = keras.layers
    images = x = keras.Input(data.image_shape)
    x = layers.Flatten()(x)
    for units in (512, 256):
        x = layers.Dropout(0.2)(layers.Dense(units, "gelu")(x))
    features = layers.Dense(64, "gelu")(x)
    logits = layers.Dense(data.num_classes)(features)
    network = keras.Model(images, logits)
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = pipeline(data.train_images, data.train_labels, batch_size=BATCH_SIZE, seed=SEED)
    network.fit(batches, steps_per_epoch=STEPS, shuffle=False, verbose=0)
    return keras.Model(images, [features, logits])


def _extract_dense(network: keras.Model, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return network.predict(pixels.astype(np.float32) / 127.5 - 1, batch_size=500, verbose=0)


if __name__ == "__main__":
    main()
