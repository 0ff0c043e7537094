"""Tests an independent project with the installed wheel, as a script and as a notebook."""

import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from test_wheel import install

from conftest import without_tensorflow

PROJECT = Path(__file__).parent / "strangers_project"
KERNEL = """
import sys, nbclient, nbformat
notebook = nbformat.read("project.ipynb", 4)
nbclient.NotebookClient(notebook, timeout=300).execute()
print("".join(output.get("text", "") for cell in notebook.cells for output in cell.outputs))
"""


def run(folder, *command):
    process = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, without_tensorflow(process.stderr)[-3000:]
    return process.stdout


@pytest.mark.slow
def test_a_strangers_project(tmp_path):
    scripts = install(tmp_path)
    for name in ("script", "notebook"):
        shutil.copytree(PROJECT, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    script, notebook = tmp_path / "script", tmp_path / "notebook"
    assert "begin ended at step 8" in run(script, scripts / "python", "train.py", "begin")
    output = run(script, scripts / "python", "train.py", "go-on")
    assert "go-on ended at step 12 ['epoch_0000.png'" in output
    assert "brightness" in output
    # `python -m gan train` and `fit-gan train` do not use the train.py and callbacks.py of the project.
    ours = ["train", "--dataset", "digits", "--steps-per-epoch", "2", "--epochs", "1", "--name"]
    run(script, scripts / "python", "-m", "gan", *ours, "module")
    run(script, scripts / "fit-gan", *ours, "console")
    assert (script / "runs/module/gan.keras").is_file()
    assert (script / "runs/console/samples/epochs.gif").is_file()

    run(tmp_path, scripts / "pip", "install", "-q", "nbclient", "ipykernel")
    cells = ["import train", "train.main('begin')", "train.main('go-on')"]
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook / "project.ipynb")
    assert "go-on ended at step 12" in run(notebook, scripts / "python", "-c", KERNEL)
