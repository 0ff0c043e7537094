"""The settings of a run: their defaults, the flags that give them, and config.json that keeps them."""

import argparse
import dataclasses
import json
from pathlib import Path

from gan.command_line import (
    Parser,
    UsageError,
    number_from_0,
    number_of_layers,
    number_of_units,
    positive_number,
    seed_number,
    share,
    whole_number,
    whole_number_from_0,
)
from gan.presets import PRESETS, Recipe

__all__ = [
    "Settings",
    "describe_recipe",
    "given_settings",
    "list_changes",
    "new_settings",
    "parse",
    "resumed_settings",
]

LOSSES = ("non_saturating", "minimax", "hinge", "least_squares", "wasserstein", "relativistic")
PENALTIES = ("none", "r1", "r2", "r1+r2", "wgan_gp")
UPDATES = ("alternating", "simultaneous")

SMALL_DATASET = 10_000  # images; below, an epoch is STEPS_FOR_SMALL instead of one pass
STEPS_FOR_SMALL = 500
STEPS_PER_EXECUTION = 8  # between two looks of Python at the training, which cost a twentieth of a step
CHANGEABLE = ("dataset", "epochs", "minutes", "checkpoint_every_epochs")  # by --resume, to the same bits


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every setting of a run, in the units that the flags' help gives.

    What is None is not given; `new_settings` fills it in from the preset and the data.
    """

    dataset: str = "auto"
    preset: str | None = None
    epochs: int | None = None
    minutes: float | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    latent_dim: int | None = None
    width: int | None = None
    generator_depth: int | None = None
    discriminator_depth: int | None = None
    dropout: float | None = None
    translation: float | None = None
    loss: str | None = None
    penalty: str | None = None
    generator_learning_rate: float | None = None
    discriminator_learning_rate: float | None = None
    decay_epochs: int | None = None
    ema_half_life: float | None = None
    update: str | None = None
    unconditional: bool = False
    validation: bool = True
    seed: int = 0
    checkpoint_every_epochs: int = 1

    @property
    def recipe(self) -> Recipe:
        """What the networks are made of and how they learn."""
        return Recipe(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Recipe)})


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The flags; those that were not given are left out, but for `resume` and the switches."""
    parser = Parser(
        prog="train.py",
        description="Train a GAN and watch its images form. Each run has a folder of its own.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset",
        metavar="NAME|PATH",
        help="auto (MNIST, or the embedded digits where it is not to be had), mnist, fashion_mnist, "
        f"digits, a folder of IDX files, or an .npz with x_train and perhaps y_train {_default('dataset')}",
    )
    data.add_argument("--unconditional", action="store_true", help="make no use of the labels")

    length = parser.add_argument_group("how long")
    either = length.add_mutually_exclusive_group()
    either.add_argument(
        "--epochs", type=whole_number, metavar="N", help=f"stop after N epochs {_by_preset('epochs')}"
    )
    either.add_argument(
        "--minutes",
        type=positive_number,
        metavar="M",
        help="stop at the first epoch's end after M minutes",
    )
    length.add_argument(
        "--steps-per-epoch",
        type=whole_number,
        metavar="N",
        help=f"steps in an epoch, best a multiple of {STEPS_PER_EXECUTION} (default: one pass over the data, "
        f"down to such a multiple; {STEPS_FOR_SMALL} for a set of less than {SMALL_DATASET:,} images)",
    )

    recipe = parser.add_argument_group("recipe")
    recipe.add_argument(
        "--preset",
        choices=PRESETS,
        help=f"the recipe, which the other flags change (default: fast, or few for less than "
        f"{SMALL_DATASET:,} images; best takes an hour where fast takes five minutes)",
    )
    recipe.add_argument(
        "--batch-size", type=whole_number, metavar="N", help=f"images in a batch {_by_preset('batch_size')}"
    )
    recipe.add_argument(
        "--latent-dim",
        type=number_of_units,
        metavar="N",
        help=f"length of a latent vector {_by_preset('latent_dim')}",
    )
    recipe.add_argument(
        "--width",
        type=number_of_units,
        metavar="N",
        help="channels of the feature maps at half the image's size; each halving doubles them "
        f"{_by_preset('width')}",
    )
    for player in ("generator", "discriminator"):
        recipe.add_argument(
            f"--{player}-depth",
            type=number_of_layers,
            metavar="N",
            help=f"its 3x3 convolutions at the smallest size {_by_preset(f'{player}_depth')}",
        )
    recipe.add_argument(
        "--dropout",
        type=share,
        metavar="SHARE",
        help=f"of the discriminator's channels {_by_preset('dropout')}",
    )
    recipe.add_argument(
        "--translation",
        type=share,
        metavar="SHARE",
        help="of the image's side by which the discriminator shifts what it sees, at most "
        f"{_by_preset('translation')}",
    )
    recipe.add_argument("--loss", choices=LOSSES, help=f"adversarial loss {_by_preset('loss')}")
    recipe.add_argument("--penalty", choices=PENALTIES, help=f"gradient penalty {_by_preset('penalty')}")
    for player in ("generator", "discriminator"):
        recipe.add_argument(
            f"--{player}-learning-rate",
            type=positive_number,
            metavar="RATE",
            help=f"its Adam's rate {_by_preset(f'{player}_learning_rate')}",
        )
    recipe.add_argument(
        "--decay-epochs",
        type=whole_number_from_0,
        metavar="N",
        help="let both rates fall along a cosine to a hundredth in so many epochs; 0: let them stay "
        "(default: in all of --epochs; with --minutes 0)",
    )
    recipe.add_argument(
        "--ema-half-life",
        type=number_from_0,
        metavar="IMAGES",
        help="half-life of the generator's moving average, which draws the samples, in images seen; "
        f"0 for no average {_by_preset('ema_half_life')}",
    )
    recipe.add_argument(
        "--update",
        choices=UPDATES,
        help="let the generator learn from the discriminator just updated, or move both at once "
        f"{_by_preset('update')}",
    )
    recipe.add_argument(
        "--seed", type=seed_number, metavar="N", help=f"what all chance follows from {_default('seed')}"
    )

    folder = parser.add_argument_group("run folder")
    where = folder.add_mutually_exclusive_group()
    where.add_argument("--name", type=_name, help="write to runs/NAME (default: date-time-dataset)")
    where.add_argument("--run-dir", type=Path, metavar="DIR", help="write to DIR")
    where.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="continue the run in DIR with its settings; --epochs, --minutes, --checkpoint-every-epochs "
        "and where the same --dataset is found may be changed",
    )
    folder.add_argument(
        "--no-validation",
        dest="validation",
        action="store_false",
        help="do not measure the samples' quality after each epoch",
    )
    folder.add_argument(
        "--checkpoint-every-epochs",
        type=whole_number,
        metavar="N",
        help=f"how often to save a state to resume from {_default('checkpoint_every_epochs')}",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--quiet", action="store_true", default=False, help="print errors only")
    output.add_argument(
        "--dry-run", action="store_true", default=False, help="print the settings and train nothing"
    )
    return parser.parse_args(arguments)


def new_settings(options: argparse.Namespace, dataset) -> Settings:
    """The settings of a new run: the flags, and for the others what suits the data."""
    settings = Settings(**given_settings(options))
    count = len(dataset.train_images)
    preset = settings.preset or ("few" if count < SMALL_DATASET else "fast")
    settings = _fill(settings, {"preset": preset} | dataclasses.asdict(PRESETS[preset]))
    settings = _fill(settings, {"decay_epochs": settings.epochs or 0})
    one_pass = count // settings.batch_size
    one_pass -= one_pass % STEPS_PER_EXECUTION if one_pass > STEPS_PER_EXECUTION else 0
    one_epoch = STEPS_FOR_SMALL if count < SMALL_DATASET else one_pass
    settings = _fill(settings, {"steps_per_epoch": max(1, one_epoch)})
    is_unconditional = settings.unconditional or dataset.num_classes is None
    return dataclasses.replace(settings, dataset=dataset.source, unconditional=is_unconditional)


def _fill(settings: Settings, defaults: dict) -> Settings:
    """The settings, with defaults for those that are not given; minutes are given in place of epochs."""
    missing = {name: value for name, value in defaults.items() if getattr(settings, name) is None}
    if settings.minutes is not None:
        missing.pop("epochs", None)
    return dataclasses.replace(settings, **missing)


def given_settings(options: argparse.Namespace) -> dict:
    """The settings that the command line names."""
    return {name: value for name, value in vars(options).items() if hasattr(Settings, name)}


def resumed_settings(stored: dict, options: argparse.Namespace) -> Settings:
    """The stored settings, with those flags that may change."""
    settings, given = _read_settings(stored, options.resume / "config.json"), given_settings(options)
    refused = [
        f"{_say(name, value)} (the run has {_say(name, getattr(settings, name))})"
        for name, value in given.items()
        if name not in CHANGEABLE and value != getattr(settings, name)
    ]
    if refused:
        raise UsageError(f"a resumed run keeps its settings; not {', '.join(refused)}")
    if "epochs" in given or "minutes" in given:
        settings = dataclasses.replace(settings, epochs=None, minutes=None)
    return dataclasses.replace(settings, **{k: v for k, v in given.items() if k in CHANGEABLE})


def list_changes(stored: dict, settings: Settings) -> list[str]:
    """A line for each setting that a resumed run goes on without."""
    return [
        f"Changed:    {_say(name, value)} (it was {_say(name, stored[name])})"
        for name, value in vars(settings).items()
        if value != stored[name]
    ]


def describe_recipe(settings: Settings) -> str:
    """The preset, the flags that differ from it, and how far it goes, in a line."""
    preset = vars(PRESETS[settings.preset])
    differing = {name: value for name, value in vars(settings.recipe).items() if value != preset[name]}
    differing.pop("epochs", None)
    changed = "".join(f" {_say(name, value)}" for name, value in differing.items())
    length = (
        f"for {settings.minutes:g} minutes"
        if settings.minutes
        else f"{settings.epochs} epoch{'s'[: settings.epochs > 1]} of {settings.steps_per_epoch} steps"
    )
    rates = "" if settings.decay_epochs else ", both rates staying as they are"
    return f"{settings.preset}{changed}, {length}{rates}"


def _read_settings(stored: dict, path: Path) -> Settings:
    """The settings in a config.json, which anyone may have written: none that no command line gives."""
    values = stored["settings"]
    if values.keys() != dataclasses.asdict(Settings()).keys():
        raise UsageError(f"{path} is damaged, or of another version: settings are missing")
    words = [word for name, value in values.items() for word in _flag(name, value)]
    try:
        settings = Settings(**given_settings(parse(words)))
    except UsageError as error:
        raise UsageError(f"{path} is damaged: {error}") from error
    as_flags_give, as_stored = (json.dumps(each, sort_keys=True) for each in (vars(settings), values))
    lacking = [name for name, value in vars(settings).items() if value is None]
    if as_flags_give != as_stored or lacking not in (["epochs"], ["minutes"]):
        raise UsageError(f"{path} is damaged: its settings are not what flags would give")
    return settings


def _say(name: str, value) -> str:
    """A setting in the words of the command line."""
    words = _flag(name, value) or [
        f"no {(_flag(name, False) if name == 'validation' else _flag(name, True))[0]}"
    ]
    return words[0].partition("=True")[0].replace("=", " ", 1)


def _flag(name: str, value) -> list[str]:
    """A setting as the words of a command line that give it."""
    if name == "validation":
        return [] if value else ["--no-validation"]
    if name == "unconditional":
        return ["--unconditional"] if value else []
    return [] if value is None else [f"--{name.replace('_', '-')}={value}"]


def _default(setting: str) -> str:
    value = getattr(Settings, setting)
    return f"(default: {value:g})" if isinstance(value, float) else f"(default: {value})"


def _by_preset(setting: str) -> str:
    """What the presets have for a setting."""
    values = {name: f"{getattr(recipe, setting)}" for name, recipe in PRESETS.items()}
    values = {name: value.removesuffix(".0") for name, value in values.items()}
    if len(set(values.values())) == 1:
        return f"(default: {values['fast']})"
    return f"(default: {', '.join(f'{name} {value}' for name, value in values.items())})"


def _name(text: str) -> str:
    if text in ("", "..") or Path(text).name != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a name; for a path use --run-dir")
    return text
