"""What a run folder holds, and where."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from gan.files import read_json, remove_leftovers, write_json, write_whole
from gan.lock import lock

__all__ = ["RunFolder"]


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The paths of one run.

    Example: `RunFolder(Path("runs/one")).samples` is `runs/one/samples`.
    """

    path: Path

    @property
    def config(self) -> Path:
        """Every setting, as JSON."""
        return self.path / "config.json"

    @property
    def samples(self) -> Path:
        """A picture of samples for each epoch."""
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        """The states that the run resumes from."""
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        """What TensorBoard shows."""
        return self.path / "logs"

    @property
    def history(self) -> Path:
        """The logs, one row an epoch, as CSV."""
        return self.path / "history.csv"

    @property
    def model(self) -> Path:
        """The whole trained GAN."""
        return self.path / "gan.keras"

    @property
    def generator(self) -> Path:
        """The generator alone, its average where there is one."""
        return self.path / "generator.keras"

    @property
    def evaluation(self) -> Path:
        """What `python -m gan evaluate` found: report.json and nearest.png."""
        return self.path / "evaluation"

    @contextlib.contextmanager
    def open_for_writing(self) -> Iterator[None]:
        """Makes the folder where it is missing, and keeps other processes from writing into it.

        What a process that was killed had begun to write is removed.

        Raises:
            LockedError: one line, when another process writes into it.
            ValueError: one line, when a part of it is a link, and so lies elsewhere, or no file at all.
            OSError: when it cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._refuse_links()
        with lock(self.path):
            remove_leftovers(self.path)
            yield

    def _refuse_links(self) -> None:
        for parent, folders, files in os.walk(self.path):
            for part in (Path(parent, name) for name in folders + files):
                is_odd = part.exists() and not (part.is_dir() or part.is_file())  # or it is gone by now
                if part.is_symlink() or is_odd:
                    raise ValueError(
                        f"{part} is a link or no file: a run writes into its own folder only; put it there"
                    )

    def is_empty(self) -> bool:
        """Whether there is nothing yet, or nothing but what a process left that died before its start."""
        if not self.path.is_dir():
            return not self.path.exists()
        return all(part.name.startswith(".") for part in self.path.iterdir())

    def write_config(self, config: dict) -> None:
        """Writes the settings; the folder must be there."""
        write_json(self.config, config)

    def read_config(self) -> dict:
        """The settings.

        Raises:
            ValueError: one line, when this is not a run folder or its config is damaged.
        """
        try:
            config = read_json(self.config)
        except OSError as error:
            raise ValueError(f"{self.path} is not a run folder: no config.json ({error.strerror})") from None
        except ValueError as error:
            raise ValueError(f"{self.config} is damaged: {error}") from None
        return config

    def read_whole_config(self) -> dict:
        """The settings, once it is sure that all is there which describes a run's data.

        Raises:
            ValueError: one line, as `read_config`.
        """
        config = self.read_config()
        settings, data = config.get("settings"), config.get("data")
        is_whole = (
            isinstance(settings, dict)
            and isinstance(data, dict)
            and isinstance(settings.get("dataset"), str)
            and isinstance(settings.get("seed"), int)
            and isinstance(data.get("checksum"), str)
            and isinstance(data.get("image_shape"), list)
            and [type(size) for size in data["image_shape"]] == [int] * 3
            and min(data["image_shape"]) > 0
        )
        if not is_whole:
            raise ValueError(f"{self.config} is damaged: settings or data are missing")
        return config

    def trim_history(self, epochs_done: int) -> bool:
        """Drops the rows of epochs that will be replayed, so that none stands in it twice.

        Returns:
            Whether those of all epochs done are there.
        """
        if not self.history.is_file():
            return epochs_done == 0
        header, *rows = self.history.read_bytes().splitlines(keepends=True) or [b""]
        if not (header.startswith(b"epoch,") and header.endswith(b"\n")):
            self.history.unlink()  # the next row comes with a header of its own
            return epochs_done == 0
        whole = [row for row in rows if row.endswith(b"\n") and row.count(b",") == header.count(b",")]
        by_epoch = {row.partition(b",")[0]: row for row in whole}
        kept = [by_epoch[epoch] for n in range(epochs_done) if (epoch := str(n).encode()) in by_epoch]
        write_whole(self.history, b"".join([header, *kept]))
        return len(kept) == epochs_done
