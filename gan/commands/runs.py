"""What the commands read of a run: its model and its data."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras

from ..data import Dataset, load
from ..limits import SEED
from ..model import GAN
from ..runs import RunFolder
from .program import UsageError, usage_errors

ADVICE = "; if the run's data are somewhere else now, name them by --dataset PATH"


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Adds the flag --seed of a command that draws samples."""
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="seed of the samples (default: 0)")


def load_gan(path: Path) -> GAN:
    """Loads the GAN of a finished run.

    Raises:
        UsageError: when the run is not finished, or its model is damaged.
    """
    folder = RunFolder(path)
    with usage_errors():
        folder.read_whole_config()
    if not folder.model.is_file():
        raise UsageError(f"{path} is not finished; finish it by  python train.py --resume {path}")
    try:
        model = keras.saving.load_model(folder.model, compile=False, safe_mode=True)
    except Exception as error:  # anyone may have written the file, and Keras raises errors of all kinds
        raise UsageError(f"{folder.model} cannot be loaded: it is damaged, or not a Keras model") from error
    if not isinstance(model, GAN):
        raise UsageError(f"{folder.model} is not a GAN of this project")
    return model


def load_dataset(folder: RunFolder, source: str) -> Dataset:
    """Loads the data that a run was trained on, from a name or path.

    Raises:
        UsageError: when they are not there, or are other data.
    """
    with usage_errors(after=ADVICE):
        dataset = load(source)
    if dataset.checksum != folder.read_whole_config()["data"]["checksum"]:
        raise UsageError(f"{dataset.source}: not the data of {folder.path}: their checksum differs")
    return dataset


@contextlib.contextmanager
def hold(path: Path, output: Path | None = None) -> Iterator[None]:
    """Keeps other processes from writing into a run folder, if the output goes into it."""
    with contextlib.ExitStack() as held:
        if output is None or output.parent.resolve() == path.resolve():
            with usage_errors():
                held.enter_context(RunFolder(path).open_for_writing())
        yield
