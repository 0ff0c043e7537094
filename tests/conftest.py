"""Contains fixtures and helpers: the tiny model and data that most tests train, and the path of MNIST."""

import functools
import gc
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # two test processes share the GPU
# On a GPU, XLA compiles every train step. Tests with the marker `exact` need deterministic operations.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gan import GAN, build_discriminator, build_generator
from gan.data import pipeline
from gan.files import read_json

IMAGE_SHAPE = (8, 8, 1)
LATENT_DIM = 4
BATCH_SIZE = 8
STEPS = 3
# Arguments of train.py for small networks: tracing the train step takes most of a short run. Validation would
# take almost as long again: a test that needs it adds `--validation`.
QUICK = ["--dataset", "digits", "--batch-size", "8", "--no-validation"]
QUICK += ["--base-filters", "2", "--generator-depth", "0", "--discriminator-depth", "0"]
QUICK += ["--penalty", "none", "--translation", "0", "--decay-epochs", "2"]


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=30, help="test_faults: number of random kills (30)")


class Pool:
    """Lends one GAN to several tests, one after the other, because tracing a step takes seconds.

    The pool keeps only GANs that a test function made. It keeps a GAN only if the compile arguments and the
    choice of trainable weights are unchanged. `lend` sets all variables back to their first values.
    """

    MOST_OF_A_KIND = 3

    def __init__(self):
        self.is_open, self.free, self.lent, self.others = False, {}, [], set()

    def lend(self, kind, make) -> GAN:
        """Returns a GAN from the pool, or a new GAN from `make`.

        Args:
            kind: describes the GAN; it must be hashable.
            make: builds the GAN.
        """
        if not self.is_open or not all(isinstance(part, str | int | float | None) for part in kind):
            return make()
        kept = self.free.setdefault(kind, [])
        gan, values, names, traits = kept.pop() if kept else self._describe(make())
        for variable, value in zip(self._variables(gan), values, strict=True):
            variable.assign(value)
        for name in vars(gan).keys() - names:  # for example `history`
            if not name.startswith("_"):
                delattr(gan, name)
        gan._initial_epoch = 0  # `BackupAndRestore` changes it
        gan.reset_metrics()
        self.lent.append((kind, gan, values, names, traits))
        return gan

    def take_back(self) -> None:
        """Takes back the lent GANs, and keeps the unchanged ones."""
        for kind, *described in self.lent:
            gan, *_, traits = described
            is_unchanged = self._traits(gan) == traits and len(self._variables(gan)) == len(described[1])
            is_unchanged &= id(gan) not in self.others
            if is_unchanged and len(self.free[kind]) < self.MOST_OF_A_KIND:
                self.free[kind].append(described)
        self.lent.clear()
        self.others.clear()

    def note_data(self, gan, data) -> None:
        """Excludes a GAN that was fit on other shapes: its newly traced step rounds differently."""
        spec = getattr(data, "element_spec", None)
        images = spec[0] if isinstance(spec, tuple) else spec
        if getattr(images, "shape", None) != (BATCH_SIZE, *IMAGE_SHAPE):
            self.others.add(id(gan))

    def _describe(self, gan) -> list:
        values = [np.array(variable.numpy()) for variable in self._variables(gan)]
        return [gan, values, set(vars(gan)), self._traits(gan)]

    def _variables(self, gan) -> list:
        return [*gan.variables, *gan.optimizer.variables]

    def _traits(self, gan) -> tuple:
        flags = [network.trainable for network in (gan, gan.generator, gan.discriminator)]
        return id(gan._compile_arguments), id(gan.optimizer), gan.run_eagerly, *flags


# Traced steps leave millions of Python objects that live as long as their models: collect garbage rarely.
gc.set_threshold(100_000, 50, 50)
pool = Pool()
_fit = GAN.fit


@functools.wraps(_fit)
def _fit_and_note(gan, *arguments, **kwargs):
    pool.note_data(gan, arguments[0] if arguments else kwargs.get("x"))
    return _fit(gan, *arguments, **kwargs)


GAN.fit = _fit_and_note


@pytest.fixture(autouse=True)
def known_seed():
    keras.utils.set_random_seed(0)
    pool.is_open = True  # stays closed for module fixtures, which keep their GANs
    yield
    pool.is_open = False
    pool.take_back()


def make_gan(num_classes=None, seed=0, ema_half_life_images=100, dropout=0.3, **compile_arguments):
    """Makes a small GAN with batch normalization and dropout. Its weights are the same at every call."""
    keras.utils.set_random_seed(7)

    def make():
        gan = GAN(
            build_generator(IMAGE_SHAPE, LATENT_DIM, num_classes, base_filters=2, depth=0),
            build_discriminator(IMAGE_SHAPE, num_classes, base_filters=2, depth=0, dropout=dropout),
            num_classes=num_classes,
            seed=seed,
            ema_half_life_images=ema_half_life_images,
        )
        gan.compile(**{"penalty": None} | compile_arguments)
        return gan

    arguments = [part for pair in sorted(compile_arguments.items()) for part in pair]
    policy = keras.config.dtype_policy().name
    return pool.lend((policy, num_classes, seed, ema_half_life_images, dropout, *arguments), make)


def make_images(count=40):
    return np.random.default_rng(1).integers(0, 256, (count, *IMAGE_SHAPE), np.uint8)


def make_labels(count=40, num_classes=3):
    return np.arange(count, dtype=np.int32) % num_classes


def make_dataset(num_classes=None, start_step=0) -> tf.data.Dataset:
    labels = None if num_classes is None else make_labels(num_classes=num_classes)
    return pipeline(make_images(), labels, batch_size=BATCH_SIZE, seed=5, start_step=start_step)


def fit(gan, epochs=1, start_step=0, **kwargs):
    """Runs the real `fit` for a few steps per epoch, starting at any step."""
    dataset = make_dataset(gan.num_classes, start_step)
    length = {"steps_per_epoch": STEPS, "initial_epoch": start_step // STEPS, "epochs": epochs}
    return gan.fit(dataset, **{"verbose": 0} | length | kwargs)


def state_of(gan) -> dict[str, np.ndarray]:
    """Returns the state from which training continues: weights, optimizers, step, random states."""
    others = {id(v) for v in gan.metrics_variables}
    variables = [v for v in gan.variables if id(v) not in others]
    if gan.optimizer is not None:
        variables += gan.optimizer.variables
    return {f"{i}/{v.path}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}


def assert_same_state(one, other):
    one, other = state_of(one), state_of(other)
    assert len(one) == len(other)
    different = [
        name for (name, a), b in zip(one.items(), other.values(), strict=True) if not np.array_equal(a, b)
    ]
    assert not different


# For tests in which the labels matter. The others use a conditional GAN only, because tracing takes seconds.
both_kinds = pytest.mark.parametrize(
    "num_classes", [None, 3], ids=["unconditional", "conditional"], indirect=True
)


@pytest.fixture
def num_classes(request):
    return getattr(request, "param", 3)


@pytest.fixture
def gan(num_classes):
    return make_gan(num_classes)


@pytest.fixture
def mixed_float16():
    """Sets the policy mixed_float16 for the models that the test makes."""
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    yield
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """Sets an empty working directory and an empty cache of datasets and classifiers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    """Makes the loading of every Keras dataset fail."""

    def refuse():
        raise OSError("no network in this test")

    for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", refuse)


def arrays_of(file) -> dict[str, np.ndarray]:
    """Returns every array of a `.weights.h5` file by its path."""
    arrays = {}
    with h5py.File(file) as store:
        store.visititems(
            lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return arrays


def arrays_of_model(path) -> dict[str, np.ndarray]:
    """Returns every array of a `.keras` file by its path."""
    with zipfile.ZipFile(path) as archive:
        return arrays_of(io.BytesIO(archive.read("model.weights.h5")))


def assert_same_run(one, other, epochs):
    """Checks that two run folders hold the same checkpoints, history, pictures and models, bit by bit."""
    assert any(
        "optimizer" in name for name in arrays_of(one / "checkpoints" / f"epoch_{epochs:04d}.weights.h5")
    )
    names = [sorted(path.name for path in (each / "checkpoints").iterdir()) for each in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        a, b = one / "checkpoints" / name, other / "checkpoints" / name
        if name.endswith(".json"):
            assert read_json(a)["logs"] == read_json(b)["logs"]
        else:
            assert_same_arrays(arrays_of(a), arrays_of(b))
    assert (one / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    pictures = [
        {path.name: path.read_bytes() for path in (each / "samples").iterdir()} for each in (one, other)
    ]
    assert pictures[0] == pictures[1]
    for name in ("gan.keras", "generator.keras"):
        assert_same_arrays(arrays_of_model(one / name), arrays_of_model(other / name))


def assert_same_arrays(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []


def size_of(picture):
    with Image.open(picture) as image:
        return image.size


@pytest.fixture(scope="session")
def mnist_path() -> Path:
    """Returns the path of the real MNIST in the layout of Keras, from the environment variable GAN_MNIST."""
    if "GAN_MNIST" not in os.environ:
        pytest.skip("The environment variable GAN_MNIST is not set to the path of mnist.npz")
    return Path(os.environ["GAN_MNIST"])


@pytest.fixture(scope="session")
def fashion_mnist_path() -> Path:
    """Returns the path of the real Fashion-MNIST, from the environment variable GAN_FASHION_MNIST."""
    if "GAN_FASHION_MNIST" not in os.environ:
        pytest.skip("The environment variable GAN_FASHION_MNIST is not set to the path of fashion_mnist.npz")
    return Path(os.environ["GAN_FASHION_MNIST"])


@pytest.fixture(scope="session")
def emoji_folder(tmp_path_factory) -> Path:
    """Returns a folder of 3,781 emoji in nine subfolders, from the archive GAN_EMOJI."""
    if "GAN_EMOJI" not in os.environ:
        pytest.skip("The environment variable GAN_EMOJI is not set to the path of emoji.tar")
    folder = tmp_path_factory.mktemp("emoji")
    with tarfile.open(os.environ["GAN_EMOJI"]) as archive:
        archive.extractall(folder, filter="data")
    return folder


class Program(subprocess.Popen):
    """Runs a process and removes the lines of TensorFlow's own log from its error output."""

    def communicate(self, *arguments, **kwargs):
        output, error = super().communicate(*arguments, **kwargs)
        return output, without_tensorflow(error)


def without_tensorflow(error: str) -> str:
    """Removes the lines of TensorFlow's own log from the error output of a program."""
    own = [line for line in error.splitlines(keepends=True) if not TENSORFLOW_LOG.match(line)]
    return "".join(own)


TENSORFLOW_LOG = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} [0-9:.]+ |To enable the following"
)
_processes = []


@pytest.fixture
def no_process_left():
    """Ends the processes of `start` that still run after a failed test."""
    yield
    while _processes:
        process = _processes.pop()
        process.kill()
        with process:
            pass


def start(*arguments, program=("train.py",), **kwargs):
    """Starts train.py or another program in a new process, in the root folder of the project."""
    command = [sys.executable, *map(str, [*program, *arguments])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    root = Path(__file__).parents[1]
    _processes.append(Program(command, text=True, **{"cwd": root} | pipes | kwargs))
    return _processes[-1]
