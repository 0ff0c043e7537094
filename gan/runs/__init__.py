"""The folder, the settings and the history of a run."""

from .config import describe_machine, describe_run, read_machine, tell_of_other_machine
from .folder import RunFolder, tell_of_lost_pictures
from .history import keep_history, read_history
from .settings import Settings
