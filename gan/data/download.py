"""Downloads a known set of files, checks their hashes, and writes each file whole or not at all."""

import hashlib
import http.client
import queue
import sys
import threading
import urllib.request
from pathlib import Path

from ..files import write_whole
from .dataset import DataError

SECONDS_TO_ANSWER = 8.0  # without an answer from any mirror for this long, there is no network
SECONDS_BETWEEN_BYTES = 10.0
FAILURES = (OSError, ValueError, http.client.HTTPException)  # of a request, at any point


def download(hashes: dict[str, str], mirrors: tuple[str, ...], folder: Path) -> None:
    """Downloads files into `folder`. Several processes may do this at the same time.

    Args:
        hashes: maps each file's name to its MD5 or SHA-256, in hexadecimal.
        mirrors: addresses of folders that hold the files. Each address ends in "/".
        folder: created if it is missing. Files in it that have the right hash are kept.

    Raises:
        DataError: when no mirror answers (within ten seconds), when no mirror has the right files, or
            when the folder cannot be written.
    """
    missing = [name for name, digest in hashes.items() if not _is_right(folder / name, digest)]
    if not missing:
        return
    mirror = _first_to_answer(mirrors, missing[0])
    if mirror is None:
        raise DataError(f"no network: no answer from {', '.join(mirrors)}")
    print(f"Downloading {len(missing)} files from {mirror} to {folder}", file=sys.stderr, flush=True)
    for name in missing:
        _write_file(folder / name, _fetch(name, hashes[name], [mirror, *mirrors]))


def _write_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all. Raises DataError when its folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _first_to_answer(mirrors: tuple[str, ...], name: str) -> str | None:
    """Returns the mirror that answers first, or None when no mirror answers in time.

    It uses threads, because the look-up of a name has no time limit.
    """
    answers = queue.Queue()

    def ask(mirror: str) -> None:
        try:
            with urllib.request.urlopen(mirror + name, timeout=SECONDS_TO_ANSWER):
                answers.put(mirror)
        except FAILURES:
            answers.put(None)

    for mirror in mirrors:
        threading.Thread(target=ask, args=(mirror,), daemon=True).start()
    try:
        for _ in mirrors:
            if mirror := answers.get(timeout=SECONDS_TO_ANSWER):
                return mirror
    except queue.Empty:
        pass
    return None


def _fetch(name: str, digest: str, mirrors: list[str]) -> bytes:
    """Returns a file's bytes from the first mirror whose bytes have the right hash."""
    reasons = []
    for mirror in dict.fromkeys(mirrors):
        try:
            with urllib.request.urlopen(mirror + name, timeout=SECONDS_BETWEEN_BYTES) as answer:
                content = answer.read()
        except FAILURES as error:
            reasons.append(f"{mirror}{name}: {error}")
            continue
        if _hash(content, digest) == digest:
            return content
        reasons.append(f"{mirror}{name}: {len(content)} bytes with the wrong hash")
    raise DataError(f"download failed: {'; '.join(reasons)}")


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and _hash(path.read_bytes(), digest) == digest


def _hash(content: bytes, like: str) -> str:
    """Hashes with MD5 or SHA-256, whichever has the length of `like`."""
    kind = {32: "md5", 64: "sha256"}[len(like)]
    return hashlib.new(kind, content, usedforsecurity=False).hexdigest()
