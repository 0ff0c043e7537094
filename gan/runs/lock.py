"""A lock that lets one process write into a folder. It ends with the process, even when it is killed."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..notice import Notice

NAME = ".lock"


class LockedError(ValueError):
    """Another process holds the lock."""


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the block for the same folder.

    The operating system holds the lock and releases it when the process dies. The file `.lock` stays; it
    only says which process holds the lock. (Whoever removes it lets a second process in.) Warns where the
    disk has no locks.

    Raises:
        LockedError: one line, at once, when another process is inside.
        OSError: when the folder cannot be written.
    """
    with open(os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        try:
            _take(file)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace")
            other = f"another process ({owner or '?'})"
            raise LockedError(f"{folder} is being written by {other}: wait for it, or stop it") from error
        except OSError as error:
            why = f"{folder} is on a disk without file locks ({error.strerror})"
            warnings.warn(f"{why}: let only one process write there", Notice, stacklevel=2)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()).encode())
        file.flush()
        yield


if os.name == "nt":
    import msvcrt

    def _take(file) -> None:
        file.seek(1 << 20)  # a byte beyond the text, for Windows keeps readers from locked bytes
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
