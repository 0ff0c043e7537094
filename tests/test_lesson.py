"""Tests the notebooks of the lesson: they run, their stored outputs are complete, both have the same code."""

import ast
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest

LESSON = Path(__file__).parents[1] / "docs" / "lesson"
sys.path.insert(0, str(LESSON))
import run_lesson

both = pytest.mark.parametrize("name", run_lesson.NAMES)
SMALLER = {"STEPS = 200": "STEPS = 2", "EPOCHS = 8": "EPOCHS = 2"}
SMALLER |= {"data.test_images[::2], data.test_labels[::2]": "data.test_images[::50], data.test_labels[::50]"}
PICTURES = {"image/png", "image/svg+xml"}
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<])/(?:bin|etc|home|opt|root|tmp|usr|var|work|Users)/|[A-Z]:\\\\")


def cells_of(name, kind):
    return [cell for cell in run_lesson.read(name).cells if cell.cell_type == kind]


def text_of(name):
    return "\n".join(cell.source for cell in cells_of(name, "markdown"))


class WithoutWords(ast.NodeTransformer):
    """Removes strings that the reader sees: the parts of f-strings, and strings with a space."""

    def visit_JoinedStr(self, node):
        return ast.JoinedStr(
            [self.visit(part) for part in node.values if isinstance(part, ast.FormattedValue)]
        )

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) and " " in node.value else node


def without_words(program):
    return ast.unparse(WithoutWords().visit(ast.parse(program)))


def test_both_languages_have_the_same_code():
    programs = [
        [without_words(cell.source) for cell in cells_of(name, "code")]
        + [without_words(program) for program in run_lesson.solutions_of(run_lesson.read(name))]
        for name in run_lesson.NAMES
    ]
    assert programs[0] == programs[1]
    assert len(programs[0]) > 25


@pytest.mark.parametrize("pattern", [r"\$\$.*?\$\$", r"^#+ \d+\.", r"\]\(([^)]*)\)", r'<a id="\w+">'])
def test_both_languages_have_the_same_formulas_sections_and_links(pattern):
    english, portuguese = (
        re.findall(pattern, text_of(name), re.DOTALL | re.MULTILINE) for name in run_lesson.NAMES
    )
    others = {f"{name}.ipynb" for name in run_lesson.NAMES}  # each notebook links the other one
    assert [one for one in english if one not in others] == [one for one in portuguese if one not in others]
    assert len(english) > 2


@both
def test_both_languages_have_the_same_kinds_of_cells(name):
    kinds = [(cell.cell_type, cell.id, cell.metadata) for cell in run_lesson.read(name).cells]
    assert kinds == [
        (cell.cell_type, cell.id, cell.metadata) for cell in run_lesson.read(run_lesson.NAMES[0]).cells
    ]


@pytest.mark.parametrize("page", ["README.md", *(f"{name}.ipynb" for name in run_lesson.NAMES)])
def test_links_lead_to_files_and_sections(page):
    text = (
        (LESSON / page).read_text("utf-8") if page.endswith(".md") else text_of(page.removesuffix(".ipynb"))
    )
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    sections = {f"#{section}" for section in re.findall(r'<a id="(\w+)">', text)}
    assert [link for link in links if link not in sections and not (LESSON / link).is_file()] == []


@both
def test_the_stored_outputs_are_complete_and_clean(name):
    code = cells_of(name, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    texts = "".join(output.get("text", "") for output in outputs)
    assert "Epoch 8/8" in texts and "200/200" in texts  # not the outputs of a small run
    assert [
        output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"
    ] == []
    assert sum(not PICTURES.isdisjoint(output.get("data", {})) for output in outputs) >= 18
    for output in outputs:
        output.get("data", {}).pop("image/png", None)
    assert ABSOLUTE_PATH.findall(json.dumps([cell.source for cell in code] + outputs)) == []


@both
def test_every_exercise_has_a_solution(name):
    exercises = [text for text in text_of(name).split("**Exerc")[1:]]
    assert len(exercises) == 8
    assert all(text.count("<details><summary>Solu") == text.count("</details>") == 1 for text in exercises)


@pytest.mark.slow
@both
def test_all_cells_run(name, tmp_path):
    """Executes all cells with epochs of two steps. Executes the solutions after the English notebook."""
    notebook = run_lesson.read(name)
    if name == run_lesson.NAMES[0]:
        notebook.cells += map(nbformat.v4.new_code_cell, run_lesson.solutions_of(notebook))
    for part, smaller in SMALLER.items():
        (cell,) = [cell for cell in notebook.cells if part in cell.source]
        cell.source = cell.source.replace(part, smaller)
    run_lesson.execute(notebook, tmp_path)
    assert (tmp_path / "page.html").stat().st_size > 100_000
