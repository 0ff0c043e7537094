"""Datasets as uint8 arrays, and the pipeline that feeds them to `fit`."""

from .dataset import DataError, Dataset
from .load import NAMES, load
from .pipeline import pipeline, validation_batches
