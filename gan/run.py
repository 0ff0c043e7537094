"""What a run folder holds, and where."""

import dataclasses
import json
from pathlib import Path

from gan.files import write_whole

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

    def write_config(self, config: dict) -> None:
        """Writes the settings, and makes the folder where it is missing."""
        write_whole(self.config, json.dumps(config, indent=2).encode() + b"\n")

    def read_config(self) -> dict:
        """The settings.

        Raises:
            ValueError: one line, when this is not a run folder or its config is damaged.
        """
        try:
            config = json.loads(self.config.read_text("utf-8"))
        except OSError as error:
            raise ValueError(f"{self.path} is not a run folder: no config.json ({error.strerror})") from None
        except ValueError:
            raise ValueError(f"{self.config} is damaged: it is not JSON") from None
        if not isinstance(config, dict):
            raise ValueError(f"{self.config} is damaged: it holds no settings")
        return config

    def read_whole_config(self) -> dict:
        """The settings, once it is sure that all is there which describes a run's data.

        Raises:
            ValueError: one line, as `read_config`.
        """
        config = self.read_config()
        data = config.get("data")
        is_whole = isinstance(config.get("settings"), dict) and isinstance(data, dict)
        if not is_whole or not {"checksum", "image_shape"} <= data.keys():
            raise ValueError(f"{self.config} is damaged: settings or data are missing")
        return config

    def trim_history(self, epochs_done: int) -> None:
        """Drops the rows of epochs that will be replayed, so that none stands in it twice."""
        if not self.history.is_file():
            return
        header, *rows = self.history.read_bytes().splitlines(keepends=True) or [b""]
        epochs = [row.partition(b",")[0] for row in rows]
        kept = [
            row
            for row, epoch in zip(rows, epochs, strict=True)
            if epoch.isdigit() and int(epoch) < epochs_done
        ]
        write_whole(self.history, b"".join([header, *kept]))
