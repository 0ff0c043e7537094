"""Makes the report of runs: one HTML page that contains all its pictures and loads nothing."""

import datetime
import string
from collections.abc import Callable
from pathlib import Path

from .facts import Facts
from .markup import Markup, element, join
from .measures import Measures, measure
from .sections import (
    describe_doctor,
    describe_nearest,
    describe_quality,
    describe_repetition,
    describe_run,
    describe_samples,
    describe_settings,
    draw_curves,
    list_checks,
    make_section,
    show_ends,
    show_film,
    show_key_figures,
    show_summary,
)
from .several import compare_curves, compare_quality, compare_samples, describe_each, list_runs
from .soundness import Check, check_run

TEMPLATE = Path(__file__).parent / "template"


def make_report(
    runs: list[Facts], say: Callable[[str], None] = print, verbose: int = 1
) -> tuple[str, list[list[Check]]]:
    """Makes the page of one run, or the page that compares several runs.

    Args:
        runs: at least one run.
        say: a function that gets a line of text for each step of the measurements.
        verbose: as in `fit`, for the training of feature networks.

    Returns:
        The page, and the checks of each run, for `summarize`.

    Example:

    ```python
    folder = RunFolder("runs/first")
    page, (checks,) = make_report([Facts(folder, folder.read_whole_config(), gan, "", dataset)])
    Path("report.html").write_text(page, "utf-8")
    ```
    """
    checks = [check_run(facts) for facts in runs]
    measures = [measure(facts, len(runs) == 1, say, verbose) for facts in runs]
    if len(runs) == 1:
        title, body = f"Report: {runs[0].name}", _describe_one(runs[0], checks[0], measures[0])
    else:
        title, body = f"Report of {len(runs)} runs", _describe_several(runs, checks, measures)
    page = string.Template((TEMPLATE / "report.html").read_text("utf-8")).substitute(
        title=join(title),
        style=(TEMPLATE / "report.css").read_text("utf-8"),
        date=f"{datetime.date.today():%Y-%m-%d}",
        body=body,
    )
    return page, checks


def _describe_one(facts: Facts, checks: list[Check], measures: Measures) -> Markup:
    return join(
        element("p", describe_run(facts), class_="lead"),
        show_summary(checks, facts),
        show_key_figures(measures.report),
        show_ends(facts),
        make_section("Is the run sound?", *list_checks(checks)),
        make_section("How good are the samples?", *describe_quality(measures)),
        make_section("The best and the worst samples", *describe_samples(facts, measures)),
        make_section("The nearest training images", *describe_nearest(measures)),
        make_section("The training in curves", *draw_curves(facts, measures.floors)),
        make_section("The remarks of the doctor", *describe_doctor(facts)),
        make_section("The samples during the training", *show_film(facts)),
        make_section("The settings", *describe_settings(facts)),
        make_section("How to repeat the run", *describe_repetition(facts)),
    )


def _describe_several(runs: list[Facts], checks: list[list[Check]], measures: list[Measures]) -> Markup:
    return join(
        make_section("The runs", *list_runs(runs, checks)),
        make_section("How good are the samples?", *compare_quality(runs, measures)),
        make_section("Samples side by side", *compare_samples(runs)),
        make_section("The training in curves", *compare_curves(runs, measures)),
        *(
            make_section(f"Run {number}: {facts.name}", *describe_each(facts, results))
            for number, (facts, results) in enumerate(zip(runs, checks, strict=True), 1)
        ),
    )
