"""Runs the benchmarks and checks the form of their results. No test checks the measured speed."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import train

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.mark.slow
def test_they_print_a_table_and_write_it_as_json(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, BENCHMARKS, "--only", "generate", "epoch", "--rounds", "2", "--json", report]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode in (0, 1), run.stderr  # 1: a target is missed, for example on a busy machine
    rows = json.loads(report.read_text())["rows"]
    assert {row["section"] for row in rows} == {"generate", "epoch"}
    for row in rows:
        assert 0 <= row["low"] <= row["ratio"] <= row["high"]
        assert f"{row['what']} / {row['over']}" in run.stdout
    ratios = {row["what"]: row["ratio"] for row in rows if row["section"] == "epoch"}
    parts = [ratio for what, ratio in ratios.items() if "validation" not in what and "all" not in what]
    assert sum(parts) == pytest.approx(
        ratios["callbacks of train.py, all"], rel=0.2
    )  # medians of two rounds do not add up exactly
    assert run.returncode == int(any(row["is_met"] is False for row in rows))


def test_a_ratio_is_the_median_over_rounds_each_with_its_own_reference(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    timing = importlib.import_module("timing")
    ours = [timing.Sample(wall, 1.0) for wall in (2.0, 40.0, 3.0, 2.0)]  # the machine was slow in round 2
    bare = [timing.Sample(wall, 2.0) for wall in (1.0, 20.0, 1.0, 1.0)]
    row = timing.compare("step", {"ours": ours, "bare": bare}, "ours", "bare", scale=0.5, at_most=1.0)
    assert (row.ratio, row.low, row.high, row.cpu_ratio) == (1.0, 1.0, 1.0, 0.25)
    assert row.is_met and row.amount == 2500.0
    row = timing.compare("step", {"ours": ours, "bare": bare}, "bare", "ours", at_least=0.6)
    assert row.ratio == 0.5 and not row.is_met


def test_a_wrong_section_is_answered_before_tensorflow_is_loaded():
    run = subprocess.run([sys.executable, BENCHMARKS, "--only", "speed"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "invalid choice: 'speed'" in run.stderr
    assert "tensorflow" not in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("contender", [["tutorial"], ["fast"], ["fast", "--unconditional"]], ids=" ".join)
def test_the_race_measures_every_few_steps_and_stops_where_it_is_told(contender):
    command = [sys.executable, BENCHMARKS / "race.py", *contender, "--dataset", "digits", "--every", "16"]
    run = subprocess.run([*command, "--epochs", "2", "--until", "1e9"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (row,) = map(json.loads, run.stdout.splitlines())
    assert row["step"] == 16
    assert row["seconds"] > 0
    assert row["frechet_distance"] > 10


@pytest.mark.slow
def test_a_second_classifier_ranks_real_images_first(somewhere):
    for name, steps in {"long": "60", "short": "2"}.items():
        more = ["--epochs", "1", "--steps-per-epoch", steps, "--no-validation", "--quiet"]
        assert train.main(["--dataset", "digits", *more, "--run-dir", name]) == 0
    command = [sys.executable, BENCHMARKS / "second_classifier.py", "short", "long"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    names = [line.split("  ")[0] for line in run.stdout.splitlines()[2:5]]
    assert names == ["real training images", "long", "short"]
    assert run.stdout.endswith("The order is the same.\n")
