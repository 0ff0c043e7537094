"""Checks whether a run is finite, whole and reproducible."""

import hashlib
import json
import math
from typing import NamedTuple

import keras
import numpy as np

from ..files import digest, find_numbered, read_json
from ..images import read_picture
from ..runs import RunFolder, describe_machine, read_machine
from .facts import Facts

FINITE, WHOLE, REPRODUCIBLE = QUESTIONS = ("finite", "whole", "reproducible")
LOGS = ("loss", "d_loss", "g_loss", "penalty", "real_logits", "fake_logits", "frechet_distance")
NO_MODEL = "This needs gan.keras."


class Check(NamedTuple):
    """Holds the result of one check.

    Attributes:
        question: what the check belongs to, one of `QUESTIONS`.
        title: the name of the check, one or two words.
        passed: true, false, or None if the result is not known.
        detail: one sentence: what was found.
    """

    question: str
    title: str
    passed: bool | None
    detail: str


def check_run(facts: Facts) -> list[Check]:
    """Makes all checks of a run. No damaged file raises an error: the check fails.

    Example: `summarize(check_run(facts))` is `"Sound: all 15 checks passed."` for a good run.
    """
    checks = [
        (FINITE, "Losses", _check_losses(facts)),
        (FINITE, "Weights", _check_weights(facts)),
        (WHOLE, "Finished", _check_end(facts)),
        (WHOLE, "Model", _check_model(facts)),
        (WHOLE, "Settings", _check_settings(facts)),
        (WHOLE, "History", _check_history(facts)),
        (WHOLE, "Pictures", _check_pictures(facts)),
        (WHOLE, "Steps", _check_steps(facts)),
        (WHOLE, "Generator", _check_generator(facts)),
        (WHOLE, "Checkpoint", _check_checkpoint(facts)),
        (REPRODUCIBLE, "Data", _check_data(facts)),
        (REPRODUCIBLE, "Versions", _check_versions(facts)),
        (REPRODUCIBLE, "Device", _check_device(facts)),
        (REPRODUCIBLE, "Length", _check_length(facts)),
        (REPRODUCIBLE, "Start", _check_start(facts)),
    ]
    return [Check(question, title, *result) for question, title, result in checks]


def summarize(checks: list[Check]) -> str:
    """Returns one sentence: whether the run is sound, and which checks did not pass."""
    failed = [check for check in checks if check.passed is False]
    unknown = [check.title for check in checks if check.passed is None]
    others = [check.title for check in failed if check.title != "Finished"]
    ends = [f"not known: {', '.join(unknown)}"] if unknown else []
    if len(others) < len(failed):
        (end,) = (check.detail for check in failed if check.title == "Finished")
        return f"Not finished: {end}" + (f" Failed: {', '.join(others)}." if others else "")
    if failed:
        start = f"Not sound: {len(failed)} of {len(checks)} checks failed: {', '.join(others)}"
    elif unknown:
        start = f"Sound: {len(checks) - len(unknown)} of {len(checks)} checks passed"
    else:
        start = f"Sound: all {len(checks)} checks passed"
    return "; ".join([start, *ends]) + "."


def _check_losses(facts: Facts) -> tuple[bool | None, str]:
    if facts.history_problem:
        return None, facts.history_problem
    for row in facts.rows:
        for name, value in row.items():
            if name.removeprefix("val_") in LOGS and not math.isfinite(value):
                return False, f"{name} is not finite in epoch {row['epoch']:.0f}."
    return True, "All losses, logits and distances in history.csv are finite."


def _check_weights(facts: Facts) -> tuple[bool | None, str]:
    if facts.gan is None:
        return None, NO_MODEL
    weights = facts.gan.get_weights()
    count = sum(each.size for each in weights)
    broken = sum(int((~np.isfinite(each)).sum()) for each in weights)
    if broken:
        return False, f"{broken:,} of {count:,} weights in gan.keras are NaN or infinite."
    return True, f"All {count:,} weights in gan.keras are finite."


def _check_end(facts: Facts) -> tuple[bool | None, str]:
    planned, done = facts.epochs_planned, facts.epochs_done
    of = f"{done} of {planned} epochs are done" if planned else f"{done} epochs are done"
    if not facts.folder.model.exists():
        return False, f"{of}, and there is no gan.keras."
    if planned is None or done >= planned:
        return True, f"{of}, and there is a gan.keras."
    return False, f"{of}, although there is a gan.keras."


def _check_model(facts: Facts) -> tuple[bool | None, str]:
    if facts.gan is None and facts.folder.model.exists():
        return False, facts.gan_problem
    return (None, NO_MODEL) if facts.gan is None else (True, "gan.keras can be loaded.")


def _check_settings(facts: Facts) -> tuple[bool | None, str]:
    if facts.settings is None:
        return False, f"This version does not accept the settings: {facts.settings_problem}."
    return True, f"config.json contains all settings, with the seed {facts.settings.seed}."


def _check_history(facts: Facts) -> tuple[bool | None, str]:
    if facts.history_problem:
        return False, facts.history_problem
    missing = set(range(1, facts.epochs_done + 1)) - {int(row["epoch"]) for row in facts.rows}
    if missing:
        return False, f"history.csv has no row of {_list_epochs(missing)}."
    return True, f"history.csv has a row of each epoch up to {facts.epochs_done}."


def _check_pictures(facts: Facts) -> tuple[bool | None, str]:
    pictures = find_numbered(facts.folder.samples, ".png")
    missing = set(range(facts.epochs_done + 1)) - pictures.keys()
    if missing:
        return False, f"There is no picture of {_list_epochs(missing)}."
    for path in (*pictures.values(), facts.folder.samples / "real.png"):
        try:
            read_picture(path)
        except Exception:  # Pillow raises errors of many kinds for damaged files
            return False, f"{path.name} is missing or damaged."
    return True, f"There are pictures of epochs 0 to {max(pictures)} and of real images."


def _check_steps(facts: Facts) -> tuple[bool | None, str]:
    if facts.gan is None:
        return None, NO_MODEL
    steps, each = int(facts.gan.step.numpy()), facts.steps_per_epoch
    if facts.history_problem or each is None:
        return None, f"gan.keras was trained for {steps:,} steps. The number of epochs is not known."
    expected = facts.epochs_done * each
    epochs = f"{facts.epochs_done} epochs of {each:,} steps are {expected:,} steps"
    return steps == expected, f"gan.keras was trained for {steps:,} steps. {epochs}."


def _check_generator(facts: Facts) -> tuple[bool | None, str]:
    if facts.gan is None:
        return None, NO_MODEL
    try:
        generator = keras.saving.load_model(facts.folder.generator, compile=False, safe_mode=True)
        found = generator.get_weights()
    except Exception:  # the file may have any content, and Keras raises errors of many types
        return False, "generator.keras is missing or damaged."
    expected = facts.gan.sampler.get_weights()
    is_same = len(found) == len(expected) and all(map(np.array_equal, found, expected))
    verb = "has" if is_same else "does not have"
    return is_same, f"generator.keras {verb} the weights with which gan.keras draws samples."


def _check_checkpoint(facts: Facts) -> tuple[bool | None, str]:
    manifests = find_numbered(facts.folder.checkpoints, ".json")
    if not manifests:
        return False, "There is no checkpoint, so the run cannot be continued."
    epoch = max(manifests)
    problem = _find_damage(facts.folder, epoch)
    if problem:
        return False, f"The checkpoint of epoch {epoch} is damaged: {problem}."
    if epoch != facts.epochs_done and not facts.history_problem:
        return (
            False,
            f"The newest checkpoint is of epoch {epoch}, and history.csv ends at {facts.epochs_done}.",
        )
    return True, f"The newest checkpoint, of epoch {epoch}, has the SHA-256 in its manifest."


def _find_damage(folder: RunFolder, epoch: int) -> str:
    """Returns the problem of a checkpoint, or "". `callbacks.Checkpoint` describes the manifest."""
    weights = folder.checkpoints / f"epoch_{epoch:04d}.weights.h5"
    try:
        manifest = read_json(folder.checkpoints / f"epoch_{epoch:04d}.json")
        checksum = manifest.pop("checksum", None)
        if hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest() != checksum:
            return "the manifest has a wrong checksum"
        if digest(weights) != manifest.get("sha256"):
            return "the weights do not have the SHA-256 in the manifest"
    except (OSError, ValueError) as error:
        return f"{getattr(error, 'strerror', None) or error}"
    return ""


def _check_data(facts: Facts) -> tuple[bool | None, str]:
    short = f"{facts.config['data']['checksum'][:12]}…"
    if facts.dataset is not None:
        return True, f"The data on this machine have the recorded SHA-256 {short}"
    return (False if facts.is_data_changed else None), f"{facts.data_problem} Recorded SHA-256: {short}"


def _check_versions(facts: Facts) -> tuple[bool | None, str]:
    then, now = read_machine(facts.config), describe_machine()
    if "keras" not in then or "tensorflow" not in then:
        return False, "config.json does not contain the versions of the packages."
    names = [name for name in now if then.get(name, now[name]) != now[name]]
    changes = [f"{name} {now[name]} (the run: {then[name]})" for name in names]
    if changes:
        return None, f"This machine has {', '.join(changes)}. Results may differ in the last digits."
    return True, "The versions and the device are recorded, and this machine has the same."


def _check_device(facts: Facts) -> tuple[bool | None, str]:
    settings, device = facts.settings, read_machine(facts.config).get("device")
    if settings is None:
        return None, "The settings are not known."
    if settings.deterministic:
        return True, "The run used deterministic operations."
    if device == "CPU":
        return True, "The run used a CPU. The same kind of CPU with as many threads gives the same weights."
    where = "a GPU" if device == "GPU" else "a device that is not recorded"
    return None, f"The run used {where} without --deterministic. Results may differ in the last digits."


def _check_length(facts: Facts) -> tuple[bool | None, str]:
    minutes = facts.stored_settings.get("minutes")
    if minutes is None:
        return True, "The settings determine the number of epochs."
    return None, f"The run had {minutes} minutes. The number of epochs depends on the speed of the machine."


def _check_start(facts: Facts) -> tuple[bool | None, str]:
    source = facts.settings.start_from if facts.settings else None
    if source is None:
        return True, "The run started with new weights, which the seed determines."
    if RunFolder(source).model.is_file():
        return True, "The run started with the weights of another run, which is on this machine."
    return None, "The run started with the weights of another run, which is not on this machine."


def _list_epochs(epochs: set[int]) -> str:
    shown = sorted(epochs)[:5]
    more = f" and {len(epochs) - len(shown)} more" if len(epochs) > len(shown) else ""
    return f"epoch{'s'[: len(epochs) > 1]} {', '.join(map(str, shown))}{more}"
