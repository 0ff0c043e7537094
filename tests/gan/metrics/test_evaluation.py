"""Tests the report on real images, on copies and on a collapsed generator, and its table."""

import dataclasses
import json

import numpy as np
import pytest
from memorizer import make_memorizer

from gan.data import load
from gan.images import split_grid
from gan.metrics import classifier_for, evaluation, frechet_distance
from gan.metrics.evaluation import draw_nearest, format_report
from gan.metrics.features import extract


def evaluate(gan, **kwargs):
    digits = load("digits")
    return evaluation.evaluate(
        gan.generate,
        digits,
        classifier_for(digits),
        is_conditional=gan.num_classes is not None,
        say=lambda line: None,
        **kwargs,
    )


@pytest.fixture(scope="module")
def memorizer():
    digits = load("digits")
    gan = make_memorizer(digits.train_images, 0.02, digits.train_labels, 10)
    return gan, evaluate(gan, real_accuracy=None)


def test_a_memorizing_generator_is_caught_where_all_else_is_well(memorizer):
    _, report = memorizer
    alone = report["samples_alone"]
    assert alone["near_copies"]["samples"] > 0.95
    assert alone["near_copies"]["real"] < 0.2
    assert alone["label_accuracy"]["samples"] > 0.97
    distance = report["against_test"]["frechet_distance"]
    assert distance["samples"] < 2 * distance["real"]


def test_the_floor_is_that_of_real_images(memorizer):
    report = memorizer[1]
    count = report["samples"]
    assert count == 359  # the number of test images
    for side in ("against_test", "against_train"):
        floor = {name: figures["real"] for name, figures in report[side].items()}
        assert floor["coverage"] > 0.9
        assert 0.85 < floor["density"] < 1.2
        assert abs(floor["kernel_distance"]) < 4 * floor["kernel_distance_error"]
    assert report["network"]["test_accuracy"] > 0.98


def test_a_collapsed_generator_is_rated_so():
    digits = load("digits")
    ones = digits.train_images[digits.train_labels == 1]
    report = evaluate(make_memorizer(ones, 0.05))
    against, alone = report["against_test"], report["samples_alone"]
    assert against["frechet_distance"]["samples"] > 10 * against["frechet_distance"]["real"]
    assert against["kernel_distance"]["samples"] > 10 * against["kernel_distance_error"]["samples"]
    assert against["recall"]["samples"] < 0.2
    assert against["coverage"]["samples"] < 0.3
    assert alone["classifier_score"]["samples"] < 1.5
    assert alone["smallest_class_share"]["samples"] == 0
    assert "label_accuracy" not in alone
    assert report["classes"][1]["fraction"]["samples"] > 0.9
    assert "frechet_distance" not in report["classes"][0]  # the generator draws no zeros
    assert "\nlabel accuracy" not in format_report(report)


def test_some_of_the_test_images_have_all_classes(monkeypatch):
    """The images of a folder are sorted by class."""
    monkeypatch.setattr(evaluation, "MOST_IMAGES", 100)
    digits = load("digits")
    order = digits.test_labels.argsort(kind="stable")
    arrays = {"test_images": digits.test_images[order], "test_labels": digits.test_labels[order]}
    dataset = dataclasses.replace(digits, **arrays)
    gan = make_memorizer(digits.train_images, 0.02, digits.train_labels, 10)
    more = {"is_conditional": True, "real_accuracy": None, "say": lambda line: None}
    report = evaluation.evaluate(gan.generate, dataset, classifier_for(digits), **more)
    assert report["samples"] == 100
    assert all(one["fraction"]["real"] > 0.04 for one in report["classes"])


def test_each_class_has_its_figures(memorizer):
    classes = memorizer[1]["classes"]
    assert [figures["class"] for figures in classes] == list("0123456789")
    for figures in classes:
        assert figures["label_accuracy"]["samples"] > 0.85
        assert figures["frechet_distance"]["samples"] < 5 * figures["frechet_distance"]["real"]
    assert sum(figures["fraction"]["samples"] for figures in classes) == pytest.approx(1)


def test_the_table_fits_a_terminal_and_has_every_figure(memorizer):
    report = memorizer[1]
    json.dumps(report)
    table = format_report(report)
    assert max(map(len, table.splitlines())) <= 80
    for title in ("Fréchet distance", "recall", "near-copies", "label accuracy", "smallest class share"):
        assert title in table
    rows = [line for line in table.splitlines() if line[:1].isdigit() and line[1] == " "]
    assert len(rows) == 10


def test_classification_accuracy_is_measured_when_asked(memorizer, monkeypatch):
    given = []
    monkeypatch.setattr(evaluation, "TRAINING_IMAGES", 30)
    monkeypatch.setattr(
        evaluation, "classification_accuracy", lambda *arrays, **_: given.append(arrays) or 0.25
    )
    report = evaluate(memorizer[0], real_accuracy=lambda: 0.75)
    assert report["samples_alone"]["classification_accuracy"] == {"samples": 0.25, "real": 0.75}
    images, labels, test_images, _ = given[0]
    assert images.shape == (30, 28, 28, 1)
    assert list(labels) == [*range(10)] * 3
    assert len(test_images) == 359
    assert "\nclassification accuracy score (CAS) " in format_report(report)


def test_the_real_accuracy_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    answers = iter([0.5])
    monkeypatch.setattr(evaluation, "classification_accuracy", lambda *arrays, **_: next(answers))
    digits = load("digits")
    assert evaluation.real_accuracy(digits) == 0.5
    assert evaluation.real_accuracy(digits) == 0.5


def test_the_picture_shows_whom_a_copy_was_taken_from(memorizer):
    digits = load("digits")
    gan = make_memorizer(digits.train_images)
    picture = draw_nearest(gan.generate(10, seed=0), digits.train_images)
    assert picture.shape == (2 * (10 * 30 - 2), 2 * (10 * 30 - 2), 1)
    (sample, copied, other), *_ = split_grid(picture, 28, 28)[:, :3]
    assert np.array_equal(sample, copied)
    assert not np.array_equal(sample, other)


def test_without_test_images_the_samples_are_compared_with_training_images(memorizer):
    digits = load("digits")
    bare = dataclasses.replace(digits, test_images=None, test_labels=None)
    how = {"is_conditional": True, "say": lambda line: None, "real_accuracy": lambda: 1.0}
    report = evaluation.evaluate(memorizer[0].generate, bare, classifier_for(digits), **how)
    assert "against_test" not in report and "classification_accuracy" not in report["samples_alone"]
    assert report["against_train"]["frechet_distance"]["real"] > 0
    assert report["samples_alone"]["near_copies"] == {"samples": pytest.approx(1, abs=0.05), "real": None}
    assert len(report["classes"]) == 10
    table = format_report(report)
    assert "test images" not in table and "training images" in table


def test_too_few_images_are_refused(memorizer):
    digits = load("digits")
    few = dataclasses.replace(digits, test_images=digits.test_images[:9], test_labels=digits.test_labels[:9])
    with pytest.raises(ValueError, match="needs at least 10 test images and 20 training images"):
        evaluation.evaluate(memorizer[0].generate, few, classifier_for(digits), is_conditional=True)


def test_classes_have_their_names_in_the_report(memorizer):
    digits = load("digits")
    named = dataclasses.replace(digits, class_names=(*"abcdefghi", "a long name of a class"))
    how = {"is_conditional": True, "say": lambda line: None}
    report = evaluation.evaluate(memorizer[0].generate, named, classifier_for(digits), **how)
    assert report["classes"][9]["class"] == "a long name of a class"
    assert "\na long name of a class  " in format_report(report)


def test_the_floor_of_a_validation_is_that_of_training_images_with_the_same_labels():
    digits = load("digits")
    network = classifier_for(digits)
    ones = digits.test_labels == 1
    images, labels = digits.test_images[ones], digits.test_labels[ones]
    floor = evaluation.real_distance(network, digits, images, labels)
    order = np.random.default_rng(0).permutation(len(digits.train_images))
    chosen = digits.train_images[order][digits.train_labels[order] == 1][: len(images)]
    expected = frechet_distance(extract(network, images)[0], extract(network, chosen)[0])
    assert floor == pytest.approx(expected, rel=1e-6)
    assert evaluation.real_distance(network, digits, images) > 2 * floor  # digits of any label
