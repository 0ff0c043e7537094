"""Names that older versions wrote into files, and the names of today."""

import warnings

# In a run's config.json and history.csv, and in the compile config of a `.keras` file. None: removed.
OLD_KEYS = {
    "preset": "recipe",
    "width": "base_filters",
    "update": None,
    "val_least_share": "val_smallest_class_share",
}


def translate_old_keys(config: dict) -> dict:
    """Returns a config with the names of today, in the same order, without the removed keys."""
    return {OLD_KEYS.get(key, key): value for key, value in config.items() if OLD_KEYS.get(key, key)}


def warn_of_old_update(config: dict) -> None:
    """Warns when further training differs from the training before: "simultaneous" updates were removed."""
    if config.get("update") == "simultaneous":
        warnings.warn(
            "This model was trained with update='simultaneous', which was removed: further training updates "
            "the discriminator first, then the generator.",
            stacklevel=2,
        )
