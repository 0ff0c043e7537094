"""The tiny model and the tiny data that most tests train, and where the real MNIST is."""

import functools
import gc
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # the tests run in two processes
# For the tests with the marker `exact` on a GPU, where XLA compiles every train step.
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")

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
QUICK = ["--dataset", "digits", "--batch-size", "8"]  # of train.py: most of a short run is tracing its step
QUICK += ["--base-filters", "2", "--generator-depth", "0", "--discriminator-depth", "0"]
QUICK += ["--penalty", "none", "--translation", "0", "--decay-epochs", "2"]


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=30, help="of test_faults: at how many random moments (30)")


class Pool:
    """GANs that a test may have trained and the next test gets as new: tracing a step takes seconds.

    Only GANs of a test function are kept, and only those whose compile arguments and trainable weights are as
    they were made. All their variables are set back to the values that they were made with.
    """

    MOST_OF_A_KIND = 3

    def __init__(self):
        self.is_open, self.free, self.lent, self.others = False, {}, [], set()

    def lend(self, kind, make) -> GAN:
        """A GAN of a kind, a hashable description of it: made by `make`, or one that was given back."""
        if not self.is_open or not all(isinstance(part, str | int | float | None) for part in kind):
            return make()
        kept = self.free.setdefault(kind, [])
        gan, values, names, traits = kept.pop() if kept else self._describe(make())
        for variable, value in zip(self._variables(gan), values, strict=True):
            variable.assign(value)
        for name in vars(gan).keys() - names:  # such as `history`
            if not name.startswith("_"):
                delattr(gan, name)
        gan._initial_epoch = 0  # `BackupAndRestore` leaves it
        gan.reset_metrics()
        self.lent.append((kind, gan, values, names, traits))
        return gan

    def take_back(self) -> None:
        """Keeps the GANs that a test was lent."""
        for kind, *described in self.lent:
            gan, *_, traits = described
            is_unchanged = self._traits(gan) == traits and len(self._variables(gan)) == len(described[1])
            is_unchanged &= id(gan) not in self.others
            if is_unchanged and len(self.free[kind]) < self.MOST_OF_A_KIND:
                self.free[kind].append(described)
        self.lent.clear()
        self.others.clear()

    def note_data(self, gan, data) -> None:
        """Leaves out a GAN that was fit on other shapes: its trace for any shape rounds otherwise."""
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


# Traced steps leave millions of Python objects that live as long as their models: look at them rarely.
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
    pool.is_open = True  # from here on: what fixtures of a module make, they keep
    yield
    pool.is_open = False
    pool.take_back()


def make_gan(num_classes=None, seed=0, ema_half_life_images=100, dropout=0.3, **compile_arguments):
    """The smallest GAN that has batch norm and dropout; the same weights at every call."""
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
    """A real `fit` of a few steps an epoch, from any step on."""
    dataset = make_dataset(gan.num_classes, start_step)
    length = {"steps_per_epoch": STEPS, "initial_epoch": start_step // STEPS, "epochs": epochs}
    return gan.fit(dataset, **{"verbose": 0} | length | kwargs)


def state_of(gan) -> dict[str, np.ndarray]:
    """Everything that training goes on from: weights, optimizers, step, random states."""
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


@pytest.fixture(params=[None, 3], ids=["unconditional", "conditional"])
def num_classes(request):
    return request.param


@pytest.fixture
def gan(num_classes):
    return make_gan(num_classes)


@pytest.fixture
def mixed_float16():
    """Models made in the test are of this precision."""
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    yield
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.fixture
def somewhere(tmp_path, monkeypatch):
    """An empty working directory, with an empty cache of datasets and classifiers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    """No dataset of Keras can be loaded."""

    def refuse():
        raise OSError("no network in this test")

    for name in ("mnist", "fashion_mnist", "cifar10", "cifar100"):
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", refuse)


def arrays_of(file) -> dict[str, np.ndarray]:
    """Every array of a `.weights.h5`, by its path."""
    arrays = {}
    with h5py.File(file) as store:
        store.visititems(
            lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return arrays


def arrays_of_model(path) -> dict[str, np.ndarray]:
    """Every array of a `.keras`."""
    with zipfile.ZipFile(path) as archive:
        return arrays_of(io.BytesIO(archive.read("model.weights.h5")))


def assert_same_run(one, other, epochs):
    """Two run folders hold the same states, history, pictures and models, to the bit."""
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
    """The real MNIST in Keras's layout, where the environment says it is."""
    if "GAN_MNIST" not in os.environ:
        pytest.skip("GAN_MNIST does not name MNIST's .npz")
    return Path(os.environ["GAN_MNIST"])


class Program(subprocess.Popen):
    """A process whose errors are read without the lines that TensorFlow writes at every start."""

    def communicate(self, *arguments, **kwargs):
        output, error = super().communicate(*arguments, **kwargs)
        return output, without_tensorflow(error)


def without_tensorflow(error: str) -> str:
    """The errors of a program without the lines of TensorFlow's own log."""
    own = [line for line in error.splitlines(keepends=True) if not TENSORFLOW_LOG.match(line)]
    return "".join(own)


TENSORFLOW_LOG = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} [0-9:.]+ |To enable the following"
)
_processes = []


@pytest.fixture
def no_process_left():
    """Ends what `start` began, where a test failed in its midst."""
    yield
    while _processes:
        process = _processes.pop()
        process.kill()
        with process:
            pass


def start(*arguments, program=("train.py",), **kwargs):
    """Starts train.py, or another program, in a process of its own, from the project's root."""
    command = [sys.executable, *map(str, [*program, *arguments])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    root = Path(__file__).parents[1]
    _processes.append(Program(command, cwd=root, text=True, **pipes, **kwargs))
    return _processes[-1]
