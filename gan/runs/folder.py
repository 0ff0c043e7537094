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
    """Holds the paths of the files of one run, and reads and writes its config.json.

    Args:
        path: the run folder.

    Example: `RunFolder("runs/one").samples` is `Path("runs/one/samples")`.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.config = self.path / "config.json"  # the settings, the data and the package versions
        self.samples = self.path / "samples"  # one picture of samples for each epoch
        self.checkpoints = self.path / "checkpoints"  # the checkpoints to resume from
        self.logs = self.path / "logs"  # the logs for TensorBoard
        self.history = self.path / "history.csv"  # the logs, one row for each epoch
        self.doctor = self.path / "doctor.json"  # what `callbacks.Doctor` measured and found
        self.model = self.path / "gan.keras"  # the whole trained GAN
        self.generator = self.path / "generator.keras"  # the generator alone, or its moving average
        self.workers = self.path / "workers"  # the output of the workers that `--workers` starts
        self.evaluation = self.path / "evaluation"  # report.json and nearest.png of `python -m gan evaluate`

    @contextlib.contextmanager
    def open_for_writing(self) -> Iterator[None]:
        """Creates the folder if it is missing, and locks the folder until the block ends.

        Removes the unfinished files of killed processes. A subfolder may be a link, for example to
        checkpoints on another disk.

        Raises:
            LockedError: with a message of one line, if another process has locked the folder.
            OSError: if the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with lock(self.path):
            for folder in (self.path, self.samples, self.checkpoints, self.evaluation):
                remove_leftovers(folder)
            yield

    def is_empty(self) -> bool:
        """Returns whether the folder is missing, or contains only hidden files and the output of workers.

        A process that died at its start leaves only such files.
        """
        if not self.path.is_dir():
            return not self.path.exists()
        return all(part.name.startswith(".") or part == self.workers for part in self.path.iterdir())

    def write_config(self, config: dict) -> None:
        """Writes config.json. The folder must exist."""
        write_json(self.config, config)

    def read_config(self) -> dict:
        """Reads config.json.

        Raises:
            ValueError: with a message of one line, if config.json cannot be read or is damaged.
        """
        try:
            return read_json(self.config)
        except OSError as error:
            raise ValueError(
                f"{self.path} is not a run folder: config.json cannot be read ({error.strerror})"
            ) from None
        except ValueError as error:
            raise ValueError(f"{self.config} is damaged: {error}") from None

    def read_whole_config(self) -> dict:
        """Reads config.json, and checks that it contains the settings and a description of the data.

        Raises:
            ValueError: with a message of one line, if config.json cannot be read, is damaged or is
                incomplete.
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

    def read_class_names(self) -> list[str] | None:
        """Returns the names of the classes of the data, or None if the classes have no names.

        Raises:
            ValueError: with a message of one line, if `read_whole_config` raises an error.
        """
        names = self.read_whole_config()["data"].get("class_names")
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return names if is_list and names else None

    def read_settings(self) -> Settings:
        """Reads the settings of the run.

        Raises:
            ValueError: with a message of one line, if `read_whole_config` raises an error, or if train.py
                does not accept a setting.
        """
        stored = self.read_whole_config()["settings"]
        try:
            return Settings.read(stored)
        except ValueError as error:
            raise ValueError(f"{self.config}: {error}") from None


def tell_of_lost_pictures(folder: RunFolder, epochs_done: int) -> None:
    """Warns if pictures of finished epochs are missing."""
    if epochs_done and not set(range(epochs_done + 1)) <= find_numbered(folder.samples, ".png").keys():
        lost = f"{folder.samples} lacks pictures of epochs up to {epochs_done}: the missing pictures are lost"
        warnings.warn(lost, Notice, stacklevel=2)
