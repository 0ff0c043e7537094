"""Makes the gallery of docs/failures.md: trains each failure and its cure, and saves pictures and rows.

python tests/benchmarks/failures.py NEW_FOLDER [--dataset PATH] [NAME ...]

Writes the runs into NEW_FOLDER, the pictures and curves into docs/failures/, and the rows of the doctor into
tests/fixtures/health/, where tests/gan/test_health.py reads them. All of it takes about 40 minutes on two slow
cores. Prints the remarks, and the CPU seconds of each run.
"""

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[2]
PICTURES, ROWS = ROOT / "docs" / "failures", ROOT / "tests" / "fixtures" / "health"
SHORT = "--base-filters 16 --steps-per-epoch 100 --epochs 8"
GAP, TITLE = 12, 16  # pixels

# The flags of each failure, and of its cure: the change that the doctor names.
GALLERY = {
    "wrong-range": SHORT,
    "divergence": "--failure divergence --penalty r1",
    "high-rates": "--failure high-rates --generator-learning-rate 0.002 --discriminator-learning-rate 0.002",
    "discriminator-wins": "--failure discriminator-wins --penalty r1",
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=[*GALLERY])
    parser.add_argument("--dataset", default="mnist")
    options = parser.parse_args()
    for folder in (PICTURES, ROWS):
        folder.mkdir(exist_ok=True)
    for name in options.names:
        failed, cured = options.folder / name, options.folder / f"{name}-cured"
        for folder, flags in ((failed, f"--failure {name}"), (cured, GALLERY[name])):
            train(flags, folder, options.dataset)
            (ROWS / f"{folder.name}.json").write_text(json.dumps(read(folder)["rows"], indent=1), "utf-8")
        draw_pair(failed, cured).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
