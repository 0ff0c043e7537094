"""The base class `ExtendedModel`: adds features for several workers, metrics and files that Keras lacks."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import keras

from . import distribution


class ExtendedModel(keras.Model):
    """Adds features that `keras.Model` lacks.

    Steps: `fit` and `evaluate` run on several workers. `evaluate` and `predict` run without XLA.

    Metrics: two metrics can have the same name. A metric with `computes_at_end` computes its result once,
    after the last batch of an evaluation.

    Files: a saved model also contains the random states of its layers, the weights that a subclass adds, and
    the files of its metrics. So a loaded model continues the training with the same bits.

    A subclass must have the weights `step` and `evaluation_step`. Its constructor must build the model. Its
    `test_step` returns `_get_batch_results()`.
    """

    _late_results = ()  # the names of the results that are computed at the end of an evaluation

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Does nothing, because a GAN is always built. The method of Keras fails with several workers."""

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            make = super().make_train_function
            train_batch = distribution.make_step_function(
                self, "train_step", lambda: make(force=True) or self.train_function
            )
            self.train_function = train_batch
        return self.train_function

    def make_test_function(self, force=False):
        """Makes the function that `evaluate` calls for each batch.

        In the logs of a batch, metrics that compute at the end have the value NaN. After the last batch,
        Keras replaces the logs by the result of `get_metrics_result`, but only if both have the same names.
        """
        if self.test_function is None or force:
            make = super().make_test_function
            test_batch = distribution.make_step_function(
                self, "test_step", lambda: self._without_xla(make, True) or self.test_function
            )
            self.test_function = lambda data: test_batch(data) | dict.fromkeys(self._late_results, math.nan)
        return self.test_function

    def make_predict_function(self, force=False):
        return self._without_xla(super().make_predict_function, force)

    def _without_xla(self, make, force: bool):
        """Makes a function without XLA. XLA takes seconds to compile and saves time only over many steps."""
        chosen = self.jit_compile
        self.jit_compile = False
        try:
            return make(force)
        finally:
            self.jit_compile = chosen

    def get_metrics_result(self) -> dict:
        """Returns the results of all metrics. If two have the same name, the second gets a number."""
        return {name: value for _, name, value in self._name_results()}

    def _get_batch_results(self) -> dict:
        """Returns the results of all metrics, except of metrics that compute at the end of an evaluation."""
        named = list(self._name_results())  # TensorFlow does not compute results that are not returned
        self._late_results = tuple(name for metric, name, _ in named if _computes_at_end(metric))
        return {name: value for _, name, value in named if name not in self._late_results}

    def _name_results(self) -> Iterator[tuple]:
        """Yields a tuple for each result of each metric: the metric, a unique name, and the value."""
        names = set()
        for metric in self.metrics:
            result = metric.result()
            for name, value in (result if isinstance(result, dict) else {metric.name: result}).items():
                numbered = (name if not number else f"{name}_{number}" for number in itertools.count())
                names.add(unused := next(one for one in numbered if one not in names))
                yield metric, unused, value

    def _random_states(self) -> list:
        """Returns the random states of dropout and similar layers. Keras does not count them as weights."""
        others = {id(v) for v in [*self.weights, *self.metrics_variables]}
        return [v for v in self.variables if id(v) not in others]

    def _own_weights(self) -> list:
        """Returns the weights that a subclass adds outside of its layers."""
        inner = {id(v) for layer in self.layers for v in layer.variables}
        inner |= {id(self.step), id(self.evaluation_step)}
        return [v for v in self.weights if id(v) not in inner]

    def save_own_variables(self, store) -> None:
        store["step"] = self.step.numpy()  # not `evaluation_step`: each evaluation sets it to 0
        for name, variables in (("random_state", self._random_states()), ("own", self._own_weights())):
            for index, variable in enumerate(variables):
                store[f"{name}_{index}"] = variable.numpy()

    def load_own_variables(self, store) -> None:
        self.step.assign(store["step"])
        for name, variables in (("random_state", self._random_states()), ("own", self._own_weights())):
            for index, variable in enumerate(variables):
                variable.assign(store[f"{name}_{index}"])

    def _asset_folders(self, directory: str) -> Iterator[tuple]:
        """Yields each metric that saves files, and its folder. Metrics of the same name get two folders."""
        names = set()
        for index, metric in enumerate(self.metrics):
            if hasattr(metric, "save_assets"):
                yield metric, Path(directory, str(index)) if metric.name in names else Path(directory)
                names.add(metric.name)

    def save_assets(self, directory: str) -> None:
        for metric, folder in self._asset_folders(directory):
            folder.mkdir(exist_ok=True)
            metric.save_assets(str(folder))

    def load_assets(self, directory: str) -> None:
        for metric, folder in self._asset_folders(directory):
            metric.load_assets(str(folder))


def _computes_at_end(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric's result is computed once, after the last batch of an evaluation."""
    return getattr(metric, "computes_at_end", False)
