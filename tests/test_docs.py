"""The README and the pages in docs/: their programs run, their links work, their flags exist."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import train
from gan import GAN

ROOT = Path(train.__file__).parent
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
PROGRAM = re.compile(r"(<!-- no test: .*? -->\n)?```python\n(.*?)```", re.DOTALL)
MOST_WORDS = 1800


def read(page):
    return page.read_text("utf-8")


def programs_of(page):
    """The Python programs of a page, except those with a comment that says why no test runs them."""
    return [program for reason, program in PROGRAM.findall(read(page)) if not reason]


WITH_PROGRAMS = [page for page in PAGES if programs_of(page)]


@pytest.fixture
def small_world(tmp_path, monkeypatch):
    """An empty folder, 128 images in place of Fashion-MNIST, and trainings of two epochs of two steps."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (128, 28, 28), np.uint8), random.integers(0, 10, 128)
    fashion_mnist = ((images, labels), (images, labels))
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", lambda: fashion_mnist)
    fit = GAN.fit

    def fit_briefly(gan, *data, **arguments):
        steps = gan.steps_per_execution if gan.compiled else 1
        shorter = {"epochs": min(arguments.get("epochs", 1), 2), "verbose": 0}
        if "steps_per_epoch" in arguments:
            shorter["steps_per_epoch"] = max(2, steps)
        if data and isinstance(data[0], np.ndarray):
            data = [part[:128] for part in data]
        return fit(gan, *data, **(arguments | shorter))

    monkeypatch.setattr(GAN, "fit", fit_briefly)
    monkeypatch.setattr(keras.utils.Progbar, "update", lambda *arguments, **kwargs: None)
    return tmp_path


def test_the_programs_of_the_readme_run_one_after_the_other(small_world):
    names = {}
    programs = programs_of(README)
    assert len(programs) == 4
    for program in programs:
        exec(program, names)
    assert names["pictures"].shape == (16, 28, 28, 1)
    assert names["fours"].shape == (10, 28, 28, 1)
    files = {path.name for path in small_world.iterdir()}
    assert {"checkpoints", "gan.keras", "logs", "samples"} <= files


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=lambda page: page.stem)
def test_the_programs_of_a_page_run_one_after_the_other(small_world, page):
    names = {}
    for program in programs_of(page):
        exec(program, names)
    assert {"own-project", "extending", "quality"} <= {page.stem for page in WITH_PROGRAMS}


def anchors_of(page):
    """The names of a page's headings in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", read(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_links_lead_to_pages_and_headings(page):
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    wrong = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if "://" not in link and (not target.is_file() or (anchor and anchor not in anchors_of(target))):
            wrong.append(link)
    assert wrong == []


def test_the_readme_links_every_page_and_is_short():
    text = read(README)
    assert [page.name for page in PAGES if f"](docs/{page.name})" not in text] == []
    assert len(text.split()) <= MOST_WORDS


def test_every_picture_is_shown():
    shown = " ".join(map(read, [README, *PAGES]))
    pictures = [path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".png", ".gif")]
    assert [name for name in pictures if name not in shown] == []


def test_ci_runs_the_test_command_of_the_readme():
    (command,) = [line for line in read(README).splitlines() if line.endswith("-m pytest")]
    assert command in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_every_flag_is_explained(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # argparse splits flags at the end of a line
    assert train.main(["--help"]) == 0
    flags = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out)) - {"--help"}
    assert flags <= set(re.findall(r"--[a-z0-9-]+", read(ROOT / "docs" / "commands.md")))
