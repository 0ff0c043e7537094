"""The checks of a GAN's arguments and batches."""

import numbers
import warnings

import keras

from .sampling import input_shapes, output_shape


def check_networks(
    generator: keras.Model, discriminator: keras.Model, num_classes: int | None
) -> tuple[int, tuple[int, int, int]]:
    """Checks that two networks fit each other. Returns the length of the latents and the images' shape.

    Raises:
        ValueError: naming both shapes, or the missing part.
    """
    latent_shapes, image_shapes = input_shapes(generator), input_shapes(discriminator, "discriminator")
    expected = 1 if num_classes is None else 2
    for role, shapes in (("generator", latent_shapes), ("discriminator", image_shapes)):
        if len(shapes) != expected:
            raise ValueError(
                f"With num_classes={num_classes} the {role} must take {expected} input(s), labels second "
                f"where there are classes. Received: {len(shapes)} input(s), of shapes {shapes}"
            )
    latent_dim, image_shape = latent_shapes[0][-1], image_shapes[0][1:]
    generated_shape = output_shape(generator)
    if generated_shape != image_shape:
        received = f"generator {generated_shape}, discriminator {image_shape}"
        expected = "The generator's images must have the shape that the discriminator takes"
        raise ValueError(f"{expected}. Received: {received}")
    logit_shape = output_shape(discriminator)
    if logit_shape != (1,):
        expected = "The discriminator must give one logit for each image, of shape (batch, 1)"
        raise ValueError(f"{expected}. Received: shape=(batch, {', '.join(map(str, logit_shape))})")
    return latent_dim, image_shape


def check_arguments(seed: int, ema_half_life_images: float | None) -> None:
    """Refuses a seed that is not from 0 to 2**63 - 1, and a half-life that is not positive.

    Raises:
        ValueError: with the value that came.
    """
    if not 0 <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer from 0 to 2**63 - 1. Received: seed={seed!r}")
    if ema_half_life_images is not None and not ema_half_life_images > 0:
        expected = "`ema_half_life_images` must be positive, or None for no average"
        raise ValueError(f"{expected}. Received: ema_half_life_images={ema_half_life_images}")


def check_counts(**counts: int) -> None:
    """Refuses counts that are not whole numbers from 1.

    Raises:
        ValueError: with the name and value of the first such count.
    """
    for name, count in counts.items():
        if not isinstance(count, numbers.Integral) or count < 1:
            raise ValueError(f"`{name}` must be a whole number from 1. Received: {name}={count!r}")


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


def get_metrics(metrics) -> list[keras.metrics.Metric]:
    """Returns the metrics that `compile(metrics=...)` stands for.

    Raises:
        ValueError: when it is not a list.
    """
    if not isinstance(metrics or [], (list, tuple)):
        raise ValueError(f"`metrics` must be a list of `keras.metrics.Metric`. Received: metrics={metrics!r}")
    return [keras.metrics.get(metric) for metric in metrics or []]


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


def check_batch(
    images, labels, sample_weight, image_shape: tuple[int, int, int], num_classes: int | None
) -> None:
    """Refuses a batch of the wrong shape or type. It runs when Keras traces the step.

    Raises:
        ValueError: with the expected and the received shape or type.
    """
    if sample_weight is not None:
        raise ValueError(
            "A GAN cannot use sample or class weights: leave out `sample_weight` and `class_weight`, or "
            "repeat the images that should count more."
        )
    if tuple(images.shape[1:]) != image_shape:
        expected = f"Images must have shape (batch, {', '.join(map(str, image_shape))}), as the networks have"
        raise ValueError(f"{expected}. Received: shape={tuple(images.shape)}")
    if not (images.dtype == "uint8" or images.dtype.is_floating):
        expected = "Images must be uint8 (0..255) or floats in [-1, 1]"
        raise ValueError(f"{expected}. Received: dtype={images.dtype.name}")
    if num_classes is None:
        return
    if labels is None or tuple(labels.shape[1:]) not in ((), (1,)) or not labels.dtype.is_integer:
        received = "none" if labels is None else f"{labels.dtype.name} of shape {tuple(labels.shape)}"
        expected = "A conditional GAN needs batches of (images, labels), integer labels of shape (batch,)"
        raise ValueError(f"{expected}. Received: labels={received}")


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


def warn_of_sigmoid(discriminator: keras.Model) -> None:
    """Warns when a discriminator ends in a sigmoid."""
    last = discriminator.layers[-1] if discriminator.layers else None
    if getattr(last, "activation", None) is keras.activations.sigmoid:
        warnings.warn(
            "The discriminator ends in a sigmoid, but the losses take logits and apply a sigmoid themselves: "
            "end it in a linear layer.",
            stacklevel=3,
        )
