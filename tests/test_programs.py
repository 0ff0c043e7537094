"""Tests the programs in a thread, in a notebook, with replaced streams, and beside another train.py."""

import io
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import train
from conftest import QUICK, start, without_tensorflow
from gan import __main__ as program
from gan.commands import program as programs

ROOT = Path(train.__file__).parent
SHORT = [*QUICK, "--steps-per-epoch", "2", "--epochs", "1"]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def test_in_a_thread(somewhere):
    codes = []

    def work():
        codes.append(train.main([*SHORT, "--name", "one"]))
        codes.append(program.main(["generate", "runs/one", "--count", "3"]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == [0, 0]


def test_with_streams_that_are_no_files(somewhere, monkeypatch):
    output, errors = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    assert train.main([*SHORT, "--name", "one"]) == 0
    assert "Run folder: runs/one" in output.getvalue()
    assert errors.getvalue() == ""
    assert program.main(["evaluate", "runs/one", "--quick", "--json"]) == 0
    assert train.main(["--bogus"]) == 2
    assert errors.getvalue().splitlines()[-1].startswith("train.py: error: unrecognized arguments: --bogus")


def test_an_interrupt_ends_main_and_leaves_the_signals(somewhere, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    before = [signal.getsignal(number) for number in SIGNALS]
    monkeypatch.setattr(train.callbacks.SampleGrid, "on_epoch_end", interrupt)
    assert train.main([*SHORT, "--name", "one"]) == 128 + signal.SIGINT
    assert "Stopped. Continue the run:  " in capsys.readouterr().out
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("chosen", [None, "false"])
def test_a_process_shares_the_gpu_unless_the_user_chose(monkeypatch, chosen):
    monkeypatch.setattr(programs.signal, "signal", lambda *arguments: None)
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", chosen or "")
    if chosen is None:
        monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    assert programs.run_as_process(lambda: 0) == 0
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == (chosen or "true")


DETERMINISTIC = """
import sys, warnings
import keras
import tensorflow as tf
import train
tf.config.set_visible_devices(tf.config.list_physical_devices("CPU"))  # fails if an import used a device
assert train.main(sys.argv[1:]) == 0
with warnings.catch_warnings(record=True) as caught:  # Keras warns if op determinism is on
    warnings.simplefilter("always")
    keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]).compile(jit_compile=True)
print(any("support `jit_compile=True`" in str(one.message) for one in caught))
"""


def test_deterministic_turns_op_determinism_on(somewhere, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    arguments = [*SHORT, "--deterministic", "--name", "one"]
    output = subprocess.check_output(
        [sys.executable, "-c", DETERMINISTIC, *arguments], text=True, stderr=subprocess.STDOUT
    )
    assert output.splitlines()[-1] == "True"
    assert train.main(["--deterministic", "--jit", "on"]) == 2
    assert "--deterministic trains without XLA" in capsys.readouterr().err


def test_a_run_that_changes_its_device_or_versions_says_so(somewhere, capsys):
    assert train.main([*SHORT, "--name", "one"]) == 0
    path = somewhere / "runs/one/config.json"
    config = json.loads(path.read_text())
    assert config["device"] in ("CPU", "GPU")
    other = {"CPU": "GPU", "GPU": "CPU"}[config["device"]]
    path.write_text(json.dumps(config | {"device": other, "versions": config["versions"] | {"keras": "3.0"}}))
    capsys.readouterr()
    assert train.main(["--resume", "runs/one"]) == 0
    notice = capsys.readouterr().err
    assert f"device {config['device']} (it started with {other})" in notice
    assert "(it started with 3.0)" in notice and notice.count("\n") == 1
    del config["device"]  # older runs did not store the device
    path.write_text(json.dumps(config))
    assert train.main(["--resume", "runs/one"]) == 0
    assert capsys.readouterr().err == ""


def test_help_returns_0(capsys):
    assert train.main(["--help"]) == program.main(["evaluate", "--help"]) == 0
    assert "--discriminator-steps N" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_notices_do_not_depend_on_the_users_filters(somewhere, capsys):
    assert train.main([*SHORT, "--name", "one"]) == 0
    (somewhere / "runs/one/history.csv").unlink()
    for _ in range(2):
        assert train.main(["--resume", "runs/one"]) == 0
        assert "NOTICE: runs/one/history.csv lacks rows of epochs up to 1" in capsys.readouterr().err


def test_as_a_script_in_a_kernel_whose_streams_are_no_files(somewhere, monkeypatch):
    """Runs train.py as `%run train.py` in a notebook does. The stream of the kernel stays open."""
    output, handlers = io.StringIO(), [signal.getsignal(number) for number in SIGNALS]
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "argv", ["train.py", "--help"])
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    finally:
        for number, handler in zip(SIGNALS, handlers, strict=True):
            signal.signal(number, handler)
    assert end.value.code == 0
    assert not output.closed


def test_train_is_a_command_too(somewhere, capsys):
    arguments = [*SHORT, "--name", "one", "--dry-run"]
    assert train.main(arguments) == 0
    expected = capsys.readouterr().out
    assert program.main(["train", *arguments], program="fit-gan") == 0
    assert capsys.readouterr().out == expected
    assert program.main(["train", "--bogus"], program="fit-gan") == 2
    assert capsys.readouterr().err.startswith("fit-gan train: error: ")


def test_the_command_says_how_to_resume_by_the_command(somewhere, monkeypatch, capsys):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(train.callbacks.SampleGrid, "on_epoch_end", interrupt)
    assert program.main(["train", *SHORT, "--name", "one"], program="fit-gan") == 130
    assert "fit-gan train --resume runs/one" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["train.py", "gan_of_mine.py"])
def test_gan_is_imported_by_scripts_of_any_name(tmp_path, name):
    (tmp_path / name).write_text("from gan import GAN, build_generator\nprint(GAN, build_generator().name)\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, name, "-m", "gan"]
    output = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert output.stdout == "<class 'gan.model.GAN'> generator\n"


def test_gan_is_imported_in_train_py_itself(tmp_path):
    """A user's own train.py does not hide the train.py of this project from the command."""
    (tmp_path / "train.py").write_text("raise SystemExit('this is another train.py')\n")
    command = [sys.executable, "-m", "gan", "train", *SHORT, "--name", "one", "--dry-run"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (process.returncode, without_tensorflow(process.stderr)) == (0, "")
    assert json.loads(process.stdout)["run_folder"] == "runs/one"
    assert train.GAN.__module__ == "gan.model"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full does not exist")
def test_output_to_a_full_disk_is_an_error(no_process_left):
    process = start("--dry-run", "--dataset", "digits", program=("train.py",))
    process.communicate(timeout=60)
    with open("/dev/full", "w") as full:
        command = [sys.executable, "train.py", "--dry-run", "--dataset", "digits"]
        process = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_in_a_notebook(tmp_path, monkeypatch):
    """Trains, is interrupted, and trains again. Afterwards the kernel has its own Ctrl-C handler again."""
    import nbclient
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = [
        "import signal, train\nbefore = signal.getsignal(signal.SIGINT)",
        f"assert train.main([*{SHORT}, '--name', 'one']) == 0",
        "class Interrupt(train.keras.callbacks.Callback):\n"
        "    def on_epoch_begin(self, epoch, logs=None):\n"
        "        if epoch == 1:\n"
        "            signal.raise_signal(signal.SIGINT)  # as the stop button does\n"
        "watchers = train._watchers\n"
        "train._watchers = lambda *arguments: [*watchers(*arguments), Interrupt()]\n"
        "assert train.main(['--resume', 'runs/one', '--epochs', '3']) == 130",
        "train._watchers = watchers\n"
        "assert train.main(['--resume', 'runs/one', '--epochs', '3']) == 0\n"
        "assert signal.getsignal(signal.SIGINT) is before",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.outputs)
    assert "Stopped. Continue the run:" in printed
    assert "Resuming after epoch 1 of 3." in printed
    assert (tmp_path / "runs/one/samples/epoch_0003.png").is_file()
