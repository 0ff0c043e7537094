"""One writer a folder: a lock that ends with its process, however that ends."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LockedError", "lock"]

NAME = ".lock"


class LockedError(ValueError):
    """Another process holds the lock."""


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the block for the same folder.

    The operating system holds the lock and takes it from a process that has died; the file `.lock`,
    which stays, only says whose it is. (Whoever removes it lets a second process in.)

    Raises:
        LockedError: one line, at once, when another process is inside.
        OSError: when the folder cannot be written, or its disk knows no locks.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)  # never a file elsewhere, behind a link
    with open(os.open(folder / NAME, flags, 0o666), "r+b") as file:
        try:
            _take(file)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            owner = file.read(20).decode("ascii", "replace")
            raise LockedError(
                f"{folder} is being written by another process ({owner or '?'}): wait for it, or stop it"
            ) from error
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
