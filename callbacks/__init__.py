"""Callbacks that watch and keep any Keras model that maps latents to images."""

from callbacks.checkpoint import Checkpoint
from callbacks.history_file import HistoryFile
from callbacks.progress_bar import ProgressBar
from callbacks.sample_grid import SampleGrid
from callbacks.tensorboard import TensorBoard
from callbacks.tensorboard_samples import TensorBoardSamples
from callbacks.time_limit import TimeLimit

__all__ = [
    "Checkpoint",
    "HistoryFile",
    "ProgressBar",
    "SampleGrid",
    "TensorBoard",
    "TensorBoardSamples",
    "TimeLimit",
]
