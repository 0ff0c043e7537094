"""Exports a generator to the formats of other runtimes, through Keras."""

import importlib.util
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import keras
import tensorflow as tf

from ..files import whole_file
from ..sampling import input_shapes

# name: the end of the file name, Keras's name of the format, the packages that it needs
FORMATS = {
    "keras": (".keras", None, ()),
    "saved_model": ("", "tf_saved_model", ()),
    "litert": (".tflite", "litert", ()),
    "onnx": (".onnx", "onnx", ("tf2onnx", "onnx")),
}


def export_generator(generator: keras.Model, path: Path, name: str, batch_size: int | None = None) -> None:
    """Writes a generator as a file or, for a SavedModel, as a folder. Writes it completely or not at all.

    The inputs are `latents`, float32 (batch, latent_dim), and for a generator with labels `labels`, int32
    (batch,). The output is float32 (batch, height, width, channels) in [-1, 1].

    Args:
        generator: a built generator.
        path: the file or the folder.
        name: the format: "keras", "saved_model", "litert" or "onnx".
        batch_size: number of images in a batch. None: any number.

    Raises:
        ValueError: with a message of one line, if a package is missing, if a folder exists, if the format
            has no fixed batch size, or if the format cannot hold the generator. Nothing is written then.

    Example:

    ```python
    from pathlib import Path
    from gan.exports import export_generator
    from gan.sampling import load_trained_generator

    export_generator(load_trained_generator(), Path("digits.tflite"), "litert")
    ```
    """
    suffix, keras_name, packages = FORMATS[name]
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ValueError(f"The format {name} needs more packages: pip install {' '.join(missing)}")
    if keras_name is None and batch_size is not None:
        raise ValueError("The format keras takes batches of any size: leave out the batch size")
    if not suffix and path.exists():
        raise ValueError(f"{path} exists: name a new folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    if keras_name is None:
        with whole_file(path) as temporary:
            generator.save(temporary)
        return
    signature = [
        tf.TensorSpec((batch_size, *shape[1:]), dtype, input_name)
        for shape, dtype, input_name in zip(
            input_shapes(generator), ("float32", "int32"), ("latents", "labels"), strict=False
        )
    ]
    more = {"format": keras_name, "verbose": False}
    more["input_signature"] = [signature] if len(signature) == 2 else signature
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras 3.15 asks NumPy for `np.object` before ONNX
        try:
            if suffix:
                with whole_file(path) as temporary:
                    generator.export(temporary, **more)
            else:
                _export_folder(generator, path, more)
        except OSError:
            raise
        except Exception as error:  # the converters raise errors of many kinds
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"The format {name} cannot hold this generator: {reason}") from error


def _export_folder(generator: keras.Model, path: Path, more: dict) -> None:
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".partial-"))
    try:
        generator.export(temporary / "saved_model", **more)
        os.replace(temporary / "saved_model", path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
