"""Measures the exported formats of a generator and its page: `python tests/benchmarks/exports.py [RUN]`.

The runtimes draw in turn, so other load on the machine slows all of them equally. The page needs chromium and
chromedriver.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from gan.commands.runs import Source, load_source
from gan.exports import FORMATS, export_generator, make_page
from timing import compare, interleave, repeat

BATCH_SIZE, BATCHES, SINGLES, ROUNDS = 100, 3, 20, 5
Draw = Callable[[np.ndarray, np.ndarray | None], object]


def load_keras(path: Path) -> Draw:
    model = keras.saving.load_model(path)
    return lambda latents, labels: model.predict_on_batch(latents if labels is None else [latents, labels])


def load_saved_model(path: Path) -> Draw:
    model = tf.saved_model.load(str(path))
    return lambda latents, labels: model.serve(latents if labels is None else [latents, labels]).numpy()


def load_litert(path: Path) -> Draw:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    inputs, size = interpreter.get_input_details(), 0

    def draw(latents, labels):
        nonlocal size
        if size != len(latents):
            size = len(latents)
            for one in inputs:
                interpreter.resize_tensor_input(one["index"], (len(latents), *one["shape"][1:]))
            interpreter.allocate_tensors()
        for one in inputs:
            interpreter.set_tensor(one["index"], labels if "labels" in one["name"] else latents)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return draw


def load_onnx(path: Path) -> Draw:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    return lambda latents, labels: session.run(
        None, {"latents": latents} | ({} if labels is None else {"labels": labels})
    )


def open_page(path: Path) -> Draw:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    browser.set_script_timeout(120)
    browser.get(f"file://{path.resolve()}")
    script = """
    const [count, label, done] = arguments;
    const all = Array.from({length: count}, () => generate(newLatents(), label));
    Promise.all(all).then((images) => done(images.length));
    """
    return lambda latents, labels: browser.execute_async_script(
        script, len(latents), None if labels is None else int(labels[0])
    )


LOADERS = {"keras": load_keras, "saved_model": load_saved_model, "litert": load_litert, "onnx": load_onnx}


class Export(NamedTuple):
    """Holds an exported generator: bytes, seconds until the first image, and a function that draws."""

    size: int
    seconds: float
    draw: Draw


def load_all(source: Source, folder: Path, inputs: tuple) -> dict[str, Export]:
    """Exports a generator in all formats and as a page, and loads each file."""
    exports = {}
    for name, load in LOADERS.items():
        export_generator(source.generator, path := folder / f"exported{FORMATS[name][0]}", name)
        exports[name] = _load(load, path, inputs)
    if shutil.which("chromedriver") and shutil.which("chromium"):
        classes = source.num_classes and [str(label) for label in range(source.num_classes)]
        path = folder / "page.html"
        path.write_text(make_page("page", source.generator, classes), "utf-8")
        exports["page"] = _load(open_page, path, inputs)
    return exports


def _load(load: Callable[[Path], Draw], path: Path, inputs: tuple) -> Export:
    started = time.perf_counter()
    draw = load(path)
    draw(*inputs)
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return Export(sum(one.stat().st_size for one in files), time.perf_counter() - started, draw)


def main() -> None:
    """Prints a row for each format: size, time to load, and times to draw."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks/exports.py", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN")
    source = load_source(parser.parse_args().run)
    shape = (BATCH_SIZE, *source.generator.inputs[0].shape[1:])
    latents = np.random.default_rng(0).standard_normal(shape, np.float32)
    labels = source.num_classes and np.arange(BATCH_SIZE, dtype=np.int32) % source.num_classes
    single = latents[:1], None if labels is None else labels[:1]
    with tempfile.TemporaryDirectory() as folder:
        exports = load_all(source, Path(folder), single)
        singles, batches = (
            interleave(
                {name: repeat(partial(one.draw, *inputs), count) for name, one in exports.items()}, ROUNDS
            )
            for inputs, count in ((single, SINGLES), ((latents, labels), BATCHES))
        )
    print("format         MB  load, s  1 image, ms  / keras  100 images, ms  / keras")
    for name, (size, seconds, _) in exports.items():
        one, many = (compare("exports", samples, name, "keras") for samples in (singles, batches))
        text = f"{name:11}{size / 1e6:6.2f}{seconds:9.2f}{one.amount:13.1f}{one.ratio:9.2f}"
        print(f"{text}{many.amount:16.0f}{many.ratio:9.2f}")


if __name__ == "__main__":
    main()
