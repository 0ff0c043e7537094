"""The settings of a run. Each field holds its flag, its help text, its limits and its default."""

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import Any

from ..old_keys import translate_old_keys
from ..recipes import RECIPES, Recipe
from .limits import COUNT, COUNT_FROM_0, FRACTION, LAYERS, POSITIVE, POSITIVE_OR_0, SEED, UNITS, Limits

LOSSES = ("non_saturating", "minimax", "hinge", "least_squares", "wasserstein", "relativistic")
PENALTIES = ("none", "r1", "r2", "r1+r2", "wgan_gp")

SMALL_DATASET = 10_000  # images; below, an epoch is STEPS_FOR_SMALL steps instead of one pass
STEPS_FOR_SMALL = 500
STEPS_PER_EXECUTION = 8  # Keras returns to Python after so many steps; that saves a twentieth of a step
CHANGEABLE = ("dataset", "epochs", "minutes", "checkpoint_every_epochs")  # by --resume, with the same bits


def _setting(group: str, help_text: str, accepted=None, default=None, flag: str | None = None):
    """A field of `Settings`. `accepted`: `Limits`, a tuple of choices, or None for any text or a switch."""
    metadata = {"group": group, "help": help_text, "accepted": accepted, "flag": flag}
    return dataclasses.field(default=default, metadata=metadata)


_data, _length, _recipe, _folder = (
    functools.partial(_setting, group) for group in ("data", "length", "recipe", "run folder")
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """All settings of a run. None: not given; `new_settings` fills it in from the recipe and the data."""

    dataset: str = _data(
        "auto (MNIST, or the embedded digits if MNIST cannot be downloaded), mnist, fashion_mnist, digits, a "
        "folder of IDX files, or an .npz with x_train and perhaps y_train",
        default="auto",
    )
    unconditional: bool = _data("train without the labels", default=False)
    epochs: int | None = _length("stop after N epochs", COUNT)
    minutes: float | None = _length("stop at the end of the first epoch after X minutes", POSITIVE)
    steps_per_epoch: int | None = _length(
        f"steps in an epoch, best a multiple of {STEPS_PER_EXECUTION} (default: one pass over the data, "
        f"rounded down to such a multiple; {STEPS_FOR_SMALL} for less than {SMALL_DATASET:,} images)",
        COUNT,
    )
    recipe: str | None = _recipe(
        f"the recipe, which the other flags change (default: fast, or few for less than {SMALL_DATASET:,} "
        "images; fast takes five minutes, best an hour)",
        tuple(RECIPES),
    )
    batch_size: int | None = _recipe("images in a batch", COUNT)
    latent_dim: int | None = _recipe("length of a latent vector", UNITS)
    base_filters: int | None = _recipe(
        "channels of the feature maps at half the image's size; they double each time the size is halved",
        UNITS,
    )
    generator_depth: int | None = _recipe("3x3 convolutions of the generator at the smallest size", LAYERS)
    discriminator_depth: int | None = _recipe("3x3 convolutions of the discriminator at that size", LAYERS)
    dropout: float | None = _recipe("fraction of the discriminator's channels to drop", FRACTION)
    translation: float | None = _recipe(
        "largest random shift of the images that the discriminator sees, as a fraction of their sides",
        FRACTION,
    )
    loss: str | None = _recipe("adversarial loss", LOSSES)
    penalty: str | None = _recipe("gradient penalty", PENALTIES)
    generator_learning_rate: float | None = _recipe("learning rate of the generator's Adam", POSITIVE)
    discriminator_learning_rate: float | None = _recipe("learning rate of the discriminator's Adam", POSITIVE)
    decay_epochs: int | None = _recipe(
        "epochs in which both learning rates decay along a cosine to a hundredth; 0: constant rates "
        "(default: all of --epochs; with --minutes 0)",
        COUNT_FROM_0,
    )
    ema_half_life: float | None = _recipe(
        "half-life of the generator's moving average, which draws the samples, in images seen; 0: no average",
        POSITIVE_OR_0,
    )
    seed: int = _recipe("seed of all random numbers", SEED, default=0)
    validation: bool = _folder(
        "do not measure the samples' quality after each epoch", default=True, flag="--no-validation"
    )
    checkpoint_every_epochs: int = _folder("save a checkpoint every N epochs", COUNT, default=1)

    def make_recipe(self) -> Recipe:
        """Returns the recipe with the changes of these settings."""
        return Recipe(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)})


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def add_flags(groups: dict[str, Any]) -> None:
    """Adds one flag for each setting.

    Args:
        groups: for each group of settings, the group of an argparse parser that takes its flags. The
            parser's `argument_default` must be `argparse.SUPPRESS`.
    """
    either = groups["length"].add_mutually_exclusive_group()
    for name, field in FIELDS.items():
        target = either if name in ("epochs", "minutes") else groups[field.metadata["group"]]
        if isinstance(field.default, bool):
            action = "store_false" if field.default else "store_true"
            target.add_argument(_flag(name), dest=name, action=action, help=field.metadata["help"])
            continue
        accepted = field.metadata["accepted"]
        if isinstance(accepted, tuple):
            rule = {"choices": accepted}
        else:
            rule = {"type": accepted, "metavar": accepted.metavar} if accepted else {"metavar": "NAME|PATH"}
        target.add_argument(_flag(name), help=_help_with_default(field), **rule)


def given_settings(options: argparse.Namespace) -> dict:
    """Returns the settings that the command line names."""
    return {name: value for name, value in vars(options).items() if name in FIELDS}


def new_settings(options: argparse.Namespace, dataset) -> Settings:
    """Returns the settings of a new run: the flags, and for the others the recipe's values.

    Args:
        options: the command line, parsed with the flags of `add_flags`.
        dataset: the `gan.data.Dataset` to train on.
    """
    settings = Settings(**given_settings(options))
    count = len(dataset.train_images)
    recipe = settings.recipe or ("few" if count < SMALL_DATASET else "fast")
    settings = _fill(settings, {"recipe": recipe} | dataclasses.asdict(RECIPES[recipe]))
    settings = _fill(settings, {"decay_epochs": settings.epochs or 0})
    one_pass = count // settings.batch_size
    one_pass -= one_pass % STEPS_PER_EXECUTION if one_pass > STEPS_PER_EXECUTION else 0
    one_epoch = STEPS_FOR_SMALL if count < SMALL_DATASET else one_pass
    settings = _fill(settings, {"steps_per_epoch": max(1, one_epoch)})
    is_unconditional = settings.unconditional or dataset.num_classes is None
    return dataclasses.replace(settings, dataset=dataset.source, unconditional=is_unconditional)


def _fill(settings: Settings, defaults: dict) -> Settings:
    """The settings with defaults for those that are not given; minutes are given in place of epochs."""
    missing = {name: value for name, value in defaults.items() if getattr(settings, name) is None}
    if settings.minutes is not None:
        missing.pop("epochs", None)
    return dataclasses.replace(settings, **missing)


def read_settings(stored: dict, path: Path) -> Settings:
    """Reads the settings of a config.json of any version.

    Raises:
        ValueError: one line, for a value that train.py does not accept, or a setting that is missing.
    """
    values = translate_old_keys(stored["settings"])
    if values.get("update") == "simultaneous":
        raise ValueError(
            f"{path}: a run with update=simultaneous cannot be resumed, because that setting was removed; "
            "`python -m gan evaluate` and `generate` still work on it"
        )
    wrong = [f"unknown setting {name!r}" for name in values.keys() - FIELDS.keys()]
    wrong += [f"{name} is missing" for name in FIELDS.keys() - values.keys()]
    wrong += [
        f"{name}={value!r}" for name, value in values.items() if name in FIELDS and not _accepts(name, value)
    ]
    if not wrong and (values["epochs"] is None) == (values["minutes"] is None):
        wrong = [f"epochs={values['epochs']}, minutes={values['minutes']}; exactly one must be given"]
    if wrong:
        raise ValueError(f"{path} is damaged: {', '.join(sorted(wrong))}")
    return Settings(**values)


def _accepts(name: str, value) -> bool:
    """Whether a stored value is one that its flag accepts."""
    accepted = FIELDS[name].metadata["accepted"]
    if value is None:
        return name in ("epochs", "minutes")
    if isinstance(accepted, Limits):
        return accepted.accept(value)
    return type(value) is type(FIELDS[name].default) if accepted is None else value in accepted


def resumed_settings(stored: dict, options: argparse.Namespace) -> Settings:
    """Returns the stored settings with the flags that may change.

    Raises:
        ValueError: one line, as `read_settings`, or for a flag that may not change.
    """
    settings, given = read_settings(stored, options.resume / "config.json"), given_settings(options)
    refused = [
        f"{_say(name, value)} (the run has {_say(name, getattr(settings, name))})"
        for name, value in given.items()
        if name not in CHANGEABLE and value != getattr(settings, name)
    ]
    if refused:
        raise ValueError(f"a resumed run keeps its settings; not {', '.join(refused)}")
    if "epochs" in given or "minutes" in given:
        settings = dataclasses.replace(settings, epochs=None, minutes=None)
    return dataclasses.replace(settings, **{k: v for k, v in given.items() if k in CHANGEABLE})


def list_changes(before: Settings, settings: Settings) -> list[str]:
    """Returns a line for each setting that a resumed run changes."""
    return [
        f"Changed:    {_say(name, value)} (it was {_say(name, getattr(before, name))})"
        for name, value in vars(settings).items()
        if value != getattr(before, name)
    ]


def describe_recipe(settings: Settings) -> str:
    """Returns the recipe, the settings that differ from it, and the length of the run, in one line."""
    recipe = vars(RECIPES[settings.recipe])
    differing = {name: value for name, value in vars(settings.make_recipe()).items() if value != recipe[name]}
    differing.pop("epochs", None)
    changed = "".join(f" {_say(name, value)}" for name, value in differing.items())
    length = (
        f"for {settings.minutes:g} minutes"
        if settings.minutes
        else f"{settings.epochs} epoch{'s'[: settings.epochs > 1]} of {settings.steps_per_epoch} steps"
    )
    rates = "" if settings.decay_epochs else ", constant learning rates"
    return f"{settings.recipe}{changed}, {length}{rates}"


def _flag(name: str) -> str:
    return FIELDS[name].metadata["flag"] or f"--{name.replace('_', '-')}"


def _say(name: str, value) -> str:
    """A setting in the words of the command line."""
    if isinstance(FIELDS[name].default, bool):
        return f"{'no ' if value == FIELDS[name].default else ''}{_flag(name)}"
    return f"no {_flag(name)}" if value is None else f"{_flag(name)} {value}"


def _help_with_default(field: dataclasses.Field) -> str:
    """The help text with the default: the setting's own, or the recipes'."""
    text = field.metadata["help"]
    if "(default" in text or field.name == "minutes":
        return text
    if field.name not in RECIPES["fast"].__dict__:
        return f"{text} (default: {field.default})"
    values = {name: str(getattr(one, field.name)).removesuffix(".0") for name, one in RECIPES.items()}
    if len(set(values.values())) == 1:
        return f"{text} (default: {values['fast']})"
    return f"{text} (default: {', '.join(f'{name} {value}' for name, value in values.items())})"
