"""The base class `CheckedModel`: checks the data and the strategy before Keras works."""

import functools
import inspect
import types

import keras
import numpy as np
import tensorflow as tf

from . import checks, distribution
from .batches import BatchChecks


class CheckedModel(keras.Model):
    """Checks the arguments of a method, for example `fit`, and then calls the method of `keras.Model`.

    Without the checks, Keras would fail late, with a long error, or train on wrong data. The checks run
    before the first step, or when a batch is read. Wrong data raise ValueError with a message of one line.
    The methods have the same arguments and results as the methods of `keras.Model`.

    A subclass must have the attributes `image_shape`, `latent_shape`, `num_classes` and `sampler`. A subclass
    can extend `_begin`, which runs at the start of most methods.

    Raises:
        ValueError: when the current strategy is not supported.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        distribution.check_strategy(tf.distribute.get_strategy())
        self._strategy = types.SimpleNamespace(created=tf.distribute.get_strategy())

    def _check_scope(self) -> None:
        """Checks that the current strategy is the strategy in whose scope the model was created."""
        distribution.check_scope(self._strategy.created, tf.distribute.get_strategy())

    def _begin(self) -> None:
        """Checks the strategy."""
        if tf.distribute.has_strategy():
            self._check_scope()

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        self._begin()
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        data = BatchChecks(self.image_shape, self.num_classes)
        data.refuse_weights(given, "sample_weight", "class_weight")
        steps = {name: given.get(name) for name in ("steps_per_epoch", "validation_steps")}
        checks.check_steps(self.steps_per_execution, **steps)
        if isinstance(given.get("x"), tf.data.Dataset) or hasattr(given.get("x"), "__next__"):
            given.setdefault("shuffle", False)  # otherwise Keras warns that it cannot shuffle
        with data.raised():
            given |= data.check(given.get("x"), given.get("y"), steps["steps_per_epoch"], "steps_per_epoch")
            given |= data.check_validation(given.get("validation_data"), steps["validation_steps"])
            self._choose_directions(given.get("callbacks"))
            given |= distribution.distribute(given, "x", "steps_per_epoch", self.distribute_strategy)
            validation = ("validation_data", "validation_steps")
            given |= distribution.distribute(given, *validation, self.distribute_strategy)
            return super().fit(**{name: value for name, value in given.items() if name != "self"})

    def _choose_directions(self, callbacks) -> None:
        """Sets the mode of callbacks such as `EarlyStopping`: whether smaller or larger values are better."""
        directions = {metric.name: getattr(metric, "direction", None) for metric in self.metrics}
        directions |= dict.fromkeys(("loss", "d_loss", "g_loss", "penalty"), "min")
        inner = getattr(callbacks, "callbacks", callbacks) or []
        for callback in inner if isinstance(inner, (list, tuple)) else [inner]:
            name = str(getattr(callback, "monitor", "")).removeprefix("val_")
            if getattr(callback, "mode", None) == "auto" and directions.get(name):
                callback.mode = directions[name]

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        if "_use_cached_eval_dataset" in kwargs:  # `fit` has already checked the data
            return super().evaluate(*args, **kwargs)
        self._begin()
        given = inspect.signature(keras.Model.evaluate).bind(self, *args, **kwargs).arguments
        data = BatchChecks(self.image_shape, self.num_classes)
        data.refuse_weights(given, "sample_weight")
        checks.check_steps(self.steps_per_execution, steps=given.get("steps"))
        with data.raised():
            given |= data.check(given.get("x"), given.get("y"), given.get("steps"), "steps")
            given |= distribution.distribute(given, "x", "steps", self.distribute_strategy)
            return super().evaluate(**{name: value for name, value in given.items() if name != "self"})

    @functools.wraps(keras.Model.predict)
    def predict(self, *args, **kwargs):
        self._begin()
        given = inspect.signature(keras.Model.predict).bind(self, *args, **kwargs).arguments
        checks.check_inputs(given["x"], self.latent_shape, self.num_classes)
        return super().predict(*args, **kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        distribution.check_one_replica("train_on_batch", self.distribute_strategy)
        data = BatchChecks(self.image_shape, self.num_classes)
        data.refuse_weights(
            {"sample_weight": sample_weight, "class_weight": class_weight}, "sample_weight", "class_weight"
        )
        return super().train_on_batch(**data.check(x, y), return_dict=return_dict)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        self._begin()
        data = BatchChecks(self.image_shape, self.num_classes)
        data.refuse_weights({"sample_weight": sample_weight}, "sample_weight")
        super().test_on_batch(**data.check(x, y))
        results = {name: float(value) for name, value in self.get_metrics_result().items()}
        return results if return_dict else list(results.values())

    @functools.wraps(keras.Model.export)
    def export(self, *args, **kwargs):
        self._begin()
        latents, labels = np.zeros((1, *self.latent_shape), np.float32), np.zeros(1, np.int32)
        # Keras exports only a model that was called.
        self(latents if self.num_classes is None else [latents, labels])
        return self.sampler.export(*args, **kwargs)

    @functools.wraps(keras.Model.save)
    def save(self, filepath, *args, **kwargs):
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"A GAN must be saved as a `.keras` file, not as an HDF5 file. Received: {filepath}"
            )
        return super().save(filepath, *args, **kwargs)
