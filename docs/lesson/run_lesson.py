"""Executes the notebooks of the lesson and stores their new outputs: `python docs/lesson/run_lesson.py`."""

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent
NAMES = ("gan_lesson", "aula_gan")
PROJECT = str(FOLDER.parents[1])
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)


def read(name: str) -> nbformat.NotebookNode:
    """Reads a notebook of the lesson."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def solutions_of(notebook: nbformat.NotebookNode) -> list[str]:
    """Returns the programs in the solutions of the exercises."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [program for text in texts for program in SOLUTION.findall(text)]


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Executes a notebook, and keeps its outputs, without the messages of TensorFlow on stderr.

    Args:
        notebook: the notebook. Its cells get the outputs.
        folder: an empty folder for the files that the notebook writes, and for the cache of Keras. If the
            environment variable GAN_MNIST is set, the cache contains its MNIST.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([PROJECT, os.environ.get("PYTHONPATH", "")])}
    if "GAN_MNIST" in os.environ:  # the path of mnist.npz, in CI, where the notebook cannot download it
        datasets = folder / "keras" / "datasets"
        datasets.mkdir(parents=True)
        (datasets / "mnist.npz").symlink_to(Path(os.environ["GAN_MNIST"]).resolve())
        environment["KERAS_HOME"] = str(folder / "keras")
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=None, record_timing=False, resources=place).execute(env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def main() -> None:
    """Executes both notebooks and stores them."""
    for name in NAMES:
        notebook = read(name)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        notebook.metadata.language_info = {"name": "python"}  # without the version of Python
        nbformat.write(notebook, FOLDER / f"{name}.ipynb")
        print(f"executed: {name}.ipynb")


if __name__ == "__main__":
    main()
