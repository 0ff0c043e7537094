"""Writes files atomically, and reads and checks files.

An atomic write is complete or has no effect: a reader or a resumed run never sees an incomplete file.
"""

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".partial-"
LARGEST_JSON = 1 << 20
LARGEST_LOG = 64 << 20  # of a JSON file that grows with each epoch


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path. Renames the temporary file to `path` if the block ends without an error.

    The temporary file is in the folder of `path` and has the same suffix, because some writers check the
    suffix. The function flushes the file to the disk before the rename, and the folder after the rename.
    After an error, the old file remains. The folder must exist.

    Raises:
        OSError: if the file cannot be written. The `filename` of the error is `path`.

    Example:

    ```python
    with whole_file(Path("runs/one/gan.keras")) as temporary:
        gan.save(temporary)
    ```
    """
    path = Path(path)
    target = path.resolve()  # a symbolic link stays a link
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, target)
        _flush_folder_to_disk(target.parent)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes `content` to `path` atomically."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


class _WeightsInMemory(io.BytesIO):
    """Holds a file in memory, with a name that `save_weights` accepts."""

    def __str__(self):
        return "memory.weights.h5"


def encode_weights(model) -> bytes:
    """Returns the bytes that `model.save_weights` writes.

    HDF5 ends the process if the disk is full. So HDF5 writes to memory, and the caller writes the bytes to
    the disk.
    """
    file = _WeightsInMemory()
    model.save_weights(file)
    return file.getvalue()


def local_path(path: Path | str) -> Path:
    """Converts a path or a string to a local `Path`.

    Raises:
        ValueError: for an address such as gs://bucket. `Path` would turn the address into a local path.
    """
    if "://" in str(path):
        raise ValueError(f"This callback writes to local folders only. Received: {path}")
    return Path(path)


def find_numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """Returns the files `epoch_0001.png`, `epoch_0002.png`, … as {number: path}, sorted by number.

    Args:
        folder: the folder that contains the files.
        suffix: the end of the file names, such as ".png".
    """
    pattern = re.compile(rf"epoch_(\d{{4}}|[1-9]\d{{4,8}}){re.escape(suffix)}", re.ASCII)
    names = [path.name for path in folder.glob("epoch_*") if path.is_file()]
    found = {int(match[1]): folder / name for name in names if (match := pattern.fullmatch(name))}
    return dict(sorted(found.items()))


def remove_leftovers(folder: Path) -> None:
    """Removes incomplete files of killed processes. No process may write to the folder during the call."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):  # for example, the path is a folder
            path.unlink()


def write_json(path: Path, content: dict) -> None:
    """Writes an object as JSON, atomically."""
    write_whole(path, json.dumps(content, indent=2).encode() + b"\n")


def read_json(path: Path, most_bytes: int = LARGEST_JSON) -> dict:
    """Reads a JSON object from a file. The file may be damaged, or may come from another program.

    Args:
        path: the file.
        most_bytes: largest size of the file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file does not contain a JSON object. The message does not contain the path: the
            caller adds the path.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with open(path, "rb") as file:
        text = file.read(most_bytes + 1)
    if len(text) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes:,} bytes")
    try:
        content = json.loads(text.decode("utf-8-sig"))  # some editors on Windows write a byte order mark
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    return content


def cache_folder() -> Path:
    """Returns the folder where Keras keeps downloaded files: `$KERAS_HOME`, or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def check_asset(path: Path, sha_256: str) -> None:
    """Checks that a file of the package has not changed.

    Raises:
        ValueError: if the file is missing, or if its SHA-256 is not `sha_256`.
    """
    if not path.is_file() or digest(path) != sha_256:
        raise ValueError(f"{path} is not the file that this package was made with: reinstall the package")


def digest(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_to_disk(path: Path) -> None:
    # Windows flushes only files that are open for writing. A folder can be opened for reading only.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder_to_disk(folder: Path) -> None:
    """Makes a rename permanent, except on systems that cannot open or flush a folder, such as Windows."""
    if os.name != "posix":
        return
    try:
        _flush_to_disk(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
