"""Tests the pages of `python -m gan report`, on a small run of train.py."""

import base64
import html.parser
import io
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import train
from conftest import QUICK
from gan import __main__ as program
from gan.data import load
from gan.files import digest
from gan.reports.facts import Facts
from gan.reports.measures import Measures, measure, rank, read_evaluation
from gan.reports.report import make_report
from gan.reports.sections import describe_doctor, describe_settings, draw_curves
from gan.reports.soundness import check_run, summarize
from gan.runs import RunFolder

pytestmark = pytest.mark.usefixtures("somewhere")
OLD = Path(__file__).parents[2] / "fixtures" / "before_rooms"
NAME = "<script>alert(1)</script>".replace("/", "-")
LOADING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}


class Page(html.parser.HTMLParser):
    """Reads a page: its text, its headings, and the addresses that a browser would load."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.texts, self.headings = [], [], [], []
        self.open = []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in LOADING]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Makes a finished run of two epochs, and its measures in evaluation/report.json."""
    path = tmp_path_factory.mktemp("runs") / NAME
    words = [*QUICK, "--validation", "--steps-per-epoch", "2", "--epochs", "2", "--quiet"]
    assert train.main([*words, "--run-dir", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def measured():
    """Returns the list of the measures of `page`."""
    return []


@pytest.fixture(scope="module")
def page(trained, measured):
    """Makes the report of the finished run, with the measures that the command makes itself."""

    def measure_and_keep(*arguments):
        measured.append(measure(*arguments))
        return measured[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gan.reports.report.measure", measure_and_keep)
        assert program.main(["report", str(trained)]) == 0
    return Page((trained / "report.html").read_text("utf-8"))


@pytest.fixture(scope="module")
def gan(trained):
    return keras.saving.load_model(trained / "gan.keras", compile=False)


@pytest.fixture
def copy(trained, somewhere):
    """Returns a copy of the run, to damage."""
    shutil.copytree(trained, somewhere / "copy", ignore=shutil.ignore_patterns("logs", "report.html"))
    return RunFolder(somewhere / "copy")


def facts_of(folder, gan=None):
    problem = "" if gan else "There is no gan.keras."
    return Facts(folder, folder.read_whole_config(), gan, problem, load("digits"))


def results_of(facts):
    return {check.title: check.passed for check in check_run(facts)}


def details_of(facts):
    return {check.title: check.detail for check in check_run(facts)}


def test_the_page_says_that_the_run_is_sound_and_how_good_it_is(page):
    assert "Sound: all 15 checks passed." in page.text
    assert len(page.headings) == 9
    for words in ("Fréchet distance", "compared with test images", "near-copies", "The 20 worst samples"):
        assert words in page.text
    assert "359 samples" in page.text and "Each class" in page.text
    assert page.text.count("✓ passed") == 15
    assert "real images: 27.5" in page.text  # the floor, in the legend of a chart


def test_the_page_loads_nothing(page, trained):
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert page.addresses and all(address.startswith("data:image/") for address in page.addresses)
    text = (trained / "report.html").read_text("utf-8")
    assert not re.search(r"url\(|@import|https?://", text)
    assert len(text) < 3_000_000
    for address in page.addresses:
        Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).load()
    assert page.tags.count("svg") > 5 and "video" not in page.tags


def test_names_are_escaped(page, trained):
    assert f"Report: {NAME}" in page.text
    assert "<script" not in (trained / "report.html").read_text("utf-8")


def test_the_command_of_the_page_repeats_the_run(page, trained):
    (words,) = re.findall(r"python train\.py( .*?) the run", page.text)
    assert "--recipe few" in words and "--base-filters 2" in words and "--seed" not in words
    assert Facts(RunFolder(trained), RunFolder(trained).read_whole_config()).repeating_command.endswith(words)
    marked = re.findall(r"• ([a-z0-9 ]+?) (?:\d|no|yes|none)", page.text)
    assert {"base filters", "batch size", "penalty", "translation"} <= set(marked)
    assert "loss" not in marked and "dropout" not in marked


def test_figures_in_the_run_are_used_if_they_belong_to_the_model(page, measured, copy):
    facts, report = facts_of(copy), measured[0].report
    assert read_evaluation(facts) == (None, "")
    copy.evaluation.mkdir()
    path = copy.evaluation / "report.json"
    path.write_text(json.dumps(report | {"model_sha256": digest(copy.model)}))
    assert read_evaluation(facts)[0]["samples"] == 359
    assert read_evaluation(facts)[1].endswith("saved in evaluation/report.json.")
    path.write_text(json.dumps(report | {"model_sha256": "0"}))
    assert read_evaluation(facts)[0] is None and "another model" in read_evaluation(facts)[1]
    path.write_text(json.dumps(report))
    assert read_evaluation(facts)[0] and "does not say which model" in read_evaluation(facts)[1]
    older = {"classifier" if name == "network" else name: value for name, value in report.items()}
    path.write_text(json.dumps(older))
    assert read_evaluation(facts)[0]["network"] == report["network"]
    path.write_text(json.dumps(report | {"samples_alone": {"near_copies": 1}}))
    assert read_evaluation(facts)[0] is None and "damaged" in read_evaluation(facts)[1]


def test_the_worst_samples_have_the_lowest_scores():
    best, worst = rank(np.array([0.5, 2.0, 0.1, 1.0, 0.2]), count=20)
    assert (list(best), list(worst)) == ([1, 3], [2, 4])


def test_a_run_that_is_not_finished_has_a_report(copy, capsys):
    for path in (copy.model, copy.generator, copy.checkpoints / "epoch_0002.json"):
        path.unlink()
    copy.samples.joinpath("epoch_0002.png").unlink()
    copy.history.write_text("".join(copy.history.read_text().splitlines(keepends=True)[:2]))
    assert program.main(["report", str(copy.path), "--output", "half.html"]) == 0
    assert "Not finished: 1 of 2 epochs are done, and there is no gan.keras." in capsys.readouterr().out
    page = Page(Path("half.html").read_text("utf-8"))
    assert "The quality was not measured. The run is not finished" in page.text
    assert len(page.headings) == 9 and page.text.count("? not known") == 4
    assert "✗ failed" in page.text and page.tags.count("svg") > 5


def test_weights_that_are_not_finite_are_not_sound(trained, gan):
    variable = gan.discriminator.trainable_variables[0]
    whole = variable.numpy()
    broken = whole.copy()
    broken.flat[:3] = np.nan, np.inf, -np.inf
    try:
        variable.assign(broken)
        checks = check_run(facts_of(RunFolder(trained), gan))
    finally:
        variable.assign(whole)
    assert summarize(checks) == "Not sound: 1 of 15 checks failed: Weights."
    assert next(check.detail for check in checks if check.title == "Weights").startswith("3 of ")


def change_config(folder, part, **changes):
    config = folder.read_config()
    config[part] |= changes
    folder.write_config(config)


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


DAMAGES = {
    "NaN in the losses": (
        lambda run: run.history.write_text("epoch,d_loss,loss\n1,1,1\n2,nan,1\n"),
        "Losses", "d_loss is not finite in epoch 2", False,
    ),
    "a torn history": (
        lambda run: run.history.write_text("epoch,loss\n1,x\n"), "History", "is damaged", False
    ),
    "a lost row": (
        lambda run: run.history.write_text("epoch,loss\n2,1\n"), "History", "no row of epoch 1.", False
    ),
    "a lost picture": (
        lambda run: (run.samples / "epoch_0001.png").unlink(), "Pictures", "no picture of epoch 1.", False
    ),
    "a torn picture": (
        lambda run: (run.samples / "real.png").write_bytes(b"PNG"), "Pictures", "real.png is missing", False
    ),
    "other steps": (
        lambda run: change_config(run, "settings", steps_per_epoch=3),
        "Steps", "2 epochs of 3 steps are 6", False,
    ),
    "another generator": (
        lambda run: shutil.copy(OLD / "run" / "generator.keras", run.generator),
        "Generator", "does not have the weights", False,
    ),
    "a torn generator": (
        lambda run: run.generator.write_bytes(b"zip"), "Generator", "missing or damaged", False
    ),
    "a torn checkpoint": (
        lambda run: (run.checkpoints / "epoch_0002.weights.h5").write_bytes(b"HDF"),
        "Checkpoint", "the weights do not have the SHA-256", False,
    ),
    "a changed manifest": (
        lambda run: replace(run.checkpoints / "epoch_0002.json", '"epoch": 2', '"epoch": 3'),
        "Checkpoint", "the manifest has a wrong checksum", False,
    ),
    "fewer epochs than planned": (
        lambda run: change_config(run, "settings", epochs=5), "Finished", "2 of 5 epochs are done", False
    ),
    "an unknown setting": (
        lambda run: change_config(run, "settings", magic=1), "Settings", "magic=1 is not a setting", False
    ),
    "no versions": (
        lambda run: run.write_config(run.read_config() | {"versions": 7}),
        "Versions", "does not contain", False,
    ),
    "another version": (
        lambda run: change_config(run, "versions", keras="3.0.0"), "Versions", "(the run: 3.0.0)", None
    ),
    "a GPU": (
        lambda run: run.write_config(run.read_config() | {"device": "GPU"}), "Device", "used a GPU", None
    ),
    "a limit of minutes": (
        lambda run: change_config(run, "settings", epochs=None, minutes=1.5), "Length", "1.5 minutes", None
    ),
    "a lost start": (
        lambda run: change_config(run, "settings", start_from="/absent"), "Start", "not on this machine", None
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage, title, words, passed", DAMAGES.values(), ids=DAMAGES)
def test_each_check_can_fail(copy, gan, monkeypatch, damage, title, words, passed):
    damage(copy)
    facts = facts_of(copy, gan)
    if title != "Generator":  # loading takes a second
        monkeypatch.setattr(keras.saving, "load_model", lambda *arguments, **how: gan.sampler)
    assert results_of(facts)[title] is passed
    assert words in details_of(facts)[title]
    assert title in summarize(check_run(facts)) or "Not finished: " in summarize(check_run(facts))


def test_a_damaged_model_is_not_sound(copy, capsys):
    copy.model.write_bytes(b"no zip")
    assert program.main(["report", str(copy.path), "--dataset", "absent"]) == 0
    assert "Not sound: 1 of 15 checks failed: Model; not known: " in capsys.readouterr().out
    text = Page((copy.path / "report.html").read_text("utf-8")).text
    assert "Left out. gan.keras cannot be loaded: it is damaged" in text
    assert "No such dataset" in text and str(copy.path) not in text


def test_changed_data_are_not_sound_and_missing_data_are_not_known(copy):
    more = {"data_problem": "The checksums differ."}
    config = copy.read_whole_config()
    for is_changed, passed in ((True, False), (False, None)):
        facts = Facts(copy, config, is_data_changed=is_changed, **more)
        assert results_of(facts)["Data"] is passed
        assert details_of(facts)["Data"].startswith("The checksums differ. Recorded SHA-256: ")
    assert "The data of the run could not be loaded" in measure(Facts(copy, config, object())).origin


def test_a_damaged_history_leaves_out_the_curves_only(copy):
    copy.history.write_text("epoch,loss\n1,x\n")
    assert "Left out. " in draw_curves(facts_of(copy), {})[0]
    assert "are not numbers" in draw_curves(facts_of(copy), {})[0]


REMARK = {"epoch": 4, "since_epoch": 3, "cause": "<b>", "evidence": "E.", "change": "C.", "expect": "X."}


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "trained without the doctor"),
        ("{", "doctor.json is damaged"),
        ('{"remarks": [{"epoch": 1}]}', "doctor.json is damaged"),
        ('{"remarks": 7}', "doctor.json is damaged"),
        ('{"rows": [], "remarks": []}', "The doctor found no problem."),
        (json.dumps({"remarks": [REMARK]}), "After epoch 4: &lt;b&gt; (since epoch 3)"),
    ],
)
def test_the_remarks_of_the_doctor(somewhere, content, words):
    if content is not None:
        RunFolder(somewhere).doctor.write_text(content)
    assert words in "".join(describe_doctor(Facts(RunFolder(somewhere), {})))


def test_several_runs_have_mean_and_spread(trained, gan, copy, monkeypatch):
    monkeypatch.setattr("gan.reports.report.measure", fake_measures([3.0, 1.0]))
    change_config(copy, "settings", seed=5)
    folders = [RunFolder(trained), copy]
    text, checks = make_report([facts_of(folder, gan) for folder in folders])
    several = Page(text)
    assert "2 seeds, mean ± spread (runs 1, 2)" in several.text
    assert "2 ± 1.4" in several.text  # of the Fréchet distance, with the standard deviation of 3 and 1
    assert several.headings[-2:] == [f"Run 1: {NAME}", "Run 2: copy"]
    assert "seed=5" in several.text and len(checks) == 2
    assert "<script" not in text


def fake_measures(distances):
    """Returns a replacement of `measure` that gives each run the next distance."""
    rest = iter(distances)

    def fake(facts, *arguments):
        pair = {"samples": next(rest), "real": 0.5}
        names = ["frechet_distance", "precision", "recall"]
        alone = {"near_copies": {"samples": 0.0, "real": 0.0}}
        return Measures({"against_test": dict.fromkeys(names, pair), "samples_alone": alone}, "Measured.")

    return fake


def test_runs_of_older_versions_have_a_report(somewhere, capsys, monkeypatch):
    monkeypatch.setattr("gan.reports.report.measure", fake_measures([3.0, 1.0]))
    shutil.copytree(OLD / "run", "old")
    shutil.copytree(OLD / "run_simultaneous", "simultaneous")
    assert program.main(["report", "old", "simultaneous", "--output", "out/a.html"]) == 0
    output = capsys.readouterr().out
    assert "old: Sound: 14 of 15 checks passed; not known: Device." in output
    assert "simultaneous: Not sound: " in output
    text = Page(Path("out/a.html").read_text("utf-8")).text
    assert "update='simultaneous' is not 'alternating'" in text
    assert "python train.py --dataset digits --recipe few" in text
    facts = Facts(RunFolder("simultaneous"), RunFolder("simultaneous").read_whole_config())
    assert "It is not known which settings differ" in "".join(describe_settings(facts))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["absent"], "absent is not a run folder"),
        (["{run}", "--output", "a.pdf"], "--output must end in .html. Received: a.pdf"),
        (["{run}", "--output", "{run}/config.json/a.html"], "config.json"),
        ([], "the following arguments are required: RUN"),
    ],
)
def test_mistakes_get_one_line(trained, page, capsys, arguments, message):
    assert program.main(["report", *(each.format(run=trained) for each in arguments)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("python -m gan: error: ") and message in error
