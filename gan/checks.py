"""What a GAN refuses: networks that do not fit each other, batches and labels that do not fit them."""

import warnings

import keras
import numpy as np

__all__ = [
    "check_batch",
    "check_labels",
    "check_networks",
    "check_share",
    "check_trainable",
    "warn_of_sigmoid",
]


def check_networks(
    generator: keras.Model, discriminator: keras.Model, num_classes: int | None
) -> tuple[int, tuple[int, int, int]]:
    """The latents' length and the images' shape, once it is sure that the two fit each other.

    Raises:
        ValueError: saying both shapes, or what is missing.
    """
    for role, network in (("generator", generator), ("discriminator", discriminator)):
        if not network.built:
            raise ValueError(
                f"The {role} must be built: start it with `keras.Input`, or call it once on a batch."
            )
    latent_shapes, image_shapes = _input_shapes(generator), _input_shapes(discriminator)
    expected = 1 if num_classes is None else 2
    for role, shapes in (("generator", latent_shapes), ("discriminator", image_shapes)):
        if len(shapes) != expected:
            raise ValueError(
                f"With num_classes={num_classes} the {role} must take {expected} input(s), labels second "
                f"where there are classes. Received: {len(shapes)} input(s), of shapes {shapes}"
            )
    latent_dim, image_shape = latent_shapes[0][-1], image_shapes[0][1:]
    made = _output_shape(generator, latent_shapes)
    if made != image_shape:
        raise ValueError(
            "The generator's images must have the shape that the discriminator takes. Received: "
            f"generator {made}, discriminator {image_shape}"
        )
    verdict = _output_shape(discriminator, image_shapes)
    if verdict != (1,):
        raise ValueError(
            "The discriminator must give one logit for each image, of shape (batch, 1). Received: shape="
            f"(batch, {', '.join(map(str, verdict))})"
        )
    return latent_dim, image_shape


def check_trainable(*networks: keras.Model) -> None:
    """Refuses players that cannot learn.

    Raises:
        ValueError: naming the first without trainable weights.
    """
    for network in networks:
        if not network.trainable_variables:
            raise ValueError(
                "Each player needs trainable weights: set `trainable = True` on a frozen network. "
                f"Received: {network.name}, without any"
            )


def check_batch(
    images, labels, sample_weight, image_shape: tuple[int, int, int], num_classes: int | None
) -> None:
    """Refuses a batch of the wrong shape or type, when a step is traced.

    Raises:
        ValueError: saying what was expected and what came.
    """
    if sample_weight is not None:
        raise ValueError(
            "A GAN has no use for sample or class weights: leave out `sample_weight` and `class_weight`, or "
            "draw the images that should count more the more often."
        )
    if tuple(images.shape[1:]) != image_shape:
        raise ValueError(
            f"Images must have shape (batch, {', '.join(map(str, image_shape))}), as the networks have. "
            f"Received: shape={tuple(images.shape)}"
        )
    if not (images.dtype == "uint8" or images.dtype.is_floating):
        raise ValueError(
            f"Images must be uint8 (0..255) or floats in [-1, 1]. Received: dtype={images.dtype.name}"
        )
    if num_classes is None:
        return
    if labels is None or tuple(labels.shape[1:]) not in ((), (1,)) or not labels.dtype.is_integer:
        received = "none" if labels is None else f"{labels.dtype.name} of shape {tuple(labels.shape)}"
        raise ValueError(
            "A conditional GAN needs batches of (images, labels), integer labels of shape (batch,). "
            f"Received: labels={received}"
        )


def check_share(images, replicas: int) -> None:
    """Refuses a batch that several replicas may not share evenly, when a step is traced.

    Raises:
        ValueError: when there are several and the size of their shares is not fixed.
    """
    if replicas > 1 and images.shape[0] is None:
        raise ValueError(
            "Several replicas need batches of one size that they can share evenly: "
            f"`.batch(n, drop_remainder=True)`, n a multiple of {replicas}. "
            f"Received: shares of shape={tuple(images.shape)}"
        )


def check_labels(labels: np.ndarray, num_classes: int) -> None:
    """Refuses labels outside 0..num_classes - 1.

    Raises:
        ValueError: saying the range that was seen.
    """
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"Labels must lie in 0..{num_classes - 1}. Received: labels from {labels.min()} to {labels.max()}"
        )


def warn_of_sigmoid(discriminator: keras.Model) -> None:
    """Warns where a discriminator's last layer squashes its logit."""
    last = discriminator.layers[-1] if discriminator.layers else None
    if getattr(last, "activation", None) is keras.activations.sigmoid:
        warnings.warn(
            "The discriminator ends in a sigmoid, but the losses take logits and would squash them again: "
            "end it in a linear layer.",
            stacklevel=3,
        )


def _output_shape(network: keras.Model, input_shapes: list[tuple]) -> tuple:
    """The shape of what a network makes, batch dimension left out."""
    inputs = [keras.KerasTensor((1, *shape[1:])) for shape in input_shapes]
    return tuple(network.compute_output_spec(inputs[0] if len(inputs) == 1 else inputs).shape[1:])


def _input_shapes(network: keras.Model) -> list[tuple]:
    """The shapes of a built network's inputs, functional or not, batch dimension first."""
    if getattr(network, "inputs", None):
        return [tuple(tensor.shape) for tensor in network.inputs]
    config = network.get_build_config() or {}
    shape = config.get("input_shape") or next(iter(config.get("shapes_dict", {}).values()))
    return [tuple(shape)] if not isinstance(shape[-1], (list, tuple)) else [tuple(one) for one in shape]
