"""The content of a run's config.json."""

import dataclasses
import sys
import warnings

import keras
import numpy as np
import tensorflow as tf

from ..notice import Notice
from .settings import Settings


def describe_run(settings: Settings, dataset) -> dict:
    """Returns the content of config.json: the settings, the data and the package versions.

    Args:
        settings: of the run.
        dataset: the `gan.data.Dataset` that it trains on.
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
    }


def tell_of_other_versions(config: dict) -> None:
    """Warns that a run began with other package versions, which may compute other bits."""
    then, now = config.get("versions"), _versions()
    if isinstance(then, dict) and then != now:
        names = [name for name in now if then.get(name) != now[name]]
        changes = [f"{name} {now[name]} (it started with {then.get(name)})" for name in names]
        warnings.warn(
            f"the run continues, perhaps with other bits, with {', '.join(changes)}", Notice, stacklevel=2
        )


def _versions() -> dict[str, str]:
    packages = {module.__name__: module.__version__ for module in (tf, keras, np)}
    return {"python": sys.version.split()[0]} | packages
