"""Reads IDX files, the format of MNIST, gzipped or plain.

An IDX file is big-endian. The header has two zero bytes, one byte for the type, one byte for the number of
dimensions, and four bytes for the size of each dimension. The values follow, and the last dimension varies
fastest. The reader compares the size in the header with the number of bytes that follow. If a file is too
large, the reader does not read the rest.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from .dataset import LARGEST_PAYLOAD, DataError, Dataset, make_dataset

UNSIGNED_BYTE = 0x08
DIMENSIONS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}


def is_idx_folder(folder: Path) -> bool:
    """Returns whether a folder contains an IDX file that is named like one of MNIST's files."""
    names = [path.name for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    is_idx = [Path(name).suffix in ("", ".gz") or name.endswith("ubyte") for name in names]
    return any(part in name for name, fits in zip(names, is_idx, strict=True) if fits for part in DIMENSIONS)


def load_idx_folder(folder: Path) -> Dataset:
    """Loads a folder of IDX files with MNIST's names. Labels and test files may be missing."""
    paths = [_find_one(folder, f"*{name}*") for name in DIMENSIONS]
    if paths[0] is None:
        raise DataError(f"{folder}: found no IDX file of training images, such as train-images-idx3-ubyte.gz")
    arrays = [path and read_idx(path, size) for path, size in zip(paths, DIMENSIONS.values(), strict=True)]
    return make_dataset(folder.name, str(folder), *arrays)


def _find_one(folder: Path, pattern: str) -> Path | None:
    """Returns the only file that matches a pattern, or None if there is no file. Ignores hidden files."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file() and path.name[0] != ".")
    if len({path.name.removesuffix(".gz") for path in found}) == 1:
        found = found[:1]  # the same file, gzipped and plain
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{folder}: expected one file named {pattern}. Received: {names}. Keep one of them.")
    return found[0] if found else None


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads an IDX file of unsigned bytes.

    Args:
        path: the file. The reader detects gzip from the content, not from the name.
        dimensions: 3 for images, 1 for labels.

    Returns:
        A uint8 array with `dimensions` dimensions. The array owns its memory.

    Raises:
        DataError: if the file cannot be used. The message gives the file and the problem.
    """
    try:
        with open(path, "rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if is_gzip else raw as file:
                return _read_array(file, dimensions)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        known = {EOFError: "it is truncated", zlib.error: "its compressed data are damaged"}
        reason = known.get(type(error)) or getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: not a usable IDX file: {reason}") from error


def _read_array(file, dimensions: int) -> np.ndarray:
    header = file.read(4 + 4 * dimensions)
    if header[:2] != b"\0\0"[: len(header)]:
        raise ValueError(f"it must start with two zero bytes, but starts with {header[:4]!r}")
    kind, found = header[2:4] if len(header) > 3 else (UNSIGNED_BYTE, dimensions)
    if kind != UNSIGNED_BYTE:
        raise ValueError(f"its values must be unsigned bytes (type 0x08), but have type 0x{kind:02x}")
    if found != dimensions:
        raise ValueError(f"it must have {dimensions} dimensions (images 3, labels 1), but has {found}")
    if len(header) < 4 + 4 * dimensions:
        raise ValueError(f"it ends within its header, after {len(header)} bytes")
    shape = struct.unpack(f">4x{dimensions}I", header)
    expected = math.prod(shape)
    if not 0 < expected <= LARGEST_PAYLOAD:
        raise ValueError(f"it must hold 1 to {LARGEST_PAYLOAD} values, but its header says {expected}")
    payload = _read_at_most(file, expected + 1)
    if len(payload) != expected:
        seen = len(payload) if len(payload) < expected else "more"
        raise ValueError(f"its header {shape} says {expected} values, but {seen} follow")
    return np.frombuffer(payload, np.uint8).reshape(shape)


def _read_at_most(file, count: int) -> bytearray:
    """Reads up to `count` bytes in pieces, so that a wrong size in the header allocates no memory."""
    payload = bytearray()
    while len(payload) < count and (piece := file.read(min(1 << 20, count - len(payload)))):
        payload += piece
    return payload
