"""Callbacks that show and save the training of any Keras model that maps latents to images."""

from .checkpoint import Checkpoint
from .doctor import Doctor
from .history_file import HistoryFile
from .progress_bar import ProgressBar
from .sample_grid import SampleGrid
from .tensorboard import TensorBoard
from .tensorboard_logits import TensorBoardLogits
from .tensorboard_samples import TensorBoardSamples
from .time_limit import TimeLimit
