"""Tests the wheel in a new environment, outside a checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import size_of, without_tensorflow

ROOT = Path(__file__).parents[1]


def install(folder):
    """Installs the wheel and its requirements in a new environment. Returns the folder of the programs."""
    source = folder / "source"
    for name in ("gan", "callbacks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source]
    subprocess.run(pip, check=True)
    shutil.rmtree(source)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    scripts = folder / "environment" / "bin"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([scripts / "pip", "install", "-q", wheel], check=True)
    return scripts


def run(folder, *command):
    process = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=300)
    assert (process.returncode, without_tensorflow(process.stderr)) == (0, "")
    return process.stdout


@pytest.mark.slow
def test_the_wheel_has_all_that_the_programs_need(tmp_path):
    """The wheel contains `gan`, its assets, `callbacks`, train.py and the console command."""
    scripts, work = install(tmp_path), tmp_path / "work"
    work.mkdir()
    arguments = ["train", "--dataset", "digits", "--steps-per-epoch", "2", "--epochs", "1", "--name", "one"]
    assert '"run_folder": "runs/one"' in run(work, scripts / "fit-gan", *arguments, "--dry-run")
    assert list(work.iterdir()) == []
    assert "Fréchet distance" in run(work, scripts / "fit-gan", *arguments)
    assert (work / "runs/one/generator.keras").is_file()
    assert "100 images" in run(work, scripts / "python", "-m", "gan", "generate")
    assert size_of(work / "generated.png") == (596, 596)
    assert "page.html" in run(work, scripts / "python", "-m", "gan", "page")
    assert (work / "page.html").stat().st_size > 1_000_000
    fit_gan = scripts / "fit-gan"
    assert "export" in run(work, fit_gan, "export", "runs/one", "--format", "litert")
    assert (work / "runs/one/exported.tflite").stat().st_size > 1_000_000
    assert "2 epochs: runs/one/film.gif" in run(work, fit_gan, "film", "runs/one")
    assert "interpolation.gif" in run(work, fit_gan, "interpolate", "runs/one", "--frames", "2")
    code = "import callbacks; from gan.metrics import load_classifier as load; "
    code += "print(callbacks.SampleGrid, load('mnist'), load('digits'))"
    output = run(work, scripts / "python", "-c", code)
    assert "callbacks.sample_grid" in output
    assert output.count("<Classifier") == 2
