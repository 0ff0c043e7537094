"""Tests the exported generators: each runtime draws what Keras draws."""

import importlib.util
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import without_tensorflow
from gan import __main__ as program
from gan import build_generator
from gan.exports import FORMATS, export_generator
from gan.sampling import load_trained_generator

pytestmark = pytest.mark.usefixtures("somewhere")
COUNT = 3


def draw_with_keras(path, latents, labels):
    model = keras.saving.load_model(path)
    return model.predict(latents if labels is None else [latents, labels], verbose=0)


def draw_with_saved_model(path, latents, labels):
    model = tf.saved_model.load(str(path))
    return model.serve(latents if labels is None else [latents, labels]).numpy()


def draw_with_litert(path, latents, labels):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(path))
    for detail in interpreter.get_input_details():
        shape = (len(latents), *detail["shape"][1:])
        interpreter.resize_tensor_input(detail["index"], shape)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], labels if "labels" in detail["name"] else latents)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def draw_with_onnx(path, latents, labels):
    session = pytest.importorskip("onnxruntime").InferenceSession(str(path))
    inputs = {"latents": latents} | ({} if labels is None else {"labels": labels})
    return session.run(None, inputs)[0]


RUNTIMES = {
    "keras": draw_with_keras,
    "saved_model": draw_with_saved_model,
    "litert": draw_with_litert,
    "onnx": draw_with_onnx,
}
GENERATORS = {
    "in the package": (load_trained_generator, 10),
    "without labels": (lambda: build_generator((28, 28, 1), 20, base_filters=4), None),
    "in color": (lambda: build_generator((32, 32, 3), 20, 3, base_filters=4), 3),
}


def inputs_for(generator, num_classes):
    shape = (COUNT, generator.inputs[0].shape[1])
    latents = np.random.default_rng(0).standard_normal(shape, np.float32)
    return latents, None if num_classes is None else np.arange(COUNT, dtype=np.int32)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("make, num_classes", GENERATORS.values(), ids=GENERATORS)
def test_each_runtime_draws_what_keras_draws(make, num_classes, name, somewhere):
    if any(importlib.util.find_spec(package) is None for package in FORMATS[name][2]):
        pytest.skip(f"needs {FORMATS[name][2]}")
    generator = make()
    latents, labels = inputs_for(generator, num_classes)
    path = somewhere / f"exported{FORMATS[name][0]}"
    export_generator(generator, path, name)
    assert [one.name for one in somewhere.iterdir()] == [path.name]
    expected = generator.predict(latents if labels is None else [latents, labels], verbose=0)
    np.testing.assert_allclose(RUNTIMES[name](path, latents, labels), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["saved_model", "litert", "onnx"])
def test_a_fixed_batch_size(name, somewhere):
    generator = load_trained_generator()
    latents, labels = inputs_for(generator, 10)
    path = somewhere / "new" / f"digits{FORMATS[name][0]}"
    assert program.main(["export", "--format", name, "--batch-size", str(COUNT), "--output", str(path)]) == 0
    expected = generator.predict([latents, labels], verbose=0)
    np.testing.assert_allclose(RUNTIMES[name](path, latents, labels), expected, atol=1e-4)
    if name == "onnx":
        with pytest.raises(Exception, match="Got: 1 Expected: 3"):
            RUNTIMES[name](path, latents[:1], labels[:1])


def test_mistakes_get_one_line(somewhere, monkeypatch, capsys):
    (somewhere / "folder").mkdir()
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else found(name))
    for arguments, message in (
        (
            ["--format", "onnx", "--output", "new/a.onnx"],
            "The format onnx needs more packages: pip install tf2onnx",
        ),
        (["--format", "keras", "--batch-size", "2"], "leave out the batch size"),
        (["--format", "litert", "--output", "a.onnx"], "must end in .tflite for --format litert"),
        (["--format", "saved_model", "--output", "folder"], "folder exists: name a new folder"),
        (["--format", "torch"], "invalid choice: 'torch'"),
    ):
        assert program.main(["export", *arguments]) == 2
        error = without_tensorflow(capsys.readouterr().err)
        assert message in error and error.count("\n") == 1
    assert [*somewhere.iterdir()] == [somewhere / "folder"]
    assert shutil.rmtree(somewhere / "folder") is None
