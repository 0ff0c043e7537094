import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gan.data import Dataset
from gan.recipes import RECIPES, Recipe
from gan.runs import Settings
from gan.runs.limits import COUNT, FRACTION, POSITIVE_OR_0, SEED
from gan.runs.settings import (
    add_flags,
    given_settings,
    list_changes,
    new_settings,
    read_settings,
    resumed_settings,
)

PATH = Path("run/config.json")
DATASET = Dataset("mine", "mine", np.zeros((400, 8, 8, 1), np.uint8), np.arange(400, dtype=np.int32) % 3)


def parse(*words):
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS, exit_on_error=False)
    groups = {name: parser.add_argument_group(name) for name in ("data", "length", "recipe", "run folder")}
    add_flags(groups)
    return parser.parse_args(list(words))


def stored(**changes):
    """The settings of a new run as a config.json has them; None removes a setting."""
    values = dataclasses.asdict(new_settings(parse(), DATASET)) | changes
    return {"settings": {name: value for name, value in values.items() if value != "removed"}}


def test_flags_that_are_not_given_take_the_recipes_values():
    settings = new_settings(parse("--recipe", "best", "--dropout", "0.25", "--no-validation"), DATASET)
    assert settings.make_recipe() == dataclasses.replace(RECIPES["best"], dropout=0.25)
    assert (settings.validation, settings.unconditional, settings.seed) == (False, False, 0)
    assert settings.decay_epochs == settings.epochs == RECIPES["best"].epochs
    assert new_settings(parse(), DATASET).recipe == "few"


def test_every_field_of_a_recipe_is_a_setting():
    assert {field.name for field in dataclasses.fields(Recipe)} <= vars(Settings()).keys()


def test_what_was_written_is_read():
    settings = new_settings(parse("--minutes", "2.5", "--seed", "3"), DATASET)
    assert read_settings({"settings": dataclasses.asdict(settings)}, PATH) == settings


def test_settings_of_the_version_before_are_read():
    values = stored(recipe="removed", base_filters="removed")["settings"]
    old = values | {"preset": "few", "width": 32, "update": "alternating"}
    assert read_settings({"settings": old}, PATH) == new_settings(parse(), DATASET)
    with pytest.raises(ValueError, match="run with update=simultaneous cannot be resumed"):
        read_settings({"settings": old | {"update": "simultaneous"}}, PATH)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": "removed"}, "batch_size is missing"),
        ({"learning_rate": 1.0}, "unknown setting 'learning_rate'"),
        ({"update": "both"}, "unknown setting 'update'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 8.0}, "batch_size=8.0"),
        ({"batch_size": True}, "batch_size=True"),
        ({"dropout": "0.5"}, "dropout='0.5'"),
        ({"dropout": 1}, "dropout=1"),
        ({"loss": "bce"}, "loss='bce'"),
        ({"loss": None}, "loss=None"),
        ({"validation": 1}, "validation=1"),
        ({"dataset": 7}, "dataset=7"),
        ({"minutes": 1.0}, "exactly one must be given"),
        ({"epochs": None}, "exactly one must be given"),
    ],
    ids=str,
)
def test_a_damaged_config_gets_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        read_settings(stored(**changes), PATH)
    assert str(error.value).startswith("run/config.json is damaged: ")
    assert "\n" not in str(error.value)


def test_a_whole_number_is_a_number():
    assert read_settings(stored(dropout=0, ema_half_life=10), PATH).ema_half_life == 10


def test_a_resumed_run_changes_its_length_only():
    options = parse("--epochs", "9", "--seed", "0")
    options.resume = Path("run")
    settings = resumed_settings(stored(), options)
    before = read_settings(stored(), PATH)
    assert list_changes(before, settings) == ["Changed:    --epochs 9 (it was --epochs 6)"]
    options.seed = 1
    with pytest.raises(ValueError, match=r"keeps its settings; not --seed 1 \(the run has --seed 0\)"):
        resumed_settings(stored(), options)


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
    assert given_settings(parse("--unconditional", "--minutes", "1")) == {
        "unconditional": True,
        "minutes": 1.0,
    }
    for name in vars(Settings()).keys() - {"validation", "unconditional"}:
        with pytest.raises(argparse.ArgumentError, match="expected one argument"):
            parse(f"--{name.replace('_', '-')}")
