import argparse
import dataclasses

import numpy as np
import pytest

from gan.data import Dataset
from gan.limits import ALWAYS, COUNT, FRACTION, POSITIVE_OR_0, SEED
from gan.recipes import RECIPES
from gan.runs import Settings
from gan.runs.settings import FIELDS, add_flags, complete, given_settings

DATASET = Dataset("mine", "mine", np.zeros((9000, 8, 8, 1), np.uint8), np.arange(9000, dtype=np.int32) % 3)
UNLABELED = dataclasses.replace(DATASET, train_labels=None)
# The settings of the version before recipes, and of the version before `gan/` had subpackages.
FIRST = {
    "dataset": "mine", "epochs": 10, "minutes": None, "steps_per_epoch": 500, "batch_size": 64,
    "loss": "hinge", "penalty": "none", "generator_learning_rate": 1e-3, "discriminator_learning_rate": 1e-3,
    "ema_half_life": 10_000.0, "update": "alternating", "unconditional": True, "seed": 7,
    "checkpoint_every_epochs": 1, "latent_dim": 100,
}  # fmt: skip
BEFORE_ROOMS = FIRST | {
    "preset": "best", "width": 16, "generator_depth": 1, "discriminator_depth": 2, "dropout": 0.1,
    "translation": 0.125, "decay_epochs": 10, "validation": True, "unconditional": False,
}  # fmt: skip


def parse(*words):
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS, exit_on_error=False)
    groups = {name: parser.add_argument_group(name) for name in ("data", "length", "recipe", "run folder")}
    add_flags(groups)
    return given_settings(parser.parse_args(list(words)))


def stored(**changes):
    """Returns the settings of a new run as in config.json. The value "removed" removes a setting."""
    values = dataclasses.asdict(Settings.new({}, DATASET)) | changes
    return {name: value for name, value in values.items() if value != "removed"}


def test_flags_that_are_not_given_take_the_recipes_values():
    settings = Settings.new(parse("--recipe", "best", "--dropout", "0.25", "--no-validation"), DATASET)
    recipe = {name: getattr(settings, name) for name in vars(RECIPES["best"])}
    resolved = {"decay_epochs": RECIPES["best"].epochs, "penalty_weight": 0.3 * 64 / 784}
    assert recipe == vars(RECIPES["best"]) | {"dropout": 0.25} | resolved
    assert (settings.validation, settings.conditional, settings.seed) == (False, True, 0)
    assert Settings.new({}, DATASET).recipe == "few"


def test_dcgan_has_constant_rates_and_takes_labels_if_asked():
    settings = Settings.new(parse("--recipe", "dcgan"), DATASET)
    assert (settings.conditional, settings.decay_epochs, settings.penalty) == (False, 0, "none")
    assert Settings.new(parse("--recipe", "dcgan", "--conditional"), DATASET).conditional


def test_data_without_labels():
    assert not Settings.new({}, UNLABELED).conditional
    assert not Settings.new(parse("--unconditional"), UNLABELED).conditional
    assert Settings.new(parse("--conditional"), UNLABELED).conditional  # train.py refuses the setting


def test_minutes_take_the_place_of_epochs():
    settings = Settings.new(parse("--minutes", "2.5"), DATASET)
    assert (settings.epochs, settings.minutes, settings.decay_epochs) == (None, 2.5, 0)


@pytest.mark.parametrize("words", [["--minutes", "2.5", "--seed", "3"], ["--recipe", "dcgan", "--jit", "on"]])
def test_what_was_written_is_read(words):
    settings = Settings.new(parse(*words), DATASET)
    assert Settings.read(dataclasses.asdict(settings)) == settings


def test_a_missing_setting_has_the_value_from_before_it_existed():
    """A missing setting never takes its value from a current recipe."""
    settings = Settings.read(FIRST)
    new = {name: getattr(settings, name) for name in vars(settings).keys() - FIRST.keys() - {"conditional"}}
    assert new == {
        "recipe": "fast", "base_filters": 32, "generator_depth": 0, "discriminator_depth": 0, "dropout": 0.3,
        "translation": 0.0, "minibatch_deviation": True, "discriminator_steps": 1, "beta_2": 0.99,
        "decay_epochs": 0, "mixed_precision": "none", "jit": "auto", "validation": False,
        "deterministic": False, "cutout": 0.0, "color_jitter": False, "flip": False, "penalty_weight": 0.0,
        "image_depth": 0, "image_size": None, "fit": "crop", "background": "white", "start_from": None,
        "failure": None,
    }  # fmt: skip
    assert settings.conditional is False
    assert Settings.read(stored(penalty="wgan_gp", discriminator_steps="removed")).discriminator_steps == 1


@pytest.mark.parametrize(
    "penalty, weight", [("none", 0.0), ("r1", 0.3), ("r2", 0.1), ("r1+r2", 0.1), ("wgan_gp", 10.0)]
)
def test_an_old_run_keeps_the_weight_of_its_penalty(penalty, weight):
    """Older versions used the same weight for images of every size."""
    assert Settings.read(stored(penalty=penalty, penalty_weight="removed")).penalty_weight == weight


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--recipe", "best", "--seed", "7", "--no-validation", "--generator-learning-rate", "1e-05"],
        ["--minutes", "2.5", "--decay-epochs", "3"],
        ["--batch-size", "8", "--penalty", "wgan_gp", "--discriminator-steps", "5", "--epochs", "300"],
        ["--recipe", "dcgan", "--conditional", "--image-size", "32", "--background", "#00ff00"],
        ["--unconditional", "--steps-per-epoch", "100", "--penalty-weight", "0", "--flip"],
        ["--failure", "discriminator-wins", "--penalty", "r1", "--seed", "4"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("dataset", [DATASET, UNLABELED], ids=["labeled", "unlabeled"])
def test_the_command_of_a_run_repeats_its_settings(words, dataset):
    settings = Settings.new(parse(*words), dataset)
    given = settings.list_given(9000, [8, 8, 1], dataset.num_classes)
    command = Settings.list_words(given)
    assert Settings.new(parse(*command), dataset) == settings
    most = {"--dataset", "--recipe", *(word for word in words if word.startswith("--"))}
    assert {word for word in command if word.startswith("--")} <= most


def test_a_continued_run_is_repeated_with_its_final_settings():
    settings = Settings.new({}, DATASET).resume(parse("--epochs", "9"))
    command = Settings.list_words(settings.list_given(9000, (8, 8, 1), 3))
    assert command == ["--dataset", "mine", "--recipe", "few", "--epochs", "9", "--decay-epochs", "6"]
    assert Settings.new(parse(*command), DATASET) == settings


def test_the_weight_of_the_penalty_grows_with_the_images():
    images = np.zeros((40, 64, 64, 3), np.uint8)
    large = dataclasses.replace(DATASET, train_images=images)
    assert Settings.new({}, large).penalty_weight == pytest.approx(0.3 * 64**2 / 28**2)
    assert Settings.new(parse("--penalty-weight", "0.5"), large).penalty_weight == 0.5
    assert Settings.new(parse("--penalty", "none"), large).penalty_weight == 0


@pytest.mark.parametrize(
    "count, shape, recipe",
    [
        (40, (28, 28, 1), "few"), (10_000, (28, 28, 1), "fast"), (40, (28, 28, 3), "images32"),
        (10_000, (32, 32, 1), "images32"), (40, (40, 28, 3), "images32"), (40, (48, 48, 1), "images64"),
    ],
)  # fmt: skip
def test_the_data_choose_the_recipe(count, shape, recipe):
    images = np.broadcast_to(np.zeros(1, np.uint8), (count, *shape))
    settings = Settings.new({}, dataclasses.replace(DATASET, train_images=images, train_labels=None))
    assert settings.recipe == recipe


def test_renamed_and_removed_settings_are_read():
    settings = Settings.read(BEFORE_ROOMS)
    assert (settings.recipe, settings.base_filters, settings.conditional) == ("best", 16, True)
    assert complete(BEFORE_ROOMS).keys() == FIELDS.keys()
    with pytest.raises(
        ValueError,
        match="update='simultaneous' is not 'alternating', the only value that this version supports",
    ):
        Settings.read(BEFORE_ROOMS | {"update": "simultaneous"})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": "removed"}, "batch_size is missing"),
        ({"learning_rate": 1.0}, "learning_rate=1.0 is not a setting"),
        ({"update": "both"}, "update='both' is not 'alternating'"),
        ({"batch_size": 0}, "batch_size=0 is not a whole number from 1 to 2147483647"),
        ({"batch_size": 8.0}, "batch_size=8.0 is not a whole number"),
        ({"batch_size": True}, "batch_size=True"),
        ({"dropout": "0.5"}, "dropout='0.5' is not a number of at least 0 and less than 1"),
        ({"dropout": 1}, "dropout=1"),
        ({"loss": "bce"}, "loss='bce' is not one of non_saturating, minimax, hinge"),
        ({"loss": None}, "loss=None"),
        ({"loss": ["hinge"]}, "loss="),
        ({"validation": 1}, "validation=1 is not true or false"),
        ({"unconditional": 1}, "conditional=1 is not true or false"),
        ({"dataset": 7}, "dataset=7 is not a string"),
        ({"minutes": 1.0}, "exactly one must be given"),
        ({"epochs": None}, "exactly one must be given"),
        ({"decay_epochs": None}, "decay_epochs=None"),
    ],
    ids=str,
)
def test_a_wrong_setting_gets_one_line(changes, message):
    values = stored(**changes)
    if "unconditional" in changes:
        del values["conditional"]
    with pytest.raises(ValueError, match=message) as error:
        Settings.read(values)
    assert "\n" not in str(error.value)


def test_a_whole_number_is_a_number():
    assert Settings.read(stored(dropout=0, ema_half_life=10)).ema_half_life == 10


def test_a_resumed_run_changes_its_length_only():
    before = Settings.read(stored())
    settings = before.resume(parse("--epochs", "9", "--seed", "0"))
    assert settings.list_changes(before) == ["Changed:    --epochs 9 (before: --epochs 6)"]
    settings = before.resume(parse("--minutes", "9"))
    assert (settings.epochs, settings.minutes) == (None, 9.0)
    with pytest.raises(ValueError, match=r"keeps its settings: leave out --seed 1 \(the run has --seed 0\)"):
        before.resume(parse("--epochs", "9", "--seed", "1"))
    with pytest.raises(ValueError, match=r"leave out --unconditional \(the run has --conditional\)"):
        before.resume(parse("--unconditional"))


@pytest.mark.parametrize(
    "limits, right, wrong",
    [
        (COUNT, ["1", "2147483647"], ["0", "-1", "1.5", "2147483648", "x", ""]),
        (SEED, ["0", "4294967295"], ["-1", "4294967296"]),
        (FRACTION, ["0", "0.99"], ["1", "-0.1", "nan"]),
        (POSITIVE_OR_0, ["0", "1e-30", "5"], ["-1", "1e39", "inf", "nan"]),
    ],
)
def test_limits_are_the_same_for_flags_and_files(limits, right, wrong):
    for text in right:
        assert limits.accept(limits(text))
    for text in wrong:
        with pytest.raises(argparse.ArgumentTypeError, match=f"is not {limits.description}"):
            limits(text)


def test_every_setting_has_a_flag():
    switches = [name for name, field in FIELDS.items() if field.type is bool]
    words = ["--unconditional", "--no-validation", "--no-minibatch-deviation", "--no-deterministic"]
    words += ["--no-color-jitter", "--no-flip"]
    assert parse(*words) == dict.fromkeys(switches, False)
    assert parse(*[word.replace("no-", "").replace("un", "") for word in words]) == dict.fromkeys(
        switches, True
    )
    for name in FIELDS.keys() - set(switches):
        with pytest.raises(argparse.ArgumentError, match="expected one argument"):
            parse(f"--{name.replace('_', '-')}")


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"minutes"}))
def test_every_default_is_accepted(name):
    """Tests the default of each recipe, and the value from before the setting existed."""
    defaults = [getattr(recipe, name, FIELDS[name].default) for recipe in RECIPES.values()]
    for value in [*defaults, FIELDS[name].metadata["before"]]:
        if value not in (None, ALWAYS) and not callable(value):
            assert getattr(Settings.read(stored(**{name: value})), name) == value
