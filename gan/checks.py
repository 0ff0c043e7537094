"""The checks of a GAN's arguments and batches."""

import numbers
import warnings

import keras
import numpy as np
import tensorflow as tf

from .sampling import check_labels, input_shapes, output_shape


def check_networks(generator, discriminator, num_classes: int | None) -> tuple[tuple, tuple]:
    """Checks that two networks fit each other. Returns the shapes of the latents and of the images.

    Raises:
        ValueError: naming both shapes, or the missing part.
    """
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        if not isinstance(network, keras.Model):
            raise ValueError(f"The {role} must be a `keras.Model`. Received: {type(network).__name__}")
    latent_shapes = _input_shapes("generator", generator, num_classes)
    image_shapes = _input_shapes("discriminator", discriminator, num_classes)
    latent_shape, generated_shape = latent_shapes[0], output_shape(generator, "generator")
    if not latent_shape or None in latent_shape:
        expected = "The generator must take latents of a fixed length, (batch, latent_dim)"
        raise ValueError(f"{expected}. Received: shape=(batch, {_join(latent_shape)})")
    if len(generated_shape) != 3 or None in generated_shape:
        expected = "The generator must make images of one size, (batch, height, width, channels)"
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
        expected = "The discriminator must give one logit for each image, of shape (batch, 1)"
        raise ValueError(f"{expected}. Received: shape=(batch, {_join(logit_shape)})")
    shared = {id(v) for v in generator.variables} & {id(v) for v in discriminator.variables}
    if shared:
        names = ", ".join(v.path for v in generator.variables if id(v) in shared)
        raise ValueError(f"The two networks must not share layers: each has an optimizer. Received: {names}")
    return latent_shape, generated_shape


def _input_shapes(role: str, network: keras.Model, num_classes: int | None) -> list[tuple]:
    """The shapes of a network's inputs without the batch dimension, the labels second."""
    shapes = [tuple(shape[1:]) for shape in input_shapes(network, role)]
    first = "latents" if role == "generator" else "images"
    expected = [first] if num_classes is None else [first, "labels"]
    is_right = len(shapes) == len(expected) and shapes[0] != ()
    label_shapes = (
        ((), (1,)) if getattr(network, "inputs", None) else ((),)
    )  # Keras fits those of functional models
    if not is_right or (num_classes is not None and shapes[1] not in label_shapes):
        takes = f"must take {len(expected)} input(s), {' and '.join(expected)}"
        takes += "" if num_classes is None else ", labels of shape (batch,)"
        received = ", ".join(f"(batch, {_join(shape)})" for shape in shapes)
        takes = f"With num_classes={num_classes} the {role} {takes}"
        raise ValueError(f"{takes}. Received: {len(shapes)} input(s), of shapes {received}")
    return shapes


def _join(shape: tuple) -> str:
    return ", ".join(map(str, shape))


def check_arguments(seed: int, ema_half_life_images: float | None) -> None:
    """Refuses a seed that is not from 0 to 2**63 - 1, and a half-life that is not positive.

    Raises:
        ValueError: with the value that came.
    """
    if not isinstance(seed, numbers.Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer from 0 to 2**63 - 1. Received: seed={seed!r}")
    if ema_half_life_images is not None and not ema_half_life_images > 0:
        expected = "`ema_half_life_images` must be positive, or None for no average"
        raise ValueError(f"{expected}. Received: ema_half_life_images={ema_half_life_images}")


def whole_number(name: str, number: int) -> int:
    """Returns a whole number from 1 as an int; NumPy's are whole numbers too.

    Raises:
        ValueError: with the name and value, for anything else.
    """
    if not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"`{name}` must be a whole number from 1. Received: {name}={number!r}")
    return int(number)


def check_inputs(inputs, latent_shape: tuple, num_classes: int | None) -> None:
    """Checks the arrays that `predict` draws images from: latents, or latents and labels.

    Other data, such as a `tf.data.Dataset`, are left to Keras.

    Raises:
        ValueError: saying what they must be.
    """
    parts = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not all(hasattr(part, "shape") for part in parts):
        return
    expected = f"latents of shape (batch, {_join(latent_shape)})"
    if num_classes is not None:
        expected = f"[latents, labels]: {expected}, and integer labels of shape (batch,)"
    is_right = len(parts) == (1 if num_classes is None else 2) and tuple(parts[0].shape[1:]) == latent_shape
    if not is_right or (num_classes is not None and tuple(parts[1].shape) not in _label_shapes(parts[0])):
        received = " and ".join(f"shape {tuple(part.shape)}" for part in parts)
        raise ValueError(f"`predict` takes {expected}. Received: {received}")
    if num_classes is not None:
        check_labels(np.asarray(parts[1]).astype(np.int64), num_classes)


def _label_shapes(examples) -> list[tuple]:
    """The shapes that the labels of some examples may have."""
    return [(len(examples),), (len(examples), 1)]


def check_scope(created: tf.distribute.Strategy, used: tf.distribute.Strategy) -> None:
    """Refuses a model outside of the strategy's scope in which it was created.

    Raises:
        ValueError: with the names of both strategies.
    """
    if created is not used:
        names = f"{type(created).__name__}, {type(used).__name__}"
        expected = "Create and compile a GAN in the scope of one strategy: `with strategy.scope():`"
        raise ValueError(f"{expected}. Received: {names}")


def refuse_channels_first() -> None:
    """Refuses Keras's setting for images with the channels first, which the package's networks cannot follow.

    Raises:
        ValueError: saying how to change it.
    """
    if keras.config.image_data_format() != "channels_last":
        how = "call keras.config.set_image_data_format('channels_last'), or correct keras.json"
        raise ValueError(f"our networks need images with channels_last, but Keras has channels_first: {how}")


def check_steps(steps_per_execution: int, **steps: int | None) -> None:
    """Refuses numbers of steps that `steps_per_execution` does not divide.

    On endless data Keras would run further than the last step.

    Raises:
        ValueError: with both numbers.
    """
    for name, count in steps.items():
        if count and count % steps_per_execution:
            raise ValueError(
                f"`steps_per_execution` must divide `{name}`: compile with another one, or change `{name}`. "
                f"Received: steps_per_execution={steps_per_execution}, {name}={count}"
            )


def check_metrics(metrics, image_shape: tuple[int, int, int]) -> list[keras.metrics.Metric]:
    """Returns the metrics that `compile(metrics=...)` was given, as a list.

    Raises:
        ValueError: when one is no metric object, or of images of another shape.
    """
    if not isinstance(metrics or [], (list, tuple)):
        raise ValueError(f"`metrics` must be a list of `keras.metrics.Metric`. Received: metrics={metrics!r}")
    for metric in metrics or []:
        if not isinstance(metric, keras.metrics.Metric):
            expected = (
                "a list of `keras.metrics.Metric` with `update_state(real_images, fake_images)`; functions "
            )
            expected += "and names, such as 'accuracy', compare pairs, and a GAN's images are no pairs"
            raise ValueError(f"`metrics` must be {expected}. Received: {metric!r}")
        shape = getattr(metric, "image_shape", None) or image_shape
        if tuple(shape) != tuple(image_shape):
            expected = f"The metric {metric.name!r} must take the GAN's images, {tuple(image_shape)}"
            raise ValueError(f"{expected}: give it a network of such images. Received: {tuple(shape)}")
    return list(metrics or [])


def check_scalar(name: str, value):
    """Returns the value of a loss or penalty as a float32 scalar.

    Raises:
        ValueError: when it is None or has another shape.
    """
    value = None if value is None else keras.ops.convert_to_tensor(value, "float32")
    if value is None or value.shape.rank != 0:
        received = "None" if value is None else f"shape {tuple(value.shape)}"
        raise ValueError(f"A {name} must be a scalar, for example by `tf.reduce_mean`. Received: {received}")
    return value


def check_trainable(*networks: keras.Model) -> None:
    """Refuses networks that cannot learn.

    Raises:
        ValueError: naming the first without trainable weights.
    """
    for network in networks:
        if not network.trainable_variables:
            expected = "Each player needs trainable weights: set `trainable = True` on a frozen network"
            raise ValueError(f"{expected}. Received: {network.name}, without any")


def check_even_split(images, replicas: int) -> None:
    """Refuses a batch that several replicas cannot split evenly. It runs when Keras traces the step.

    Raises:
        ValueError: when there are several replicas and the batch has no fixed size.
    """
    if replicas > 1 and images.shape[0] is None:
        raise ValueError(
            "Several replicas need batches of one size that they can split evenly: "
            f"`.batch(n, drop_remainder=True)`, n a multiple of {replicas}. "
            f"Received: parts of shape={tuple(images.shape)}"
        )


def uses_float16(*models: keras.Model) -> bool:
    """Whether a model or one of its layers computes in float16, whose small gradients need loss scaling."""
    layers = [layer for model in models for layer in (model, *model.layers)]
    return any(layer.compute_dtype == "float16" for layer in layers)


def warn_of_sigmoids(generator: keras.Model, discriminator: keras.Model) -> None:
    """Warns when a network ends in a sigmoid."""
    if _ends_in_sigmoid(discriminator):
        advice = "the losses take logits and apply a sigmoid themselves: end it in a linear layer"
        warnings.warn(f"The discriminator ends in a sigmoid, but {advice}.", stacklevel=3)
    if _ends_in_sigmoid(generator):
        advice = "images have the range [-1, 1]: end it in tanh"
        warnings.warn(f"The generator ends in a sigmoid, but {advice}.", stacklevel=3)


def _ends_in_sigmoid(network: keras.Model) -> bool:
    """Whether the last layer that changes values is a sigmoid, also within a nested network."""
    shapes_only = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute)
    layers = [layer for layer in network.layers if not isinstance(layer, shapes_only)]
    if layers and isinstance(layers[-1], keras.Model):
        return _ends_in_sigmoid(layers[-1])
    return bool(layers) and getattr(getattr(layers[-1], "activation", None), "__name__", "") == "sigmoid"
