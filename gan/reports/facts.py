"""Reads the files of a run for a report. A missing or damaged file becomes a text, and raises no error."""

import dataclasses
import os
import shlex
from functools import cached_property

from ..data import Dataset
from ..files import LARGEST_LOG, read_json
from ..model import GAN
from ..runs import RunFolder, Settings, read_history
from ..runs.settings import complete

TEXTS_OF_REMARK = ("cause", "evidence", "change", "expect")


@dataclasses.dataclass(frozen=True)
class Facts:
    """Holds everything that a report says about one run, except the measures.

    Attributes:
        folder: the run.
        config: the content of config.json, from `RunFolder.read_whole_config`.
        gan: the trained GAN, or None if it cannot be loaded.
        gan_problem: why `gan` is None, or "".
        dataset: the data of the run, or None if they cannot be loaded.
        data_problem: why `dataset` is None, or "".
        is_data_changed: whether `dataset` is None because the data have another checksum now.
    """

    folder: RunFolder
    config: dict
    gan: GAN | None = None
    gan_problem: str = ""
    dataset: Dataset | None = None
    data_problem: str = ""
    is_data_changed: bool = False

    @property
    def name(self) -> str:
        """Returns the name of the run folder, without its path, which may be private."""
        return self.folder.path.resolve().name

    def hide_path(self, message: str | Exception) -> str:
        """Returns a message with the name of the run folder in place of its path, which may be private."""
        path = str(self.folder.path)
        return str(message).replace(f"{path}{os.sep}", "").replace(path, self.name)

    @cached_property
    def stored_settings(self) -> dict:
        """Returns the settings in config.json by their current names, accepted or not."""
        return complete(self.config["settings"])

    @cached_property
    def _read_settings(self) -> tuple[Settings | None, str]:
        try:
            return Settings.read(self.config["settings"]), ""
        except ValueError as error:
            return None, str(error)

    @property
    def settings(self) -> Settings | None:
        """Returns the settings, or None if this version does not accept them."""
        return self._read_settings[0]

    @property
    def settings_problem(self) -> str:
        """Returns why `settings` is None, or ""."""
        return self._read_settings[1]

    @cached_property
    def given_settings(self) -> dict | None:
        """Returns the settings of the command that repeats the run. None if they are not known."""
        data = self.config["data"]
        images, num_classes = data.get("images"), data.get("num_classes")
        is_known = type(images) is int and images > 0 and (num_classes is None or type(num_classes) is int)
        if self.settings is None or not is_known:
            return None
        return self.settings.list_given(images, data["image_shape"], num_classes)

    @property
    def repeating_command(self) -> str | None:
        """Returns the command line that repeats the run, or None if the settings are not known."""
        if self.given_settings is None:
            return None
        return shlex.join(["python", "train.py", *Settings.list_words(self.given_settings)])

    @property
    def epochs_planned(self) -> int | None:
        """Returns the number of epochs in the settings. None for a run with a limit of minutes."""
        return _whole(self.stored_settings.get("epochs"))

    @property
    def steps_per_epoch(self) -> int | None:
        """Returns the number of steps of an epoch, or None if it is not known."""
        return _whole(self.stored_settings.get("steps_per_epoch"))

    @cached_property
    def _read_history(self) -> tuple[list[dict[str, float]], str]:
        try:
            return read_history(self.folder.history), ""
        except ValueError as error:
            return [], f"{self.hide_path(error)}."

    @property
    def rows(self) -> list[dict[str, float]]:
        """Returns the rows of history.csv. Empty if the file cannot be read."""
        return self._read_history[0]

    @property
    def history_problem(self) -> str:
        """Returns why there are no rows, or ""."""
        return self._read_history[1]

    @property
    def epochs_done(self) -> int:
        """Returns the last epoch in history.csv. 0 without a history."""
        return max((int(row["epoch"]) for row in self.rows), default=0)

    @property
    def class_names(self) -> list[str] | None:
        """Returns the names of the GAN's classes. None for a GAN without labels."""
        if self.gan is None or self.gan.num_classes is None:
            return None
        names = self.folder.read_class_names() or []
        is_whole = len(names) == self.gan.num_classes
        return names if is_whole else [str(label) for label in range(self.gan.num_classes)]

    @cached_property
    def remarks(self) -> list[dict] | str:
        """Returns the doctor's remarks, or a sentence that says why they are not known."""
        try:
            remarks = read_json(self.folder.doctor, LARGEST_LOG)["remarks"]
            if all(_is_remark(remark) for remark in remarks):
                return list(remarks)
        except FileNotFoundError:
            return "The run was trained without the doctor, which older versions do not have."
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return "doctor.json is damaged, so the remarks of the doctor are not known."


def _whole(value) -> int | None:
    return value if type(value) is int and value > 0 else None


def _is_remark(remark) -> bool:
    """Returns whether a remark in doctor.json has all its parts."""
    texts = [remark[name] for name in TEXTS_OF_REMARK]
    return all(isinstance(text, str) for text in texts) and type(remark["epoch"]) is int
