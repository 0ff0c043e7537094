"""Compares runs, or the epochs of one run, in a table and a picture."""

import itertools
import json
import math
import statistics
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from ..files import find_numbered
from ..images import add_row_names, make_grid, read_picture, readable_scale, split_grid, spread_rows
from ..metrics.evaluation import format_value
from ..runs import RunFolder, read_history
from ..runs.settings import complete

ROWS_OF_A_CLASS = 2
ROWS_WITHOUT_CLASSES = 20
MOST_EPOCHS_SHOWN = 12
GAP = 2  # pixels between two images, before scaling
HEADER = 14  # pixels of a title in Pillow's default font
FIGURES = {
    "val_frechet_distance": "Fréchet distance",
    "val_classifier_score": "classifier score",
    "val_smallest_class_share": "smallest class",
}
BEST_BY = "val_frechet_distance"
SEEDS = "seeds, mean ± spread"
OTHER_DATA = "These runs have different data, so their distances are not comparable."


def format_epochs(folder: RunFolder) -> str:
    """Returns the table of one run: one row for each epoch. The word "best" marks the best epoch.

    Raises:
        ValueError: with a message of one line, if the run's history is missing or damaged.
    """
    rows = read_history(folder.history)
    columns = {"d_loss": "d_loss", "g_loss": "g_loss"} | FIGURES
    rated = [row for row in rows if math.isfinite(row.get(BEST_BY, math.nan))]
    best = min(rated, key=lambda row: row[BEST_BY], default=None)
    lines = ["epoch" + _format_row(columns.values())]
    for row in rows:
        cells = _format_row(row.get(name) for name in columns)
        lines.append(f"{int(row['epoch']):<5}{cells}{'  best' if row is best else ''}")
    return "\n".join(lines)


def format_runs(folders: list[RunFolder]) -> str:
    """Returns the table of several runs, with the figures of their last epochs.

    Runs that differ only in their seed also get a row with mean ± spread. The spread is the standard
    deviation over the seeds.

    Raises:
        ValueError: with a message of one line, if a run's history or config is missing or damaged.
    """
    configs = [folder.read_whole_config() for folder in folders]
    labels = list_differences(configs)
    ends = [read_history(folder.history)[-1] for folder in folders]
    width = max(len(str(folder.path)) for folder in folders) + 4
    title_width = max(*map(len, labels), len("settings"))
    lines = [f"{'':{width}}{'settings':{title_width}}{'epochs':>8}" + _format_row(FIGURES.values())]
    for number, (folder, label, end) in enumerate(zip(folders, labels, ends, strict=True), 1):
        cells = _format_row(end.get(name) for name in FIGURES)
        name = f"{number}  {folder.path}"
        lines.append(f"{name:{width}}{label:{title_width}}{int(end['epoch']):>8}{cells}")
    seeds = [""] * bool(groups := group_seeds(configs))
    for members in groups:
        cells = (mean_and_spread([ends[member].get(name) for member in members]) for name in FIGURES)
        title = f"{len(members)} {SEEDS}"
        seeds.append(f"{title:{width + title_width + 8}}{_format_row(cells)}")
    return "\n".join([*lines, *seeds, *(["", OTHER_DATA] if have_other_data(configs) else [])])


def draw_epochs(folder: RunFolder, scale: int | None = None) -> np.ndarray:
    """Draws the epochs of one run. Each column shows one epoch, and each row shows the same latents.

    Args:
        folder: the run.
        scale: see `draw_columns`.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: with a message of one line, if the config is damaged, or if the pictures of the epochs are
            missing or damaged.
    """
    columns = {
        str(epoch): np.concatenate([row[:ROWS_OF_A_CLASS] for row in cells])
        for epoch, cells in read_epochs(folder, MOST_EPOCHS_SHOWN).items()
    }
    names = folder.read_class_names()
    rows = len(next(iter(columns.values())))
    return draw_columns(columns, scale, names if rows == ROWS_OF_A_CLASS * len(names or ()) else None)


def read_epochs(folder: RunFolder, most: int) -> dict[int, np.ndarray]:
    """Returns the samples of evenly spread epochs, from the pictures of a run.

    Args:
        folder: the run.
        most: largest number of epochs.

    Returns:
        By epoch: uint8 (rows, columns, height, width, channels).

    Raises:
        ValueError: see `draw_epochs`.
    """
    height, width, _ = folder.read_whole_config()["data"]["image_shape"]
    pictures = [*find_numbered(folder.samples, ".png").items()]
    if not pictures:
        raise ValueError(f"{folder.samples} has no pictures of epochs")
    epochs = {}
    for epoch, path in (pictures[number] for number in spread_rows(len(pictures), most)):
        try:
            picture = read_picture(path)
        except OSError as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        epochs[epoch] = split_grid(picture, height, width)
    return epochs


def draw_runs(
    gans: list, seed: int = 0, scale: int | None = None, class_names: list[str] | None = None
) -> np.ndarray:
    """Draws samples of trained GANs. Each column shows one GAN, and each row shows the same latents.

    Args:
        gans: the trained models.
        seed: seed of the latents.
        scale: see `draw_columns`.
        class_names: the names of the classes, if all runs have the same classes.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: when the GANs draw images of different sizes.
    """
    classes = {gan.num_classes for gan in gans if gan.num_classes is not None}
    rows = ROWS_OF_A_CLASS * max(classes) if classes else ROWS_WITHOUT_CLASSES
    labels = np.arange(rows, dtype=np.int32) // ROWS_OF_A_CLASS
    columns = {}
    for number, gan in enumerate(gans, 1):
        requested = None if gan.num_classes is None else labels % gan.num_classes
        columns[str(number)] = gan.generate(rows, requested, seed=seed)
    return draw_columns(columns, scale, class_names)


def draw_columns(
    columns: dict[str, np.ndarray], scale: int | None = None, row_names: list[str] | None = None
) -> np.ndarray:
    """Draws columns of images under their titles.

    Args:
        columns: images by title, uint8 (count, height, width, channels). All columns have the same count.
        scale: integer factor that enlarges the images. None: the factor of `gan.images.readable_scale`.
        row_names: names beside the rows, each for the same number of rows. None: no names.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: when the columns contain images of different sizes.
    """
    shapes = {images.shape[1:3] for images in columns.values()}
    if len(shapes) > 1:
        raise ValueError(f"images of different sizes cannot be compared in one picture: {sorted(shapes)}")
    colored = [np.broadcast_to(images, (*images.shape[:3], 3)) for images in columns.values()]
    rows = np.stack(colored, axis=1)
    scale = scale or readable_scale(*rows.shape[2:4])
    grid = make_grid(rows.reshape(-1, *rows.shape[2:]), columns=len(columns), gap=GAP, scale=scale)
    width = grid.shape[1]
    grid = grid if row_names is None else add_row_names(grid, row_names, rows=len(row_names))
    picture = Image.new("RGB", (grid.shape[1], grid.shape[0] + HEADER), "white")
    picture.paste(Image.fromarray(grid), (0, HEADER))
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(columns):
        left = grid.shape[1] - width + number * (rows.shape[3] + GAP) * scale
        draw.text((left + 2, 1), title, fill="black")
    return np.asarray(picture)


def list_differences(configs: list[dict]) -> list[str]:
    """Returns a text for each run: its settings that are not equal in all runs."""
    settings = [complete(config["settings"]) for config in configs]
    every_name = dict.fromkeys(itertools.chain(*settings))
    names = [name for name in every_name if len({json.dumps(one.get(name)) for one in settings}) > 1]
    return [", ".join(f"{name}={one.get(name)}" for name in names) for one in settings]


def group_seeds(configs: list[dict]) -> list[list[int]]:
    """Returns the groups of runs that differ only in their seed, at least two seeds in each group.

    A run is given by its place in `configs`. Of several runs with the same seed, the group has the last one.
    """
    groups = {}
    for place, config in enumerate(configs):
        settings = complete(config["settings"]) | {"seed": None}
        group = json.dumps([settings, config["data"].get("checksum")], sort_keys=True)
        groups.setdefault(group, {})[config["settings"].get("seed")] = place
    return [[*members.values()] for members in groups.values() if len(members) > 1]


def have_other_data(configs: list[dict]) -> bool:
    """Returns whether not all runs were trained on the same data."""
    return len({config["data"]["checksum"] for config in configs}) > 1


def mean_and_spread(values: list[float | None], form: str = "") -> str | None:
    """Formats the mean and the standard deviation of at least two values. None if a value is missing.

    Args:
        values: the values.
        form: as in `gan.metrics.evaluation.format_value`. Without a form, the spread has two digits.
    """
    if None in values:
        return None
    mean, spread = statistics.mean(values), statistics.stdev(values)
    short = form or (".2g" if spread < 100 else ".0f")
    return f"{format_value(mean, form)} ± {format_value(spread, short)}"


def format_cell(cell: float | str | None) -> str:
    """Formats a number with four digits. None becomes a dash."""
    return "-" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}"


def _format_row(cells: Iterable) -> str:
    return "".join(f"{format_cell(cell):>18}" for cell in cells)
