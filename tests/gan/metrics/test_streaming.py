"""Compares the streaming metrics with the functions, and tests them in `fit`, `evaluate` and saved files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import IMAGE_SHAPE, fit, make_gan, make_images, make_labels
from digit_cases import classify_digits
from gan import GAN
from gan.data import load
from gan.metrics import (
    ClassBalance,
    ClassifierScore,
    FrechetDistance,
    classifier_score,
    frechet_distance,
    load_classifier,
)


def make_network(length=4):
    return keras.Sequential(
        [keras.Input(IMAGE_SHAPE), keras.layers.Flatten(), keras.layers.Dense(length)], name="own"
    )


def feed(metric, real_images, fake_images, batch_size=100):
    for start in range(0, min(len(real_images), len(fake_images)), batch_size):
        part = slice(start, start + batch_size)
        as_floats = [tf.constant(one[part] / 127.5 - 1, tf.float32) for one in (real_images, fake_images)]
        metric.update_state(*as_floats)
    return metric.result()


@pytest.mark.parametrize("batch_size", [100, 719])
def test_streaming_equals_the_functions(batch_size):
    cases = classify_digits()
    (real, real_features, _), (fake, fake_features, fake_logits) = cases["reference"], cases["blended"]
    distance = feed(FrechetDistance("digits"), real, fake, batch_size)
    assert float(distance) == pytest.approx(frechet_distance(real_features, fake_features), rel=1e-4)
    score = feed(ClassifierScore("digits"), real, fake, batch_size)
    assert float(score) == pytest.approx(classifier_score(fake_logits), rel=1e-5)
    fractions = feed(ClassBalance("digits", per_class=True), real, fake, batch_size)
    expected = np.bincount(fake_logits.argmax(1), minlength=10) / len(fake)
    assert [float(fractions[f"class_share_{label}"]) for label in range(10)] == pytest.approx(expected)
    assert float(fractions["smallest_class_share"]) == pytest.approx(expected.min())
    smallest = feed(ClassBalance("digits"), real, fake, batch_size)
    assert float(smallest) == pytest.approx(expected.min())


def test_collapse_to_ones_as_validation_sees_it():
    cases = classify_digits()
    ones = np.resize(cases["ones"][0], cases["reference"][0].shape)
    real = cases["reference"][0]
    fractions = feed(ClassBalance("digits", per_class=True), real, ones)
    assert float(fractions["smallest_class_share"]) == 0
    assert float(fractions["class_share_1"]) > 0.95
    assert float(feed(ClassifierScore("digits"), real, ones)) < 1.2
    assert float(feed(FrechetDistance("digits"), real, ones)) > 100


def test_reset_forgets():
    real, _, _ = classify_digits()["reference"]
    for metric in (FrechetDistance("digits"), ClassifierScore("digits"), ClassBalance("digits")):
        first = feed(metric, real, real[::-1])
        metric.reset_state()
        assert keras.tree.map_structure(float, feed(metric, real, real[::-1])) == keras.tree.map_structure(
            float, first
        )


def test_nothing_and_not_a_number_are_no_good_figures():
    distance = FrechetDistance("digits")
    assert float(distance.result()) == 0  # not NaN, because a search for NaN would stop here
    assert float(ClassifierScore("digits").result()) == 1
    images = tf.zeros((3, 28, 28, 1))
    distance.update_state(images[:1], images[:1])
    assert np.isnan(float(distance.result()))
    distance.reset_state()
    distance.update_state(images, images * np.nan)
    assert np.isnan(float(distance.result()))


def quality_of(network, per_class=False):
    return [FrechetDistance(network), ClassifierScore(network), ClassBalance(network, per_class=per_class)]


def test_validation_logs_them_and_stock_callbacks_use_them(tmp_path):
    gan = make_gan(3, metrics=quality_of(make_network(), per_class=True))
    stop = keras.callbacks.EarlyStopping("val_classifier_score", mode="max", patience=9)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", "val_frechet_distance", mode="min", save_best_only=True
    )
    history = fit(
        gan, epochs=2, validation_data=(make_images(), make_labels()), callbacks=[stop, best]
    ).history
    for name in (
        "smallest_class_share",
        "frechet_distance",
        "classifier_score",
        "class_share_0",
        "class_share_3",
    ):
        assert np.isfinite(history[f"val_{name}"]).all()
    assert stop.best == max(history["val_classifier_score"])
    assert best.best == min(history["val_frechet_distance"])
    assert (tmp_path / "best.keras").is_file()
    assert gan.evaluate(make_images(), make_labels(), verbose=0, return_dict=True)["frechet_distance"] > 0


class LogsOfEvaluation(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.batches, self.end = [], None

    def on_test_batch_end(self, batch, logs=None):
        self.batches.append(logs)

    def on_test_end(self, logs=None):
        self.end = logs


def test_the_distance_is_computed_once_at_the_end(monkeypatch):
    eager_calls = []
    result = FrechetDistance.result

    def count_result(metric):
        if tf.executing_eagerly():
            eager_calls.append(metric.name)
        return result(metric)

    monkeypatch.setattr(FrechetDistance, "result", count_result)
    gan = make_gan(metrics=[FrechetDistance(make_network())])
    logs = LogsOfEvaluation()
    measured = gan.evaluate(make_images(), batch_size=8, verbose=0, callbacks=[logs], return_dict=True)
    assert len(logs.batches) == 5 and all(np.isnan(batch["frechet_distance"]) for batch in logs.batches)
    assert all(np.isfinite(batch["d_loss"]) for batch in logs.batches)
    assert len(eager_calls) == 1
    assert np.isfinite(measured["frechet_distance"]) and logs.end == measured


def test_a_single_batch_is_measured_whole():
    gan = make_gan(3, metrics=quality_of(make_network(), per_class=True))
    batch = make_images(8), make_labels(8)
    logs = gan.test_on_batch(*batch, return_dict=True)
    assert np.isfinite(list(logs.values())).all() and logs["frechet_distance"] > 0
    assert gan.test_on_batch(*batch) == pytest.approx(list(logs.values()))


class MeanOnTheHost(keras.metrics.Mean):
    """Calls Python in the step. XLA cannot compile the call."""

    def update_state(self, real_images, fake_images):
        mean = tf.numpy_function(lambda images: images.mean(), [fake_images], tf.float32)
        super().update_state(tf.ensure_shape(mean, ()))


def test_xla_compiles_the_train_step_only():
    gan = make_gan(metrics=[MeanOnTheHost(name="mean")], jit_compile=True)
    history = fit(gan, validation_data=(make_images(),)).history
    assert np.isfinite(history["val_mean"]).all()
    assert gan.jit_compile
    assert gan.predict(np.zeros((2, 4), np.float32), verbose=0).shape == (2, *IMAGE_SHAPE)


def test_class_balance_logs_one_number_by_default():
    gan = make_gan(metrics=[ClassBalance(make_network())])
    logs = gan.evaluate(make_images(), verbose=0, return_dict=True)
    assert [name for name in logs if "share" in name] == ["smallest_class_share"]


@pytest.mark.parametrize("run_eagerly, steps_per_execution", [(True, 1), (False, 2)])
def test_every_way_of_running_measures_the_same(run_eagerly, steps_per_execution):
    network = make_network()
    figures = []
    for arguments in ({}, {"run_eagerly": run_eagerly, "steps_per_execution": steps_per_execution}):
        gan = make_gan(metrics=quality_of(network), **arguments)
        figures.append(gan.evaluate(make_images(), batch_size=10, verbose=0, return_dict=True))
    assert figures[1] == pytest.approx(figures[0], rel=1e-4)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_the_classifier_keeps_its_precision(precision):
    images = tf.constant(classify_digits()["real"][0][:8] / 127.5 - 1, tf.float32)
    expected = load_classifier("digits")(images)
    keras.mixed_precision.set_dtype_policy(precision)
    try:
        copy = type(load_classifier("digits")).from_config(load_classifier("digits").get_config())
        copy.set_weights(load_classifier("digits").get_weights())
        assert np.array_equal(copy(images), expected)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


def test_a_saved_model_measures_the_same(tmp_path):
    digits = load("digits")
    generator = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(784, "tanh"), keras.layers.Reshape((28, 28, 1))]
    )
    discriminator = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])

    gan = GAN(generator, discriminator)
    gan.compile(metrics=[*quality_of("digits"), FrechetDistance(network, name="own")])
    figures = gan.evaluate(digits.test_images, verbose=0, return_dict=True)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.evaluate(digits.test_images, verbose=0, return_dict=True) == figures
    gan.save_weights(tmp_path / "gan.weights.h5")  # without the networks of the metrics
    gan.compile()
    gan.load_weights(tmp_path / "gan.weights.h5")


def test_the_packages_classifiers_are_saved_by_name():
    metric = FrechetDistance(load_classifier("digits"))
    assert metric.get_config()["network"] == "digits"


@pytest.mark.parametrize("per_class", [False, True])
def test_a_config_makes_the_same_metric(per_class):
    for metric in quality_of("digits", per_class):
        config = keras.saving.serialize_keras_object(metric)
        assert config["registered_name"] == f"gan>{type(metric).__name__}"
        copy = keras.saving.deserialize_keras_object(config)
        assert copy.get_config() == metric.get_config()
    assert copy.per_class == per_class


def test_a_config_of_an_older_version_loads():
    inner = {"name": "least_share", "dtype": "float32", "network": "digits"}
    config = {"module": "gan.metrics", "class_name": "ClassBalance", "config": inner}
    metric = keras.saving.deserialize_keras_object(config | {"registered_name": "gan>ClassBalance"})
    assert (metric.name, metric.per_class) == ("least_share", False)


@pytest.mark.parametrize("metric", [FrechetDistance, ClassifierScore, ClassBalance])
def test_networks_that_cannot_serve_are_refused(metric):
    maps = keras.Sequential([keras.Input(IMAGE_SHAPE), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="one vector of each image"):
        metric(maps)
    with pytest.raises(ValueError, match="has the classifiers mnist, fashion_mnist, digits"):
        metric("imagenet")
    with pytest.raises(ValueError, match="built Keras model with a fixed image size"):
        metric(keras.Sequential([keras.layers.Flatten()]))
    with pytest.raises(ValueError, match="must be a name or a Keras model"):
        metric(3)
