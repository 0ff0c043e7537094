"""Tests random and hostile input: data files, run folders, models, command lines. The programs use an input
or refuse it with one line. They execute no code from an input, and write only into the folder of the run.
"""

import contextlib
import gzip
import io
import json
import os
import resource
import struct
import warnings
import zipfile
from pathlib import Path

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

import train
from callbacks import Checkpoint
from callbacks import checkpoint as checkpoint_module
from conftest import make_gan
from gan import __main__ as program
from gan import data, files, sampling
from gan.data import DataError
from gan.data import npz as npz_module
from gan.data.idx import read_idx
from gan.reports import comparison
from gan.runs import RunFolder, keep_history, settings

TRIALS = hypothesis.settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
FEW_TRIALS = hypothesis.settings(TRIALS, max_examples=20)

IDX = struct.pack(">HBB3I", 0, 8, 3, 4, 4, 4) + bytes(64)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@st.composite
def damaged(draw, content):
    """Draws the content with some bytes changed, removed or inserted, or other random bytes."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    broken = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(0, len(broken) - 1)))
        broken[start : start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(broken)


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def listing(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def assert_one_line(error):
    assert str(error)
    assert "\n" not in str(error)


@TRIALS
@given(content=damaged(IDX) | damaged(gzip.compress(IDX)), dimensions=st.sampled_from([1, 3]))
def test_idx(tmp_path, content, dimensions):
    (tmp_path / "file").write_bytes(content)
    try:
        array = read_idx(tmp_path / "file", dimensions)
    except DataError as error:
        assert_one_line(error)
    else:
        assert array.nbytes <= max(len(content), 1000)


@TRIALS
@given(content=damaged(npz(x_train=np.zeros((8, 4, 4), np.uint8), y_train=np.arange(8))))
def test_npz(tmp_path, content):
    (tmp_path / "file.npz").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # NumPy warns about headers that Python 2 wrote
        try:
            dataset = data.load(str(tmp_path / "file.npz"))
        except DataError as error:
            assert_one_line(error)
        else:
            assert dataset.train_images.dtype == np.uint8


NPY = npy_bytes(np.zeros((8, 4, 4), np.uint8))


@TRIALS
@given(content=damaged(NPY[:128]))
def test_an_array_of_a_hostile_header(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("x_train.npy", content + NPY[128:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            data.load(str(tmp_path / "file.npz"))
        except DataError as error:
            assert_one_line(error)


@pytest.mark.parametrize("field", ["'shape': (2**70,)", "'shape': (True,)", "'shape': (", "[]: 1"])
def test_an_array_of_an_odd_header(tmp_path, field):
    header = NPY[:128].replace(b"'shape': (8, 4, 4)", field.replace("2**70", str(2**70)).encode())
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("x_train.npy", header + NPY[128:])
    with pytest.raises(DataError, match="not a usable .npz file"):
        data.load(str(tmp_path / "file.npz"))


ODD_TESTS = {
    "another size": {"x_test": np.zeros((2, 8, 8), np.uint8)},
    "another colour": {"x_test": np.zeros((2, 4, 4, 3), np.uint8)},
    "another label": {"x_test": np.zeros((2, 4, 4), np.uint8), "y_test": np.array([0, 99])},
    "a huge label": {"x_test": np.zeros((2, 4, 4), np.uint8), "y_test": np.array([0, 2**40])},
}


@pytest.mark.parametrize("arrays", ODD_TESTS.values(), ids=ODD_TESTS)
def test_test_data_that_do_not_fit(tmp_path, arrays):
    train_arrays = {"x_train": np.zeros((8, 4, 4), np.uint8), "y_train": np.arange(8)}
    (tmp_path / "file.npz").write_bytes(npz(**train_arrays, **arrays))
    with pytest.raises(DataError, match="test (images|labels) must"):
        data.load(str(tmp_path / "file.npz"))


def npy_header(shape, dtype="|u1"):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize("gibibytes", [1, 4, 1 << 30])
def test_an_npz_that_claims_more_than_it_has(tmp_path, gibibytes):
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("x_train.npy", npy_header((gibibytes << 20, 32, 32)) + bytes(1000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="not a usable .npz file"):
        data.load(str(tmp_path / "file.npz"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_an_npz_that_unpacks_to_more_than_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_module, "LARGEST_PAYLOAD", 1_000_000)
    (tmp_path / "file.npz").write_bytes(npz(x_train=np.zeros((1000, 32, 32), np.uint8)))
    with pytest.raises(DataError, match="unpack to 1,024,128 bytes; at most 1,000,000 are read"):
        data.load(str(tmp_path / "file.npz"))


def test_images_too_large_for_the_networks(tmp_path):
    (tmp_path / "file.npz").write_bytes(npz(x_train=np.zeros((2, 4, 2048), np.uint8)))
    with pytest.raises(DataError, match="at most 512 pixels a side"):
        data.load(str(tmp_path / "file.npz"))


class Trap:
    """Makes a file when Python unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "file.npz", x_train=np.array([Trap(tmp_path / "caught")], dtype=object))
    with pytest.raises(DataError, match="allow_pickle=False"):
        data.load(str(tmp_path / "file.npz"))
    assert not (tmp_path / "caught").exists()


CHOSEN = settings.Settings.new({"steps_per_epoch": 3}, data.load("digits"))
GOOD_SETTINGS = json.loads(json.dumps(vars(CHOSEN)))
GOOD_DATA = {"checksum": "0" * 64, "image_shape": [8, 8, 1]}
GOOD_CONFIG = {"settings": GOOD_SETTINGS, "data": GOOD_DATA}


@TRIALS
@given(name=st.sampled_from(sorted(GOOD_SETTINGS)), value=JSON)
def test_settings(name, value):
    stored = GOOD_SETTINGS | {name: value}
    try:
        config = settings.Settings.read(stored)
    except ValueError as error:
        assert_one_line(error)
    else:
        assert vars(config) == stored
        assert {type(given) for given in vars(config).values()} <= {str, int, float, bool, type(None)}


@TRIALS
@given(content=st.dictionaries(st.sampled_from(["settings", "data", "x"]), JSON))
def test_config(tmp_path, capsys, content):
    files.write_json(RunFolder(tmp_path).config, content)
    before = listing(tmp_path)
    assert train.main(["--resume", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert listing(tmp_path) == before


@TRIALS
@given(content=damaged(b'{\n  "settings": {}, "data": {"checksum": "a"}}'))
def test_config_bytes(tmp_path, capsys, content):
    (tmp_path / "config.json").write_bytes(content)
    assert train.main(["--resume", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@FEW_TRIALS
@given(part=st.sampled_from(["settings", "data"]), changes=st.data())
def test_what_reads_a_runs_config(somewhere, capsys, part, changes):
    """`compare` and `evaluate` read a config with random settings or data."""
    name = changes.draw(st.sampled_from(sorted(GOOD_CONFIG[part])))
    config = GOOD_CONFIG | {part: GOOD_CONFIG[part] | {name: changes.draw(JSON)}}
    for run in ("one", "two"):
        (somewhere / run).mkdir(exist_ok=True)
        files.write_json(somewhere / run / "config.json", config)
        (somewhere / run / "history.csv").write_text("epoch,d_loss\n0,1.0\n")
    for command in (["compare", "one", "two"], ["compare", "one"], ["evaluate", "one"]):
        assert program.main(command) == 2
        assert capsys.readouterr().err.count("\n") == 1


@FEW_TRIALS
@given(content=damaged(b"epoch,d_loss\r\n0,1.0\r\n1,NA\r\n") | st.just(b"epoch\n" + b"1" * 200_000))
def test_history(tmp_path, content):
    folder = RunFolder(tmp_path)
    folder.history.write_bytes(content)
    with contextlib.suppress(ValueError):
        assert comparison.format_epochs(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about lost rows
        keep_history(folder.history, 2, ["d_loss"])


def test_a_config_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ValueError, match="it is not a file"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000, b" " * (1 << 21)])
def test_json_that_is_deep_or_large(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged: "):
        RunFolder(tmp_path).read_config()


@pytest.fixture(scope="module")
def model():
    return make_gan()


MANIFEST = {"epoch": 1, "bytes": 100, "sha256": "0" * 64, "logs": {"loss": 1.0}}


@TRIALS
@given(
    changes=st.dictionaries(st.sampled_from(sorted(MANIFEST)), JSON),
    name=st.sampled_from(["epoch_0001", "epoch_00001", "epoch_1", "epoch_99999999999", "epoch_٣٣٣٣", "x"]),
    is_sealed=st.booleans(),
)
def test_manifest(tmp_path, model, changes, name, is_sealed):
    before = model.get_weights()
    path = tmp_path / f"{name}.json"
    manifest = MANIFEST | changes
    path.write_text(
        json.dumps(manifest | {"checksum": checkpoint_module._checksum(manifest)} if is_sealed else manifest)
    )
    (tmp_path / f"{name}.weights.h5").write_bytes(b"0" * 100)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert Checkpoint(tmp_path).restore(model) == 0
    for warning in caught:
        assert_one_line(warning.message)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    path.unlink()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "gan.weights.h5"
    make_gan().save_weights(path)
    return path.read_bytes()


@FEW_TRIALS
@given(trial=st.data())
def test_weights_with_a_manifest_that_fits(tmp_path, weights, trial):
    """Anyone who writes both files can set any weights, but can do nothing else."""
    content = trial.draw(damaged(weights))
    (tmp_path / "epoch_0001.weights.h5").write_bytes(content)
    manifest = {"bytes": len(content), "sha256": files.digest(tmp_path / "epoch_0001.weights.h5")}
    manifest = MANIFEST | manifest
    files.write_json(
        tmp_path / "epoch_0001.json", manifest | {"checksum": checkpoint_module._checksum(manifest)}
    )
    try:
        assert Checkpoint(tmp_path).restore(make_gan()) == 1
    except ValueError as error:
        assert_one_line(error)


FLAGS = sorted({f"--{name.replace('_', '-')}" for name in vars(settings.Settings())} | {
    "--name", "--run-dir", "--resume", "--quiet", "--dry-run", "--no-validation", "--unconditional", "--help",
    "--", "-",
})  # fmt: skip
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=20)
ARGUMENTS = st.lists(st.sampled_from(FLAGS) | WORDS | st.integers().map(str), max_size=6)


@TRIALS
@given(arguments=ARGUMENTS)
def test_the_command_line_of_train(somewhere, capsys, monkeypatch, arguments):
    monkeypatch.setattr(train, "run", lambda options, program: 0)
    code = train.main(arguments)
    assert code in (0, 2)
    error = capsys.readouterr().err
    assert error.count("\n") == (code == 2)
    assert list(somewhere.iterdir()) == []


@TRIALS
@given(command=st.sampled_from(["generate", "evaluate", "compare", "classifier", "x"]), arguments=ARGUMENTS)
def test_the_command_line_of_gan(somewhere, capsys, monkeypatch, command, arguments):
    """The arguments name no run that exists, and the generator of the package is absent too."""
    monkeypatch.setattr(sampling, "FILE", somewhere / "absent.keras")
    code = program.main([command, *arguments])
    assert code == 2 or "--help" in arguments
    assert capsys.readouterr().err.count("\n") == (code == 2)
    assert list(somewhere.iterdir()) == []


@FEW_TRIALS
@example(word="\udc80")  # how Python represents an argument byte that is not UTF-8
@given(word=WORDS.filter(lambda word: word not in data.NAMES))
def test_paths(somewhere, capsys, word):
    for arguments in (["--dataset", word], [f"--resume={word}"]):
        assert train.main([*arguments, "--dry-run"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    name = ["--dataset=digits", f"--name={word}", "--dry-run"]
    assert train.main(name) in (0, 2)
    assert capsys.readouterr().err.count("\n") <= 1
    assert list(somewhere.iterdir()) == []


def put_model(folder, content):
    """Makes a run folder that looks finished. Its model file has the given content."""
    if not folder.exists():
        folder.mkdir()
        RunFolder(folder).write_config(GOOD_CONFIG)
    RunFolder(folder).model.write_bytes(content)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "gan.keras"
    make_gan().save(path)
    return path


def with_config(saved, content):
    """Returns the bytes of the saved model with another config.json."""
    file = io.BytesIO()
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == "config.json" else old.read(name))
    return file.getvalue()


def replace_somewhere(draw, tree):
    """Returns a JSON tree with one node replaced by random JSON."""
    if not isinstance(tree, (dict, list)) or not tree or draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    key = draw(st.sampled_from(sorted(tree) if isinstance(tree, dict) else range(len(tree))))
    changed = dict(tree) if isinstance(tree, dict) else list(tree)
    changed[key] = replace_somewhere(draw, tree[key])
    return changed


@FEW_TRIALS
@given(trial=st.data())
def test_a_model_of_a_hostile_config(somewhere, capsys, saved, trial):
    with zipfile.ZipFile(saved) as archive:
        config = json.loads(archive.read("config.json"))
    put_model(somewhere / "run", with_config(saved, json.dumps(replace_somewhere(trial.draw, config))))
    assert program.main(["generate", "run", "--count", "1", "--output", "run/a.png"]) in (0, 2)
    assert capsys.readouterr().err.count("\n") <= 1


@FEW_TRIALS
@given(trial=st.data())
def test_a_model_of_hostile_bytes(somewhere, capsys, saved, trial):
    put_model(somewhere / "run", trial.draw(damaged(saved.read_bytes())))
    assert program.main(["generate", "run", "--count", "1", "--output", "run/a.png"]) in (0, 2)
    assert capsys.readouterr().err.count("\n") <= 1


def test_code_in_a_model_is_not_run(somewhere, capsys):
    caught = somewhere / "caught"
    target = str(caught)
    trap = keras.layers.Lambda(lambda images: (open(target, "w").close(), images)[1])
    network = keras.Sequential([keras.Input((4,)), trap])
    network.save(somewhere / "trap.keras")
    put_model(somewhere / "run", (somewhere / "trap.keras").read_bytes())
    caught.unlink()  # Keras ran the function of the layer to infer its output shape
    assert program.main(["generate", "run"]) == 2
    assert "cannot be loaded" in capsys.readouterr().err
    assert not caught.exists()
