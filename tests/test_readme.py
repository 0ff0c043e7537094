"""The README's Python runs as it stands there, on less data and for fewer steps."""

import re
from pathlib import Path

import keras
import numpy as np

import train

ROOT = Path(train.__file__).parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_recipes_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (128, 28, 28), np.uint8)
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", lambda: ((images, None), None))
    recipes = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(recipes) == 6
    names = {}
    for recipe in recipes:
        exec(recipe.replace("500", "2").replace("epochs=20", "epochs=2"), names)
    assert names["pictures"].shape == (16, 28, 28, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "gan.keras", "logs", "samples"]


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\":]+)\"", README)
    assert len(links) >= 2
    assert [link for pair in links for link in pair if link and not (ROOT / link).is_file()] == []


def test_ci_runs_its_test_command():
    (command,) = [line for line in README.splitlines() if line.endswith("-m pytest")]
    assert command in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_every_flag_is_explained(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # no flag is split at the end of a line
    assert train.main(["--help"]) == 0
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert flags <= set(re.findall(r"--[a-z-]+", README))
