"""Several workers that train together: their flags, how they connect, and the check that they agree."""

import argparse
import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from ..distribution import count_workers, share
from ..limits import COUNT, POSITIVE
from .program import RunError, UsageError

WAYS = ("none", "mirrored", "multiworker")
TIMEOUT_SECONDS = 60.0
LAUNCHER = "GAN_LAUNCHER"  # environment variable of a worker: the process ID of the launcher
LOST_WORKER_CODE = 75  # EX_TEMPFAIL of sysexits.h: the job can be started again
JOBS = ("chief", "worker")
# TensorFlow raises these errors on a worker if another worker ends or cannot be reached.
LOST_WORKER_ERRORS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class LostWorkerError(RunError):
    """Reports that another worker ended or could not be reached."""

    exit_code = LOST_WORKER_CODE


def add_flags(group) -> None:
    """Adds the flags for several devices and workers to a group of argparse."""
    group.add_argument(
        "--distribute",
        choices=WAYS,
        default="none",
        help="mirrored: train on all GPUs of this machine; multiworker: train with several processes, on one "
        "or more machines, that the environment variable TF_CONFIG lists (default: none, one device)",
    )
    group.add_argument(
        "--workers",
        type=COUNT,
        default=None,
        help="with --distribute multiworker: start N processes on this machine, without TF_CONFIG",
    )
    group.add_argument(
        "--worker-timeout",
        type=POSITIVE,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for workers that do not start or do not stop (default: {TIMEOUT_SECONDS:g})",
    )


def repeat_flags(options: argparse.Namespace) -> list[str]:
    """Returns the flags for several devices, for the command that continues a run."""
    flags = [] if options.distribute == "none" else ["--distribute", options.distribute]
    return flags + ([] if options.workers is None else ["--workers", str(options.workers)])


def is_launched() -> bool:
    """Returns whether `--workers` started this process."""
    return LAUNCHER in os.environ


def connect(options: argparse.Namespace) -> tf.distribute.Strategy:
    """Creates the strategy of `--distribute`. Several workers wait until all of them have started.

    The process ends if a worker does not start in time, or if the launcher ends.

    Raises:
        UsageError: if TF_CONFIG is missing or wrong, or if its port is in use.
    """
    if options.distribute == "mirrored":
        return tf.distribute.MirroredStrategy()
    if options.distribute == "none":
        return tf.distribute.get_strategy()
    addresses = read_tf_config()
    if is_launched():
        threading.Thread(target=_end_with_launcher, daemon=True).start()
    listed = ", ".join(addresses)
    message = (
        f"the workers did not all start within {options.worker_timeout:g} s. TF_CONFIG lists {listed}: start "
        "all of them, with the same list, on machines that can connect to each other"
    )
    try:
        with _limit_time(options.worker_timeout, message):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
            share(None, strategy)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"the workers of TF_CONFIG, {listed}, could not connect: {reason}") from error
    return strategy


def read_tf_config() -> list[str]:
    """Checks the environment variable TF_CONFIG. Returns the addresses of all workers.

    Raises:
        UsageError: if TF_CONFIG is missing or wrong.
    """
    text = os.environ.get("TF_CONFIG", "")
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    if not text:
        raise UsageError(
            "--distribute multiworker needs TF_CONFIG, or --workers N for N processes on this machine. "
            f"Example: TF_CONFIG='{example}'"
        )
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], task["index"]
        lists = {job: list(cluster.get(job, [])) for job in JOBS}
        is_right = kind in JOBS and cluster.keys() <= set(JOBS) and 0 <= int(index) < len(lists[kind])
    except (ValueError, KeyError, TypeError, AttributeError):
        is_right = False
    addresses = [address for job in lists.values() for address in job] if is_right else []
    if not all(isinstance(one, str) and one.rpartition(":")[2].isdigit() for one in addresses):
        is_right = False
    if not is_right or len(set(addresses)) < len(addresses):
        raise UsageError(
            f"TF_CONFIG must list each worker once, as HOST:PORT, and its task must be one of the list: "
            f"TF_CONFIG='{example}'. Received: {text}"
        )
    return addresses


def check_batch_size(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Refuses a batch size that the replicas cannot split evenly.

    Raises:
        UsageError: with the number of replicas.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UsageError(
            f"--batch-size {batch_size} cannot be split evenly over {replicas} replicas: use a multiple of "
            f"{replicas}"
        )


def check_agreement(facts: dict, strategy: tf.distribute.Strategy) -> None:
    """Checks that all workers have the same settings, data, versions and weights.

    Args:
        facts: values by name. A value may be a dictionary too.
        strategy: the strategy of the workers.

    Raises:
        UsageError: on all workers, with the first difference.
    """
    first, *others = [_flatten(theirs) for theirs in share(facts, strategy)]
    for number, theirs in enumerate(others, 1):
        for name in first.keys() | theirs.keys():
            if first.get(name) != theirs.get(name):
                raise UsageError(
                    f"the workers differ: {name} is {first.get(name)!r} on worker 0, and "
                    f"{theirs.get(name)!r} on worker {number}. Start all workers with the same flags and data"
                )


def digest_weights(*arrays_of: Iterable[np.ndarray]) -> str:
    """Returns the SHA-256 of arrays."""
    digest = hashlib.sha256()
    for arrays in arrays_of:
        for array in arrays:
            digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


@contextlib.contextmanager
def explain_lost_worker(strategy: tf.distribute.Strategy, resume: str) -> Iterator[None]:
    """Turns TensorFlow's errors about other workers into a `LostWorkerError`.

    Args:
        strategy: the strategy of the workers.
        resume: the command that continues the run.
    """
    try:
        yield
    except LOST_WORKER_ERRORS as error:
        if count_workers(strategy) == 1:
            raise
        if is_launched():  # the launcher prints the cause
            raise SystemExit(LOST_WORKER_CODE) from error
        what = "another worker ended or could not be reached, so the training stopped"
        raise LostWorkerError(f"{what}. Start all workers again, with:  {resume}") from error


def _flatten(facts: dict, before: str = "") -> dict:
    """Returns the values of nested dictionaries by their joined names."""
    flat = {}
    for name, value in facts.items():
        flat |= _flatten(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


@contextlib.contextmanager
def _limit_time(seconds: float, message: str) -> Iterator[None]:
    """Ends the process if the block takes longer. TensorFlow waits without a limit, and outside of Python."""

    def end():
        print(f"error: {message}", file=sys.stderr, flush=True)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_with_launcher() -> None:
    """Ends this process soon after its launcher has ended."""
    while os.getppid() == int(os.environ[LAUNCHER]):
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(LOST_WORKER_CODE)
