"""The IDX format of MNIST and its relatives, gzipped or plain.

Big-endian: two zero bytes, one byte for the type, one for the number of dimensions, four bytes for
each dimension's size, then the values, last dimension first. The reader believes nothing of a header
before it has seen the bytes, and never holds more than the header promises.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

__all__ = ["DataError", "read_idx"]

UNSIGNED_BYTE = 0x08
LARGEST_PAYLOAD = 2 << 30  # bytes; more is a broken or hostile header


class DataError(ValueError):
    """Data that cannot be used, with one line for the person who gave it."""


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads an IDX file of unsigned bytes.

    Args:
        path: the file; whether it is gzipped is told by its content, not by its name.
        dimensions: 3 for images, 1 for labels.

    Returns:
        uint8 array, of `dimensions` dimensions, that owns its memory.

    Raises:
        DataError: naming the file and what is wrong with it.
    """
    try:
        with open(path, "rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if is_gzip else raw as file:
                return _read_array(file, dimensions)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        what = {EOFError: "it is truncated", zlib.error: "its compressed data are damaged"}
        reason = what.get(type(error)) or getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: not a usable IDX file: {reason}") from error


def _read_array(file, dimensions: int) -> np.ndarray:
    header = file.read(4)
    if len(header) < 4:
        raise ValueError(f"it ends within its header, after {len(header)} bytes")
    if header[:2] != b"\0\0":
        raise ValueError(f"it starts with {header!r}, not with two zero bytes")
    kind, found = header[2], header[3]
    if kind != UNSIGNED_BYTE:
        raise ValueError(f"its values have type 0x{kind:02x}; only unsigned bytes (0x08) are read")
    if found != dimensions:
        raise ValueError(f"it has {found} dimensions, where {dimensions} were expected (images 3, labels 1)")
    sizes = file.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError(f"it ends within its header, after {4 + len(sizes)} bytes")
    shape = struct.unpack(f">{dimensions}I", sizes)
    expected = math.prod(shape)
    if not 0 < expected <= LARGEST_PAYLOAD:
        raise ValueError(f"its header says {shape}, {expected} values; 1 to {LARGEST_PAYLOAD} are read")
    payload = _read_at_most(file, expected + 1)
    if len(payload) != expected:
        seen = f"{len(payload)}" if len(payload) < expected else "more"
        raise ValueError(f"its header says {shape}, {expected} values, but {seen} follow")
    return np.frombuffer(payload, np.uint8).reshape(shape)


def _read_at_most(file, count: int) -> bytearray:
    """Up to `count` bytes, read piece by piece: memory grows with the file, not with its header."""
    payload = bytearray()
    while len(payload) < count and (piece := file.read(min(1 << 20, count - len(payload)))):
        payload += piece
    return payload
