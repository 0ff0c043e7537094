"""Copies the weights of a trained network into a network that may differ in some layers."""

import keras


def copy_fitting_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copies the weights of all layers that have the same name and the same shapes in both networks.

    Transfer from another dataset helps most if there are few images. Reference: Wang et al. 2018,
    https://arxiv.org/abs/1805.01677.

    Args:
        source: a trained network, not changed.
        target: the network that gets the weights.

    Returns:
        The names of the target's layers that keep their own weights, because no source layer fits.

    Example:

    ```python
    trained = keras.saving.load_model("gan.keras")
    fresh_layers = copy_fitting_weights(trained.generator, gan.generator)
    ```
    """
    known = {layer.name: layer.get_weights() for layer in source.layers}
    fresh = []
    for layer in target.layers:
        weights = known.get(layer.name, [])
        shapes = [weight.shape for weight in layer.get_weights()]
        if [weight.shape for weight in weights] == shapes:
            layer.set_weights(weights)
        else:
            fresh.append(layer.name)
    return fresh
