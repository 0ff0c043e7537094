"""A run's folder, settings and history."""

from .folder import RunFolder
from .history import keep_history, read_history
from .settings import Settings

__all__ = ["RunFolder", "Settings", "keep_history", "read_history"]
