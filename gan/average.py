"""The moving average of a network's weights. The average draws better samples than the network.

Reference: Yazici et al. 2018, https://arxiv.org/abs/1806.04498.
"""

import keras
import tensorflow as tf

# The half-life is at most this fraction of the images seen so far (Karras et al. 2020, `ema_rampup` of
# StyleGAN2-ADA). So the average quickly forgets the poor weights of the first steps.
RAMP_UP = 0.05


def copy_network(network: keras.Model, scope: str = "copy") -> keras.Model:
    """Copies a network and its weights. The names of the copied variables begin with the scope.

    Raises:
        ValueError: when the network cannot be rebuilt from its config.
    """
    try:
        with keras.name_scope(scope):
            copy = _clone(network)
        if not copy.built:
            copy.build_from_config(network.get_build_config())
        copy.set_weights(network.get_weights())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            "The generator cannot be copied, because Keras cannot rebuild the generator from its config. Add "
            "`get_config` and `build` to the generator's class, or pass ema_half_life_images=None. "
            f"Received: {network.name}, {' '.join(str(error).split())}"
        ) from error
    return copy


def make_average(network: keras.Model) -> keras.Model:
    """Copies a network. The copy will hold the moving average of the network's weights.

    Raises:
        ValueError: when the network cannot be rebuilt from its config.
    """
    average = copy_network(network, scope="average")
    average.trainable = False
    average.name = f"{network.name}_average"
    return average


def _has_lambda(network: keras.Model) -> bool:
    layers = network.layers
    nested = [layer for layer in layers if isinstance(layer, keras.Model)]
    return any(isinstance(layer, keras.layers.Lambda) for layer in layers) or any(map(_has_lambda, nested))


def _clone(network: keras.Model) -> keras.Model:
    """Rebuilds a network from its config. Both networks share the Lambda layers, which have no weights."""
    if not _has_lambda(network):
        return keras.models.clone_model(network)

    def copy_layer(layer):  # Keras does not rebuild a Lambda layer from its config
        is_lambda = isinstance(layer, keras.layers.Lambda)
        return layer if is_lambda else type(layer).from_config(layer.get_config())

    return keras.models.clone_model(network, clone_function=copy_layer, recursive=True)


def update_average(average: keras.Model, network: keras.Model, half_life_images: float, step, count) -> None:
    """Moves the average towards the network's weights.

    average += (1 - decay) * (weight - average), with decay = 0.5 ** (batch size / half-life).

    Args:
        average: the copy that holds the average.
        network: the network with the new weights.
        half_life_images: the half-life, in images seen, after the ramp-up.
        step: int64 scalar, the number of finished steps.
        count: int32 scalar, the number of images in this replica's part of the batch.
    """
    replica = tf.distribute.get_replica_context()
    batch_size = tf.cast(count * replica.num_replicas_in_sync, tf.float32)
    images_seen = tf.cast(step + 1, tf.float32) * batch_size
    half_life = tf.minimum(float(half_life_images), RAMP_UP * images_seen)
    new_weight = 1.0 - 0.5 ** (batch_size / half_life)
    pairs = [(a.value, w.value) for a, w in zip(average.weights, network.weights, strict=True)]

    def blend(strategy, new_weight):
        for mean, weight in pairs:
            strategy.extended.update(
                mean, lambda a, w, n: a.assign_add(tf.cast(n, a.dtype) * (w - a)), args=(weight, new_weight)
            )

    replica.merge_call(blend, args=(new_weight,))
