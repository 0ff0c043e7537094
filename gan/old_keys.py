"""Names that older versions wrote into files, and the names of today."""

# In a run's config.json and history.csv, and in the compile config of a `.keras` file.
RENAMED = {
    "preset": "recipe",
    "width": "base_filters",
    "unconditional": "conditional",
    "val_least_share": "val_smallest_class_share",
}
INVERTED = {"unconditional"}  # true is false today
REMOVED = {"update": "alternating"}  # with the value that the code uses today


def translate_old_keys(config: dict) -> dict:
    """Returns a config with the names of today, in the same order.

    A removed key is left out if it has the value that the code uses today. Any other value remains, for the
    caller to report.
    """
    translated = {}
    for key, value in config.items():
        if key in REMOVED and value == REMOVED[key]:
            continue
        is_inverted = key in INVERTED and isinstance(value, bool)
        translated[RENAMED.get(key, key)] = not value if is_inverted else value
    return translated
