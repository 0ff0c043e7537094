"""Describes a run for config.json, and compares the description with this machine."""

import dataclasses
import sys
import warnings

import keras
import numpy as np
import tensorflow as tf

from ..notice import Notice
from .settings import Settings


def describe_run(settings: Settings, dataset) -> dict:
    """Returns the content of config.json: the settings, the data, the package versions and the device.

    Args:
        settings: the settings of the run.
        dataset: the `gan.data.Dataset` that the run trains on.
    """
    return {
        "settings": dataclasses.asdict(settings),
        "data": {
            "name": dataset.name,
            "images": len(dataset.train_images),
            "image_shape": list(dataset.image_shape),
            "num_classes": dataset.num_classes,
            "class_names": dataset.class_names,
            "checksum": dataset.checksum,
            "notice": dataset.notice,
        },
        "versions": _versions(),
        "device": device_kind(),
    }


def device_kind() -> str:
    """Returns "GPU" if TensorFlow finds a GPU, and "CPU" otherwise."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def read_machine(config: dict) -> dict:
    """Returns the package versions and the kind of device that a config.json contains, by name.

    Older runs did not store the device, and a user may have edited the file: names may be missing.
    """
    stored = config.get("versions")
    device = {"device": config["device"]} if "device" in config else {}
    return (dict(stored) if isinstance(stored, dict) else {}) | device


def describe_machine() -> dict[str, str]:
    """Returns the package versions and the kind of device of this machine, like `read_machine`."""
    return _versions() | {"device": device_kind()}


def tell_of_other_machine(config: dict) -> None:
    """Warns if a run started with other package versions or on another kind of device.

    Other versions and other devices may round numbers differently.

    Args:
        config: the content of the run's config.json.
    """
    then, now = read_machine(config), describe_machine()
    names = [name for name in now if name in then and then[name] != now[name]]
    if names:
        changes = [f"{name} {now[name]} (it started with {then[name]})" for name in names]
        warnings.warn(
            f"the run continues with {', '.join(changes)}: results may differ in the last digits",
            Notice,
            stacklevel=2,
        )


def _versions() -> dict[str, str]:
    packages = {module.__name__: module.__version__ for module in (tf, keras, np)}
    return {"python": sys.version.split()[0]} | packages
