"""Contains the common code of the commands: flags, and loading and locking a run."""

import argparse
import contextlib
import secrets
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import keras

from ..data import SCALING, Dataset, load
from ..limits import SEED, whole_number
from ..model import GAN
from ..runs import RunFolder
from ..runs.settings import complete
from ..sampling import CLASSES, load_trained_generator
from .program import UsageError, usage_errors

MOST_SCALE = 100
ADVICE = "; if the data of the run are in another place now, give --dataset PATH"


class OtherDataError(UsageError):
    """Reports that a run was trained on other data."""


class Source(NamedTuple):
    """Holds a generator, and what is known about its classes.

    Attributes:
        title: the run folder, or "the generator in the package", for messages.
        generator: the generator. Of a run, its moving average.
        num_classes: number of classes. None for a generator without labels.
        class_names: the names of the classes, or None if they have only numbers.
    """

    title: str
    generator: keras.Model
    num_classes: int | None
    class_names: list[str] | None

    def find_class(self, name: str) -> int:
        """Returns the label of a class.

        Args:
            name: the name of the class, or its number from 0. A name comes before a number.

        Raises:
            UsageError: if there is no such class.
        """
        if self.num_classes is None:
            raise UsageError(f"{self.title} was trained without labels, so it has no class {name}")
        wanted = unicodedata.normalize("NFC", name)  # as in the names of a folder's classes
        numbers = list(map(str, range(self.num_classes)))
        accepted = (self.class_names or []) + numbers
        if wanted not in accepted:
            known = (
                f"classes {', '.join(self.class_names)}"
                if self.class_names
                else f"classes 0 to {numbers[-1]}"
            )
            raise UsageError(f"{self.title} has the {known}. Received: {name}")
        return accepted.index(wanted) % self.num_classes


def load_source(path: Path | None) -> Source:
    """Loads the generator of a finished run, or without a path the generator in the package.

    Raises:
        UsageError: see `load_gan`.
    """
    if path is None:
        with usage_errors():
            return Source("the generator in the package", load_trained_generator(), CLASSES, None)
    gan = load_gan(path)
    names = RunFolder(path).read_class_names() if gan.num_classes else None
    return Source(str(path), gan.sampler, gan.num_classes, names)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the argument RUN to a command that can use the generator in the package."""
    text = "a finished run (default: the generator in the package)"
    parser.add_argument("folder", type=Path, nargs="?", metavar="RUN", help=text)


def add_random_seed(parser: argparse.ArgumentParser) -> None:
    """Adds the flag --seed to a command that draws other samples each time."""
    text = "seed of the latents: the same seed draws the same images (default: a random seed)"
    parser.add_argument("--seed", type=SEED, default=secrets.randbelow(2**32), metavar="N", help=text)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Adds the flag --seed to a command that draws samples."""
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the samples (default: 0)")


def add_scale(parser: argparse.ArgumentParser) -> None:
    """Adds the flag --scale of a command that draws pictures."""
    text = (
        "factor that enlarges the images, a whole number (default: the smallest factor that gives a side of "
    )
    text += "at least 56 pixels; 1 for files with a single image)"
    parser.add_argument("--scale", type=whole_number(1, MOST_SCALE), metavar="N", help=text)


def load_gan(path: Path) -> GAN:
    """Loads the GAN of a finished run.

    Raises:
        UsageError: if the run is not finished, or if the file of the model is damaged.
    """
    folder = RunFolder(path)
    with usage_errors():
        folder.read_whole_config()
    if not folder.model.is_file():
        raise UsageError(f"{path} is not finished; finish the run with:  python train.py --resume {path}")
    try:
        model = keras.saving.load_model(folder.model, compile=False, safe_mode=True)
    except Exception as error:  # the file may have any content, and Keras raises errors of many types
        raise UsageError(f"{folder.model} cannot be loaded: it is damaged, or not a Keras model") from error
    if not isinstance(model, GAN):
        raise UsageError(f"{folder.model} does not contain a `gan.GAN`")
    return model


def load_dataset(folder: RunFolder, source: str | None = None, verbose: int = 1) -> Dataset:
    """Loads the data of a run.

    Args:
        folder: the run.
        source: the name or path of the data. None: as in config.json.
        verbose: 0 shows no progress bar.

    Raises:
        UsageError: if the data are missing.
        OtherDataError: if the run was trained on other data.
    """
    with usage_errors(after=ADVICE):
        config = folder.read_whole_config()
        settings = complete(config["settings"])
        scaling = {name: settings[name] for name in SCALING}
        dataset = load(source or settings["dataset"], **scaling, verbose=verbose)
    if dataset.checksum != config["data"]["checksum"] and dataset.source == settings["dataset"]:
        counts = (
            f"{config['data'].get('images')} training images at the start, {len(dataset.train_images)} now"
        )
        raise OtherDataError(
            f"{dataset.source} has changed since the start of {folder.path} ({counts}): restore the data, or "
            "start a new run, for example with --start-from"
        )
    if dataset.checksum != config["data"]["checksum"]:
        differ = f"{dataset.source} is not the data of {folder.path}: the checksums differ"
        raise OtherDataError(f"{differ}{ADVICE}")
    return dataset


@contextlib.contextmanager
def hold(path: Path | None, output: Path | None = None) -> Iterator[None]:
    """Locks a run folder until the block ends. Does not lock it if the output goes into another folder."""
    with contextlib.ExitStack() as held:
        if path is not None and (output is None or output.parent.resolve() == path.resolve()):
            with usage_errors():
                held.enter_context(RunFolder(path).open_for_writing())
        yield
