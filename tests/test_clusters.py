"""Runs the recipes of docs/clusters.md on one machine, with stand-ins for srun, scontrol and ssh."""

import contextlib
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

import train
from conftest import QUICK, start
from gan.commands.workers import read_tf_config

ROOT = Path(train.__file__).parent
PAGE = (ROOT / "docs" / "clusters.md").read_text("utf-8")
FLAGS = list(map(str, [*QUICK, "--steps-per-epoch", 8]))
IN_FOLDER = ("-c", "import os, sys; os.chdir(sys.argv[1]); os.execvp('bash', ['bash', *sys.argv[2:]])")
# Starts the tasks of a job on this machine, and returns the highest exit code of a task.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
tasks=()
for ((task = 0; task < SLURM_NTASKS; task++)); do
  SLURM_PROCID=$task SLURM_LOCALID=$((task % SLURM_NTASKS_PER_NODE)) "$@" >>"task_$task.log" 2>&1 &
  tasks+=($!)
  echo $! >"task_$task.pid"
done
highest=0
for task in "${tasks[@]}"; do
  wait "$task"
  code=$?
  ((code > highest)) && highest=$code
done
exit "$highest"
"""
# `show hostnames` prints the nodes, and `requeue` writes the number of the job into a file.
SCONTROL = """#!/bin/bash
case $1 in
  show) echo "${3//,/$'\\n'}" ;;
  requeue) echo "$2" >requeued ;;
esac
"""
# Runs the command on this machine. If this process is ended, the command receives SIGHUP, as with `ssh -tt`.
SSH = """#!/bin/bash
while [[ $1 == -* ]]; do
  if [[ $1 == -o ]]; then shift; fi
  shift
done
shift
bash -c "$*" &
trap 'kill -HUP $!; wait $!; exit 255' TERM HUP
wait $!
"""
# Prints TF_CONFIG and the arguments instead of training.
SHOW = """#!/bin/bash
printf '%s\\n' "$(tr '\\n' ' ' <<<"$TF_CONFIG")" "$*"
"""


def blocks(language, section):
    """Returns the code blocks of one language in a section of the page."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def change(script, changes):
    """Changes the lines of a script that the reader has to change."""
    for before, after in changes.items():
        assert script.count(f"\n{before}\n") == 1, before
        script = script.replace(f"\n{before}\n", f"\n{after}\n")
    return script


def free_ports_in_a_row(count, candidates):
    """Returns the first of the candidates with `count` free ports from there on."""
    for first in candidates:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(contextlib.closing(socket.socket())).bind(("", port))
            return first
    raise OSError("no free ports")


@pytest.fixture
def shared(tmp_path):
    """The shared disk, with the project and its environment."""
    project = tmp_path / "shared" / "fit-gan"
    write_program(project / ".venv" / "bin" / "python", f'#!/bin/bash\nexec "{sys.executable}" "$@"\n')
    (project / "train.py").symlink_to(ROOT / "train.py")
    return tmp_path / "shared"


@pytest.fixture
def run_script(tmp_path, no_process_left):
    """Starts bash scripts, each in its own group of processes. Ends all groups after the test."""
    processes = []

    def run(*arguments, programs, **variables):
        for name, text in programs.items():
            write_program(tmp_path / "bin" / name, text)
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
        environment |= {"PATH": path} | {name: str(value) for name, value in variables.items()}
        process = start(tmp_path, *arguments, program=IN_FOLDER, env=environment, start_new_session=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def finish(process, expected=0, folder=None):
    output, error = process.communicate(timeout=300)
    logs = [path.read_text("utf-8") for path in sorted(folder.glob("*.log"))] if folder else []
    assert process.returncode == expected, "\n".join([output, error, *logs])
    assert not is_group_alive(process)
    return output, error


def is_group_alive(process):
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_checkpoint(run_folder, epoch, process, folder):
    deadline = time.monotonic() + 240
    while not (run_folder / "checkpoints" / f"epoch_{epoch:04d}.json").exists():
        logs = [path.read_text("utf-8") for path in sorted(folder.glob("*.log"))]
        assert process.poll() is None, "\n".join(logs)
        assert time.monotonic() < deadline, "\n".join(logs)
        time.sleep(0.05)


def children_of(number):
    """Returns the process IDs of the children of a process, in the order of their start."""
    return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text("utf-8").split()]


def epochs_of(run_folder):
    return len((run_folder / "history.csv").read_text("utf-8").splitlines()) - 1


def slurm_script(tmp_path, shared):
    (script,) = blocks("bash", "Slurm")
    path = tmp_path / "gan.sbatch"
    path.write_text(change(script, {"shared=/shared": f"shared={shared}"}), "utf-8")
    return path


def slurm_job(nodes, tasks_per_node, job_id=1):
    """Returns the environment variables of a job."""
    return {
        "SLURM_JOB_ID": job_id,
        "SLURM_JOB_NODELIST": ",".join(nodes),
        "SLURM_NTASKS": len(nodes) * tasks_per_node,
        "SLURM_NTASKS_PER_NODE": tasks_per_node,
        "SLURM_CPUS_PER_TASK": 1,
    }


def read_shown(lines, monkeypatch):
    """Returns the addresses, the index and the arguments that a worker received from a recipe."""
    config, arguments = lines.splitlines()
    monkeypatch.setenv("TF_CONFIG", config)
    return *read_tf_config(), arguments


def test_slurm_lists_the_tasks_of_all_nodes(tmp_path, shared, run_script, monkeypatch):
    write_program(shared / "fit-gan" / ".venv" / "bin" / "python", SHOW)
    job = slurm_job(["node7", "node9"], 2, job_id=31234)
    programs = {"srun": SRUN, "scontrol": SCONTROL}
    finish(run_script(slurm_script(tmp_path, shared), "--epochs", 3, programs=programs, **job))
    for index in range(4):
        text = (tmp_path / f"task_{index}.log").read_text("utf-8")
        addresses, number, arguments = read_shown(text, monkeypatch)
        assert addresses == ["node7:22340", "node7:22341", "node9:22340", "node9:22341"]
        assert number == index
        assert arguments.endswith(f"--run-dir {shared / 'runs' / 'gan'} --epochs 3")
    assert not (tmp_path / "requeued").exists()


@pytest.mark.parametrize(
    ("code", "restarts", "expected"), [(2, 0, False), (75, 0, True), (137, 2, True), (75, 3, False)]
)
def test_slurm_starts_a_job_again_only_after_a_lost_worker(
    code, restarts, expected, tmp_path, shared, run_script
):
    write_program(shared / "fit-gan" / ".venv" / "bin" / "python", f"#!/bin/bash\nexit {code}\n")
    job = slurm_job(["node7"], 1) | {"SLURM_RESTART_COUNT": restarts}
    programs = {"srun": SRUN, "scontrol": SCONTROL}
    finish(run_script(slurm_script(tmp_path, shared), programs=programs, **job), expected=code)
    assert (tmp_path / "requeued").exists() == expected


@pytest.mark.slow
def test_slurm_trains_and_continues_after_a_killed_task(tmp_path, shared, run_script):
    run_folder = shared / "runs" / "gan"
    job_id = (free_ports_in_a_row(2, range(20000, 30000, 10)) - 20000) // 10
    job = slurm_job(["127.0.0.1"], 2, job_id)
    arguments = [slurm_script(tmp_path, shared), *FLAGS, "--epochs"]
    programs = {"srun": SRUN, "scontrol": SCONTROL}
    process = run_script(*arguments, 500, programs=programs, **job)
    wait_for_checkpoint(run_folder, 1, process, tmp_path)
    os.kill(int((tmp_path / "task_1.pid").read_text("utf-8")), signal.SIGKILL)
    finish(process, expected=137, folder=tmp_path)
    assert (tmp_path / "requeued").read_text("utf-8") == f"{job_id}\n"
    done = epochs_of(run_folder)
    job |= {"SLURM_RESTART_COUNT": 1}
    finish(run_script(*arguments, done + 1, programs=programs, **job), folder=tmp_path)
    assert f"Resuming after epoch {done} of {done + 1}" in (tmp_path / "task_0.log").read_text("utf-8")
    assert epochs_of(run_folder) == done + 1
    assert (run_folder / "gan.keras").exists()


@pytest.fixture
def manifest():
    """Returns the objects of the manifest by their kind."""
    yaml = pytest.importorskip("yaml")
    (text,) = blocks("yaml", "Kubernetes")
    return {part["kind"]: part for part in yaml.safe_load_all(text)}


def pod_of(manifest):
    (job,) = manifest["TrainingRuntime"]["spec"]["template"]["spec"]["replicatedJobs"]
    return job, job["template"]["spec"]["template"]["spec"]


def lost_fields(given, kept, path=""):
    """Returns the fields that differ from those that a model kept. A model drops unknown fields."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [one for name in given for one in lost_fields(given[name], kept.get(name), f"{path}.{name}")]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [one for number, pair in pairs for one in lost_fields(*pair, f"{path}[{number}]")]
    return [] if given == kept else [path]


def test_the_manifest_fits_the_models_of_kubeflow_trainer(manifest):
    models = pytest.importorskip("kubeflow_trainer_api.models")
    names = {
        "PersistentVolumeClaim": "IoK8sApiCoreV1PersistentVolumeClaim",
        "TrainingRuntime": "TrainerV1alpha1TrainingRuntime",
        "TrainJob": "TrainerV1alpha1TrainJob",
    }
    assert list(manifest) == list(names)  # Kubeflow Trainer refuses a job without its runtime
    for kind, given in manifest.items():
        kept = getattr(models, names[kind]).from_dict(given).to_dict()
        assert lost_fields(given, kept, kind) == []
    misspelled = {**manifest["TrainJob"], "spec": manifest["TrainJob"]["spec"] | {"runtime": {}}}
    kept = getattr(models, names["TrainJob"]).from_dict(misspelled).to_dict()
    assert lost_fields(misspelled, kept) == [".spec.runtime"]


def test_the_parts_of_the_manifest_belong_together(manifest):
    """Checks what Kubeflow Trainer checks beyond the types of the fields."""
    claim, runtime, job = manifest.values()
    replicated, pod = pod_of(manifest)
    (container,) = pod["containers"]
    assert claim["apiVersion"] == "v1"
    assert runtime["apiVersion"] == job["apiVersion"] == "trainer.kubeflow.org/v1alpha1"
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime"}
    assert job["spec"]["runtimeRef"] == reference | {"name": runtime["metadata"]["name"]}
    labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    assert replicated["template"]["metadata"]["labels"] == labels
    assert replicated["name"] == container["name"] == "node"
    assert replicated.get("replicas", 1) == 1
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert mount["name"] == volume["name"]
    trainer = job["spec"]["trainer"]
    assert trainer["env"] == [{"name": "WORKERS", "value": str(trainer["numNodes"])}]
    # Kubernetes replaces $(NAME) and $$ in commands.
    assert not re.search(r"\$\(|\$\$", container["command"][2])


@pytest.mark.parametrize("index", [0, 1])
def test_a_pod_makes_tf_config(index, manifest, run_script, tmp_path, monkeypatch):
    command = pod_of(manifest)[1]["containers"][0]["command"]
    trainer = manifest["TrainJob"]["spec"]["trainer"]
    assert command[:2] == ["bash", "-c"]
    pod = {name: value for each in trainer["env"] for name, value in [each.values()]}
    pod |= {"JOB_NAME": "gan", "JOB_COMPLETION_INDEX": index}
    process = run_script(*command[1:], *trainer["args"], programs={"python": SHOW}, **pod)
    addresses, number, arguments = read_shown(finish(process)[0], monkeypatch)
    assert addresses == ["gan-node-0-0.gan:2222", "gan-node-0-1.gan:2222"]
    assert number == index
    assert arguments.endswith(f"--run-dir /shared/runs/gan {' '.join(trainer['args'])}")
    assert arguments.startswith("/fit-gan/train.py --distribute multiworker")


def ssh_script(tmp_path, shared, hosts, port=2222):
    (script,) = blocks("bash", "ssh")
    changes = {"shared=/shared": f"shared={shared}", "hosts=(host1 host2)": f"hosts=({hosts})"}
    path = tmp_path / "start_workers"
    path.write_text(change(script, changes | {"port=2222": f"port={port}"}), "utf-8")
    return path


def test_ssh_starts_a_worker_on_each_host(tmp_path, shared, run_script, monkeypatch):
    write_program(shared / "fit-gan" / ".venv" / "bin" / "python", SHOW)
    path = ssh_script(tmp_path, shared, "host1 me@host2 host2")
    finish(run_script(path, "--name", "a b'c", programs={"ssh": SSH}))
    for index in range(3):
        text = (tmp_path / f"worker_{index}.log").read_text("utf-8")
        addresses, number, arguments = read_shown(text, monkeypatch)
        assert addresses == ["host1:2222", "host2:2223", "host2:2224"]
        assert number == index
        assert arguments.endswith(f"--run-dir {shared / 'runs' / 'gan'} --name a b'c")


@pytest.mark.slow
def test_ssh_ends_all_workers_if_one_is_killed_and_continues(tmp_path, shared, run_script):
    run_folder = shared / "runs" / "gan"
    port = free_ports_in_a_row(2, range(20000, 30000, 10))
    arguments = [ssh_script(tmp_path, shared, "127.0.0.1 127.0.0.1", port), *FLAGS, "--epochs"]
    process = run_script(*arguments, 500, programs={"ssh": SSH})
    wait_for_checkpoint(run_folder, 1, process, tmp_path)
    _, connection = children_of(process.pid)
    (worker,) = children_of(connection)
    os.kill(worker, signal.SIGKILL)
    _, error = finish(process, expected=137, folder=tmp_path)
    assert "A worker ended with exit code 137" in error
    done = epochs_of(run_folder)
    finish(run_script(*arguments, done + 1, programs={"ssh": SSH}), folder=tmp_path)
    assert f"Resuming after epoch {done} of {done + 1}" in (tmp_path / "worker_0.log").read_text("utf-8")
    assert epochs_of(run_folder) == done + 1


@pytest.mark.slow
def test_ssh_ends_all_workers_after_a_signal(tmp_path, shared, run_script):
    port = free_ports_in_a_row(2, range(20000, 30000, 10))
    path = ssh_script(tmp_path, shared, "127.0.0.1 127.0.0.1", port)
    process = run_script(path, *FLAGS, "--epochs", 500, programs={"ssh": SSH})
    wait_for_checkpoint(shared / "runs" / "gan", 1, process, tmp_path)
    process.send_signal(signal.SIGTERM)
    finish(process, expected=143, folder=tmp_path)
