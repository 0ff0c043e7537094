"""Drawing images from any generator, and the trained generator in the package."""

import random
import weakref
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from .files import check_asset
from .images import to_uint8

BATCH_SIZE = 500
LARGEST_LABEL = 2**31 - 1  # where the generator does not tell its number of classes
CLASSES = 10  # of the trained generator
FILE = Path(__file__).parent / "assets" / "mnist_generator.keras"
_COMPILED = weakref.WeakKeyDictionary()  # by generator
SHA_256 = "6298abd07cbc365bf763b8ed5f694010b90cca7b898d3c50e09f8c2d02a5a9c6"


def draw(generator: keras.Model, count: int, labels=None, seed: int | None = None) -> np.ndarray:
    """Draws images from a generator, in batches.

    Args:
        generator: a built model of latents (batch, latent_dim), or of `[latents, labels]`, to images
            (batch, height, width, channels) in [-1, 1].
        count: number of images.
        labels: integers (count,) for a conditional generator; None for any other.
        seed: non-negative integer; the same seed draws the same latents. None: fresh latents.

    Returns:
        uint8 (count, height, width, channels).

    Raises:
        ValueError: when labels are missing, not accepted, not integers, out of range, or not (count,); or
            when the generator is not built.

    Example:

    ```python
    generator = load_trained_generator()
    digits = draw(generator, 10, labels=range(10), seed=0)    # one of each class, uint8 (10, 28, 28, 1)
    ```
    """
    shapes = input_shapes(generator)
    labels = _check_requested(generator, count, labels, is_conditional=len(shapes) == 2)
    seed = random.randrange(2**32) if seed is None else seed  # as Keras: `set_random_seed` determines it
    latents = np.random.default_rng(seed).standard_normal((count, *shapes[0][1:]), np.float32)
    compiled, image_shape = _compile(generator)
    drawn = np.empty((count, *image_shape), np.uint8)
    for start in range(0, count, BATCH_SIZE):
        chunk = slice(start, start + BATCH_SIZE)
        inputs = latents[chunk] if labels is None else [latents[chunk], labels[chunk]]
        drawn[chunk] = to_uint8(keras.ops.convert_to_numpy(compiled(inputs)))
    return drawn


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Refuses labels that are not integers, or not in 0..num_classes - 1.

    Raises:
        ValueError: saying the type or the range that was found.
    """
    if labels.size and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"Labels must be integers: `labels.astype('int32')`. Received: {labels.dtype}")
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"Labels must lie in 0..{num_classes - 1}. Received: labels from {labels.min()} to {labels.max()}"
        )


def input_shapes(network: keras.Model, role: str = "generator") -> list[tuple]:
    """Returns the shapes of a built network's inputs, functional or not, batch dimension first.

    Raises:
        ValueError: when the network is not built, or takes a dictionary.
    """
    if not network.built:
        raise ValueError(
            f"The {role} must be built: start it with `keras.Input`, or call it once on a batch."
        )
    config = network.get_build_config() or {}
    shapes = config.get("input_shape") or next(iter(config.get("shapes_dict", {}).values()), None)
    if isinstance(getattr(network, "input", None), dict) or isinstance(shapes, dict):
        raise ValueError(f"The {role} must take a tensor, or a list of two: no dictionary of inputs.")
    if getattr(network, "inputs", None):
        return [tuple(tensor.shape) for tensor in network.inputs]
    return [tuple(shapes)] if not isinstance(shapes[-1], (list, tuple)) else [tuple(one) for one in shapes]


def output_shape(network: keras.Model, role: str = "generator", image_shape: tuple | None = None) -> tuple:
    """Returns the shape of a built network's output, without the batch dimension.

    Args:
        network: of one input, or of two, the labels second.
        role: for messages.
        image_shape: the shape of its first input, if it takes several.

    Raises:
        ValueError: when it cannot be called with such inputs, or has several outputs.
    """
    shapes = [(1, *shape[1:]) for shape in input_shapes(network, role)]
    if image_shape is not None:
        shapes[0] = (1, *image_shape)
    inputs = [
        keras.KerasTensor(shape, dtype) for shape, dtype in zip(shapes, ("float32", "int32"), strict=False)
    ]
    try:
        outputs = keras.tree.flatten(network.compute_output_spec(inputs[0] if len(inputs) == 1 else inputs))
    except Exception as error:  # of the network's own code: any
        reason = " ".join(str(error).split())[:300]
        received = ", ".join(map(str, shapes))
        raise ValueError(f"The {role} cannot be called with inputs of shapes {received}: {reason}") from error
    if len(outputs) != 1:
        raise ValueError(f"The {role} must have one output. Received: {len(outputs)} outputs")
    return tuple(outputs[0].shape[1:])


def call(network: keras.Model, inputs, training: bool = False):
    """Calls a network. Returns its one output, also if the network returns it in a list."""
    (output,) = keras.tree.flatten(network(inputs, training=training))
    return output


def load_trained_generator() -> keras.Model:
    """Loads MNIST's conditional generator: the moving average at the end of the recipe `best`.

    `gan/assets/README.md` has the command that trained it, and how good its digits are.

    Returns:
        A model of `[latents, labels]`, standard normal (batch, latent_dim) and integers (batch,) from 0
        to 9, to float32 images (batch, 28, 28, 1) in [-1, 1].

    Raises:
        ValueError: when its file is not the one that the package was made with.
    """
    check_asset(FILE, SHA_256)
    return keras.saving.load_model(FILE, compile=False, safe_mode=True)


def _compile(generator: keras.Model):
    """The generator's call, compiled once for batches of any size, and its output shape."""
    if generator not in _COMPILED:
        shapes, reference = input_shapes(generator), weakref.ref(generator)
        inputs = [tf.TensorSpec((None, *shapes[0][1:]), tf.float32), tf.TensorSpec((None,), tf.int32)]
        compiled = tf.function(
            lambda inputs: call(reference(), inputs),
            input_signature=[inputs if len(shapes) == 2 else inputs[0]],
            autograph=False,
        )
        _COMPILED[generator] = compiled, output_shape(generator)
    return _COMPILED[generator]


def _check_requested(generator: keras.Model, count: int, labels, is_conditional: bool) -> np.ndarray | None:
    if not is_conditional:
        if labels is not None:
            raise ValueError("`labels` need a conditional generator; this one takes latents only.")
        return None
    if labels is None:
        raise ValueError(f"A conditional generator needs `labels`: {count} integers, one for each image.")
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(f"`labels` must have shape ({count},), one for each image. Received: {labels.shape}")
    embeddings = [layer for layer in generator.layers if isinstance(layer, keras.layers.Embedding)]
    inputs = getattr(generator, "inputs", None)  # a subclassed generator has none
    limits = [layer.input_dim for layer in embeddings if inputs and layer.input is inputs[-1]]
    check_labels(labels, min(limits, default=LARGEST_LABEL + 1))
    return labels.astype(np.int32)
