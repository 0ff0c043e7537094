"""Writing files whole or not at all: a reader, or a run that resumes, never sees half of one."""

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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its name when the block ends well.

    The temporary name has the same suffix, for writers that look at it. The file is flushed to the disk
    before the rename, and the folder after it. When anything fails, the old file remains. The folder must
    exist.

    Raises:
        OSError: with the final path as its `filename`.

    Example:

    ```python
    with whole_file(Path("runs/one/gan.keras")) as temporary:
        gan.save(temporary)
    ```
    """
    path = Path(path)
    target = path.resolve()  # a link stays a link
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
    """Writes `content` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


class _WeightsInMemory(io.BytesIO):
    """A file in memory that `save_weights` accepts: Keras looks at the end of its name."""

    def __str__(self):
        return "memory.weights.h5"


def encode_weights(model) -> bytes:
    """Returns the bytes that `model.save_weights` writes.

    HDF5 ends the process when the disk is full. So it writes to memory, and plain bytes go to the disk.
    """
    file = _WeightsInMemory()
    model.save_weights(file)
    return file.getvalue()


def local_path(path: Path | str) -> Path:
    """Returns a path of this machine.

    Raises:
        ValueError: for an address such as gs://bucket. `Path` would make a local folder of that name.
    """
    if "://" in str(path):
        raise ValueError(f"This callback writes to local folders only. Received: {path}")
    return Path(path)


def find_numbered(folder: Path, suffix: str) -> dict[int, Path]:
    """Returns the files `epoch_0001.png`, `epoch_0002.png`, …, by their number, in its order; no other files.

    Args:
        folder: where they are.
        suffix: ".png", or another end of the names.
    """
    pattern = re.compile(rf"epoch_(\d{{4}}|[1-9]\d{{4,8}}){re.escape(suffix)}", re.ASCII)
    names = [path.name for path in folder.glob("epoch_*") if path.is_file()]
    found = {int(match[1]): folder / name for name in names if (match := pattern.fullmatch(name))}
    return dict(sorted(found.items()))


def remove_leftovers(folder: Path) -> None:
    """Removes unfinished files of killed processes from a folder. Nobody may be writing there now."""
    for path in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):  # such as a folder of this name
            path.unlink()


def write_json(path: Path, content: dict) -> None:
    """Writes an object as JSON, whole or not at all."""
    write_whole(path, json.dumps(content, indent=2).encode() + b"\n")


def read_json(path: Path) -> dict:
    """Reads a JSON object from a file, which may be damaged or another's.

    Raises:
        OSError: when it cannot be read.
        ValueError: a few words, when it is not a JSON object.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    with open(path, "rb") as file:
        text = file.read(LARGEST_JSON + 1)
    if len(text) > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON:,} bytes")
    try:
        content = json.loads(text.decode("utf-8-sig"))  # editors on Windows write a byte order mark
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    return content


def cache_folder() -> Path:
    """Where Keras keeps what it has downloaded: `$KERAS_HOME`, or `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def check_asset(path: Path, sha_256: str) -> None:
    """Refuses a file of the package that has changed.

    Raises:
        ValueError: when it is not the file that the package was made with.
    """
    if not path.is_file() or digest(path) != sha_256:
        raise ValueError(f"{path} is not the file that this package was made with: reinstall the package")


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_to_disk(path: Path) -> None:
    # Windows flushes only what was opened for writing; a folder can only be opened for reading.
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder_to_disk(folder: Path) -> None:
    """Makes a rename last, where the system can: Windows opens no folder, some disks flush none."""
    if os.name != "posix":
        return
    try:
        _flush_to_disk(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
