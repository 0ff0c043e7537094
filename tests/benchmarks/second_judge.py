"""Does another classifier rank runs alike? `python tests/benchmarks/second_judge.py RUN RUN …`

All must have the same data. The classifier that judges them by itself is convolutional; the second has
dense layers only, and is trained here, in a minute. Latents follow from a seed that nothing else uses.
Beside the runs: real training images.
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
from gan.features import classifier_for, extract
from gan.metrics import compare_neighborhoods, frechet_distance
from gan.run import RunFolder

SEED = 1234
STEPS, BATCH_SIZE = 2800, 128  # six epochs of MNIST
FIGURES = ("Fréchet", "as asked", "coverage")


def main() -> None:
    """Prints a row for each run, nearest first by the package's classifier."""
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks/second_judge.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run")
    runs = parser.parse_args().runs
    try:
        data = _load_common_data(runs)
    except ValueError as error:
        parser.error(str(error))
    chosen = np.random.default_rng(SEED).permutation(len(data.train_images))[: len(data.test_images)]
    asked = {"real training images": data.train_labels[chosen]}
    drawn = {"real training images": data.train_images[chosen]}
    for run in runs:
        gan = keras.saving.load_model(run / "gan.keras", compile=False, safe_mode=True)
        asked[str(run)] = None if gan.num_classes is None else data.train_labels[chosen]
        drawn[str(run)] = gan.generate(len(chosen), asked[str(run)], seed=SEED)
    first, second = classifier_for(data), _train_dense_classifier(data)
    judges = [lambda images: extract(first, images), lambda images: _extract_dense(second, images)]
    tables = [_judge(judge, drawn, asked, data) for judge in judges]
    accuracies = [(judge(data.test_images)[1].argmax(1) == data.test_labels).mean() for judge in judges]
    _print(tables, accuracies)


def _load_common_data(runs: list[Path]):
    configs = [RunFolder(run).read_whole_config() for run in runs]
    data = load(configs[0]["settings"]["dataset"])
    if {config["data"]["checksum"] for config in configs} != {data.checksum}:
        raise ValueError("the runs were not all trained on the same data, which are still where they were")
    if data.test_labels is None:
        raise ValueError(f"{data.source} has no labels to train a judge by")
    return data


def _judge(judge, drawn: dict, asked: dict, data) -> dict[str, tuple]:
    """What one classifier says of each run: distance, share as asked for, coverage."""
    reference, _ = judge(data.test_images)
    table = {}
    for name, images in drawn.items():
        features, logits = judge(images)
        table[name] = (
            frechet_distance(reference, features),
            None if asked[name] is None else (logits.argmax(1) == asked[name]).mean(),
            compare_neighborhoods(reference, features).coverage,
        )
    return table


def _print(tables: list[dict], accuracies: list[float]) -> None:
    width = max(map(len, tables[0])) + 2
    right = [f"right on {accuracy:.2%} of the test images" for accuracy in accuracies]
    print(f"{'':{width}}{right[0]:>36}{right[1]:>36}")
    print(f"{'':{width}}" + "".join(f"{figure:>12}" for figure in FIGURES * 2))
    for name in sorted(tables[0], key=lambda name: tables[0][name][0]):
        cells = [f"{d:12.3g}{_share(a)}{c:12.3f}" for d, a, c in (table[name] for table in tables)]
        print(f"{name:{width}}" + "".join(cells))
    orders = [sorted(table, key=lambda name: table[name][0]) for table in tables]
    print("", "The order is the same." if orders[0] == orders[1] else "The order differs.", sep="\n")


def _share(value: float | None) -> str:
    return f"{'-':>12}" if value is None else f"{value:12.2%}"


def _train_dense_classifier(data) -> keras.Model:
    """A multilayer perceptron, with logits and the 64 activations before them as its outputs."""
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
