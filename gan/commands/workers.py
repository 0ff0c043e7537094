"""Several workers that train together: their flags, how they connect, and the check that they agree."""

import argparse
import contextlib
import faulthandler
import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from ..distribution import count_workers, share
from ..limits import COUNT, POSITIVE
from .program import RunError, UsageError

WAYS = ("none", "mirrored", "multiworker")
TIMEOUT_SECONDS = 60.0
POLL_SECONDS, VISIT_SECONDS = 0.1, 2.0  # how often to look for other workers, and how long an answer may take
LAUNCHED = "GAN_LAUNCHED"  # environment variable of a worker that `--workers` has started
EVENT_FILE = "events.out.tfevents"  # in TensorFlow's errors about TensorBoard's files
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
        help=f"how long to wait until all workers have started (default: {TIMEOUT_SECONDS:g})",
    )


def repeat_flags(options: argparse.Namespace) -> list[str]:
    """Returns the flags for several devices, for the command that continues a run."""
    flags = [] if options.distribute == "none" else ["--distribute", options.distribute]
    return flags + ([] if options.workers is None else ["--workers", str(options.workers)])


def is_launched() -> bool:
    """Returns whether `--workers` started this process."""
    return LAUNCHED in os.environ


def connect(options: argparse.Namespace) -> tf.distribute.Strategy:
    """Creates the strategy of `--distribute`. Several workers wait until all of them have started.

    The process ends if the launcher ends.

    Raises:
        UsageError: if TF_CONFIG is missing or wrong, or if a worker does not start in time.
    """
    if options.distribute == "mirrored":
        return tf.distribute.MirroredStrategy()
    if options.distribute == "none":
        return tf.distribute.get_strategy()
    addresses, index = read_tf_config()
    if is_launched():
        threading.Thread(target=_end_with_launcher, daemon=True).start()
    meet(addresses, index, options.worker_timeout)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    # TensorFlow waits without a limit and blocks Python, and another worker could be killed just now.
    faulthandler.dump_traceback_later(options.worker_timeout, exit=True, file=sys.__stderr__)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        share(None, strategy)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        listed, reason = ", ".join(addresses), str(error).splitlines()[0]
        raise UsageError(f"the workers of TF_CONFIG, {listed}, could not connect: {reason}") from error
    finally:
        faulthandler.cancel_dump_traceback_later()
    if on_sigterm is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # TensorFlow replaces the handler and ignores SIGTERM
    return strategy


def read_tf_config() -> tuple[list[str], int]:
    """Checks the environment variable TF_CONFIG. Returns the addresses of all workers, and the own index.

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
        lists = {job: cluster.get(job, []) for job in JOBS}
        is_right = kind in JOBS and cluster.keys() <= set(JOBS) and 0 <= int(index) < len(lists[kind])
    except (ValueError, KeyError, TypeError, AttributeError):
        is_right = False
    is_right = is_right and all(
        isinstance(job, list) and all(map(_is_address, job)) for job in lists.values()
    )
    addresses = [address for job in lists.values() for address in job] if is_right else []
    if not is_right or len(set(addresses)) < len(addresses):
        raise UsageError(
            f"TF_CONFIG must list each worker once, as HOST:PORT, and its task must be one of the list: "
            f"TF_CONFIG='{example}'. Received: {text}"
        )
    own = lists[kind][int(index)]
    return addresses, addresses.index(own)


def _is_address(text) -> bool:
    """Returns whether a text has the form HOST:PORT."""
    host, _, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    return bool(host) and port.isdigit() and 0 < int(port) < 2**16


def meet(addresses: list[str], index: int, timeout_seconds: float) -> None:
    """Waits until all workers have started, and checks that all have the same list of workers.

    Each worker connects to each other worker. TensorFlow uses the same ports afterwards.

    Args:
        addresses: the addresses of all workers, as HOST:PORT.
        index: the index of this worker.
        timeout_seconds: how long to wait.

    Raises:
        UsageError: if the own port is in use, if a worker does not start in time, or if the lists differ.
    """
    deadline = time.monotonic() + timeout_seconds
    message = json.dumps({"workers": addresses, "index": index}) + "\n"
    waiting, visitors = set(range(len(addresses))) - {index}, set()
    port = int(addresses[index].rpartition(":")[2])
    try:
        several = {"family": socket.AF_INET6, "dualstack_ipv6": True} if socket.has_dualstack_ipv6() else {}
        listener = socket.create_server(("", port), **several)
    except OSError as error:
        raise UsageError(f"this worker cannot use its port {port} of TF_CONFIG: {error.strerror}") from error
    with listener, _answering(listener, message, visitors):
        while waiting or not visitors >= set(range(len(addresses))) - {index}:
            waiting -= {other for other in waiting if _visit(other, message, addresses)}
            if time.monotonic() > deadline:
                missing = waiting or set(range(len(addresses))) - {index} - visitors
                names = ", ".join(addresses[other] for other in sorted(missing))
                raise UsageError(
                    f"these workers of TF_CONFIG did not start within {timeout_seconds:g} s: {names}. Start "
                    "all workers with the same list, on machines that can connect to each other"
                )
            time.sleep(POLL_SECONDS)


@contextlib.contextmanager
def _answering(listener: socket.socket, message: str, visitors: set) -> Iterator[None]:
    """Answers the other workers in a thread until the block ends. Adds their indexes to `visitors`."""
    is_over = threading.Event()

    def answer(connection):
        with connection, contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            connection.settimeout(VISIT_SECONDS)
            with connection.makefile("r", encoding="utf-8") as lines:
                visitor = json.loads(lines.readline())["index"]
                connection.sendall(message.encode())
                if lines.readline():  # the visitor has read the answer
                    visitors.add(visitor)

    def accept():
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    listener.settimeout(POLL_SECONDS)
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()  # a thread that still waits for a connection would keep the port


def _visit(other: int, message: str, addresses: list[str]) -> bool:
    """Returns whether another worker has answered.

    Raises:
        UsageError: if the other worker has another list of workers, or another index than in the list.
    """
    address = addresses[other]
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=VISIT_SECONDS) as connection:
            connection.sendall(message.encode())
            with connection.makefile("r", encoding="utf-8") as lines:
                reply = json.loads(lines.readline())
                theirs, their_index = reply["workers"], reply["index"]
            connection.sendall(b"read\n")
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if theirs != addresses:
        raise UsageError(
            f"the worker {address} has another TF_CONFIG, with the workers {', '.join(theirs)}. This worker "
            f"has the workers {', '.join(addresses)}: use the same list, in the same order, for all workers"
        )
    if their_index != other:
        raise UsageError(
            f"the worker at {address} has the index {their_index} in TF_CONFIG, but its place in the list is "
            f"{other}: give each worker its own index"
        )
    return True


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
        for name in first | theirs:
            if first.get(name) != theirs.get(name):
                raise UsageError(
                    f"the workers differ: {name} is {first.get(name)!r} on worker 0, and "
                    f"{theirs.get(name)!r} on worker {number}. Start all workers with the same flags and data"
                )


def digest_weights(model: keras.Model) -> str:
    """Returns the SHA-256 of the weights of a model."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


@contextlib.contextmanager
def explain_lost_worker(strategy: tf.distribute.Strategy, advice: str) -> Iterator[None]:
    """Turns TensorFlow's errors about other workers into a `LostWorkerError`.

    A launched worker prints TensorFlow's error and ends, because the launcher prints the cause.

    Args:
        strategy: the strategy of the workers.
        advice: what the user can do.
    """
    try:
        yield
    except LOST_WORKER_ERRORS as error:
        if count_workers(strategy) == 1 or EVENT_FILE in str(error):
            raise
        reason = str(error).strip().splitlines()[-1]
        if is_launched():
            print(f"lost another worker: {reason}", file=sys.stderr, flush=True)
            raise SystemExit(LOST_WORKER_CODE) from error
        what = f"another worker ended or could not be reached. {advice} (TensorFlow's error: {reason})"
        raise LostWorkerError(what) from error


def _flatten(facts: dict, before: str = "") -> dict:
    """Returns the values of nested dictionaries by their joined names."""
    flat = {}
    for name, value in facts.items():
        flat |= _flatten(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return flat


def _end_with_launcher() -> None:
    """Ends this process soon after its launcher has ended, which closes the pipe to the standard input."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(LOST_WORKER_CODE)
