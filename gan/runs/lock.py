"""A lock that lets only one process write to a folder. The lock ends when the process ends or is killed."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..notice import Notice

NAME = ".lock"


class LockedError(ValueError):
    """Reports that another process holds the lock."""


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Locks a folder until the block ends.

    The operating system releases the lock when the process ends. The file `.lock` remains, and contains the
    process ID of its last owner. Do not remove `.lock`: a second process could then lock the folder at the
    same time. Warns if the disk has no file locks.

    Raises:
        LockedError: immediately, with a message of one line, if another process holds the lock.
        OSError: if the folder cannot be written.
    """
    with open(os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        try:
            _take(file)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace")
            other = f"another process ({owner or '?'})"
            raise LockedError(f"{other} is writing to {folder}: wait until it ends, or stop it") from error
        except OSError as error:
            why = f"{folder} is on a disk without file locks ({error.strerror})"
            warnings.warn(
                f"{why}: make sure that only one process writes to the folder", Notice, stacklevel=2
            )
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


if os.name == "nt":
    import msvcrt

    def _take(file) -> None:
        file.seek(1 << 20)  # a byte after the text: on Windows other processes cannot read locked bytes
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
