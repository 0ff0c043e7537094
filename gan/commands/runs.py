"""Contains the common code of the commands: flags, and loading and locking a run."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

from ..data import SCALING, Dataset, load
from ..limits import SEED, whole_number
from ..model import GAN
from ..runs import RunFolder
from ..runs.settings import complete
from .program import UsageError, usage_errors

MOST_SCALE = 100
ADVICE = "; if the data of the run are in another place now, give --dataset PATH"


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


def load_dataset(folder: RunFolder, source: str | None = None) -> Dataset:
    """Loads the data of a run.

    Args:
        folder: the run.
        source: the name or path of the data. None: as in config.json.

    Raises:
        UsageError: if the data are missing, or if the run was trained on other data.
    """
    with usage_errors(after=ADVICE):
        config = folder.read_whole_config()
        settings = complete(config["settings"])
        dataset = load(source or settings["dataset"], **{name: settings[name] for name in SCALING})
    if dataset.checksum != config["data"]["checksum"] and dataset.source == settings["dataset"]:
        counts = (
            f"{config['data'].get('images')} training images at the start, {len(dataset.train_images)} now"
        )
        raise UsageError(
            f"{dataset.source} has changed since the start of {folder.path} ({counts}): restore the data, or "
            "start a new run, for example with --start-from"
        )
    if dataset.checksum != config["data"]["checksum"]:
        raise UsageError(f"{dataset.source} is not the data of {folder.path}: the checksums differ{ADVICE}")
    return dataset


@contextlib.contextmanager
def hold(path: Path, output: Path | None = None) -> Iterator[None]:
    """Locks a run folder until the block ends, unless the output goes into another folder."""
    with contextlib.ExitStack() as held:
        if output is None or output.parent.resolve() == path.resolve():
            with usage_errors():
                held.enter_context(RunFolder(path).open_for_writing())
        yield
