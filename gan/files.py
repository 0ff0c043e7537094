"""Writing files whole or not at all: a reader, or a run that resumes, never sees half of one."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cache_folder", "digest", "whole_file", "write_whole"]


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its name when the block ends well.

    The temporary name ends like the real one, for writers that look at the suffix. What was written
    is flushed to the disk before the rename; when the block raises, it is removed and the old file
    stands.

    Example:

    ```python
    with whole_file(Path("runs/one/gan.keras")) as temporary:
        gan.save(temporary)
    ```
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is all there is
        _flush_to_disk(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def cache_folder() -> Path:
    """Where Keras keeps what it has downloaded: `$KERAS_HOME`, or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
