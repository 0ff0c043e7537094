"""Runs side by side, and the epochs of one run: a table and a picture."""

import itertools
import json
import math
import statistics
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from ..files import find_numbered
from ..images import make_grid, split_grid
from ..runs import RunFolder, read_history
from ..runs.settings import complete

ROWS_OF_A_CLASS = 2
ROWS_WITHOUT_CLASSES = 20
MOST_EPOCHS_SHOWN = 12
SCALE = 2  # pixels a side for each pixel
HEADER = 14  # pixels, of the default font
FIGURES = {
    "val_frechet_distance": "Fréchet distance",
    "val_classifier_score": "classifier score",
    "val_smallest_class_share": "smallest class",
}
BEST_BY = "val_frechet_distance"


def format_epochs(folder: RunFolder) -> str:
    """Returns the table of one run: one row for each epoch, the best one marked.

    Raises:
        ValueError: one line, when the run's history or config is absent or damaged.
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

    Runs that differ by their seed alone also get a row with mean ± spread; the spread is the standard
    deviation between the seeds.

    Raises:
        ValueError: one line, when a run's history or config is absent or damaged.
    """
    configs = [folder.read_whole_config() for folder in folders]
    labels = _label(configs)
    ends = [read_history(folder.history)[-1] for folder in folders]
    width = max(len(str(folder.path)) for folder in folders) + 4
    title_width = max(*map(len, labels), len("settings"))
    lines = [f"{'':{width}}{'settings':{title_width}}{'epochs':>8}" + _format_row(FIGURES.values())]
    groups = {}
    runs = zip(folders, configs, labels, ends, strict=True)
    for number, (folder, config, label, end) in enumerate(runs, 1):
        cells = _format_row(end.get(name) for name in FIGURES)
        name = f"{number}  {folder.path}"
        lines.append(f"{name:{width}}{label:{title_width}}{int(end['epoch']):>8}{cells}")
        groups.setdefault(_without_seed(config), {})[config["settings"].get("seed")] = end
    lines += _format_groups(groups, width, title_width)
    if len({config["data"]["checksum"] for config in configs}) > 1:
        lines += ["", "These runs have different data: their distances do not compare."]
    return "\n".join(lines)


def draw_epochs(folder: RunFolder) -> np.ndarray:
    """Draws the picture of one run, uint8 (height, width, 3): epochs as columns, the same latents as rows.

    Raises:
        ValueError: one line, when the run has no pictures of epochs, or a damaged one.
    """
    config = folder.read_whole_config()
    height, width, _ = config["data"]["image_shape"]
    pictures = [*find_numbered(folder.samples, ".png").items()]
    if not pictures:
        raise ValueError(f"{folder.samples} has no pictures of epochs")
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_EPOCHS_SHOWN)).round().astype(int)
    columns = {}
    for epoch, picture in (pictures[number] for number in chosen):
        try:
            with Image.open(picture) as image:
                grid = np.asarray(image)
        except OSError as error:
            raise ValueError(f"{picture} is damaged: {error}") from None
        cells = split_grid(grid if grid.ndim == 3 else grid[..., np.newaxis], height, width)
        columns[str(epoch)] = np.concatenate([row[:ROWS_OF_A_CLASS] for row in cells])
    return draw_columns(columns)


def draw_runs(gans: list, seed: int = 0) -> np.ndarray:
    """Draws a picture of trained GANs, uint8 (height, width, 3): a numbered column each, a latent each row.

    Raises:
        ValueError: when their images differ in size.
    """
    classes = {gan.num_classes for gan in gans if gan.num_classes is not None}
    rows = ROWS_OF_A_CLASS * max(classes) if classes else ROWS_WITHOUT_CLASSES
    labels = np.arange(rows, dtype=np.int32) // ROWS_OF_A_CLASS
    columns = {}
    for number, gan in enumerate(gans, 1):
        requested = None if gan.num_classes is None else labels % gan.num_classes
        columns[str(number)] = gan.generate(rows, requested, seed=seed)
    return draw_columns(columns)


def draw_columns(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Draws columns of images under their titles, uint8 (height, width, 3).

    Args:
        columns: by title, uint8 (count, height, width, channels), each with as many images.

    Raises:
        ValueError: when their images differ in size.
    """
    shapes = {images.shape[1:3] for images in columns.values()}
    if len(shapes) > 1:
        raise ValueError(f"images of different sizes cannot be compared in one picture: {sorted(shapes)}")
    colored = [np.broadcast_to(images, (*images.shape[:3], 3)) for images in columns.values()]
    rows = np.stack(colored, axis=1)
    grid = make_grid(rows.reshape(-1, *rows.shape[2:]), columns=len(columns))
    grid = grid.repeat(SCALE, 0).repeat(SCALE, 1)
    picture = Image.new("RGB", (grid.shape[1], grid.shape[0] + HEADER), "white")
    picture.paste(Image.fromarray(grid), (0, HEADER))
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(columns):
        draw.text((number * (rows.shape[3] + 2) * SCALE + 2, 1), title, fill="black")
    return np.asarray(picture)


def _label(configs: list[dict]) -> list[str]:
    """The settings of each run that differ from those of the others."""
    settings = [complete(config["settings"]) for config in configs]
    every_name = dict.fromkeys(itertools.chain(*settings))
    names = [name for name in every_name if len({json.dumps(one.get(name)) for one in settings}) > 1]
    return [", ".join(f"{name}={one.get(name)}" for name in names) for one in settings]


def _without_seed(config: dict) -> str:
    """All that determines a run, except its seed."""
    settings = complete(config["settings"]) | {"seed": None}
    return json.dumps([settings, config["data"].get("checksum")], sort_keys=True)


def _format_groups(groups: dict, width: int, title_width: int) -> list[str]:
    lines = []
    for members in groups.values():
        if len(members) > 1:
            cells = (_mean_and_spread([end.get(name) for end in members.values()]) for name in FIGURES)
            title = f"{len(members)} seeds, mean ± spread"
            lines.append(f"{title:{width + title_width + 8}}{_format_row(cells)}")
    return ["", *lines] if lines else []


def _mean_and_spread(values: list[float | None]) -> str | None:
    return None if None in values else f"{statistics.mean(values):.3g} ± {statistics.stdev(values):.2g}"


def _format_row(cells: Iterable) -> str:
    """Texts and numbers in columns; None is a dash."""
    texts = ("-" if cell is None else cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells)
    return "".join(f"{text:>18}" for text in texts)
