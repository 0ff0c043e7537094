"""Random numbers that depend only on (seed, stream, draw)."""

import tensorflow as tf

from .distribution import draw_part

TRAINING, EVALUATION, PENALTY = 0, 1, 2  # independent streams of random numbers


def draw_latents(seed: int, stream: int, draw, count, latent_dim: int):
    """Draws standard normal latents for this replica's part of the batch.

    Args:
        seed: non-negative integer.
        stream: TRAINING or EVALUATION.
        draw: int64 scalar, the number of the draw, for example the step.
        count: int32 scalar, the number of latents for this replica.
        latent_dim: length of a latent vector.

    Returns:
        float32 (count, latent_dim).
    """
    return tf.math.ndtri(draw_uniform(seed, stream, draw, count, latent_dim))


def draw_uniform(seed: int, stream: int, draw, count, length: int):
    """Draws uniform random numbers in (0, 1) for this replica's part of the batch.

    A batch gets the same numbers on any number of replicas: each replica draws the numbers of the whole batch
    and takes its slice. The numbers are also the same with XLA: TensorFlow and XLA draw the same raw
    bits, but not the same floats, so the function computes the numbers from raw bits.

    The arguments and the result are the same as for `draw_latents`. `stream` can also be PENALTY.
    """
    key = tf.random.fold_in(tf.constant([seed, stream], tf.int64), draw, alg="philox")

    def draw_rows(rows):
        bits = tf.random.stateless_uniform((rows, length), key, None, None, tf.uint32, alg="philox")
        top_bits = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
        return (tf.cast(top_bits, tf.float32) + 0.5) * 2.0**-23  # exact, and never 0 or 1

    return draw_part(draw_rows, count)
