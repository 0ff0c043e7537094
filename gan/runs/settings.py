"""The settings of a run: one field each, from which the flag, the help text and the file follow."""

import argparse
import dataclasses
from typing import Any

from ..limits import ALWAYS, COUNT, POSITIVE, SEED, Limits, setting
from ..old_keys import REMOVED, translate_old_keys
from ..recipes import RECIPES, Recipe

SMALL_DATASET = 10_000  # images; below, an epoch is STEPS_FOR_SMALL steps instead of one pass
STEPS_FOR_SMALL = 500
STEPS_PER_EXECUTION = 8  # Keras returns to Python after so many steps; that saves a twentieth of a step
CHANGEABLE = ("dataset", "epochs", "minutes", "checkpoint_every_epochs")  # by --resume, with the same bits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """All settings of a run: those of its recipe, and the fields below. Epochs or minutes are None.

    Example: `Settings.new({"epochs": 2}, dataset)` has the recipe for a dataset, but two epochs.
    """

    dataset: str = setting(
        "auto",
        "auto (MNIST, or the embedded digits if MNIST cannot be downloaded), mnist, fashion_mnist, cifar10, "
        "cifar100, digits, a folder of IDX files, or an .npz with x_train and perhaps y_train",
        group="data",
    )
    recipe: str = setting(
        "fast",
        f"the recipe, which the other flags change (default: fast, or few for less than {SMALL_DATASET:,} "
        "images; fast takes five minutes, best an hour; dcgan is a plain DCGAN, to compare)",
        tuple(RECIPES),
        before="fast",
    )
    minutes: float | None = setting(
        None, "stop at the end of the first epoch after X minutes", POSITIVE, group="length"
    )
    steps_per_epoch: int = setting(
        STEPS_FOR_SMALL,
        f"steps in an epoch, best a multiple of {STEPS_PER_EXECUTION} (default: one pass over the data, "
        f"rounded down to such a multiple; {STEPS_FOR_SMALL} for less than {SMALL_DATASET:,} images)",
        COUNT,
        group="length",
    )
    seed: int = setting(0, "seed of all random numbers", SEED)
    deterministic: bool = setting(
        False, "compute the same bits in every run on a GPU too, without XLA and more slowly", before=False
    )
    validation: bool = setting(
        True, "measure the samples' quality after each epoch, or do not", before=False, group="run folder"
    )
    checkpoint_every_epochs: int = setting(1, "save a checkpoint every N epochs", COUNT, group="run folder")

    @classmethod
    def new(cls, given: dict, dataset) -> "Settings":
        """Returns the settings of a new run.

        Args:
            given: the settings that the command line names; the recipe gives the others.
            dataset: the `gan.data.Dataset` to train on.
        """
        count = len(dataset.train_images)
        recipe = given.get("recipe") or ("few" if count < SMALL_DATASET else "fast")
        values = vars(RECIPES[recipe]) | {"recipe": recipe} | given | {"dataset": dataset.source}
        if "minutes" in given:
            values["epochs"] = None
        if values["decay_epochs"] is None:
            values["decay_epochs"] = values["epochs"] or 0
        if dataset.num_classes is None and not given.get("conditional"):
            values["conditional"] = False
        one_pass = count // values["batch_size"]
        one_pass -= one_pass % STEPS_PER_EXECUTION if one_pass > STEPS_PER_EXECUTION else 0
        one_epoch = STEPS_FOR_SMALL if count < SMALL_DATASET else max(1, one_pass)
        return cls(**{"steps_per_epoch": one_epoch} | values)

    @classmethod
    def read(cls, stored: dict) -> "Settings":
        """Reads the settings of a config.json, which any version wrote and anyone may have edited.

        A missing setting takes the value that the code used before the setting existed.

        Raises:
            ValueError: one line, for a setting that is unknown or missing, or has a value that train.py does
                not accept.
        """
        values = complete(stored)
        wrong = [f"{name} is missing" for name in FIELDS.keys() - values.keys()]
        wrong += [
            f"{name}={value!r} is not {_describe_accepted(name)}"
            for name, value in values.items()
            if not _accepts(name, value)
        ]
        if not wrong and (values["epochs"] is None) == (values["minutes"] is None):
            wrong = [f"epochs={values['epochs']}, minutes={values['minutes']}; exactly one must be given"]
        if wrong:
            raise ValueError("; ".join(sorted(wrong)))
        return cls(**values)

    def resume(self, given: dict) -> "Settings":
        """Returns the settings with those that the command line names.

        Raises:
            ValueError: one line, for a setting that may not change.
        """
        refused = [
            f"{_say(name, value)} (the run has {_say(name, getattr(self, name))})"
            for name, value in given.items()
            if name not in CHANGEABLE and value != getattr(self, name)
        ]
        if refused:
            raise ValueError(f"a resumed run keeps its settings; not {', '.join(refused)}")
        is_length_given = bool(given.keys() & {"epochs", "minutes"})
        length = {"epochs": None, "minutes": None} if is_length_given else {}
        changes = {name: value for name, value in given.items() if name in CHANGEABLE}
        return dataclasses.replace(self, **length | changes)

    def list_changes(self, before: "Settings") -> list[str]:
        """Returns a line for each setting that differs from those before a resume."""
        return [
            f"Changed:    {_say(name, value)} (it was {_say(name, getattr(before, name))})"
            for name, value in vars(self).items()
            if value != getattr(before, name)
        ]

    def describe_recipe(self) -> str:
        """Returns the recipe, the settings that differ from it, and the length of the run, in one line."""
        recipe = vars(RECIPES[self.recipe])
        changed = "".join(
            f" {_say(name, getattr(self, name))}"
            for name, value in recipe.items()
            if name not in ("epochs", "decay_epochs", "conditional") and value != getattr(self, name)
        )
        length = (
            f"for {self.minutes:g} minutes"
            if self.minutes
            else f"{self.epochs} epoch{'s'[: self.epochs > 1]} of {self.steps_per_epoch} steps"
        )
        rates = "" if self.decay_epochs else ", constant learning rates"
        return f"{self.recipe}{changed}, {length}{rates}"


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def complete(stored: dict) -> dict:
    """Returns stored settings of any version with the names of today, and with the settings that they lack.

    A missing setting takes the value that the code used before the setting existed.
    """
    before = {name: field.metadata["before"] for name, field in FIELDS.items()}
    return {name: value for name, value in before.items() if value is not ALWAYS} | translate_old_keys(stored)


def add_flags(groups: dict[str, Any]) -> None:
    """Adds the flags of all settings.

    Args:
        groups: for each group of settings, the group of an argparse parser that takes its flags. The
            parser's `argument_default` must be `argparse.SUPPRESS`.
    """
    either = groups["length"].add_mutually_exclusive_group()
    for name, field in sorted(FIELDS.items(), key=lambda item: item[0] != "recipe"):
        target = either if name in ("epochs", "minutes") else groups[field.metadata["group"]]
        accepted = field.metadata["accepted"]
        if field.type is bool:
            rule = {"action": _Switch, "dest": name}
        elif isinstance(accepted, tuple):
            rule = {"choices": accepted}
        else:
            rule = {"type": accepted, "metavar": accepted.metavar} if accepted else {"metavar": "NAME|PATH"}
        target.add_argument(*_flags(name), help=_help_with_default(field), **rule)


def given_settings(options: argparse.Namespace) -> dict:
    """Returns the settings that the command line names."""
    return {name: value for name, value in vars(options).items() if name in FIELDS}


class _Switch(argparse.Action):
    """The two flags of a setting: the first is true, the second false."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, option_string == self.option_strings[0])


def _accepts(name: str, value) -> bool:
    """Whether a stored value is one that its flag accepts."""
    if name not in FIELDS or value is None:
        return name in ("epochs", "minutes")
    accepted = FIELDS[name].metadata["accepted"]
    if isinstance(accepted, Limits):
        return accepted.accept(value)
    return value in accepted if accepted else type(value) is FIELDS[name].type


def _describe_accepted(name: str) -> str:
    """What a stored setting must be, after the words "is not"."""
    if name in REMOVED:
        return (
            f"{REMOVED[name]!r}, and the setting was removed: the run cannot be resumed, but `python -m gan "
            "evaluate` and `generate` still work on it"
        )
    if name not in FIELDS:
        return "a setting"
    accepted = FIELDS[name].metadata["accepted"]
    if isinstance(accepted, Limits):
        return accepted.description
    return (
        f"one of {', '.join(accepted)}"
        if accepted
        else {bool: "true or false", str: "a text"}[FIELDS[name].type]
    )


def _flags(name: str) -> list[str]:
    """The flag of a setting, or the two of a setting that is true or false."""
    words, field = name.replace("_", "-"), FIELDS[name]
    return [f"--{words}"] + [field.metadata["off"] or f"--no-{words}"] * (field.type is bool)


def _say(name: str, value) -> str:
    """A setting in the words of the command line."""
    flags = _flags(name)
    if FIELDS[name].type is bool:
        return flags[not value]
    return f"no {flags[0]}" if value is None else f"{flags[0]} {value}"


def _help_with_default(field: dataclasses.Field) -> str:
    """The help text with the default: the setting's own, or the recipes'."""
    text, name = field.metadata["help"], field.name
    if "(default" in text or name == "minutes":
        return text
    values = {recipe: getattr(one, name, field.default) for recipe, one in RECIPES.items()}
    said = {
        recipe: _say(name, value).removeprefix(f"--{name.replace('_', '-')} ")
        for recipe, value in values.items()
    }
    others = [f"{recipe} {one.removesuffix('.0')}" for recipe, one in said.items() if one != said["fast"]]
    return f"{text} (default: {', '.join([said['fast'].removesuffix('.0'), *others])})"
