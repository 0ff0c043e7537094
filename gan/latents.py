"""Random latents that are a function of (seed, stream, counter) and of nothing else."""

import tensorflow as tf

__all__ = ["EVALUATION", "TRAINING", "draw_latents"]

TRAINING, EVALUATION = 0, 1  # streams: what evaluation draws leaves training's numbers alone


def draw_latents(seed: int, stream: int, counter, count, latent_dim: int):
    """This replica's share of the batch's standard normal latents.

    However many replicas share a batch, its latents are the same: each draws them all and takes its
    slice.

    Args:
        seed: non-negative integer.
        stream: TRAINING or EVALUATION.
        counter: int64 variable, the step.
        count: int32 scalar, latents for this replica.
        latent_dim: length of each.

    Returns:
        float32 (count, latent_dim).
    """
    replica = tf.distribute.get_replica_context()
    start = count * tf.cast(replica.replica_id_in_sync_group, count.dtype)
    key = tf.random.fold_in(tf.constant([seed, stream], tf.int64), counter.value, alg="philox")
    return _standard_normal((count * replica.num_replicas_in_sync, latent_dim), key)[start : start + count]


def _standard_normal(shape: tuple, key):
    """Normal numbers that are the same under XLA, which shares only the raw bits with TensorFlow."""
    bits = tf.random.stateless_uniform(shape, key, None, None, tf.uint32, alg="philox")
    top_bits = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    uniform = (tf.cast(top_bits, tf.float32) + 0.5) * 2.0**-23  # exact, and never 0 or 1
    return tf.math.ndtri(uniform)
