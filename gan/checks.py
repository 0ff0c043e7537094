"""Checks of the networks, arguments and inputs of a GAN."""

import numbers
import warnings

import keras
import numpy as np

from .sampling import check_labels, input_shapes, output_shape


def check_networks(generator, discriminator, num_classes: int | None) -> tuple[tuple, tuple]:
    """Checks that two networks fit each other. Returns the shape of the latents and the shape of the images.

    Raises:
        ValueError: with the expected shape and the received shape.
    """
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        if not isinstance(network, keras.Model):
            raise ValueError(f"The {role} must be a `keras.Model`. Received: {type(network).__name__}")
    latent_shapes = _input_shapes("generator", generator, num_classes)
    image_shapes = _input_shapes("discriminator", discriminator, num_classes)
    latent_shape, generated_shape = latent_shapes[0], output_shape(generator, "generator")
    if not latent_shape or None in latent_shape:
        expected = "The generator must take latents of a fixed shape, for example (batch, latent_dim)"
        raise ValueError(f"{expected}. Received: shape=(batch, {_join(latent_shape)})")
    if len(generated_shape) != 3 or None in generated_shape:
        expected = "The generator must make images of a fixed shape, (batch, height, width, channels)"
        raise ValueError(f"{expected}. Received: shape=(batch, {_join(generated_shape)})")
    is_alike = len(image_shapes[0]) == 3 and all(
        taken in (None, made) for taken, made in zip(image_shapes[0], generated_shape, strict=True)
    )
    if not is_alike:
        received = f"generator {generated_shape}, discriminator {image_shapes[0]}"
        expected = "The generator's images must have the shape that the discriminator takes"
        raise ValueError(f"{expected}. Received: {received}")
    logit_shape = output_shape(discriminator, "discriminator", generated_shape)
    if logit_shape != (1,):
        expected = "The discriminator must return one logit for each image, in the shape (batch, 1)"
        raise ValueError(f"{expected}. Received: shape=(batch, {_join(logit_shape)})")
    shared = {id(v) for v in generator.variables} & {id(v) for v in discriminator.variables}
    if shared:
        names = ", ".join(v.path for v in generator.variables if id(v) in shared)
        raise ValueError(
            "The networks must not share layers: each network has its own optimizer. "
            f"Received: shared weights {names}"
        )
    return latent_shape, generated_shape


def _input_shapes(role: str, network: keras.Model, num_classes: int | None) -> list[tuple]:
    """Checks and returns the shapes of a network's inputs, without the batch dimension."""
    shapes = [tuple(shape[1:]) for shape in input_shapes(network, role)]
    first = "latents" if role == "generator" else "images"
    expected = [first] if num_classes is None else [first, "labels"]
    is_right = len(shapes) == len(expected) and shapes[0] != ()
    label_shapes = (
        ((), (1,)) if getattr(network, "inputs", None) else ((),)
    )  # Keras reshapes the labels of functional models
    if not is_right or (num_classes is not None and shapes[1] not in label_shapes):
        takes = f"must take {len(expected)} input(s), {' and '.join(expected)}"
        takes += "" if num_classes is None else " (labels of shape (batch,))"
        received = ", ".join(f"(batch, {_join(shape)})" for shape in shapes)
        takes = f"With num_classes={num_classes} the {role} {takes}"
        raise ValueError(f"{takes}. Received: {len(shapes)} input(s) of shape {received}")
    return shapes


def _join(shape: tuple) -> str:
    return ", ".join(map(str, shape))


def check_arguments(seed: int, ema_half_life_images: float | None) -> None:
    """Refuses a seed that is not from 0 to 2**63 - 1, and a half-life that is not positive.

    Raises:
        ValueError: with the received value.
    """
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer from 0 to 2**63 - 1. Received: seed={seed!r}")
    if ema_half_life_images is not None and not ema_half_life_images > 0:
        expected = "`ema_half_life_images` must be positive, or None (no moving average)"
        raise ValueError(f"{expected}. Received: ema_half_life_images={ema_half_life_images}")


def whole_number(name: str, number: int) -> int:
    """Checks that a number is a whole number of at least 1. Returns the number as an int.

    NumPy integers are allowed.

    Raises:
        ValueError: with the name and the value.
    """
    if not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {name}={number!r}")
    return int(number)


def check_inputs(inputs, latent_shape: tuple, num_classes: int | None) -> None:
    """Checks the input arrays of `predict`: latents, or latents and labels.

    Does not check other data, such as a `tf.data.Dataset`.

    Raises:
        ValueError: with the accepted shapes and the received shapes.
    """
    parts = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not all(hasattr(part, "shape") for part in parts):
        return
    expected = f"latents of shape (batch, {_join(latent_shape)})"
    if num_classes is not None:
        expected = f"[latents, labels]: {expected}, and integer labels of shape (batch,)"
    is_right = len(parts) == (1 if num_classes is None else 2) and tuple(parts[0].shape[1:]) == latent_shape
    if not is_right or (num_classes is not None and tuple(parts[1].shape) not in label_shapes(parts[0])):
        received = " and ".join(f"shape {tuple(part.shape)}" for part in parts)
        raise ValueError(f"`predict` takes {expected}. Received: {received}")
    if num_classes is not None:
        check_labels(np.asarray(parts[1]).astype(np.int64), num_classes)


def label_shapes(examples) -> list[tuple]:
    """Returns the shapes that the labels of these examples may have."""
    return [(len(examples),), (len(examples), 1)]


def refuse_channels_first() -> None:
    """Refuses the Keras setting `channels_first`. The networks of this package do not support the setting.

    Raises:
        ValueError: with the call that changes the setting.
    """
    if keras.config.image_data_format() != "channels_last":
        how = "call keras.config.set_image_data_format('channels_last'), or change keras.json"
        raise ValueError(
            f"The networks need images with channels_last, but Keras is set to channels_first: {how}"
        )


def check_steps(steps_per_execution: int, **steps: int | None) -> None:
    """Refuses a number of steps that is not a multiple of `steps_per_execution`.

    Otherwise Keras would run too many steps on endless data.

    Raises:
        ValueError: with `steps_per_execution` and the number of steps.
    """
    for name, count in steps.items():
        if count and count % steps_per_execution:
            raise ValueError(
                f"`steps_per_execution` must divide `{name}`: change either value. "
                f"Received: steps_per_execution={steps_per_execution}, {name}={count}"
            )


def check_metrics(metrics, image_shape: tuple[int, int, int]) -> list[keras.metrics.Metric]:
    """Checks the metrics of `compile(metrics=...)`. Returns the metrics as a list.

    Raises:
        ValueError: when a metric is not a metric object, or takes images of another shape.
    """
    if not isinstance(metrics or [], (list, tuple)):
        raise ValueError(f"`metrics` must be a list of `keras.metrics.Metric`. Received: metrics={metrics!r}")
    for metric in metrics or []:
        if not isinstance(metric, keras.metrics.Metric):
            expected = "a list of `keras.metrics.Metric` with `update_state(real_images, fake_images)`, not "
            expected += "functions and names such as 'accuracy': a GAN's real and fake images are not pairs"
            raise ValueError(f"`metrics` must be {expected}. Received: {metric!r}")
        shape = getattr(metric, "image_shape", None) or image_shape
        if tuple(shape) != tuple(image_shape):
            expected = f"The metric {metric.name!r} must take the GAN's images, {tuple(image_shape)}"
            raise ValueError(
                f"{expected}: give the metric a network for this shape. Received: {tuple(shape)}"
            )
    return list(metrics or [])


def check_scalar(name: str, value):
    """Checks the value of a loss or penalty. Returns the value as a float32 scalar.

    Raises:
        ValueError: when the value is None or not a scalar.
    """
    value = None if value is None else keras.ops.convert_to_tensor(value, "float32")
    if value is None or value.shape.rank != 0:
        received = "None" if value is None else f"shape {tuple(value.shape)}"
        raise ValueError(f"A {name} must be a scalar, for example by `tf.reduce_mean`. Received: {received}")
    return value


def check_trainable(*networks: keras.Model) -> None:
    """Refuses networks without trainable weights.

    Raises:
        ValueError: with the name of the first network without trainable weights.
    """
    for network in networks:
        if not network.trainable_variables:
            expected = "Each player needs trainable weights: set `trainable = True` on a frozen network"
            raise ValueError(f"{expected}. Received: {network.name}, without trainable weights")


def uses_float16(*models: keras.Model) -> bool:
    """Returns whether a model or one of its layers computes in float16, which needs loss scaling."""
    layers = [layer for model in models for layer in (model, *model.layers)]
    return any(layer.compute_dtype == "float16" for layer in layers)


def warn_of_sigmoids(generator: keras.Model, discriminator: keras.Model) -> None:
    """Warns when a network ends in a sigmoid."""
    if _ends_in_sigmoid(discriminator):
        advice = (
            "the losses take logits and apply a sigmoid themselves: end the discriminator in a linear layer"
        )
        warnings.warn(f"The discriminator ends in a sigmoid, but {advice}.", stacklevel=3)
    if _ends_in_sigmoid(generator):
        advice = "images have the range [-1, 1]: end the generator in tanh"
        warnings.warn(f"The generator ends in a sigmoid, but {advice}.", stacklevel=3)


def _ends_in_sigmoid(network: keras.Model) -> bool:
    """Returns whether the last layer that changes values is a sigmoid. Looks into nested networks."""
    shapes_only = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)
    layers = [layer for layer in network.layers if not isinstance(layer, shapes_only)]
    if layers and isinstance(layers[-1], keras.Model):
        return _ends_in_sigmoid(layers[-1])
    return bool(layers) and getattr(getattr(layers[-1], "activation", None), "__name__", "") == "sigmoid"
