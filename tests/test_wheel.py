"""The wheel in an empty environment, outside a checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import size_of, without_tensorflow

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The folder of an environment's programs; the wheel and what it requires are installed there."""
    folder = tmp_path_factory.mktemp("wheel")
    kept_out = shutil.ignore_patterns(".git", ".venv", "runs", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "source", ignore=kept_out)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, folder / "source"]
    subprocess.run(pip, check=True)
    shutil.rmtree(folder / "source")
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    scripts = folder / "environment" / "bin"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([scripts / "pip", "install", "-q", wheel], check=True)
    return scripts


def run(folder, *command):
    process = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=300)
    assert (process.returncode, without_tensorflow(process.stderr)) == (0, "")
    return process.stdout


def test_the_package_draws(scripts, tmp_path):
    assert "100 images" in run(tmp_path, scripts / "python", "-m", "gan", "generate")
    assert size_of(tmp_path / "generated.png") == (298, 298)


def test_the_console_command_trains(scripts, tmp_path):
    arguments = ["train", "--dataset", "digits", "--steps-per-epoch", "2", "--epochs", "1", "--name", "one"]
    assert '"run_folder": "runs/one"' in run(tmp_path, scripts / "fit-gan", *arguments, "--dry-run")
    assert list(tmp_path.iterdir()) == []
    assert "Fréchet distance" in run(tmp_path, scripts / "fit-gan", *arguments)
    assert (tmp_path / "runs/one/generator.keras").is_file()


def test_callbacks_and_assets_are_inside(scripts, tmp_path):
    code = "import callbacks; from gan.metrics import load_classifier as load; "
    code += "print(callbacks.SampleGrid, load('mnist'), load('digits'))"
    output = run(tmp_path, scripts / "python", "-c", code)
    assert "callbacks.sample_grid" in output
    assert output.count("<Classifier") == 2
