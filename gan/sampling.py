"""Draws images from any generator, and loads the trained generator in the package."""

import random
import weakref
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from .files import check_asset
from .images import to_uint8
from .progress import show_progress

BATCH_SIZE = 500
LARGEST_LABEL = 2**31 - 1  # the limit if the number of classes is unknown
SMALL_ANGLE = 1e-6
CLASSES = 10  # the number of classes of the trained generator
FILE = Path(__file__).parent / "assets" / "mnist_generator.keras"
_COMPILED = weakref.WeakKeyDictionary()  # generator: its compiled call and its output shape
SHA_256 = "6298abd07cbc365bf763b8ed5f694010b90cca7b898d3c50e09f8c2d02a5a9c6"


def draw(
    generator: keras.Model, count: int, labels=None, seed: int | None = None, verbose: int = 0
) -> np.ndarray:
    """Draws images from a generator, in batches.

    Args:
        generator: a built model that maps latents (batch, latent_dim), or `[latents, labels]`, to images
            (batch, height, width, channels) in [-1, 1].
        count: number of images.
        labels: integers (count,) for a conditional generator; None for an unconditional generator.
        seed: non-negative integer. The same seed gives the same latents. None: a random seed.
        verbose: 1 shows a progress bar on a terminal.

    Returns:
        uint8 (count, height, width, channels).

    Raises:
        ValueError: if the generator is not built, if a conditional generator gets no labels, if an
            unconditional generator gets labels, or if the labels have the wrong type, range or shape.

    Example:

    ```python
    generator = load_trained_generator()
    digits = draw(generator, 10, labels=range(10), seed=0)    # one of each class, uint8 (10, 28, 28, 1)
    ```
    """
    shapes = input_shapes(generator)
    labels = _check_requested(generator, count, labels, is_conditional=len(shapes) == 2)
    # `keras.utils.set_random_seed` also seeds `random`, so the user can make the images repeatable.
    seed = random.randrange(2**32) if seed is None else seed
    latents = np.random.default_rng(seed).standard_normal((count, *shapes[0][1:]), np.float32)
    compiled, image_shape = _compile(generator)
    drawn = np.empty((count, *image_shape), np.uint8)
    starts = range(0, count, BATCH_SIZE)
    for start in show_progress(starts, len(starts), "batch", verbose):
        chunk = slice(start, start + BATCH_SIZE)
        inputs = latents[chunk] if labels is None else [latents[chunk], labels[chunk]]
        drawn[chunk] = to_uint8(keras.ops.convert_to_numpy(compiled(inputs)))
    return drawn


def interpolate(start: np.ndarray, end: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Interpolates between two latents along a great circle.

    A straight line would pass near 0, where a generator has seen no latents: in many dimensions, normal
    latents lie near a sphere. Reference: White 2016, https://arxiv.org/abs/1609.04468, section 2.1.

    Args:
        start: latents (…).
        end: latents of the same shape.
        fractions: (count,), from 0 (start) to 1 (end).

    Returns:
        float32 (count, …).
    """
    cosine = np.vdot(start, end) / (np.linalg.norm(start) * np.linalg.norm(end))
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    fractions = fractions.reshape(-1, *[1] * start.ndim)
    if np.sin(angle) < SMALL_ANGLE:  # the same direction: the circle is a line
        return (start + fractions * (end - start)).astype(np.float32)
    weights = np.sin((1 - fractions) * angle), np.sin(fractions * angle)
    return ((weights[0] * start + weights[1] * end) / np.sin(angle)).astype(np.float32)


def blend_classes(generator: keras.Model) -> keras.Model:
    """Returns a generator that takes weights of the classes instead of labels, to draw between classes.

    Each embedding of the labels becomes a dense layer, so that weights of 1 and 0 give the same images as the
    label does.

    Args:
        generator: a functional model of `[latents, labels]`, whose labels enter embeddings only.

    Returns:
        A model of `[latents, weights]`. The weights are float32 (batch, classes), with a sum of 1.

    Raises:
        ValueError: if the generator is not such a model.
    """
    expected = (
        "To draw between classes, a generator must be a functional model, with labels only in embeddings"
    )
    if len(getattr(generator, "inputs", None) or ()) != 2:
        raise ValueError(f"{expected}. Received: {generator.name} without labels, or not functional")
    latents, labels = generator.inputs
    readers = {
        layer for layer in generator.layers if any(one is labels for one in keras.tree.flatten(layer.input))
    }
    readers = {layer for layer in readers if not isinstance(layer, keras.layers.InputLayer)}
    others = [layer.name for layer in readers if not isinstance(layer, keras.layers.Embedding)]
    if others:
        raise ValueError(f"{expected}. Received: labels in the layers {', '.join(sorted(others))}")
    (classes,) = {layer.input_dim for layer in readers}
    inputs = [keras.Input(latents.shape[1:], name="latents"), keras.Input((classes,), name="class_weights")]

    def replace(layer: keras.Layer) -> keras.Layer:
        if layer not in readers:
            return layer.__class__.from_config(layer.get_config())
        return keras.layers.Dense(layer.output_dim, use_bias=False, name=layer.name)

    blended = keras.models.clone_model(generator, input_tensors=inputs, clone_function=replace)
    for layer in generator.layers:
        if layer.weights:
            blended.get_layer(layer.name).set_weights(layer.get_weights())
    return blended


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Checks that labels are integers in 0..num_classes - 1.

    Raises:
        ValueError: if labels are not integers or out of range. The message gives the type or the range.
    """
    if labels.size and not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"Labels must be integers. Received: {labels.dtype}. Use `labels.astype('int32')`")
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"Labels must lie in 0..{num_classes - 1}. Received: labels from {labels.min()} to {labels.max()}"
        )


def input_shapes(network: keras.Model, role: str = "generator") -> list[tuple]:
    """Returns the shapes of the inputs of a built network, functional or subclassed.

    The batch dimension comes first.

    Raises:
        ValueError: if the network is not built, or takes a dictionary.
    """
    if not network.built:
        raise ValueError(
            f"The {role} must be built: start it with `keras.Input`, or call it once on a batch."
        )
    config = network.get_build_config() or {}
    shapes = config.get("input_shape") or next(iter(config.get("shapes_dict", {}).values()), None)
    if isinstance(getattr(network, "input", None), dict) or isinstance(shapes, dict):
        raise ValueError(f"The {role} must take a tensor or a list of two tensors. Received: a dictionary.")
    if getattr(network, "inputs", None):
        return [tuple(tensor.shape) for tensor in network.inputs]
    return [tuple(shapes)] if not isinstance(shapes[-1], (list, tuple)) else [tuple(one) for one in shapes]


def output_shape(network: keras.Model, role: str = "generator", image_shape: tuple | None = None) -> tuple:
    """Returns the shape of the output of a built network, without the batch dimension.

    Args:
        network: a built network with one input, or with two inputs. The second input is the labels.
        role: name of the network in messages.
        image_shape: shape of the first input, for a network that accepts several shapes. None: the input
            shape of the network.

    Raises:
        ValueError: if the network cannot be called with these inputs, or has several outputs.
    """
    shapes = [(1, *shape[1:]) for shape in input_shapes(network, role)]
    if image_shape is not None:
        shapes[0] = (1, *image_shape)
    inputs = [
        keras.KerasTensor(shape, dtype) for shape, dtype in zip(shapes, ("float32", "int32"), strict=False)
    ]
    try:
        outputs = keras.tree.flatten(network.compute_output_spec(inputs[0] if len(inputs) == 1 else inputs))
    except Exception as error:  # the code of the network can raise any error
        reason = " ".join(str(error).split())[:300]
        received = ", ".join(map(str, shapes))
        raise ValueError(f"The {role} cannot be called with inputs of shapes {received}: {reason}") from error
    if len(outputs) != 1:
        raise ValueError(f"The {role} must have one output. Received: {len(outputs)} outputs")
    return tuple(outputs[0].shape[1:])


def call(network: keras.Model, inputs, training: bool = False):
    """Calls a network. Returns its single output, even if the network returns a list of one output."""
    (output,) = keras.tree.flatten(network(inputs, training=training))
    return output


def load_trained_generator() -> keras.Model:
    """Loads a conditional generator of MNIST digits.

    The weights are the moving average after a training with the recipe `best`. `gan/assets/README.md` has the
    command that trained the generator, and the quality of the digits.

    Returns:
        A model that maps `[latents, labels]` to float32 images (batch, 28, 28, 1) in [-1, 1]. The latents
        (batch, latent_dim) are standard normal. The labels (batch,) are integers from 0 to 9.

    Raises:
        ValueError: if the file of the generator has changed.
    """
    check_asset(FILE, SHA_256)
    return keras.saving.load_model(FILE, compile=False, safe_mode=True)


def _compile(generator: keras.Model):
    """Returns the compiled call of a generator, for all batch sizes, and its output shape."""
    if generator not in _COMPILED:
        shapes, reference = input_shapes(generator), weakref.ref(generator)
        inputs = [tf.TensorSpec((None, *shapes[0][1:]), tf.float32), tf.TensorSpec((None,), tf.int32)]
        compiled = tf.function(
            lambda inputs: call(reference(), inputs),
            input_signature=[inputs if len(shapes) == 2 else inputs[0]],
            autograph=False,
        )
        # A call of `tf.function` that traces warns of retracing, after five generators.
        _COMPILED[generator] = compiled.get_concrete_function(), output_shape(generator)
    return _COMPILED[generator]


def _check_requested(generator: keras.Model, count: int, labels, is_conditional: bool) -> np.ndarray | None:
    if not is_conditional:
        if labels is not None:
            raise ValueError("`labels` need a conditional generator. This generator takes latents only.")
        return None
    if labels is None:
        raise ValueError(f"A conditional generator needs `labels`: {count} integers, one for each image.")
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise ValueError(f"`labels` must have shape ({count},), one for each image. Received: {labels.shape}")
    embeddings = [layer for layer in generator.layers if isinstance(layer, keras.layers.Embedding)]
    inputs = getattr(generator, "inputs", None)  # a subclassed generator has no `inputs`
    limits = [layer.input_dim for layer in embeddings if inputs and layer.input is inputs[-1]]
    check_labels(labels, min(limits, default=LARGEST_LABEL + 1))
    return labels.astype(np.int32)
