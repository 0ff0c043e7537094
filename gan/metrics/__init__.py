"""Measures the quality of samples: metrics for `compile`, distances, classifiers and the report."""

from .classifiers import Classifier, classifier_for, feature_network_for, load_classifier
from .distances import (
    Neighborhoods,
    classifier_score,
    compare_neighborhoods,
    frechet_distance,
    kernel_distance,
    realism_scores,
)
from .features import FeatureNetwork
from .streaming import ClassBalance, ClassifierScore, FrechetDistance, quality_metrics
