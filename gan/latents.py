"""Random numbers that are a function of (seed, stream, counter) and of nothing else."""

import tensorflow as tf

__all__ = ["EVALUATION", "PENALTY", "TRAINING", "draw_latents", "draw_uniform"]

TRAINING, EVALUATION, PENALTY = 0, 1, 2  # streams: what one draws leaves the others' numbers alone


def draw_latents(seed: int, stream: int, counter, count, latent_dim: int):
    """This replica's share of the batch's standard normal latents.

    Args:
        seed: non-negative integer.
        stream: TRAINING or EVALUATION.
        counter: int64 variable, the step.
        count: int32 scalar, latents for this replica.
        latent_dim: length of each.

    Returns:
        float32 (count, latent_dim).
    """
    return tf.math.ndtri(draw_uniform(seed, stream, counter, count, latent_dim))


def draw_uniform(seed: int, stream: int, counter, count, length: int):
    """This replica's share of the batch's random numbers, uniform between 0 and 1, both left out.

    However many replicas share a batch, its numbers are the same: each draws them all and takes its
    slice. They are the same under XLA too, which shares only the raw bits with TensorFlow.

    Args and result: as of `draw_latents`, for any stream.
    """
    replica = tf.distribute.get_replica_context()
    start = count * tf.cast(replica.replica_id_in_sync_group, count.dtype)
    shape = (count * replica.num_replicas_in_sync, length)
    key = tf.random.fold_in(tf.constant([seed, stream], tf.int64), counter.value, alg="philox")
    bits = tf.random.stateless_uniform(shape, key, None, None, tf.uint32, alg="philox")
    top_bits = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    uniform = (tf.cast(top_bits, tf.float32) + 0.5) * 2.0**-23  # exact, and never 0 or 1
    return uniform[start : start + count]
