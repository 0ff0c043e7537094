"""Makes the gallery of docs/failures.md: trains each failure and its cure, and saves pictures and rows.

python tests/benchmarks/failures.py FOLDER [NAME ...] --mnist PATH --fashion PATH --emoji PATH

Writes the runs into FOLDER, the pictures into docs/failures/, and the rows of the doctor into
tests/fixtures/health/, where tests/gan/test_health.py reads them. Takes about 40 minutes on two slow
cores. Prints the remarks, and the CPU seconds of each run.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[2]
PICTURES, ROWS = ROOT / "docs" / "failures", ROOT / "tests" / "fixtures" / "health"
SHORT = "--base-filters 16 --steps-per-epoch 100 --epochs 8"
GAP, TITLE = 12, 16  # pixels
PANEL = 285  # width of a panel of curves

# Healthy trainings, on which the doctor is silent: each recipe, with and without labels, gray and color.
HEALTHY = {
    "mnist-fast": ("mnist", SHORT),
    "mnist-unlabeled": ("mnist", "--unconditional --steps-per-epoch 100 --epochs 5"),
    "mnist-best": ("mnist", "--recipe best --steps-per-epoch 100 --epochs 5"),
    "mnist-dcgan": ("mnist", "--recipe dcgan --steps-per-epoch 150 --epochs 5"),
    "digits-few": ("digits", "--epochs 4"),
    "fashion-fast": ("fashion", "--steps-per-epoch 100 --epochs 5"),
    "emoji-images32": ("emoji", "--image-size 32 --steps-per-epoch 150 --epochs 4"),
    "emoji-images64": ("emoji", "--steps-per-epoch 100 --epochs 4"),
}
# The flags of each failure, and of its cure: the change that the doctor names.
GALLERY = {
    "wrong-range": SHORT,
    "divergence": "--failure divergence --penalty r1",
    "high-rates": "--failure high-rates --generator-learning-rate 0.002 --discriminator-learning-rate 0.002",
    "discriminator-wins": "--failure discriminator-wins --generator-learning-rate 0.002",
    "generator-wins": "--failure generator-wins --discriminator-learning-rate 0.002",
    "memorizing": "--failure memorizing --translation 0.125",
    "collapse": "--failure collapse --latent-dim 100",
    "little-variety": "--failure little-variety --latent-dim 100",
}


def train(flags: str, folder: Path, dataset: str) -> None:
    """Runs train.py, and prints its remarks and its CPU seconds."""
    command = [sys.executable, ROOT / "train.py", "--dataset", dataset, *shlex.split(flags)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--run-dir", folder, "--quiet"], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"\ntrain.py {flags}: {seconds:.0f} CPU seconds")
    for remark in read(folder)["remarks"]:
        print(f"  epoch {remark['epoch']}: {remark['cause']} ({remark['evidence']})", flush=True)


def record(flags: str, folder: Path, dataset: str) -> None:
    """Trains, unless the folder has the finished run, and saves the rows of the doctor."""
    if not (folder / "gan.keras").exists():
        shutil.rmtree(folder, ignore_errors=True)
        train(flags, folder, dataset)
    (ROWS / f"{folder.name}.json").write_text(json.dumps(read(folder)["rows"], indent=1) + "\n", "utf-8")


def read(folder: Path) -> dict:
    """Returns the rows and the remarks of the doctor."""
    return json.loads((folder / "doctor.json").read_text("utf-8"))


def draw_pair(failed: Path, cured: Path) -> Image.Image:
    """Draws the last samples of two runs side by side, at their original size."""
    grids = []
    for folder in (failed, cured):
        picture = max((folder / "samples").glob("epoch_*.png"))
        grids.append(np.asarray(Image.open(picture))[::2, ::2])  # train.py doubles images of 28 pixels
    height, width = grids[0].shape[:2]
    pair = Image.new("L", (2 * width + GAP, height + TITLE), "white")
    for number, (title, grid) in enumerate(zip(("failed", "cured"), grids, strict=True)):
        left = number * (width + GAP)
        pair.paste(Image.fromarray(grid), (left, TITLE))
        ImageDraw.Draw(pair).text((left + 2, 2), title, fill="black")
    return pair


def draw_curves(failed: Path, cured: Path) -> str:
    """Draws d_loss, g_loss and the Fréchet distance of two runs by epoch, as an SVG of three panels."""
    panels = [("d_loss", "d_loss"), ("g_loss", "g_loss"), ("val_frechet_distance", "Fréchet distance")]
    rows = {"failed": read(failed)["rows"], "cured": read(cured)["rows"]}
    parts = [_draw_panel(number, *panel, rows) for number, panel in enumerate(panels)]
    size = f'width="{3 * PANEL}" height="200" viewBox="0 0 {3 * PANEL} 200"'
    style = 'style="background:white" font-family="sans-serif" font-size="11"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n'


def _draw_panel(number: int, key: str, title: str, rows: dict[str, list[dict]]) -> str:
    """Draws one panel. Values with very different sizes get a logarithmic axis."""
    left, right, top, bottom = PANEL * number + 62, PANEL * (number + 1) - 10, 30, 165
    values = {name: np.array([row[key] for row in run], float) for name, run in rows.items()}
    every = np.concatenate([*values.values()])
    is_logarithmic = bool(every.min() > 0 and every.max() > 20 * every.min())
    scale = np.log10 if is_logarithmic else np.asarray
    low, high = scale(every.min()), scale(every.max())
    parts = [f'<text x="{left}" y="16" font-weight="bold">{title}{" (log)" * is_logarithmic}</text>']
    for value in np.linspace(low, high, 4):
        y, label = np.interp(value, (low, high), (bottom, top)), 10**value if is_logarithmic else value
        parts.append(f'<path d="M{left} {y:.0f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 4}" y="{y + 4:.0f}" text-anchor="end">{label:.3g}</text>')
    for row, (name, line) in enumerate(values.items()):
        x = np.linspace(left, right, len(line))
        y = np.interp(scale(line), (low, high), (bottom, top))
        points = " ".join(f"{across:.1f},{up:.1f}" for across, up in zip(x, y, strict=True))
        color, dash = (("#d55e00", "5 3"), ("#0072b2", "none"))[row]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/><text x="{left + 60 * row}" y="192" fill="{color}">{name}</text>'
        )
    parts.append(f'<text x="{right}" y="192" text-anchor="end">epoch 1 to {len(line)}</text>')
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=[*GALLERY, *HEALTHY])
    for name, path in (("mnist", "mnist"), ("fashion", "fashion_mnist"), ("emoji", "emoji")):
        parser.add_argument(f"--{name}", default=path, metavar="NAME|PATH")
    options = parser.parse_args()
    places = vars(options) | {"digits": "digits"}
    for folder in (PICTURES, ROWS):
        folder.mkdir(exist_ok=True)
    for name in options.names:
        if name in HEALTHY:
            dataset, flags = HEALTHY[name]
            record(flags, options.folder / name, places[dataset])
            continue
        failed, cured = options.folder / name, options.folder / f"{name}-cured"
        record(f"--failure {name}", failed, options.mnist)
        record(GALLERY[name], cured, options.mnist)
        draw_pair(failed, cured).save(PICTURES / f"{name}.png", optimize=True)
        (PICTURES / f"{name}.svg").write_text(draw_curves(failed, cured), "utf-8")


if __name__ == "__main__":
    main()
