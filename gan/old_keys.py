"""Old names of settings and columns in files, and their current names."""

# Old name: current name, in a run's config.json and history.csv, and in the compile config of `.keras` files.
RENAMED = {
    "preset": "recipe",
    "width": "base_filters",
    "unconditional": "conditional",
    "val_least_share": "val_smallest_class_share",
}
INVERTED = {"unconditional"}  # the old value true means false now
REMOVED = {"update": "alternating"}  # the code now always uses this value


def translate_old_keys(config: dict) -> dict:
    """Replaces old names in a config by the current names. Keeps the order.

    Leaves out a key of REMOVED if the config has the same value as REMOVED. With another value, the key
    stays, so that the caller can report the key.
    """
    translated = {}
    for key, value in config.items():
        if key in REMOVED and value == REMOVED[key]:
            continue
        is_inverted = key in INVERTED and isinstance(value, bool)
        translated[RENAMED.get(key, key)] = not value if is_inverted else value
    return translated
