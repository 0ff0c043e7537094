"""Starts several workers on this machine, and ends all of them if one fails."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ..runs import RunFolder
from .program import RunError, UsageError, command, usage_errors
from .training import choose_path, refuse_existing
from .workers import LAUNCHED, LOST_WORKER_CODE, repeat_flags

POLL_SECONDS = 0.05
GRACE_SECONDS = 3.0  # time in which the worker that caused an error may end after the others
END_SECONDS = 10.0  # time in which workers end after SIGTERM, before they are killed


def launch(options: argparse.Namespace, program: list[str], script: str) -> int:
    """Starts `--workers` processes of train.py, and waits until all have ended. Returns the exit code.

    The output of worker 0 goes to the console. The output of the others goes to the folder `workers` of the
    run folder. If a worker fails, the others end too.

    Args:
        options: the flags of train.py.
        program: the words of the command that the user gave, without flags, for messages.
        script: the path of train.py.

    Raises:
        UsageError: if the run folder exists, or if TF_CONFIG is set.
        RunError: if a worker fails and has not printed the reason on the console.
    """
    if options.distribute != "multiworker":
        raise UsageError("--workers needs --distribute multiworker")
    if "TF_CONFIG" in os.environ:
        raise UsageError("TF_CONFIG is set, so this process is already a worker: leave out --workers")
    words, run_folder = [sys.executable, script, *options.arguments], choose_path(options)
    if hasattr(options, "resume"):
        with usage_errors():
            RunFolder(run_folder).read_whole_config()
    else:
        refuse_existing(run_folder)
        words += [] if {"name", "run_dir"} & vars(options).keys() else ["--run-dir", str(run_folder)]
    logs = RunFolder(run_folder).workers
    logs.mkdir(parents=True, exist_ok=True)
    resume = command(*program, *repeat_flags(options), "--resume", run_folder)
    try:
        with _running(words, options.workers, logs) as workers:
            failed = _wait(workers)
    except KeyboardInterrupt:
        if not options.quiet:
            print(f"\nStopped. Continue the run:  {resume}", flush=True)
        raise
    if failed is None:
        return 0
    code = workers[failed].returncode
    if failed == 0 and code > 0 and code != LOST_WORKER_CODE:
        _remove_if_unused(run_folder, logs)
        return code  # worker 0 has printed the reason
    log = f" (see {logs / _log_name(failed)})" if failed else ""
    again = f". Continue the run:  {resume}" if RunFolder(run_folder).config.exists() else ""
    raise RunError(f"worker {failed} {_describe(code)}{log}, so the other workers were ended too{again}")


def _remove_if_unused(run_folder: Path, logs: Path) -> None:
    """Removes the run folder if worker 0 has written nothing into it."""
    if list(run_folder.iterdir()) == [logs]:
        shutil.rmtree(run_folder)


@contextlib.contextmanager
def _running(words: list[str], count: int, logs: Path) -> Iterator[list]:
    """Starts the workers. Ends them at the end of the block, also after an error or Ctrl-C."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    workers = []
    try:
        for index in range(count):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = os.environ | {"TF_CONFIG": json.dumps(task), LAUNCHED: "1"}
            with contextlib.ExitStack() as files:
                output = files.enter_context(open(logs / _log_name(index), "wb")) if index else None
                # A new session: the terminal sends Ctrl-C only to the launcher, which forwards it.
                workers.append(
                    subprocess.Popen(
                        words,
                        env=environment,
                        stdin=subprocess.PIPE,  # closed when the launcher ends
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                    )
                )
        yield workers
    finally:
        _end(workers)


def _wait(workers: list[subprocess.Popen]) -> int | None:
    """Waits until all workers have ended, or one fails. Returns the number of the failed worker, or None.

    If a worker loses another worker, its own exit is only a consequence. So waits a moment for the cause.
    """
    deadline = None
    while True:
        codes = [worker.poll() for worker in workers]
        failed = [index for index, code in enumerate(codes) if code]
        causes = [index for index in failed if codes[index] != LOST_WORKER_CODE]
        if causes:
            return causes[0]
        if None not in codes:
            return failed[0] if failed else None
        if failed:
            deadline = deadline or time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                return failed[0]
        time.sleep(POLL_SECONDS)


def _end(workers: list[subprocess.Popen]) -> None:
    """Sends SIGTERM to the workers that still run, and SIGKILL to those that do not end in time."""
    for worker in workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def free_ports(count: int) -> list[int]:
    """Returns ports that no process uses. Another process could take a port before the worker does."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _log_name(index: int) -> str:
    return f"worker_{index}.log"


def _describe(code: int) -> str:
    if code == LOST_WORKER_CODE:
        return "could not reach another worker"
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was ended by {name}"
