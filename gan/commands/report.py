"""`python -m gan report`: makes one HTML file about a run, or about several runs, to read and to print."""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path

from ..files import write_whole
from ..reports.facts import Facts
from ..reports.report import make_report
from ..reports.soundness import summarize
from ..runs import RunFolder
from .program import UsageError, shorten, usage_errors
from .runs import OtherDataError, hold, load_dataset, load_gan

UNFINISHED = "The run is not finished, so there is no gan.keras."


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "make one HTML file that says whether a run is sound, and how good it is"
    parser = commands.add_parser("report", help=about, allow_abbrev=False)
    text = "folder of a run, finished or not"
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help=text)
    text = "dataset of the runs, if it is in another place now (default: the dataset in config.json)"
    parser.add_argument("--dataset", metavar="NAME|PATH", help=text)
    output = "path of the page (default: RUN/report.html for one run, report.html for several runs)"
    parser.add_argument("--output", type=Path, metavar="FILE.html", help=output)
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> None:
    folders = [RunFolder(path) for path in options.runs]
    output = options.output or (folders[0].path / "report.html" if len(folders) == 1 else Path("report.html"))
    if output.suffix != ".html":
        raise UsageError(f"--output must end in .html. Received: {output}")
    with usage_errors():
        configs = [folder.read_whole_config() for folder in folders]
    verbose = 1 if sys.stderr.isatty() else 2
    output.parent.mkdir(parents=True, exist_ok=True)
    with hold(folders[0].path, output):  # from the start, because the measurements take minutes
        with contextlib.redirect_stdout(sys.stderr):
            pairs = zip(folders, configs, strict=True)
            runs = [_load(folder, config, options.dataset, verbose) for folder, config in pairs]
            page, checks = make_report(runs, verbose=verbose)
        content = page.encode(errors="replace")  # a name may contain bytes that are not text
        write_whole(output, content)
    for facts, results in zip(runs, checks, strict=True):
        print(f"{facts.folder.path}: {summarize(results)}")
    print(f"{len(content) / 1e6:.1f} MB: {shorten(output)} (open it in a browser, and print it from there)")


def _load(folder: RunFolder, config: dict, source: str | None, verbose: int) -> Facts:
    """Loads the GAN and the data of a run. What cannot be loaded becomes a reason in the page."""
    facts = Facts(folder, config)
    try:
        facts = dataclasses.replace(facts, gan=load_gan(folder.path))
    except UsageError as error:
        problem = f"{facts.hide_path(error)}." if folder.model.exists() else UNFINISHED
        facts = dataclasses.replace(facts, gan_problem=problem)
    try:
        return dataclasses.replace(facts, dataset=load_dataset(folder, source, verbose))
    except UsageError as error:
        is_changed = isinstance(error, OtherDataError)
        problem = f"{facts.hide_path(error)}."
        return dataclasses.replace(facts, data_problem=problem, is_data_changed=is_changed)
