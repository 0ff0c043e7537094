"""Describes a network as a list of simple operations, which `browser/kernels.js` computes in a browser.

The weights are float16: half of the size, and pixels differ by less than one step of 256. The scales and
offsets of batch norm stay in float32, because they are few and have a large range.
"""

import base64
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

ACTIVATIONS = ("linear", "relu", "leaky_relu", "tanh", "sigmoid")


def describe_network(network: keras.Model) -> dict:
    """Describes a functional or sequential model, for one image at a time.

    Args:
        network: a model whose layers `kernels.js` has: `Dense`, `Embedding`, `Conv2D`, `Conv2DTranspose`,
            `BatchNormalization`, `LeakyReLU`, `ReLU`, `Activation`, `Concatenate`, `Add`, `Multiply`,
            `Reshape`, `Flatten`, `Cropping2D`, and `Dropout`, which has no effect here.

    Returns:
        A dictionary for JSON. "nodes" is a list of operations, the inputs first. Each node has "op", "inputs"
        (indices of nodes), "shape" (without the batch), and the parameters of the operation. A parameter that
        is an array is base64: the key ends in "16" or "32", the number of bits of a float.

    Raises:
        ValueError: with a message of one line, if `kernels.js` lacks a layer, an activation or an option.
    """
    _check_structure(network)
    nodes, numbers = [], {}  # numbers: the index of the node, by the id of its tensor
    for tensor in network.inputs:
        numbers[id(tensor)] = len(nodes)
        nodes.append({"op": "input", "inputs": [], "shape": list(tensor.shape[1:])})
    last, is_chain = 0, isinstance(network, keras.Sequential)
    for layer in network.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = [last] if is_chain else _find_inputs(layer, numbers)
        last = inputs[0]
        for node in _describe_layer(layer):
            nodes.append(node | {"inputs": inputs, "shape": list(layer.output.shape[1:])})
            inputs = [last := len(nodes) - 1]
        numbers[id(layer.output)] = last
    return {"nodes": nodes, "output": last if is_chain else numbers[id(network.outputs[0])]}


def _check_structure(network: keras.Model) -> None:
    if isinstance(network, keras.Sequential):
        return
    operations = getattr(network, "operations", None)  # only a functional model has them
    if operations is None:
        raise ValueError(
            f"The network {network.name} ({type(network).__name__}) cannot be exported. Accepted: functional "
            "and sequential models"
        )
    others = [one.name for one in operations if not isinstance(one, keras.Layer)]
    if others:
        raise ValueError(f"The operation {others[0]} cannot be exported. Use a layer instead")


def _find_inputs(layer: keras.Layer, numbers: dict[int, int]) -> list[int]:
    """Returns the indices of the nodes that a layer reads."""
    inputs = [numbers.get(id(tensor)) for tensor in keras.tree.flatten(layer.input)]
    if None in inputs:
        raise ValueError(
            f"The layer {layer.name} reads a layer that the network uses twice: use each layer once"
        )
    return inputs


def _describe_layer(layer: keras.Layer) -> list[dict]:
    """Returns the operations of a layer, each on the result of the one before."""
    describe = OPERATIONS.get(type(layer))
    if describe is None:
        names = ", ".join(sorted(one.__name__ for one in OPERATIONS))
        raise ValueError(
            f"The layer {layer.name} ({type(layer).__name__}) cannot be exported. Accepted layers: {names}"
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(f"The layer {layer.name} has channels_first images, and needs channels_last")
    activation = getattr(layer, "activation", None)
    return [*describe(layer), *([] if activation is None else _describe_activation(layer, activation))]


def _describe_activation(layer: keras.Layer, activation: Callable) -> list[dict]:
    name = getattr(activation, "__name__", type(activation).__name__)
    if name not in ACTIVATIONS:
        raise ValueError(
            f"The activation {name} of the layer {layer.name} cannot be exported. Accepted: "
            f"{', '.join(ACTIVATIONS)}"
        )
    return [] if name == "linear" else [{"op": name} | ({"slope": 0.2} if name == "leaky_relu" else {})]


def _encode(array, bits: int) -> str:
    array = np.asarray(array, np.float32)
    if bits == 16 and not np.isfinite(array.astype(np.float16)).all():
        raise ValueError("A weight does not fit into float16: it is not finite, or more than 65,504")
    return base64.b64encode(array.astype(f"<f{bits // 8}").tobytes()).decode()


def _kernel(layer: keras.Layer, kernel: np.ndarray) -> dict:
    weights = layer.get_weights()
    bias = {"bias16": _encode(weights[1], 16)} if layer.use_bias else {}
    return {"kernel16": _encode(kernel, 16)} | bias


def _describe_convolution(layer: keras.Layer) -> list[dict]:
    """Describes a convolution. The kernels have the order (height, width, input, output channels)."""
    is_transposed = isinstance(layer, layers.Conv2DTranspose)
    kernel = layer.get_weights()[0]
    plain = {"dilation_rate": (1, 1), "groups": 1, "output_padding": None}
    changed = [name for name, value in plain.items() if getattr(layer, name, value) not in (value, 1)]
    if changed or layer.padding not in ("same", "valid"):
        raise ValueError(
            f"The layer {layer.name} cannot be exported with this {', '.join(changed) or 'padding'}. "
            "Accepted: dilation_rate 1, groups 1, no output_padding, padding same or valid"
        )
    op = "transposed_convolution" if is_transposed else "convolution"
    sizes = {"size": list(layer.kernel_size), "strides": list(layer.strides), "padding": layer.padding}
    return [{"op": op} | sizes | _kernel(layer, kernel.swapaxes(2, 3) if is_transposed else kernel)]


def _describe_norm(layer: layers.BatchNormalization) -> list[dict]:
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        raise ValueError(
            f"The layer {layer.name} normalizes another axis than the last, so it cannot be exported"
        )
    scale = 1.0 / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    scale = scale * np.asarray(layer.gamma) if layer.scale else scale
    offset = -np.asarray(layer.moving_mean) * scale
    offset = offset + np.asarray(layer.beta) if layer.center else offset
    return [{"op": "norm", "scale32": _encode(scale, 32), "offset32": _encode(offset, 32)}]


def _describe_dense(layer: layers.Dense) -> list[dict]:
    if len(layer.input.shape) != 2:
        raise ValueError(f"The layer {layer.name} needs an input with one axis, so it cannot be exported")
    return [{"op": "dense"} | _kernel(layer, layer.get_weights()[0])]


def _describe_combination(layer: layers.Add | layers.Multiply) -> list[dict]:
    whole = tuple(layer.output.shape[1:])
    for one in layer.input:
        if tuple(one.shape[1:]) not in (whole, (*[1] * (len(whole) - 1), whole[-1])):
            raise ValueError(
                f"The layer {layer.name} must combine inputs of equal shapes, or of shape (1, 1, channels)"
            )
    return [{"op": type(layer).__name__.lower()}]


def _describe_concatenation(layer: layers.Concatenate) -> list[dict]:
    if layer.axis not in (-1, len(layer.output.shape) - 1):
        raise ValueError(f"The layer {layer.name} joins another axis than the last, so it cannot be exported")
    return [{"op": "concatenate"}]


def _describe_relu(layer: layers.ReLU) -> list[dict]:
    if layer.max_value is not None or layer.threshold:
        raise ValueError(f"The layer {layer.name} has a threshold or a limit, so it cannot be exported")
    return [{"op": "leaky_relu", "slope": float(layer.negative_slope)}]


OPERATIONS = {
    layers.Dense: _describe_dense,
    layers.Embedding: lambda layer: [{"op": "embedding", "table16": _encode(layer.get_weights()[0], 16)}],
    layers.Conv2D: _describe_convolution,
    layers.Conv2DTranspose: _describe_convolution,
    layers.BatchNormalization: _describe_norm,
    layers.LeakyReLU: lambda layer: [{"op": "leaky_relu", "slope": float(layer.negative_slope)}],
    layers.ReLU: _describe_relu,
    layers.Activation: lambda layer: [],  # `_describe_layer` adds the activation of every layer
    layers.Concatenate: _describe_concatenation,
    layers.Add: _describe_combination,
    layers.Multiply: _describe_combination,
    layers.Reshape: lambda layer: [{"op": "reshape"}],
    layers.Flatten: lambda layer: [{"op": "reshape"}],
    layers.Dropout: lambda layer: [],  # has no effect after the training
    layers.Cropping2D: lambda layer: [{"op": "crop", "top_left": [side[0] for side in layer.cropping]}],
}
