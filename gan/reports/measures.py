"""Measures the quality of a run for a report, and chooses samples to show."""

import dataclasses
import datetime
from collections.abc import Callable

import numpy as np

from ..data import validation_split
from ..files import digest, read_json
from ..metrics import evaluation, feature_network_for, realism_scores
from ..metrics.features import FeatureNetwork, extract
from .facts import Facts

SEED = 0  # of all samples in a report
DRAWN, SHOWN = 1000, 20  # samples that are ranked; samples that are shown of each end
NO_DATA = "The data of the run could not be loaded: see the check of the data."
NEAREST = 10  # samples that are shown beside their nearest training images


@dataclasses.dataclass
class Measures:
    """Holds the measured values of one run. A value is None if it could not be measured.

    Attributes:
        report: from `gan.metrics.evaluation.evaluate`.
        origin: one or two sentences: where the report comes from, or why there is none.
        floors: by column of history.csv, the value for real images.
        problem: why there are no samples to show, or "".
        samples: the drawn samples, uint8 (count, height, width, channels).
        scores: the realism score of each sample, (count,).
        labels: the label of each sample, (count,), or None.
        nearest: a picture from `draw_nearest`.
    """

    report: dict | None = None
    origin: str = ""
    floors: dict[str, float] = dataclasses.field(default_factory=dict)
    problem: str = ""
    samples: np.ndarray | None = None
    scores: np.ndarray | None = None
    labels: np.ndarray | None = None
    nearest: np.ndarray | None = None


def measure(
    facts: Facts, with_samples: bool = True, say: Callable[[str], None] = print, verbose: int = 1
) -> Measures:
    """Measures a run. Uses the figures in evaluation/report.json if they belong to the run's model.

    Args:
        facts: the run. Without a GAN or data, only the figures in the file are known.
        with_samples: whether to rank samples and to search for their nearest training images.
        say: a function that gets a line of text for each step.
        verbose: as in `fit`, for the training of the feature network.
    """
    measures = Measures(problem=facts.gan_problem or (NO_DATA if facts.dataset is None else ""))
    measures.report, measures.origin = read_evaluation(facts)
    if measures.problem:
        if measures.report is None:
            measures.origin = f"{measures.origin} {_as_sentence(measures.problem)}".strip()
        return measures
    try:
        network = feature_network_for(facts.dataset, verbose)
        if measures.report is None:
            new, origin = _evaluate(facts, network, say, verbose)
            measures.report, measures.origin = new, f"{measures.origin} {origin}".strip()
        measures.floors = _find_floors(facts, network, measures.report)
        if with_samples:
            _add_samples(measures, facts, network, say)
    except ValueError as error:  # too few images
        measures.problem = str(error)
        if measures.report is None:
            measures.origin = f"{measures.origin} {_as_sentence(measures.problem)}".strip()
    return measures


def read_evaluation(facts: Facts) -> tuple[dict | None, str]:
    """Reads evaluation/report.json. Returns the report or None, and a text about its origin."""
    path = facts.folder.evaluation / "report.json"
    try:
        report = read_json(path)
        report = {"network": report.get("classifier")} | report  # the name of the key in older versions
        evaluation.format_report(report)  # fails if a part is missing
        model = report.get("model_sha256")
        date = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, "The figures in evaluation/report.json are damaged or from an older version."
    if model is not None and facts.folder.model.is_file() and digest(facts.folder.model) != model:
        return None, "The figures in evaluation/report.json belong to another model than gan.keras."
    unsure = "" if model else " The file does not say which model was measured."
    text = f"Measured by “python -m gan evaluate” on {date:%Y-%m-%d}, and saved in evaluation/report.json."
    return report, text + unsure


def rank(scores: np.ndarray, count: int = SHOWN) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the best samples, the best first, and of the worst samples, the worst first."""
    order = scores.argsort(kind="stable")
    count = min(count, len(scores) // 2)
    return order[::-1][:count], order[:count]


def _evaluate(facts: Facts, network: FeatureNetwork, say, verbose: int) -> tuple[dict, str]:
    how = {"is_conditional": facts.gan.num_classes is not None, "seed": SEED, "say": say, "verbose": verbose}
    report = evaluation.evaluate(facts.gan.generate, facts.dataset, network, **how)
    return report, "Measured for this page, like “python -m gan evaluate --quick”."


def _find_floors(facts: Facts, network: FeatureNetwork, report: dict | None) -> dict[str, float]:
    """Returns the values for real images that are comparable to the validation in history.csv."""
    data, has_labels, floors = facts.dataset, facts.gan.num_classes is not None, {}
    if data.test_images is not None and not (has_labels and data.test_labels is None):
        images, labels = validation_split(data, has_labels)
        floors["val_frechet_distance"] = evaluation.real_distance(network, data, images, labels)
    for name in ("classifier_score", "smallest_class_share"):
        value = (report or {}).get("samples_alone", {}).get(name, {}).get("real")
        floors |= {} if value is None else {f"val_{name}": value}
    return floors


def _add_samples(measures: Measures, facts: Facts, network: FeatureNetwork, say) -> None:
    say(f"Ranking {DRAWN:,} samples by their realism")
    gan, images = facts.gan, facts.dataset.train_images
    labels = None if gan.num_classes is None else np.arange(DRAWN) % gan.num_classes
    some = np.random.default_rng(SEED).permutation(len(images))[: evaluation.MOST_IMAGES]
    samples = gan.generate(DRAWN, labels, seed=SEED)
    real_features, features = (extract(network, each)[0] for each in (images[some], samples))
    measures.scores = realism_scores(real_features, features)
    measures.samples, measures.labels = samples, labels
    say("Searching for the nearest training images")
    measures.nearest = evaluation.draw_nearest(gan.generate(NEAREST, seed=SEED), images)


def _as_sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
