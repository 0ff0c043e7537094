"""What keeps numbers that are not finite out of the weights.

A loss or gradient that is infinite or no number would be in every weight one step later, and no later
step could mend it. So each player's update is made on the condition that its numbers are finite, within
the compiled step.
"""

import tensorflow as tf

__all__ = ["apply_if", "are_finite", "restore_unless"]


def are_finite(loss, gradients):
    """Whether the loss and all gradients are finite, on every replica: a boolean scalar.

    The gradients are looked at through the sum of their squares, one pass over each; where that is
    beyond float32, they are taken for infinite.

    Args:
        loss: float scalar.
        gradients: tensors, indexed slices or None.
    """
    values = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients if g is not None]
    squares = [tf.nn.l2_loss(tf.cast(value, tf.float32)) for value in values]
    total = tf.add_n([tf.cast(loss, tf.float32), *squares])
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        total = replica.all_reduce(tf.distribute.ReduceOp.SUM, total)
    return tf.math.is_finite(total)


def apply_if(is_finite, optimizer, gradients, variables) -> None:
    """`optimizer.apply(gradients, variables)` where `is_finite`, a boolean scalar, is true."""

    def decide(strategy, is_finite, gradients):
        def apply():
            strategy.extended.call_for_each_replica(optimizer.apply, args=(gradients, variables))

        # Under a strategy only here, between the replicas, may a condition hold an update.
        tf.cond(strategy.experimental_local_results(is_finite)[0], apply, lambda: None)

    tf.distribute.get_replica_context().merge_call(decide, args=(is_finite, gradients))


def restore_unless(is_finite, weights: list, values: list) -> None:
    """Gives weights that a forward pass moves, batch norm's averages, the values from before it."""

    def restore(strategy, is_finite, values):
        def assign():
            for weight, value in zip(weights, values, strict=True):
                strategy.extended.update(weight.value, lambda w, v: w.assign(v), args=(value,))

        tf.cond(strategy.experimental_local_results(is_finite)[0], lambda: None, assign)

    tf.distribute.get_replica_context().merge_call(restore, args=(is_finite, values))
