"""Makes the sections of the page that compares several runs."""

import numpy as np

from ..images import make_grid
from ..metrics.evaluation import ALONE, COMPARED, SIDES, format_value
from . import comparison
from .curves import draw_chart, read_line
from .facts import Facts
from .markup import Markup, element, make_sample, make_table
from .measures import SEED, Measures
from .sections import (
    CHARTS,
    describe_doctor,
    describe_run,
    list_checks,
    show_command,
    show_stills,
    show_summary,
)
from .soundness import Check, summarize

SAMPLES, COLUMNS = 20, 10  # of each run


def list_runs(runs: list[Facts], checks: list[list[Check]]) -> list[Markup]:
    """Returns the table of the runs: their soundness, and the figures of their last epochs."""
    configs = [facts.config for facts in runs]
    differences = comparison.list_differences(configs)
    heads = [["run", "summary", "settings", "epochs", *comparison.FIGURES.values()]]
    ends = [facts.rows[-1] if facts.rows else {} for facts in runs]
    summaries = [summarize(results).partition(":")[0] for results in checks]
    rows = []
    for number, facts in enumerate(runs):
        cells = [comparison.format_cell(ends[number].get(name)) for name in comparison.FIGURES]
        cells = [summaries[number], differences[number] or "-", str(facts.epochs_done), *cells]
        rows.append((_name(number, facts), cells))
    seeds = _list_seeds(configs, ends, dict.fromkeys(comparison.FIGURES, ""))
    rows += [(title, ["", "", "", *cells]) for title, cells in seeds]
    text = "The settings that are not equal in all runs, and the validation after the last epoch."
    note = [element("p", comparison.OTHER_DATA)] if comparison.have_other_data(configs) else []
    return [element("p", text), make_table(heads, rows, class_="numbers runs"), *note]


def compare_quality(runs: list[Facts], measures: list[Measures]) -> list[Markup]:
    """Returns the table of the measures of all runs, with the values of real images."""
    known = [figures.report for figures in measures if figures.report is not None]
    if not known:
        return [element("p", f"The quality was not measured. {measures[0].origin}", class_="left-out")]
    side = next(side for side in SIDES if all(side in report for report in known))
    titles = {name: title for name, title in COMPARED.items() if name != "kernel_distance_error"}
    titles |= {name: title for name, (title, _) in ALONE.items()}
    titles = {name: title for name, title in titles.items() if any(_find(one, side, name) for one in known)}
    found = [{name: _find(figures.report or {}, side, name) for name in titles} for figures in measures]
    values = [{name: pair.get("samples") for name, pair in pairs.items()} for pairs in found]
    heads = ["", *(f"run {number}" for number in range(1, len(runs) + 1))]
    shown = [*values]
    if not comparison.have_other_data([facts.config for facts in runs]):
        heads.append("real images")
        shown.append({name: _find_real(found, name) for name in titles})
    columns = [[format_value(one[name], _form(name)) for name in titles] for one in shown]
    seeds = _list_seeds([facts.config for facts in runs], values, {name: _form(name) for name in titles})
    heads += [title for title, _ in seeds]
    columns += [cells for _, cells in seeds]
    rows = [(title, list(cells)) for title, *cells in zip(titles.values(), *columns, strict=True)]
    text = f"The samples of each run, compared with {SIDES[side]}."
    origins = [
        element("li", f"{_name(number, facts)}: {figures.origin}")
        for number, (facts, figures) in enumerate(zip(runs, measures, strict=True))
    ]
    table = make_table([heads], rows, class_="numbers")
    return [element("p", text), table, element("ul", *origins, class_="origins")]


def compare_samples(runs: list[Facts]) -> list[Markup]:
    """Returns samples of each run. The same place shows the same latents and the same label."""
    figures = []
    for number, facts in enumerate(runs):
        if facts.gan is None:
            figures.append(element("p", f"{_name(number, facts)}: {facts.gan_problem}", class_="left-out"))
            continue
        classes = facts.gan.num_classes
        labels = None if classes is None else np.arange(SAMPLES) % classes
        grid = make_grid(facts.gan.generate(SAMPLES, labels, seed=SEED), COLUMNS)
        caption = element("figcaption", _name(number, facts))
        figures.append(element("figure", make_sample(grid, f"Samples of {facts.name}"), caption))
    text = "Samples in the same place have the same latents, and the same label if the run has labels."
    return [element("p", text), element("div", *figures, class_="rows")]


def compare_curves(runs: list[Facts], measures: list[Measures]) -> list[Markup]:
    """Returns one chart for each column of the histories, with a line for each run."""
    floors, charts = measures[0].floors, []
    if comparison.have_other_data([facts.config for facts in runs]):
        floors = {}
    for title, may_be_logarithmic, columns in CHARTS:
        for column, name in columns.items():
            lines = [read_line(_name(number, facts), facts.rows, column) for number, facts in enumerate(runs)]
            full_title = title if len(columns) == 1 else f"{title}: {name}"
            if any(line.points for line in lines):
                charts.append(draw_chart(full_title, lines, floors.get(column), may_be_logarithmic))
    return [element("div", *charts, class_="charts")]


def describe_each(facts: Facts, checks: list[Check]) -> list[Markup]:
    """Returns the short description of one run: its checks, its epochs, the remarks and the command."""
    return [
        element("p", describe_run(facts)),
        show_summary(checks, facts),
        *list_checks([check for check in checks if not check.passed]),
        element("div", show_stills(facts), class_="small"),
        element("h3", "The remarks of the doctor"),
        *describe_doctor(facts),
        element("h3", "How to repeat the run"),
        *show_command(facts),
    ]


def _list_seeds(
    configs: list[dict], values: list[dict], forms: dict[str, str]
) -> list[tuple[str, list[str]]]:
    """Returns mean and spread for each group of runs that differ only in their seed: a title, and cells.

    Args:
        configs: the config of each run.
        values: the values of each run, by name.
        forms: the names of the cells, with the format of each.
    """
    rows = []
    for members in comparison.group_seeds(configs):
        cells = [
            comparison.mean_and_spread([values[member].get(name) for member in members], form)
            for name, form in forms.items()
        ]
        numbers = ", ".join(str(member + 1) for member in members)
        title = f"{len(members)} {comparison.SEEDS} (runs {numbers})"
        rows.append((title, [*map(comparison.format_cell, cells)]))
    return rows


def _find(report: dict, side: str, name: str) -> dict:
    """Returns the values of one measure: those of the samples and of real images. {} if there are none."""
    return report.get(side, {}).get(name) or report.get("samples_alone", {}).get(name) or {}


def _find_real(found: list[dict], name: str) -> float | None:
    """Returns the value of real images of the first run that has it."""
    values = (pairs[name].get("real") for pairs in found)
    return next((value for value in values if value is not None), None)


def _form(name: str) -> str:
    return ALONE[name][1] if name in ALONE else ""


def _name(number: int, facts: Facts) -> str:
    return f"{number + 1} {facts.name}"
