"""Compares the functions with SciPy, and tests cases with a known answer."""

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import scipy.stats

from digit_cases import classify_digits
from gan.data import load
from gan.metrics import distances, load_classifier
from gan.metrics.features import extract


def make_features(count, length=6, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(length, length))
    return (rng.normal(size=(count, length)) @ mixing + shift).astype(np.float32)


def reference_frechet(real, fake):
    """Computes the Fréchet distance by its formula, with SciPy's matrix square root."""
    root = scipy.linalg.sqrtm(np.cov(real.T) @ np.cov(fake.T)).real
    gap = real.mean(0) - fake.mean(0)
    return gap @ gap + np.trace(np.cov(real.T) + np.cov(fake.T) - 2 * root)


def reference_neighborhoods(real, fake, k):
    """Computes the definitions image by image. A k-d tree finds the neighbors."""
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
    """Computes the distance from means of the kernel over all pairs of two different images."""

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
    assert distances.frechet_distance(real, fake) == pytest.approx(reference_frechet(real, fake), rel=1e-5)


def test_frechet_distance_of_known_gaussians():
    real = np.random.default_rng(0).normal(size=(2000, 3))
    assert distances.frechet_distance(real, real) == pytest.approx(0, abs=1e-9)
    assert distances.frechet_distance(real, real + np.array([3, 0, 4])) == pytest.approx(25)
    scaled = distances.frechet_distance(real, 2 * (real - real.mean(0)) + real.mean(0))
    assert scaled == pytest.approx(np.trace(np.cov(real.T)))  # (2 - 1)^2 times the sum of the variances
    singular = make_features(4)  # fewer images than features
    assert np.isfinite(distances.frechet_distance(singular, singular + 1))


@pytest.mark.parametrize("k", [3, 5])
def test_neighborhoods_are_scipys(k):
    real, fake = make_features(60), make_features(45, seed=1, shift=0.7)
    found = distances.compare_neighborhoods(real, fake, k)
    assert found == pytest.approx(reference_neighborhoods(real, fake, k))


def test_realism_scores_of_points_on_a_line():
    """The radii with k=1 are 1, 1, 2 and 7. Their median is 1.5, so only the points 0 and 1 count."""
    real = np.array([[0.0], [1.0], [3.0], [10.0]])
    fake = np.array([[0.5], [3.0], [10.0], [-4.0]])
    assert distances.realism_scores(real, fake, k=1) == pytest.approx([2, 1 / 2, 1 / 9, 1 / 4])
    assert np.isfinite(distances.realism_scores(real, real, k=1)).all()  # distances of 0
    with pytest.raises(ValueError, match="k=4 need more than 4 real images. Received: 4"):
        distances.realism_scores(real, fake, k=4)


def test_neighborhoods_do_not_depend_on_how_the_rows_are_split(monkeypatch):
    real, fake = make_features(60), make_features(45, seed=1)
    whole = distances.compare_neighborhoods(real, fake), distances.kernel_distance(real, fake)
    monkeypatch.setattr(distances, "ROWS_AT_ONCE", 7)
    split = distances.compare_neighborhoods(real, fake), distances.kernel_distance(real, fake)
    assert split[0] == whole[0]
    assert split[1] == pytest.approx(whole[1])


def test_coverage_of_one_distribution_is_what_naeem_derived():
    count, k = 1000, 5
    found = distances.compare_neighborhoods(make_features(count), make_features(count, seed=1), k)
    missed = np.prod([(count - i) / (2 * count - i) for i in range(1, k + 1)])
    assert found.coverage == pytest.approx(1 - missed, abs=0.02)
    assert found.density == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("counts", [(12, 12), (15, 9)])
def test_kernel_distance_is_the_mean_over_pairs(counts):
    real, fake = make_features(counts[0]), make_features(counts[1], seed=1, shift=0.5)
    distance, _ = distances.kernel_distance(real, fake)
    assert distance == pytest.approx(reference_kernel_distance(real, fake))


def test_kernel_distance_has_no_bias_and_an_honest_error():
    same = [
        distances.kernel_distance(make_features(40, seed=s), make_features(40, seed=s + 500))
        for s in range(200)
    ]
    values = np.array([value for value, _ in same])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    apart = [
        distances.kernel_distance(make_features(80, seed=s), make_features(60, seed=s + 500, shift=1.0))
        for s in range(200)
    ]
    values, errors = np.array(apart).T
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(), rel=0.25)


@pytest.mark.parametrize("function", [distances.kernel_distance, distances.compare_neighborhoods])
def test_too_few_images_are_refused(function):
    with pytest.raises(ValueError, match="Received: 1 and 40"):
        function(make_features(1), make_features(40))


def test_classifier_score_is_scipys():
    logits = make_features(50, 4)
    probabilities = scipy.special.softmax(np.float64(logits), axis=1)
    divergences = scipy.stats.entropy(probabilities, probabilities.mean(0)[None], axis=1)
    assert distances.classifier_score(logits) == pytest.approx(np.exp(divergences.mean()))
    assert distances.classifier_score(np.eye(4) * 1000) == pytest.approx(4)  # certain and balanced
    assert distances.classifier_score(np.eye(4)[[1, 1, 1]] * 1000) == pytest.approx(1)  # one class only
    assert distances.classifier_score(np.zeros((5, 4))) == pytest.approx(1)  # uniform probabilities


@pytest.mark.parametrize("broken", ["ones", "one image", "noise", "blended"])
def test_what_is_broken_is_far_from_its_floor(broken):
    cases = classify_digits()
    reference, real, fake = (cases[name][1] for name in ("reference", "real", broken))
    assert distances.frechet_distance(reference, fake) > 5 * distances.frechet_distance(reference, real)
    distance, error = distances.kernel_distance(reference, fake)
    assert distance > 5 * error
    assert distances.compare_neighborhoods(reference, fake).coverage < 0.5


def test_each_figure_sees_what_it_should():
    cases = classify_digits()
    reference = cases["reference"][1]
    compared = {name: distances.compare_neighborhoods(reference, case[1]) for name, case in cases.items()}
    scores = {name: distances.classifier_score(case[2]) for name, case in cases.items()}
    assert compared["copies"] == pytest.approx((1, 1, compared["copies"].density, 1))
    assert distances.frechet_distance(reference, cases["copies"][1]) == pytest.approx(0, abs=1e-6)
    assert compared["real"].coverage > 0.9
    assert scores["real"] > 9.5
    # Every image of "ones" is a good digit, but all images have the same class.
    assert compared["ones"].precision > 0.8
    assert compared["ones"].recall < 0.2
    assert scores["ones"] < 1.1
    assert compared["noise"].precision < 0.05
    assert compared["noise"].density < 0.05
    distance, error = distances.kernel_distance(reference, cases["real"][1])
    assert abs(distance) < 4 * error


@pytest.mark.slow
def test_floors_on_mnist_agree_with_published_ones(mnist_path):
    """Compares raw pixels of two halves of the test set.

    Others measured the published values with the reference implementation.
    """
    pixels = load(str(mnist_path)).test_images.reshape(10_000, -1) / 255.0
    order = np.random.default_rng(0).permutation(10_000)
    found = distances.compare_neighborhoods(pixels[order[:5000]], pixels[order[5000:]])
    assert 0.93 < found.precision < 0.955
    assert 0.93 < found.recall < 0.955
    assert 0.97 < found.density < 1.04
    assert 0.96 < found.coverage < 0.98


@pytest.mark.slow
def test_gaussians_have_the_figures_of_the_reference_implementation():
    """Repeats the check in the README of https://github.com/clovaai/generative-evaluation-prdc."""
    rng = np.random.default_rng(0)
    found = distances.compare_neighborhoods(rng.normal(size=(10_000, 1000)), rng.normal(size=(10_000, 1000)))
    published = distances.Neighborhoods(precision=0.4772, recall=0.4705, density=1.0555, coverage=0.9735)
    # In 1000 dimensions some points are hubs: the density varied from 0.91 to 1.07 between random draws.
    assert found.density == pytest.approx(published.density, abs=0.16)
    for name in ("precision", "recall", "coverage"):
        assert getattr(found, name) == pytest.approx(getattr(published, name), abs=0.03)


def test_real_mnist_is_rated_as_real(mnist_path):
    dataset = load(str(mnist_path))
    _, logits = extract(load_classifier("mnist"), dataset.test_images)
    assert (logits.argmax(1) == dataset.test_labels).mean() >= 0.994
    assert distances.classifier_score(logits) > 9.75
