"""Measures the cost of a GAN's step, epoch, start and memory, as ratios: `python tests/benchmarks`.

The compared programs run in turn, so other load on the machine slows all of them equally. A row has the
median ratio over the rounds, the quartiles, the median ratio of CPU seconds, and the median time in
milliseconds. The benchmarks take about ten minutes on two cores without other load.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SECTIONS = ("step", "schemes", "epoch", "generate", "start", "memory", "sizes", "images")
ROUNDS = {"start": 3, "sizes": 3, "images": 3, "schemes": 4}  # the other sections have the default


def main() -> int:
    """Runs the chosen sections and prints their tables. Returns 1 if a target is missed, otherwise 0."""
    options = _parse()
    started = time.monotonic()
    rows = []
    for section in options.only:
        rows += (measured := _measure(section, options.rounds or ROUNDS.get(section, 8)))
        print("\n".join(_format(measured)), flush=True)
    machine = _machine()
    device = "" if machine["device"] == "CPU" else f"{machine['device']} and "
    cores = f"{os.cpu_count()} cores of {machine['processor']}"
    print(f"\n{time.monotonic() - started:.0f} s on {device}{cores}")
    if options.json:
        report = {"machine": _machine(), "rows": [_as_dict(row) for row in rows]}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(row.is_met is False for row in rows))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only",
        nargs="+",
        choices=SECTIONS,
        default=SECTIONS,
        metavar="SECTION",
        help=f"run these sections only: {', '.join(SECTIONS)} (default: all)",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="run all contenders in turn N times")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the rows to this file, as JSON")
    return parser.parse_args()


def _measure(section: str, rounds: int) -> list:
    import processes
    import sizes

    import epoch
    import training

    measure = {
        "step": training.measure_rivals,
        "schemes": training.measure_schemes,
        "epoch": epoch.measure_callbacks,
        "generate": epoch.measure_generate,
        "start": processes.measure_start,
        "memory": processes.measure_memory,
        "sizes": sizes.measure_sizes,
        "images": sizes.measure_images,
    }
    return measure[section](rounds)


def _format(rows: list) -> list[str]:
    width = max(len(f"{row.what} / {row.over}") for row in rows)
    header = f"{rows[0].section:{width}}   ratio    quartiles      CPU    amount  target"
    return ["", header, "-" * len(header), *(_format_row(row, width) for row in rows)]


def _format_row(row, width: int) -> str:
    cpu = "      " if row.cpu_ratio is None else f"{row.cpu_ratio:6.3f}"
    target = ""
    if row.is_met is not None:
        bound = f"at least {row.at_least}" if row.at_most is None else f"at most {row.at_most}"
        target = f"{bound}: {'met' if row.is_met else 'MISSED'}"
    name = f"{row.what} / {row.over}"
    spread = "once" if row.low is None else f"{row.low:.3f}-{row.high:.3f}"
    amount = f"{row.amount:.4g} {row.unit}"
    return f"{name:{width}}  {row.ratio:6.3f}  {spread:13}  {cpu}  {amount:>9}  {target}".rstrip()


def _as_dict(row) -> dict:
    return dataclasses.asdict(row) | {"is_met": row.is_met}


def _machine() -> dict:
    import keras
    import tensorflow as tf

    return {
        "device": _device(tf),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _device(tf) -> str:
    """Returns the name of the GPU that TensorFlow uses, or "CPU"."""
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "CPU"


def _processor() -> str:
    """Returns the name of the processor, or of its architecture if the system does not give a name."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
