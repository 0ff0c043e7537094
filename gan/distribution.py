"""Training with `tf.distribute`: several devices of one machine, or several processes on several machines.

A global batch means the same on any number of replicas. Each replica gets its part of the images and of the
latents. Losses, gradients and the statistics of the default networks are averages over the global batch.
"""

import contextlib
import json
from collections.abc import Callable, Iterator

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


def check_steps_per_execution(steps_per_execution: int, strategy: tf.distribute.Strategy) -> None:
    """Refuses several steps in one call on several replicas: TensorFlow fails in the loop over the steps.

    Raises:
        ValueError: with the number of steps and of replicas.
    """
    if steps_per_execution > 1 and strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "`steps_per_execution` must be 1 on several replicas. Received: "
            f"steps_per_execution={steps_per_execution}, {strategy.num_replicas_in_sync} replicas"
        )


def check_networks_in_scope(*networks) -> None:
    """Refuses networks that were built outside of the scope of the current strategy.

    Raises:
        ValueError: with the name of the strategy.
    """
    if not tf.distribute.has_strategy():
        return
    strategy = tf.distribute.get_strategy()
    weights = [weight.value for network in networks for weight in network.weights]
    if not all(map(strategy.extended.variable_created_in_scope, weights)):
        expected = "Build the networks, and create and compile the GAN, in the scope of one strategy: "
        received = f"networks from outside of the scope of {type(strategy).__name__}"
        raise ValueError(f"{expected}`with strategy.scope():`. Received: {received}")


def check_one_replica(method: str, strategy: tf.distribute.Strategy) -> None:
    """Refuses methods that would give the whole batch to each replica.

    Raises:
        ValueError: with the name of the method.
    """
    if strategy.num_replicas_in_sync > 1:
        raise ValueError(f"`{method}` does not split the batch over several replicas: use `fit`")


def check_even_split(images, replicas: int) -> None:
    """Refuses a batch that several replicas cannot split evenly. Runs when Keras traces the step.

    Raises:
        ValueError: when there are several replicas and the batch has no fixed size.
    """
    if replicas > 1 and images.shape[0] is None:
        # With several workers, TensorFlow does not know the size of the batches of finite data.
        endless = count_workers(tf.distribute.get_strategy()) > 1
        how = f"`.batch(n, drop_remainder=True){'.repeat()' if endless else ''}`, where n is a multiple of "
        how += f"{replicas}{', and give the number of steps' if endless else ''}"
        raise ValueError(
            f"Several replicas need batches of a fixed size that they can split evenly: use {how}. "
            f"Received in each replica: shape={tuple(images.shape)}"
        )


def count_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 1
    return strategy.num_replicas_in_sync // len(strategy.extended.worker_devices)


def has_replicas() -> bool:
    """Returns whether the current strategy has more than one replica."""
    return tf.distribute.get_strategy().num_replicas_in_sync > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes the files: the only process, or the first of several workers.

    Example:

    ```python
    callbacks = [SampleGrid("samples")] if is_chief(strategy) else []
    ```
    """
    if count_workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def draw_part(draw: Callable, count):
    """Returns this replica's rows of the random numbers of the whole batch.

    Args:
        draw: a function that draws rows of random numbers; the argument is the number of rows.
        count: int32 scalar, the number of rows for this replica.
    """
    replica = tf.distribute.get_replica_context()
    if replica is None:  # in the scope of a strategy, but outside of a step
        return draw(count)
    count = tf.convert_to_tensor(count)
    start = count * tf.cast(replica.replica_id_in_sync_group, count.dtype)
    return draw(count * replica.num_replicas_in_sync)[start : start + count]


def mean_over_replicas(tensors: list) -> list:
    """Returns the means of tensors over all replicas. TensorFlow differentiates through the exchange."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensors
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, [tf.identity(tensor) for tensor in tensors])


def all_replicas(condition):
    """Returns whether a condition is true on all replicas, as a bool scalar."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return condition
    count = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(tf.cast(condition, tf.float32)))
    return tf.equal(count, float(replica.num_replicas_in_sync))


def average_statistics(*networks) -> None:
    """Gives the statistics of networks, such as those of batch norm, their mean over all replicas.

    Keras updates the moving statistics of batch norm on each replica separately. Frozen layers do not change.
    """
    replica = tf.distribute.get_replica_context()
    variables = [
        variable
        for network in networks
        for variable in _list_statistics(network)
        if tf.as_dtype(variable.dtype).is_floating
    ]
    if replica.num_replicas_in_sync == 1 or not variables:
        return
    stored = [variable.value for variable in variables]

    def average(strategy, values):
        pairs = [(value, stored[0]) for value in values]  # one destination: TensorFlow packs the values
        means = strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.MEAN, pairs)
        for variable, mean in zip(stored, means, strict=True):
            strategy.extended.update(variable, lambda v, m: v.assign(m), args=(mean,))

    values = []
    for variable in stored:
        with tf.device(variable.device):  # TensorFlow packs only values whose device it knows
            values.append(tf.identity(variable))
    replica.merge_call(average, args=(values,))


def _list_statistics(layer) -> list:
    """Returns the weights that training changes without an optimizer, of a layer and its inner layers."""
    if not layer.trainable:
        return []
    inner = getattr(layer, "layers", [])
    if not inner:
        return layer.non_trainable_variables
    return [variable for one in inner for variable in _list_statistics(one)]


def make_dense(gradient):
    """Returns the gradient of an embedding as a tensor, if there are several replicas.

    TensorFlow adds up dense gradients of all variables at once, and the rows of each embedding one by one.
    """
    is_sparse = isinstance(gradient, tf.IndexedSlices)
    several = tf.distribute.get_replica_context().num_replicas_in_sync > 1
    return tf.convert_to_tensor(gradient) if is_sparse and several else gradient


def make_step_function(model, name: str, make: Callable) -> Callable:
    """Makes the function that runs a step of the model on all workers and averages its logs.

    Keras averages each log over axis 0, which a scalar does not have, so `fit` fails with several workers:
    https://github.com/keras-team/keras/issues/20585. So the step returns all logs in one row. The workers
    then exchange one row, not each log. Delete this function when the issue is closed, and also
    `_maybe_symbolic_build` in `ExtendedModel`.

    Args:
        model: the Keras model.
        name: the name of its method: "train_step" or "test_step".
        make: makes the function from the method, as Keras does.

    Raises:
        ValueError: in the first step, if a log is not a scalar and there are several workers.
    """
    if count_workers(model.distribute_strategy) == 1:
        return make()
    step, names = getattr(model, name), []

    def run_step(data):
        logs = step(data)
        names[:] = logs
        for log, value in logs.items():
            if len(value.shape):
                shape = tuple(value.shape)
                raise ValueError(f"With several workers, a log must be a scalar. Received: {log}, {shape}")
        return tf.stack([tf.cast(value, tf.float32) for value in logs.values()])[tf.newaxis]

    setattr(model, name, run_step)
    try:
        run_packed = make()
    finally:
        delattr(model, name)
    return lambda iterator: dict(zip(names, tf.unstack(run_packed(iterator)), strict=True))


def distribute(arguments: dict, data: str, steps: str, strategy: tf.distribute.Strategy) -> dict:
    """Distributes a dataset of `gan.data`: each worker reads only its part. Leaves other data unchanged.

    Args:
        arguments: the arguments of `fit` or `evaluate`.
        data: the name of the argument with the dataset.
        steps: the name of the argument with the number of steps.
        strategy: the strategy of the model.

    Returns:
        The changed arguments.
    """
    dataset = arguments.get(data)
    if strategy.num_replicas_in_sync == 1 or not hasattr(dataset, "make_part"):
        return {}
    count = arguments.get(steps) or (None if _is_endless(dataset) else dataset.steps_per_pass)
    return {data: strategy.distribute_datasets_from_function(dataset.make_part), steps: count}


def _is_endless(dataset: tf.data.Dataset) -> bool:
    return bool(dataset.cardinality() == tf.data.INFINITE_CARDINALITY)


@contextlib.contextmanager
def chief_first(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Runs the block on the chief, and then on the other workers, for example to download a file only once.

    All workers must enter the block.
    """
    if not is_chief(strategy):
        share(None, strategy)  # waits for the chief
    yield
    if is_chief(strategy):
        share(None, strategy)


def share(value, strategy: tf.distribute.Strategy) -> list:
    """Returns the values of all workers, in their order. Waits for the workers: all must call this function.

    Args:
        value: a value that JSON can store.
        strategy: the strategy of the workers.
    """
    if count_workers(strategy) == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), np.uint8).astype(np.int32)

    def gather(row):
        rows = strategy.run(_gather_rows, args=(tf.constant(row),))
        return strategy.experimental_local_results(rows)[0].numpy()

    lengths = gather(np.array([[len(text)]], np.int32))[:, 0]
    row = np.zeros((1, lengths.max()), np.int32)
    row[0, : len(text)] = text
    texts = [bytes(row[:length].astype(np.uint8)) for row, length in zip(gather(row), lengths, strict=True)]
    return [json.loads(text) for text in texts[:: len(strategy.extended.worker_devices)]]


@tf.function(reduce_retracing=True, autograph=False)
def _gather_rows(row):
    """Maps this replica's row (1, …) to the rows of all replicas (replicas, …)."""
    with tf.device("CPU:0"):  # TensorFlow asks for the device of the row
        row = tf.identity(row)
    return tf.distribute.get_replica_context().all_gather(row, axis=0)
