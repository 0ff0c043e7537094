"""Random numbers that depend on (seed, stream, draw) only."""

import tensorflow as tf

TRAINING, EVALUATION, PENALTY = 0, 1, 2  # independent streams of random numbers


def draw_latents(seed: int, stream: int, draw, count, latent_dim: int):
    """Draws this replica's part of the batch's standard normal latents.

    Args:
        seed: non-negative integer.
        stream: TRAINING or EVALUATION.
        draw: int64 scalar, the number of the draw, such as the step.
        count: int32 scalar, latents for this replica.
        latent_dim: length of a latent vector.

    Returns:
        float32 (count, latent_dim).
    """
    return tf.math.ndtri(draw_uniform(seed, stream, draw, count, latent_dim))


def draw_uniform(seed: int, stream: int, draw, count, length: int):
    """Draws this replica's part of the batch's uniform random numbers, between 0 and 1, both excluded.

    A batch gets the same numbers on any number of replicas: each replica draws them all and takes its
    slice. XLA gives the same numbers too: they are computed from raw bits, the only ones that XLA shares
    with TensorFlow.

    Args and result: as of `draw_latents`, for any stream.
    """
    replica = tf.distribute.get_replica_context()
    start = count * tf.cast(replica.replica_id_in_sync_group, count.dtype)
    shape = (count * replica.num_replicas_in_sync, length)
    key = tf.random.fold_in(tf.constant([seed, stream], tf.int64), draw, alg="philox")
    bits = tf.random.stateless_uniform(shape, key, None, None, tf.uint32, alg="philox")
    top_bits = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    uniform = (tf.cast(top_bits, tf.float32) + 0.5) * 2.0**-23  # exact, and never 0 or 1
    return uniform[start : start + count]
