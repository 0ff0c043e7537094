"""Loads datasets as uint8 arrays and makes the batches for `fit`."""

from .dataset import DataError, Dataset
from .load import NAMES, SCALING, load
from .pipeline import pipeline, validation_batches, validation_split
