"""The metrics against SciPy, and on cases whose answer is known."""

import functools

import keras
import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats
import tensorflow as tf

from conftest import IMAGE_SHAPE, fit, make_gan, make_images, make_labels
from gan import GAN, metrics
from gan.data import load
from gan.features import extract, load_classifier
from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance


def make_features(count, length=6, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(length, length))
    return (rng.normal(size=(count, length)) @ mixing + shift).astype(np.float32)


def make_network(length=4):
    return keras.Sequential(
        [keras.Input(IMAGE_SHAPE), keras.layers.Flatten(), keras.layers.Dense(length)], name="own"
    )


def reference_frechet(real, fake):
    """The formula as it is written, with SciPy's matrix square root."""
    root = scipy.linalg.sqrtm(np.cov(real.T) @ np.cov(fake.T)).real
    gap = real.mean(0) - fake.mean(0)
    return gap @ gap + np.trace(np.cov(real.T) + np.cov(fake.T) - 2 * root)


def reference_neighborhoods(real, fake, k):
    """The definitions, image by image, with the neighbors that a k-d tree finds."""
    real_radii = scipy.spatial.cKDTree(real).query(real, k + 1)[0][:, -1]
    fake_radii = scipy.spatial.cKDTree(fake).query(fake, k + 1)[0][:, -1]
    distances = scipy.spatial.distance.cdist(real, fake)
    return (
        np.mean([any(distances[:, j] < real_radii) for j in range(len(fake))]),
        np.mean([any(distances[i] < fake_radii) for i in range(len(real))]),
        np.mean([sum(distances[:, j] < real_radii) for j in range(len(fake))]) / k,
        np.mean([distances[i].min() < real_radii[i] for i in range(len(real))]),
    )


def reference_kernel_distance(real, fake):
    """The mean of the kernel over all pairs of two different images."""

    def kernel(x, y):
        return (np.float64(x) @ y / len(x) + 1) ** 3

    within = [
        np.mean([kernel(x, y) for i, x in enumerate(one) for j, y in enumerate(one) if i != j])
        for one in (real, fake)
    ]
    return sum(within) - 2 * np.mean([kernel(x, y) for x in real for y in fake])


@pytest.mark.parametrize("counts", [(50, 50), (70, 30)])
def test_frechet_distance_is_scipys(counts):
    real, fake = make_features(counts[0]), make_features(counts[1], seed=1, shift=0.5)
    assert metrics.frechet_distance(real, fake) == pytest.approx(reference_frechet(real, fake), rel=1e-5)


def test_frechet_distance_of_known_gaussians():
    real = np.random.default_rng(0).normal(size=(2000, 3))
    assert metrics.frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(real, real + np.array([3, 0, 4])) == pytest.approx(25)
    scaled = metrics.frechet_distance(real, 2 * (real - real.mean(0)) + real.mean(0))
    assert scaled == pytest.approx(np.trace(np.cov(real.T)))  # (2 - 1)^2 of the variances
    singular = make_features(4)  # fewer images than features
    assert np.isfinite(metrics.frechet_distance(singular, singular + 1))


@pytest.mark.parametrize("k", [3, 5])
def test_neighborhoods_are_scipys(k):
    real, fake = make_features(60), make_features(45, seed=1, shift=0.7)
    found = metrics.compare_neighborhoods(real, fake, k)
    assert found == pytest.approx(reference_neighborhoods(real, fake, k))


def test_neighborhoods_do_not_depend_on_how_the_rows_are_split(monkeypatch):
    real, fake = make_features(60), make_features(45, seed=1)
    whole = metrics.compare_neighborhoods(real, fake), metrics.kernel_distance(real, fake)
    monkeypatch.setattr(metrics, "ROWS_AT_ONCE", 7)
    split = metrics.compare_neighborhoods(real, fake), metrics.kernel_distance(real, fake)
    assert split[0] == whole[0]
    assert split[1] == pytest.approx(whole[1])


def test_coverage_of_one_distribution_is_what_naeem_derived():
    count, k = 1000, 5
    found = metrics.compare_neighborhoods(make_features(count), make_features(count, seed=1), k)
    missed = np.prod([(count - i) / (2 * count - i) for i in range(1, k + 1)])
    assert found.coverage == pytest.approx(1 - missed, abs=0.02)
    assert found.density == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("counts", [(12, 12), (15, 9)])
def test_kernel_distance_is_the_mean_over_pairs(counts):
    real, fake = make_features(counts[0]), make_features(counts[1], seed=1, shift=0.5)
    distance, _ = metrics.kernel_distance(real, fake)
    assert distance == pytest.approx(reference_kernel_distance(real, fake))


def test_kernel_distance_has_no_bias_and_an_honest_error():
    same = [
        metrics.kernel_distance(make_features(40, seed=s), make_features(40, seed=s + 500))
        for s in range(200)
    ]
    values = np.array([value for value, _ in same])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    apart = [
        metrics.kernel_distance(make_features(80, seed=s), make_features(60, seed=s + 500, shift=1.0))
        for s in range(200)
    ]
    values, errors = np.array(apart).T
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.25)


@pytest.mark.parametrize("function", [metrics.kernel_distance, metrics.compare_neighborhoods])
def test_too_few_images_are_refused(function):
    with pytest.raises(ValueError, match="Received: 1 and 40"):
        function(make_features(1), make_features(40))


def test_classifier_score_is_scipys():
    logits = make_features(50, 4)
    probabilities = scipy.special.softmax(np.float64(logits), axis=1)
    divergences = scipy.stats.entropy(probabilities, probabilities.mean(0)[None], axis=1)
    assert metrics.classifier_score(logits) == pytest.approx(np.exp(divergences.mean()))
    assert metrics.classifier_score(np.eye(4) * 1000) == pytest.approx(4)  # sure, and balanced
    assert metrics.classifier_score(np.eye(4)[[1, 1, 1]] * 1000) == pytest.approx(1)  # one class only
    assert metrics.classifier_score(np.zeros((5, 4))) == pytest.approx(1)  # no idea


@functools.cache
def judge_digits():
    """Pixels, features and logits of the embedded digits, and of what a broken generator may draw."""
    digits = load("digits")
    even, odd = digits.train_images[::2], digits.train_images[1::2]
    rng = np.random.default_rng(0)
    cases = {
        "reference": even,
        "real": odd,
        "copies": even.copy(),
        "ones": odd[digits.train_labels[1::2] == 1],
        "one image": np.repeat(odd[:1], len(odd), axis=0),
        "noise": rng.integers(0, 256, odd.shape, np.uint8),
        "blended": odd // 2 + odd[::-1] // 2,  # two digits in one
    }
    classifier = load_classifier("digits")
    return {name: (images, *extract(classifier, images)) for name, images in cases.items()}


@pytest.mark.parametrize("broken", ["ones", "one image", "noise", "blended"])
def test_what_is_broken_is_far_from_its_floor(broken):
    cases = judge_digits()
    reference, real, fake = (cases[name][1] for name in ("reference", "real", broken))
    assert metrics.frechet_distance(reference, fake) > 5 * metrics.frechet_distance(reference, real)
    distance, error = metrics.kernel_distance(reference, fake)
    assert distance > 5 * error
    assert metrics.compare_neighborhoods(reference, fake).coverage < 0.5


def test_each_figure_sees_what_it_should():
    cases = judge_digits()
    reference = cases["reference"][1]
    compared = {name: metrics.compare_neighborhoods(reference, case[1]) for name, case in cases.items()}
    scores = {name: metrics.classifier_score(case[2]) for name, case in cases.items()}
    assert compared["copies"] == pytest.approx((1, 1, compared["copies"].density, 1))
    assert metrics.frechet_distance(reference, cases["copies"][1]) == pytest.approx(0, abs=1e-6)
    assert compared["real"].coverage > 0.9
    assert scores["real"] > 9.5
    # all ones: each is a good digit, but they are all that there is
    assert compared["ones"].precision > 0.8
    assert compared["ones"].recall < 0.2
    assert scores["ones"] < 1.1
    assert compared["noise"].precision < 0.05
    assert compared["noise"].density < 0.05
    distance, error = metrics.kernel_distance(reference, cases["real"][1])
    assert abs(distance) < 4 * error


def feed(metric, real_images, fake_images, batch_size=100):
    for start in range(0, min(len(real_images), len(fake_images)), batch_size):
        part = slice(start, start + batch_size)
        as_floats = [tf.constant(one[part] / 127.5 - 1, tf.float32) for one in (real_images, fake_images)]
        metric.update_state(*as_floats)
    return metric.result()


@pytest.mark.parametrize("batch_size", [100, 719])
def test_streaming_equals_the_functions(batch_size):
    cases = judge_digits()
    (real, real_features, _), (fake, fake_features, fake_logits) = cases["reference"], cases["blended"]
    distance = feed(FrechetDistance("digits"), real, fake, batch_size)
    assert float(distance) == pytest.approx(metrics.frechet_distance(real_features, fake_features), rel=1e-4)
    score = feed(ClassifierScore("digits"), real, fake, batch_size)
    assert float(score) == pytest.approx(metrics.classifier_score(fake_logits), rel=1e-5)
    shares = feed(ClassBalance("digits"), real, fake, batch_size)
    expected = np.bincount(fake_logits.argmax(1), minlength=10) / len(fake)
    assert [float(shares[f"share_{label}"]) for label in range(10)] == pytest.approx(expected)
    assert float(shares["least_share"]) == pytest.approx(expected.min())


def test_collapse_to_ones_as_validation_sees_it():
    cases = judge_digits()
    ones = np.resize(cases["ones"][0], cases["reference"][0].shape)
    real = cases["reference"][0]
    shares = feed(ClassBalance("digits"), real, ones)
    assert float(shares["least_share"]) == 0
    assert float(shares["share_1"]) > 0.95
    assert float(feed(ClassifierScore("digits"), real, ones)) < 1.2
    assert float(feed(FrechetDistance("digits"), real, ones)) > 100


def test_reset_forgets():
    real, _, _ = judge_digits()["reference"]
    for metric in (FrechetDistance("digits"), ClassifierScore("digits"), ClassBalance("digits")):
        first = feed(metric, real, real[::-1])
        metric.reset_state()
        assert keras.tree.map_structure(float, feed(metric, real, real[::-1])) == keras.tree.map_structure(
            float, first
        )


def test_nothing_and_not_a_number_are_no_good_figures():
    distance = FrechetDistance("digits")
    assert np.isnan(float(distance.result()))
    assert np.isnan(float(ClassifierScore("digits").result()))
    images = tf.zeros((3, 28, 28, 1))
    distance.update_state(images, images * np.nan)
    assert np.isnan(float(distance.result()))


def quality_of(network):
    return [FrechetDistance(network), ClassifierScore(network), ClassBalance(network)]


def test_validation_logs_them_and_stock_callbacks_use_them(tmp_path):
    gan = make_gan(3, metrics=quality_of(make_network()))
    stop = keras.callbacks.EarlyStopping("val_classifier_score", mode="max", patience=9)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", "val_frechet_distance", mode="min", save_best_only=True
    )
    history = fit(
        gan, epochs=2, validation_data=(make_images(), make_labels()), callbacks=[stop, best]
    ).history
    for name in ("frechet_distance", "classifier_score", "least_share", "share_0", "share_3"):
        assert np.isfinite(history[f"val_{name}"]).all()
    assert stop.best == max(history["val_classifier_score"])
    assert best.best == min(history["val_frechet_distance"])
    assert (tmp_path / "best.keras").is_file()
    assert gan.evaluate(make_images(), make_labels(), verbose=0, return_dict=True)["frechet_distance"] > 0


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
    images = tf.constant(judge_digits()["real"][0][:8] / 127.5 - 1, tf.float32)
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
    gan.save_weights(tmp_path / "gan.weights.h5")  # holds no metric's network: it fits a GAN without them
    gan.compile()
    gan.load_weights(tmp_path / "gan.weights.h5")


def test_the_packages_classifiers_are_saved_by_name():
    metric = FrechetDistance(load_classifier("digits"))
    assert metric.get_config()["network"] == "digits"


@pytest.mark.parametrize("metric", [FrechetDistance, ClassifierScore, ClassBalance])
def test_networks_that_cannot_serve_are_refused(metric):
    maps = keras.Sequential([keras.Input(IMAGE_SHAPE), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="one vector of each image"):
        metric(maps)
    with pytest.raises(ValueError, match="There are classifiers of mnist and digits"):
        metric("imagenet")
    with pytest.raises(ValueError, match="built Keras model of images of one size"):
        metric(keras.Sequential([keras.layers.Flatten()]))
    with pytest.raises(ValueError, match="must be a name or a Keras model"):
        metric(3)


@pytest.mark.slow
def test_floors_on_mnist_agree_with_published_ones(mnist_path):
    """Raw pixels, halves of the test set: measured by others with the reference implementation."""
    pixels = load(str(mnist_path)).test_images.reshape(10_000, -1) / 255.0
    order = np.random.default_rng(0).permutation(10_000)
    found = metrics.compare_neighborhoods(pixels[order[:5000]], pixels[order[5000:]])
    assert 0.93 < found.precision < 0.955
    assert 0.93 < found.recall < 0.955
    assert 0.97 < found.density < 1.04
    assert 0.96 < found.coverage < 0.98


@pytest.mark.slow
def test_gaussians_have_the_figures_of_the_reference_implementation():
    """The check of https://github.com/clovaai/generative-evaluation-prdc's README."""
    rng = np.random.default_rng(0)
    found = metrics.compare_neighborhoods(rng.normal(size=(10_000, 1000)), rng.normal(size=(10_000, 1000)))
    published = metrics.Neighborhoods(precision=0.4772, recall=0.4705, density=1.0555, coverage=0.9735)
    # So many dimensions have hubs: from draw to draw the density was seen between 0.91 and 1.07.
    assert found.density == pytest.approx(published.density, abs=0.16)
    for name in ("precision", "recall", "coverage"):
        assert getattr(found, name) == pytest.approx(getattr(published, name), abs=0.03)


def test_real_mnist_is_rated_as_real(mnist_path):
    dataset = load(str(mnist_path))
    _, logits = extract(load_classifier("mnist"), dataset.test_images)
    assert (logits.argmax(1) == dataset.test_labels).mean() >= 0.994
    assert metrics.classifier_score(logits) > 9.75
