"""The files of a run folder."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..files import find_numbered, read_json, remove_leftovers, write_json
from ..notice import Notice
from .lock import lock
from .settings import Settings


class RunFolder:
    """The files of one run.

    Args:
        path: the folder.

    Example: `RunFolder("runs/one").samples` is `Path("runs/one/samples")`.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.config = self.path / "config.json"  # every setting
        self.samples = self.path / "samples"  # a picture of samples for each epoch
        self.checkpoints = self.path / "checkpoints"  # to resume from
        self.logs = self.path / "logs"  # for TensorBoard
        self.history = self.path / "history.csv"  # the logs, one row for each epoch
        self.model = self.path / "gan.keras"  # the whole trained GAN
        self.generator = self.path / "generator.keras"  # the generator alone: its average, if there is one
        self.evaluation = self.path / "evaluation"  # report.json and nearest.png of `python -m gan evaluate`

    @contextlib.contextmanager
    def open_for_writing(self) -> Iterator[None]:
        """Creates the folder if it is missing, and keeps other processes from writing into it.

        Removes the unfinished files of a process that was killed. Links are followed: a run may keep its
        checkpoints on another disk.

        Raises:
            LockedError: one line, when another process writes into it.
            OSError: when it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with lock(self.path):
            for folder in (self.path, self.samples, self.checkpoints, self.evaluation):
                remove_leftovers(folder)
            yield

    def is_empty(self) -> bool:
        """Tells whether it has no files yet, except the hidden ones of a process that died at its start."""
        if not self.path.is_dir():
            return not self.path.exists()
        return all(part.name.startswith(".") for part in self.path.iterdir())

    def write_config(self, config: dict) -> None:
        """Writes the settings; the folder must be there."""
        write_json(self.config, config)

    def read_config(self) -> dict:
        """Reads the settings.

        Raises:
            ValueError: one line, when this is not a run folder or its config is damaged.
        """
        try:
            return read_json(self.config)
        except OSError as error:
            raise ValueError(f"{self.path} is not a run folder: no config.json ({error.strerror})") from None
        except ValueError as error:
            raise ValueError(f"{self.config} is damaged: {error}") from None

    def read_whole_config(self) -> dict:
        """Reads the settings, and checks that all parts are there that describe a run's data.

        Raises:
            ValueError: one line, as `read_config`.
        """
        config = self.read_config()
        settings, data = config.get("settings"), config.get("data")
        is_whole = isinstance(settings, dict) and isinstance(data, dict)
        is_whole = is_whole and isinstance(settings.get("dataset"), str) and type(settings.get("seed")) is int
        is_whole = is_whole and isinstance(data.get("checksum"), str)
        shape = data.get("image_shape") if is_whole else None
        if not (isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)):
            raise ValueError(f"{self.config} is damaged: settings or data are missing")
        return config

    def read_settings(self) -> Settings:
        """Reads the settings.

        Raises:
            ValueError: one line, as `read_config`, and for a setting that train.py does not accept.
        """
        stored = self.read_whole_config()["settings"]
        try:
            return Settings.read(stored)
        except ValueError as error:
            raise ValueError(f"{self.config}: {error}") from None


def tell_of_lost_pictures(folder: RunFolder, epochs_done: int) -> None:
    """Warns when pictures of the epochs that are done are missing."""
    if epochs_done and not set(range(epochs_done + 1)) <= find_numbered(folder.samples, ".png").keys():
        lost = f"{folder.samples} lacks pictures of the {epochs_done} epochs done: they are lost"
        warnings.warn(lost, Notice, stacklevel=2)
