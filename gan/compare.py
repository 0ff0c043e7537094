"""Runs side by side, and the epochs of one run: a table and a picture."""

import csv
import itertools
import json
import math
import statistics

import numpy as np
from PIL import Image, ImageDraw

from gan.images import make_grid, split_grid
from gan.run import RunFolder

__all__ = ["draw_columns", "draw_epochs", "draw_runs", "format_epochs", "format_runs"]

ROWS_OF_A_CLASS = 2
ROWS_WITHOUT_CLASSES = 20
MOST_EPOCHS_SHOWN = 12
SCALE = 2  # pixels a side for each pixel
HEADER = 14  # pixels, of the default font
FIGURES = {
    "val_frechet_distance": "Fréchet distance",
    "val_classifier_score": "classifier score",
    "val_least_share": "least share",
}
BEST_BY = "val_frechet_distance"


def format_epochs(folder: RunFolder) -> str:
    """The table of one run: an epoch a row, the best marked.

    Raises:
        ValueError: one line, when the run's history or config is absent or damaged.
    """
    rows = _read_history(folder)
    columns = {"d_loss": "d_loss", "g_loss": "g_loss"} | FIGURES
    rated = [row for row in rows if math.isfinite(row.get(BEST_BY, math.nan))]
    best = min(rated, key=lambda row: row[BEST_BY], default=None)
    lines = ["epoch" + "".join(f"{title:>18}" for title in columns.values())]
    for row in rows:
        cells = "".join(_show(row.get(name), 18) for name in columns)
        lines.append(f"{int(row['epoch']) + 1:<5}{cells}{'  best' if row is best else ''}")
    return "\n".join(lines)


def format_runs(folders: list[RunFolder]) -> str:
    """The table of several runs as they ended; those that differ by the seed alone have mean ± spread.

    The spread is the standard deviation between the seeds.

    Raises:
        ValueError: one line, when a run's history or config is absent or damaged.
    """
    configs = [folder.read_whole_config() for folder in folders]
    labels = _label(configs)
    ends = [_read_history(folder)[-1] for folder in folders]
    width = max(len(str(folder.path)) for folder in folders) + 4
    title_width = max(*map(len, labels), len("settings"))
    lines = [f"{'':{width}}{'settings':{title_width}}{'epochs':>8}" + _titles()]
    groups = {}
    for number, (folder, config, label, end) in enumerate(
        zip(folders, configs, labels, ends, strict=True), 1
    ):
        cells = "".join(_show(end.get(name), 18) for name in FIGURES)
        name = f"{number}  {folder.path}"
        lines.append(f"{name:{width}}{label:{title_width}}{int(end['epoch']) + 1:>8}{cells}")
        groups.setdefault(_without_seed(config), {})[config["settings"].get("seed")] = end
    lines += _format_groups(groups, width, title_width)
    if len({config["data"]["checksum"] for config in configs}) > 1:
        lines += ["", "These runs have different data: their distances do not compare."]
    return "\n".join(lines)


def draw_epochs(folder: RunFolder) -> np.ndarray:
    """The picture of one run, uint8 (height, width, 3): epochs as columns, the same latents as rows.

    Raises:
        ValueError: one line, when the run has no pictures of epochs, or a damaged one.
    """
    config = folder.read_whole_config()
    height, width, _ = config["data"]["image_shape"]
    pictures = sorted(folder.samples.glob("epoch_*.png"))
    if not pictures:
        raise ValueError(f"{folder.samples} has no pictures of epochs")
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), MOST_EPOCHS_SHOWN)).round().astype(int)
    columns = {}
    for picture in (pictures[number] for number in chosen):
        try:
            with Image.open(picture) as image:
                grid = np.asarray(image)
        except OSError as error:
            raise ValueError(f"{picture} is damaged: {error}") from None
        cells = split_grid(grid if grid.ndim == 3 else grid[..., np.newaxis], height, width)
        columns[str(int(picture.stem.rpartition("_")[2]))] = np.concatenate(
            [row[:ROWS_OF_A_CLASS] for row in cells]
        )
    return draw_columns(columns)


def draw_runs(gans: list, seed: int = 0) -> np.ndarray:
    """The picture of trained GANs, uint8 (height, width, 3): numbered columns, the same latents as rows.

    Raises:
        ValueError: when their images differ in size.
    """
    classes = {gan.num_classes for gan in gans if gan.num_classes is not None}
    rows = ROWS_OF_A_CLASS * max(classes) if classes else ROWS_WITHOUT_CLASSES
    labels = np.arange(rows, dtype=np.int32) // ROWS_OF_A_CLASS
    columns = {}
    for number, gan in enumerate(gans, 1):
        asked = None if gan.num_classes is None else labels % gan.num_classes
        columns[str(number)] = gan.generate(rows, asked, seed=seed)
    return draw_columns(columns)


def draw_columns(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Columns of images under their titles, uint8 (height, width, 3).

    Args:
        columns: by title, uint8 (count, height, width, channels), each with as many images.

    Raises:
        ValueError: when their images differ in size.
    """
    shapes = {images.shape[1:3] for images in columns.values()}
    if len(shapes) > 1:
        raise ValueError(f"images of different sizes have no picture in common: {sorted(shapes)}")
    coloured = [np.broadcast_to(images, (*images.shape[:3], 3)) for images in columns.values()]
    rows = np.stack(coloured, axis=1)
    grid = make_grid(rows.reshape(-1, *rows.shape[2:]), columns=len(columns))
    grid = grid.repeat(SCALE, 0).repeat(SCALE, 1)
    picture = Image.new("RGB", (grid.shape[1], grid.shape[0] + HEADER), "white")
    picture.paste(Image.fromarray(grid), (0, HEADER))
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(columns):
        draw.text((number * (rows.shape[3] + 2) * SCALE + 2, 1), title, fill="black")
    return np.asarray(picture)


def _read_history(folder: RunFolder) -> list[dict[str, float]]:
    """The rows of history.csv, numbers only."""
    try:
        with open(folder.history, newline="", encoding="utf-8") as file:
            rows = [
                {name: float(value) for name, value in row.items() if name and value not in ("", "NA", None)}
                for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise ValueError(f"{folder.history}: {error.strerror}") from None
    except (ValueError, TypeError, csv.Error):
        raise ValueError(f"{folder.history} is damaged: it holds something else than numbers") from None
    if not rows or any(not math.isfinite(row.get("epoch", math.nan)) for row in rows):
        raise ValueError(
            f"{folder.history} holds no epochs yet; finish the run by  python train.py --resume {folder.path}"
        )
    return rows


def _label(configs: list[dict]) -> list[str]:
    """What sets each run apart from the others: the settings that differ."""
    settings = [config["settings"] for config in configs]
    names = [
        name
        for name in dict.fromkeys(itertools.chain(*settings))
        if len({json.dumps(one.get(name)) for one in settings}) > 1
    ]
    return [", ".join(f"{name}={one.get(name)}" for name in names) for one in settings]


def _without_seed(config: dict) -> str:
    """All that a run follows from but its seed."""
    settings = {name: value for name, value in config["settings"].items() if name != "seed"}
    return json.dumps([settings, config["data"].get("checksum")], sort_keys=True)


def _format_groups(groups: dict, width: int, title_width: int) -> list[str]:
    lines = []
    for members in groups.values():
        if len(members) == 1:
            continue
        cells = ""
        for name in FIGURES:
            values = [end[name] for end in members.values() if name in end]
            is_complete = len(values) == len(members)
            cells += f"{_mean_and_spread(values) if is_complete else '-':>18}"
        title = f"{len(members)} seeds, mean ± spread"
        lines.append(f"{title:{width + title_width + 8}}{cells}")
    return ["", *lines] if lines else []


def _mean_and_spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3g} ± {statistics.stdev(values):.2g}"


def _titles() -> str:
    return "".join(f"{title:>18}" for title in FIGURES.values())


def _show(value: float | None, width: int) -> str:
    return f"{'-' if value is None else format(value, '.4g'):>{width}}"
