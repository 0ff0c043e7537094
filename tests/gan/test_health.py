"""Tests the rules of the doctor: on rows made by hand, and on the rows of real trainings in fixtures."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gan import health
from gan.health import count_different, diagnose, find_cause, measure_separation
from gan.runs.failures import FAILURES

HEALTHY = {
    "epoch": 4, "steps": 2000, "d_loss": 1.1, "g_loss": 1.0, "penalty": 0.1,
    "val_frechet_distance": 5.0, "lowest_distance": 4.0,
    "training_logits": 0.6, "training_spread": 0.7, "test_logits": 0.55, "test_spread": 0.7,
    "generated_logits": -0.4, "generated_spread": 0.5,
    "training_variety": 160.0, "generated_variety": 140.0, "earlier_variety": 135.0,
    "training_minimum": -1.0, "training_maximum": 1.0,
    "latent_dim": 100,
    "generator_rate": 2e-3, "discriminator_rate": 2e-3,
}  # fmt: skip
ILL = {
    health.RANGE: {"training_minimum": 0.0},
    health.DIVERGENCE: {"val_frechet_distance": 30.0},
    health.MEMORIZING: {"test_logits": -0.3},
    health.DISCRIMINATOR: {"training_logits": 6.0, "generated_logits": -7.0, "generated_variety": 3.0},
    health.GENERATOR: {"training_logits": -2.0, "test_logits": -2.0},
    health.COLLAPSE: {"generated_variety": 3.0},
    health.VARIETY: {"generated_variety": 50.0},
}


def repeat(count, **changes):
    """Returns rows of a training whose numbers do not change."""
    return [HEALTHY | changes | {"epoch": epoch} for epoch in range(1, count + 1)]


def test_a_healthy_row_and_an_empty_row_show_no_cause():
    assert find_cause(HEALTHY) is None
    assert find_cause({"epoch": 1}) is None


@pytest.mark.parametrize("cause", ILL)
def test_each_rule_finds_its_cause(cause):
    found = find_cause(HEALTHY | ILL[cause])
    assert found.cause == cause
    assert found.evidence and found.change and found.expect


@pytest.mark.parametrize("name", HEALTHY)
def test_a_number_that_is_missing_is_no_cause(name):
    assert find_cause({key: value for key, value in HEALTHY.items() if key != name}) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["d_loss", "generated_logits", "val_frechet_distance", "generated_variety"])
def test_a_number_that_is_not_finite_is_named_after_one_epoch(name, value):
    (remark,) = diagnose(repeat(1, **{name: value}))
    assert remark.cause == health.DIVERGENCE
    assert name in remark.evidence


def test_a_cause_needs_two_epochs_in_a_sequence():
    ill = ILL[health.GENERATOR]
    assert diagnose(repeat(1, **ill)) == []
    rows = [*repeat(1, **ill), HEALTHY | {"epoch": 2}, *({**HEALTHY, **ill, "epoch": n} for n in (3, 4, 5))]
    assert diagnose(rows[:3]) == []
    (remark,) = diagnose(rows)
    assert (remark.epoch, remark.since_epoch, remark.cause) == (4, 3, health.GENERATOR)


def test_one_cause_at_a_time_and_each_cause_once():
    both = ILL[health.GENERATOR] | ILL[health.COLLAPSE]
    rows = repeat(4, **both)
    rows += [HEALTHY | ILL[health.COLLAPSE] | {"epoch": epoch} for epoch in (5, 6, 7)]
    rows += [HEALTHY | both | {"epoch": epoch} for epoch in (8, 9)]
    assert [(remark.epoch, remark.since_epoch, remark.cause) for remark in diagnose(rows)] == [
        (2, 1, health.GENERATOR),
        (5, 2, health.COLLAPSE),  # in the first epoch, every variety is growth
    ]
    assert diagnose(rows[:6]) == diagnose(rows)  # later rows do not change earlier remarks


def test_causes_that_alternate_do_not_hide_each_other():
    few, little = ILL[health.COLLAPSE], ILL[health.VARIETY]
    rows = [HEALTHY | (few if epoch % 2 else little) | {"epoch": epoch} for epoch in range(1, 7)]
    assert [remark.cause for remark in diagnose(rows)] == [health.VARIETY]


def test_variety_that_grows_is_no_cause():
    rows = [HEALTHY | {"epoch": n, "generated_variety": 4.0 * 1.3**n} for n in range(1, 9)]
    assert rows[-1]["generated_variety"] < 0.5 * HEALTHY["training_variety"]
    assert diagnose(rows) == []
    assert diagnose([*rows, *({**rows[-1], "epoch": n} for n in (9, 10))])[0].cause == health.VARIETY


def test_a_rate_that_has_been_high_stays_the_cause():
    rows = [HEALTHY | ILL[health.COLLAPSE] | {"epoch": n, "generator_rate": 0.1 / n**3} for n in range(1, 9)]
    assert [remark.cause for remark in diagnose(rows)] == [health.HIGH_RATES]


@pytest.mark.parametrize("cause", [health.COLLAPSE, health.VARIETY])
def test_little_variety_at_the_start_is_normal(cause):
    first = health.FIRST_STEPS_OF_VARIETY
    assert find_cause(HEALTHY | ILL[cause] | {"steps": first - 1}) is None
    assert find_cause(HEALTHY | ILL[cause] | {"steps": first}).cause == cause
    slow = HEALTHY | ILL[cause] | {"generator_rate": 2e-4}  # a tenth of the recommended rate
    assert find_cause(slow | {"steps": 10 * first - 1}) is None
    assert find_cause(slow | {"steps": 10 * first}).cause == cause


def test_the_generator_does_not_win_in_the_first_steps():
    row = HEALTHY | ILL[health.GENERATOR]
    assert find_cause(row | {"steps": health.FIRST_STEPS - 1}) is None
    assert find_cause(row | {"steps": health.FIRST_STEPS}).cause == health.GENERATOR


def test_high_rates_explain_another_cause_but_are_no_cause_alone():
    high = {"generator_rate": 0.1}
    assert find_cause(HEALTHY | high) is None
    found = find_cause(HEALTHY | high | ILL[health.COLLAPSE])
    assert found.cause == health.HIGH_RATES
    assert found.evidence.startswith("generator learning rate 0.1; and the generator draws")
    assert find_cause(HEALTHY | high | ILL[health.RANGE]).cause == health.RANGE


def test_the_change_depends_on_the_training():
    without_penalty = {name: value for name, value in HEALTHY.items() if name != "penalty"}
    wins = ILL[health.DISCRIMINATOR]
    collapse = ILL[health.COLLAPSE]
    assert "100 numbers, not 2" in find_cause(without_penalty | collapse | {"latent_dim": 2}).change
    assert "r1" in find_cause(without_penalty | collapse).change
    assert "weight of the penalty" in find_cause(HEALTHY | collapse).change
    assert "r1" in find_cause(without_penalty | wins).change
    assert "same learning rate" in find_cause(without_penalty | wins | {"generator_rate": 1e-4}).change
    assert "weight of the penalty" in find_cause(HEALTHY | wins).change
    assert "same learning rate" in find_cause(HEALTHY | wins | {"generator_rate": 1e-4}).change
    assert (
        "same learning rate"
        in find_cause(HEALTHY | ILL[health.GENERATOR] | {"discriminator_rate": 1e-4}).change
    )


def test_the_separation_does_not_depend_on_the_size_of_the_logits():
    row = {"training_logits": 3.0, "training_spread": 1.0, "generated_logits": 1.0}
    assert measure_separation(row) is None
    row["generated_spread"] = math.sqrt(7)
    assert measure_separation(row) == pytest.approx(1.0)
    larger = {name: 50 * value for name, value in row.items()}
    assert measure_separation(larger) == pytest.approx(1.0)


def test_memorizing_is_the_measure_of_the_paper():
    """(E[D(train)] - E[D(test)]) / (E[D(train)] - E[D(generated)]), here 0.59 and 0.61."""
    logits = {"training_logits": 1.0, "generated_logits": 0.0}
    assert find_cause(HEALTHY | logits | {"test_logits": 0.41}) is None
    assert find_cause(HEALTHY | logits | {"test_logits": 0.39}).cause == health.MEMORIZING


def test_a_remark_reads_as_four_lines():
    (remark,) = diagnose(repeat(2, **ILL[health.GENERATOR]))
    lines = str(remark).splitlines()
    assert lines[0] == f"Doctor, after epoch 2: {health.GENERATOR} (since epoch 1)."
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["Evidence", "Change", "Expect"]


# The cause that the doctor must name in the rows of a training that fails. The other trainings are healthy:
# the doctor must be silent. `tests/benchmarks/failures.py` makes the files.
CAUSES = {
    "wrong-range": health.RANGE,
    "divergence": health.DIVERGENCE,
    "high-rates": health.HIGH_RATES,
    "discriminator-wins": health.DISCRIMINATOR,
    "generator-wins": health.GENERATOR,
    "memorizing": health.MEMORIZING,
    "collapse": health.COLLAPSE,
    "little-variety": health.VARIETY,
}
PARTLY_CURED = {"memorizing-cured": health.VARIETY}  # 50 images stay too few
HEALTHY_TRAININGS = {
    "mnist-fast", "mnist-unlabeled", "mnist-best", "mnist-dcgan", "digits-few", "fashion-fast",
    "emoji-images32", "emoji-images64",
}  # fmt: skip
RECORDED = sorted((Path(__file__).parents[1] / "fixtures" / "health").glob("*.json"))


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_trainings(file):
    rows = [
        {name: math.nan if value is None else value for name, value in row.items()}
        for row in json.loads(file.read_text("utf-8"))
    ]
    named = CAUSES | PARTLY_CURED
    expected = [named[file.stem]] if file.stem in named else []
    assert [remark.cause for remark in diagnose(rows)] == expected


def test_there_is_a_recorded_training_for_each_cause_and_each_recipe():
    recorded = {file.stem for file in RECORDED}
    assert CAUSES.keys() | HEALTHY_TRAININGS <= recorded
    assert set(CAUSES.values()) == ILL.keys() | {health.HIGH_RATES}
    assert CAUSES.keys() == FAILURES.keys()


def make_shapes(height=24, width=24, channels=1):
    """Returns ten images with little in common: each has another bright rectangle."""
    shapes = -np.ones((10, height, width, channels))
    for number, shape in enumerate(shapes):
        row, column = divmod(number, 4)
        shape[
            row * height // 3 : (row + 1) * height // 3, column * width // 4 : (column + 1) * width // 4
        ] = 1
    return shapes


def test_count_different_counts_different_images():
    shapes = make_shapes()
    assert count_different(shapes[:1].repeat(7, axis=0), shapes) == pytest.approx(1)
    few = count_different(shapes[:3].repeat(5, axis=0), shapes)
    assert count_different(shapes[:3], shapes) == pytest.approx(few)
    assert few == pytest.approx(3, rel=0.05)
    assert count_different(shapes, shapes) == pytest.approx(10, rel=0.05)


def test_count_different_is_the_vendi_score():
    """exp of the entropy of the eigenvalues of K / n, for two images of one pixel with similarity k."""
    reference = np.array([0.0, 1.0]).reshape(2, 1, 1, 1)  # the median of the squared distances is 1
    images = np.array([0.0, 0.5]).reshape(2, 1, 1, 1)
    similarity = math.exp(-4 * 0.25)
    shares = [(1 + similarity) / 2, (1 - similarity) / 2]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert count_different(images, reference) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(5, 9, 1), (28, 28, 1), (33, 20, 3)])
def test_count_different_takes_images_of_all_sizes(shape):
    assert 9 < count_different(make_shapes(*shape), make_shapes(*shape)) <= 10


def test_count_different_of_images_that_are_not_finite():
    shapes = make_shapes()
    broken = shapes.copy()
    broken[3, 0, 0] = np.nan
    assert math.isnan(count_different(broken, shapes))
    assert count_different(shapes, np.zeros_like(shapes)) > 0  # equal reference images
