"""Fetching a known set of files over the network: checked by hash, written whole or not at all."""

import hashlib
import http.client
import queue
import sys
import threading
import urllib.request
from pathlib import Path

from gan.files import write_whole
from gan.idx import DataError

__all__ = ["download"]

SECONDS_TO_ANSWER = 8.0  # after this long without an answer from any mirror there is no network
SECONDS_BETWEEN_BYTES = 10.0
FAILURES = (OSError, ValueError, http.client.HTTPException)  # of a request, at any point of it


def download(hashes: dict[str, str], mirrors: tuple[str, ...], folder: Path) -> None:
    """Downloads files into `folder`; several processes may do so at once.

    Args:
        hashes: each file's name and its MD5 or SHA-256, in hexadecimal.
        mirrors: addresses of folders that hold the files, each ending in "/".
        folder: made where it is missing. Files in it that have the right hash are kept.

    Raises:
        DataError: within ten seconds where no mirror answers, later where none has the right files,
            or where the folder cannot be written.
    """
    missing = [name for name, digest in hashes.items() if not _is_right(folder / name, digest)]
    if not missing:
        return
    mirror = _first_to_answer(mirrors, missing[0])
    if mirror is None:
        raise DataError(f"no network: no answer from {', '.join(mirrors)}")
    print(f"Downloading {len(missing)} files from {mirror} to {folder}", file=sys.stderr, flush=True)
    for name in missing:
        write_file(folder / name, _fetch(name, hashes[name], [mirror, *mirrors]))


def write_file(path: Path, content: bytes) -> None:
    """`write_whole`, with one line for the person whose folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def _first_to_answer(mirrors: tuple[str, ...], name: str) -> str | None:
    """The mirror that is quickest to answer; None when none does in time or all refuse.

    Threads, because looking up a name has no time limit of its own.
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
    """The file's bytes, from the first mirror that has the right ones."""
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
    """The content's hash, of the kind whose length `like` has."""
    kind = {32: "md5", 64: "sha256"}[len(like)]
    return hashlib.new(kind, content, usedforsecurity=False).hexdigest()
