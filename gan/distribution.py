"""Training with `tf.distribute`: several devices of one machine, or several processes on several machines.

A global batch means the same on any number of replicas. Each replica gets its part of the images and of the
latents, and losses and gradients are averages over the global batch. Batch norm and `MinibatchDeviation` use
the images of one replica. The moving statistics of batch norm are averages over the replicas.
"""

import json
from collections.abc import Callable

import numpy as np
import tensorflow as tf

SUPPORTED = (
    tf.distribute.OneDeviceStrategy,
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
)


def check_strategy(strategy: tf.distribute.Strategy) -> None:
    """Refuses a strategy that was never tested with a GAN, for example a parameter server.

    Raises:
        ValueError: with the supported strategies.
    """
    if tf.distribute.has_strategy() and not isinstance(strategy, SUPPORTED):
        names = ", ".join(kind.__name__ for kind in SUPPORTED)
        raise ValueError(f"A GAN supports the strategies {names}. Received: {type(strategy).__name__}")


def check_scope(created: tf.distribute.Strategy, used: tf.distribute.Strategy) -> None:
    """Refuses a model that was created in the scope of another strategy.

    Raises:
        ValueError: with the names of both strategies.
    """
    if created is not used:
        names = f"created in {type(created).__name__}, used in {type(used).__name__}"
        expected = "Create and compile a GAN in the scope of one strategy: `with strategy.scope():`"
        raise ValueError(f"{expected}. Received: {names}")


def check_even_split(images, replicas: int) -> None:
    """Refuses a batch that several replicas cannot split evenly. Runs when Keras traces the step.

    Raises:
        ValueError: when there are several replicas and the batch has no fixed size.
    """
    if replicas > 1 and images.shape[0] is None:
        raise ValueError(
            "Several replicas need batches of a fixed size that they can split evenly: use "
            f"`.batch(n, drop_remainder=True)`, where n is a multiple of {replicas}. "
            f"Received in each replica: shape={tuple(images.shape)}"
        )


def count_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return strategy.num_replicas_in_sync // len(strategy.extended.worker_devices)


def is_chief() -> bool:
    """Returns whether this process writes the files: the only process, or the first of several workers.

    Example:

    ```python
    callbacks = [SampleGrid("samples")] if is_chief() else []
    ```
    """
    resolver = tf.distribute.get_strategy().cluster_resolver
    if resolver is None or not resolver.cluster_spec():
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def draw_part(draw: Callable, count):
    """Returns this replica's rows of the random numbers of the whole batch.

    Args:
        draw: a function that draws rows of random numbers; the argument is the number of rows.
        count: int32 scalar, the number of rows for this replica.
    """
    replica = tf.distribute.get_replica_context()
    count = tf.convert_to_tensor(count)
    start = count * tf.cast(replica.replica_id_in_sync_group, count.dtype)
    return draw(count * replica.num_replicas_in_sync)[start : start + count]


def average_over_replicas(variables: list) -> None:
    """Gives float variables the mean of their values on all replicas.

    Keras updates the moving statistics of batch norm on each replica separately.
    """
    replica = tf.distribute.get_replica_context()
    variables = [variable for variable in variables if tf.as_dtype(variable.dtype).is_floating]
    if replica.num_replicas_in_sync == 1 or not variables:
        return
    stored = [variable.value for variable in variables]

    def average(strategy, values):
        pairs = list(zip(values, stored, strict=True))
        means = strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.MEAN, pairs)
        for variable, mean in zip(stored, means, strict=True):
            strategy.extended.update(variable, lambda v, m: v.assign(m), args=(mean,))

    replica.merge_call(average, args=([tf.convert_to_tensor(value) for value in stored],))


def prepare_logs(logs: dict) -> dict:
    """Gives each log of a step a dimension that Keras can average over several workers.

    Keras averages over axis 0, which a scalar does not have: https://github.com/keras-team/keras/issues/20585.
    Delete this function when the issue is closed.
    """
    if count_workers(tf.distribute.get_strategy()) == 1:
        return logs
    return {name: tf.reshape(value, [1]) for name, value in logs.items()}


def distribute(data, strategy: tf.distribute.Strategy):
    """Distributes a dataset of `gan.data`: each worker reads only its part. Returns other data unchanged."""
    make_part = getattr(data, "make_part", None)
    if make_part is None or strategy.num_replicas_in_sync == 1:
        return data
    return strategy.distribute_datasets_from_function(make_part)


def share(value) -> list:
    """Returns the values of all workers, in their order. All workers must call this function.

    Waits for the other workers.

    Args:
        value: a value that JSON can store. The current strategy determines the workers.
    """
    strategy = tf.distribute.get_strategy()
    if count_workers(strategy) == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8).astype(np.int32)
    lengths = _gather(strategy, np.array([len(text)], np.int32))
    row = np.zeros((1, lengths.max()), np.int32)
    row[0, : len(text)] = text
    rows = _gather(strategy, row)
    texts = [bytes(row[:length].astype(np.uint8)) for row, length in zip(rows, lengths, strict=True)]
    return [json.loads(text) for text in texts[:: len(strategy.extended.worker_devices)]]


def _gather(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    def gather():
        return tf.distribute.get_replica_context().all_gather(tf.constant(values), axis=0)

    gathered = strategy.run(tf.function(gather, autograph=False))
    return strategy.experimental_local_results(gathered)[0].numpy()
