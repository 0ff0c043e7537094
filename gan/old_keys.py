"""Names that older versions wrote into files, and the names of today."""

# In a run's config.json and history.csv, and in the compile config of a `.keras` file. None: removed.
OLD_KEYS = {
    "preset": "recipe",
    "width": "base_filters",
    "update": None,
    "val_least_share": "val_smallest_class_share",
}
TODAY = {"update": "alternating"}  # the fixed value of a removed key: only this one can be left out


def translate_old_keys(config: dict) -> dict:
    """Returns a config with the names of today, in the same order.

    A removed key is left out if it has the value that the code uses today. Any other value remains, for the
    caller to report.
    """
    today = {key: value for key, value in config.items() if key not in TODAY or value != TODAY[key]}
    return {OLD_KEYS.get(key) or key: value for key, value in today.items()}
