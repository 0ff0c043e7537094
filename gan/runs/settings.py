"""The settings of a run. One field defines the flag, the help text and the stored value of a setting."""

import argparse
import dataclasses
from typing import Any, NamedTuple

from ..limits import ALWAYS, COUNT, POSITIVE, SEED, Limits, setting, whole_number
from ..old_keys import REMOVED, translate_old_keys
from ..penalties import recommended_weight
from ..recipes import RECIPES, Recipe
from .failures import FAILURES

SMALL_DATASET = 10_000  # a dataset with fewer images has STEPS_FOR_SMALL steps in an epoch, not one pass
STEPS_FOR_SMALL, PASSES_OF_EPOCH = 500, 50  # an epoch of a small dataset is the shorter of the two
# A run makes at most this many passes over the images by default. After more passes over few images, the
# generator copies the training images (docs/own-images.md).
PASSES = 200
SIDE_OF_DIGITS, SIDE_OF_IMAGES32 = 28, 40  # pixels; the largest side for which a recipe is the default
STEPS_PER_EXECUTION = 8  # steps that Keras runs in one call; a step is 5 % faster, on a GPU 35 %
# --resume may change these settings, because they do not change the results of an epoch.
CHANGEABLE = ("dataset", "epochs", "minutes", "checkpoint_every_epochs")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """Holds all settings of a run: the fields of `Recipe`, and the fields below.

    Either `epochs` or `minutes` is None.

    Example: `Settings.new({"epochs": 2}, dataset)` uses the default recipe for the dataset, with two epochs.
    """

    dataset: str = setting(
        "auto",
        "dataset to train on: auto (mnist, or digits if MNIST cannot be downloaded), mnist, fashion_mnist, "
        "cifar10, cifar100, digits (1,797 images in this package), a folder of pictures (with a subfolder "
        "for each class, or without), a folder of IDX files, or an .npz file with x_train and optionally "
        "y_train",
        group="data",
    )
    image_size: int | None = setting(
        None,
        "height and width of the pictures of a folder, in pixels (default: the most common shorter side, at "
        "most 64)",
        whole_number(4, 512),
        before=None,
        group="data",
    )
    fit: str = setting(
        "crop",
        "how the pictures of a folder become square: crop cuts off the ends of the longer side, pad adds "
        "borders",
        ("crop", "pad"),
        before="crop",
        group="data",
    )
    background: str = setting(
        "white",
        "color behind transparent pictures of a folder, and of the borders of pad: a name, or #rrggbb",
        before="white",
        group="data",
    )
    start_from: str | None = setting(
        None,
        "start with the weights of the finished run in the folder RUN; layers of another shape start with "
        "new weights (default: all weights are new)",
        before=None,
        group="recipe",
    )
    recipe: str = setting(
        "fast",
        "default values for the other flags. With MNIST on two CPU cores, fast trains for five minutes "
        "and best for an hour; few is for small datasets; images32 and images64 are for color and for images "
        "of about 32 and 64 pixels; dcgan is a plain DCGAN for comparison (default: images32 or images64; "
        f"gray images of up to {SIDE_OF_DIGITS} pixels: fast, or few for fewer than {SMALL_DATASET:,})",
        tuple(RECIPES),
        before="fast",
    )
    failure: str | None = setting(
        None,
        "train a run that fails, to learn from (docs/failures.md); the other flags override the settings of "
        "the failure (default: no failure)",
        tuple(FAILURES),
        before=None,
    )
    minutes: float | None = setting(
        None, "stop after X minutes, at the end of the current epoch", POSITIVE, group="length"
    )
    steps_per_epoch: int = setting(
        STEPS_FOR_SMALL,
        f"train steps in an epoch; a multiple of {STEPS_PER_EXECUTION} is fastest (default: one pass over "
        f"the data, rounded down to a multiple of {STEPS_PER_EXECUTION}; for fewer than {SMALL_DATASET:,} "
        f"images {STEPS_FOR_SMALL} steps, but at most {PASSES_OF_EPOCH} passes)",
        COUNT,
        group="length",
    )
    seed: int = setting(0, "seed of all random numbers", SEED)
    deterministic: bool = setting(
        False,
        "give exactly the same results for the same settings, also on a GPU; slower, and without XLA",
        before=False,
    )
    validation: bool = setting(
        True,
        "whether to measure the quality of the samples after each epoch",
        before=False,
        group="run folder",
    )
    checkpoint_every_epochs: int = setting(1, "save a checkpoint every N epochs", COUNT, group="run folder")

    @classmethod
    def new(cls, given: dict, dataset) -> "Settings":
        """Returns the settings of a new run.

        Args:
            given: the settings that the command line gives. The recipe supplies the other settings.
            dataset: the `gan.data.Dataset` to train on.
        """
        count = len(dataset.train_images)
        return cls._derive(given, _Data(dataset.source, count, dataset.image_shape, dataset.num_classes))

    @classmethod
    def _derive(cls, given: dict, data: "_Data") -> "Settings":
        recipe = given.get("recipe") or _choose_recipe(data.images, data.image_shape)
        failing = FAILURES[given["failure"]].settings if given.get("failure") else {}
        values = vars(RECIPES[recipe]) | {"recipe": recipe} | failing | given | {"dataset": data.source}
        if "minutes" in given:
            values["epochs"] = None
        if data.num_classes is None and not given.get("conditional"):
            values["conditional"] = False
        if values["penalty_weight"] is None:
            values["penalty_weight"] = _default_weight(values["penalty"], data.image_shape)
        values = {"steps_per_epoch": _choose_steps(data.images, values["batch_size"])} | values
        if not given.keys() & {"epochs", "minutes"}:
            most = PASSES * data.images // (values["steps_per_epoch"] * values["batch_size"])
            values["epochs"] = min(values["epochs"], max(1, most))
        if values["decay_epochs"] is None:
            values["decay_epochs"] = values["epochs"] or 0
        return cls(**values)

    @classmethod
    def read(cls, stored: dict) -> "Settings":
        """Reads the settings of a config.json.

        Any version may have written the file, and a user may have edited it. A missing setting gets the
        value that the code used before the setting existed.

        Raises:
            ValueError: with a message of one line, if a setting is unknown, is missing, or has a value that
                train.py does not accept.
        """
        values = complete(stored)
        wrong = [f"{name} is missing" for name in FIELDS.keys() - values.keys()]
        wrong += [
            f"{name}={value!r} is not {_describe_accepted(name)}"
            for name, value in values.items()
            if not _accepts(name, value)
        ]
        if not wrong and (values["epochs"] is None) == (values["minutes"] is None):
            wrong = [
                f"epochs={values['epochs']}, minutes={values['minutes']}: exactly one must be given, and the "
                "other must be null"
            ]
        if wrong:
            raise ValueError("; ".join(sorted(wrong)))
        return cls(**values)

    @staticmethod
    def list_words(given: dict) -> list[str]:
        """Returns settings as words of a command line, for example `["--epochs", "5", "--unconditional"]`.

        Args:
            given: settings by name, as `list_given` returns them. None is not a possible value.
        """
        return [word for name, value in given.items() for word in _words(name, value)]

    def resume(self, given: dict) -> "Settings":
        """Returns the settings of a resumed run, with the changes that the command line gives.

        Raises:
            ValueError: with a message of one line, if the command line changes a setting that is not in
                `CHANGEABLE`.
        """
        refused = [
            f"{_say(name, value)} (the run has {_say(name, getattr(self, name))})"
            for name, value in given.items()
            if name not in CHANGEABLE and value != getattr(self, name)
        ]
        if refused:
            raise ValueError(f"a resumed run keeps its settings: leave out {', '.join(refused)}")
        is_length_given = bool(given.keys() & {"epochs", "minutes"})
        length = {"epochs": None, "minutes": None} if is_length_given else {}
        changes = {name: value for name, value in given.items() if name in CHANGEABLE}
        return dataclasses.replace(self, **length | changes)

    def list_given(
        self, images: int, image_shape: tuple[int, int, int], num_classes: int | None
    ) -> dict[str, Any]:
        """Returns the few settings from which `new` makes all these settings.

        These are the dataset, the recipe, the failure if there is one, and the settings that differ from
        these and from the defaults for the data.

        Args:
            images: number of training images.
            image_shape: (height, width, channels) of the images.
            num_classes: number of classes of the data, or None.

        Example: `Settings.new(settings.list_given(9000, (28, 28, 1), 10), dataset) == settings`.
        """
        data = _Data(self.dataset, images, tuple(image_shape), num_classes)
        given = {"dataset": self.dataset, "recipe": self.recipe}
        given |= {"failure": self.failure} if self.failure else {}
        for name in [*(name for name in FIELDS if name not in DERIVED), *DERIVED]:
            if getattr(self, name) != getattr(self._derive(given, data), name):
                given[name] = getattr(self, name)
        return given

    def list_changes(self, before: "Settings") -> list[str]:
        """Returns one line for each setting that differs from the settings before the resume."""
        return [
            f"Changed:    {_say(name, value)} (before: {_say(name, getattr(before, name))})"
            for name, value in vars(self).items()
            if value != getattr(before, name)
        ]

    def describe_recipe(self, image_shape: tuple[int, int, int]) -> str:
        """Returns one line: the recipe, the settings that differ from it, and the length of the run.

        Args:
            image_shape: (height, width, channels) of the images, which determine the weight of the penalty.
        """
        weight = _default_weight(self.penalty, image_shape)
        resolved = {"decay_epochs": self.epochs or 0, "penalty_weight": weight}
        recipe = {
            name: resolved.get(name) if value is None else value
            for name, value in vars(RECIPES[self.recipe]).items()
        }
        changed = "".join(
            f" {_say(name, getattr(self, name))}"
            for name, value in recipe.items()
            if name not in ("epochs", "conditional") and value != getattr(self, name)
        )
        length = (
            f"for {self.minutes:g} minutes"
            if self.minutes
            else f"{self.epochs} epoch{'s'[: self.epochs > 1]} of {self.steps_per_epoch} steps"
        )
        rates = "" if self.decay_epochs else ", constant learning rates"
        return f"{self.recipe}{changed}, {length}{rates}"


class _Data(NamedTuple):
    """Holds the facts about a dataset that the defaults of the settings depend on."""

    source: str
    images: int
    image_shape: tuple[int, int, int]
    num_classes: int | None


MAY_BE_NONE = ("epochs", "minutes", "image_size", "start_from", "failure")
TEXTS = {"dataset": "NAME|PATH", "background": "COLOR", "start_from": "RUN"}  # settings that are any text


def _choose_steps(count: int, batch_size: int) -> int:
    """Returns the steps of an epoch: one pass, or for a small dataset the smaller of 500 and 50 passes."""
    steps = count // batch_size
    if count < SMALL_DATASET:
        steps = PASSES_OF_EPOCH * count // batch_size
        if steps >= STEPS_FOR_SMALL:
            return STEPS_FOR_SMALL
    return steps - steps % STEPS_PER_EXECUTION if steps > STEPS_PER_EXECUTION else max(1, steps)


def _default_weight(penalty: str, image_shape: tuple[int, int, int]) -> float:
    return 0.0 if penalty == "none" else recommended_weight(penalty, image_shape)


def _choose_recipe(count: int, image_shape: tuple[int, int, int]) -> str:
    side, channels = max(image_shape[:2]), image_shape[-1]
    if side > SIDE_OF_IMAGES32:
        return "images64"
    if channels == 3 or side > SIDE_OF_DIGITS:
        return "images32"
    return "few" if count < SMALL_DATASET else "fast"


# `Settings.new` derives the defaults of these settings from the other settings, in this order.
DERIVED = ("penalty_weight", "steps_per_epoch", "minutes", "epochs", "decay_epochs")
FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def complete(stored: dict) -> dict:
    """Returns stored settings of any version with their current names, and adds the missing settings.

    A missing setting gets the value that the code used before the setting existed.
    """
    stored = translate_old_keys(stored)
    before = {name: field.metadata["before"] for name, field in FIELDS.items()}
    values = {name: value(stored) if callable(value) else value for name, value in before.items()}
    return {name: value for name, value in values.items() if value is not ALWAYS} | stored


def add_flags(groups: dict[str, Any]) -> None:
    """Adds the flags of all settings.

    Args:
        groups: the argparse group for each group of settings, by the name of the group. The
            `argument_default` of the parser must be `argparse.SUPPRESS`.
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
            rule = {"type": accepted, "metavar": accepted.metavar} if accepted else {"metavar": TEXTS[name]}
        target.add_argument(*_flags(name), help=_help_with_default(field), **rule)


def given_settings(options: argparse.Namespace) -> dict:
    """Returns the settings that the command line gives."""
    return {name: value for name, value in vars(options).items() if name in FIELDS}


class _Switch(argparse.Action):
    """Handles the two flags of a setting: the first flag means true, the second flag means false."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, **kwargs)

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, option_string == self.option_strings[0])


def _accepts(name: str, value) -> bool:
    """Returns whether the flag of a setting accepts a stored value."""
    if name not in FIELDS or value is None:
        return name in MAY_BE_NONE
    accepted = FIELDS[name].metadata["accepted"]
    if isinstance(accepted, Limits):
        return accepted.accept(value)
    return value in accepted if accepted else isinstance(value, FIELDS[name].type)


def _describe_accepted(name: str) -> str:
    """Returns the accepted values of a setting, for an error message after the words "is not"."""
    if name in REMOVED:
        return (
            f"{REMOVED[name]!r}, the only value that this version supports: the run cannot be resumed, but "
            "`python -m gan evaluate` and `python -m gan generate` still accept the run"
        )
    if name not in FIELDS:
        return "a setting"
    accepted = FIELDS[name].metadata["accepted"]
    if isinstance(accepted, Limits):
        return accepted.description
    return (
        f"one of {', '.join(accepted)}"
        if accepted
        else "true or false"
        if FIELDS[name].type is bool
        else "a string"
    )


def _flags(name: str) -> list[str]:
    """Returns the flag of a setting, or both flags of a setting that is true or false."""
    words, field = name.replace("_", "-"), FIELDS[name]
    return [f"--{words}"] + [field.metadata["off"] or f"--no-{words}"] * (field.type is bool)


def _say(name: str, value) -> str:
    """Returns a setting in the form of the command line, for example "--epochs 5"."""
    return f"no {_flags(name)[0]}" if value is None else " ".join(_words(name, value))


def _words(name: str, value) -> list[str]:
    """Returns the words of a setting on the command line: one word for true or false, otherwise two."""
    flags = _flags(name)
    return [flags[not value]] if FIELDS[name].type is bool else [flags[0], str(value)]


def _help_with_default(field: dataclasses.Field) -> str:
    """Returns the help text with the default. Names each recipe that has another default than `fast`."""
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
