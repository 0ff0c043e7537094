"""Checks of the data for `fit` and `evaluate`. The checks run on the host, before the train step.

`BatchChecks` checks a whole array at once. For other data, `BatchChecks` checks each batch once, when
the batch is read. The checks of a `tf.data` pipeline are part of the pipeline, not of the train step: XLA
removes assertions from the train step, and an assertion in a graph does not raise ValueError.
"""

import contextlib
import warnings
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from . import images as image_values
from .checks import label_shapes
from .sampling import check_labels

MOST_LEVELS = 16  # uint8 images without a value above 16 probably have the range 0..1 or 0..16
IMAGE_KEYS = ("image", "images", "img", "pixel_values")  # in datasets of Hugging Face and TensorFlow Datasets
LABEL_KEYS = ("label", "labels", "fine_label", "class")
ONE_HOT = " (convert one-hot labels to integers by `argmax(-1)`)"
TWO_ARGUMENTS = " (pass the images as `x`, the labels as `y`)"


class BatchChecks:
    """Checks the data of one call of `fit` or `evaluate`.

    Args:
        image_shape: (height, width, channels) of the images.
        num_classes: number of classes. None: the checks remove the labels.
    """

    def __init__(self, image_shape: tuple[int, ...], num_classes: int | None):
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self._problem = None
        self._is_range_told = False

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """Raises the error of the failed check instead of TensorFlow's error."""
        try:
            yield
        except Exception:
            if self._problem is None:
                raise
            raise self._problem from None

    def check(self, x, y=None, steps: int | None = None, steps_name: str = "steps") -> dict:
        """Checks the data. Returns the arguments x and y for Keras.

        Args:
            x: images, a `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator.
            y: labels of images, or None.
            steps: number of steps in an epoch, or None.
            steps_name: name of `steps` in the Keras method, for the error message.

        Raises:
            ValueError: for data that the GAN cannot use. The message is one line.
        """
        x, y = self._check_data(x, y, steps, steps_name)
        return {"x": x, "y": y}

    def check_validation(self, data, steps: int | None) -> dict:
        """Checks the validation data. Returns the argument validation_data for `fit`, or {} for None."""
        if data is None:
            return {}
        if not isinstance(data, (tuple, list)):
            return {"validation_data": self._check_data(data, None, steps, "validation_steps")[0]}
        if len(data) == 3:
            self.refuse_weights({"sample_weight": data[2]}, "sample_weight")
        x, y = self._check_data(*(*data, None)[:2], steps, "validation_steps")
        return {"validation_data": x if y is None else (x, y)}

    def refuse_weights(self, arguments: dict, *names: str) -> None:
        """Refuses sample weights and class weights.

        Raises:
            ValueError: with the name of the argument.
        """
        for name in names:
            if arguments.get(name) is not None:
                advice = f"leave out `{name}`, or repeat the images that should count more"
                self._refuse(f"A GAN cannot use sample or class weights: {advice}.")

    def _check_data(self, x, y, steps: int | None, steps_name: str) -> tuple:
        if x is None or (hasattr(x, "element_spec") and not isinstance(x, tf.data.Dataset)):
            return x, y  # a distributed dataset is not checked
        if isinstance(x, tf.data.Dataset):
            self._refuse_endless(x.cardinality() == tf.data.INFINITE_CARDINALITY, x, steps, steps_name)
            return self._check_dataset(x), y
        if isinstance(x, keras.utils.PyDataset):
            self._refuse_endless(x.num_batches is None, x, steps, steps_name)
            return _CheckedPyDataset(x, self), y
        if hasattr(x, "__next__"):
            return (self._check_batch(batch, index) for index, batch in enumerate(x)), y
        if isinstance(x, (list, tuple)):
            self._refuse_structure(x, TWO_ARGUMENTS if len(x) == 2 else "")
        return self._check_values(x, y, is_first=True)

    def _refuse_endless(self, is_endless: bool, data, steps: int | None, steps_name: str) -> None:
        if is_endless and not steps:
            a_pass = getattr(data, "steps_per_pass", None)
            known = f" One pass over the images has {a_pass} steps." if a_pass else ""
            raise ValueError(f"The data are endless: give `{steps_name}`, the number of steps.{known}")

    def _check_batch(self, batch, index: int) -> tuple:
        """Checks a batch of a generator or a PyDataset."""
        parts = batch if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(parts) <= 3:
            self._refuse_structure(batch)
        if len(parts) == 3 and parts[2] is not None:
            self._refuse("A GAN cannot use sample or class weights: leave them out of the batches.")
        images, labels = self._check_values(*parts[:2], is_first=index == 0)
        return (images,) if labels is None else (images, labels)

    def _check_values(self, images, labels=None, is_first: bool = False) -> tuple:
        """Checks and returns the arrays. Returns None for labels that the GAN does not use."""
        if isinstance(images, (list, tuple, dict, str)) or not hasattr(images, "dtype"):
            self._refuse_structure(images)
        values = np.asarray(images)
        if values.shape[1:] != self.image_shape or values.ndim != len(self.image_shape) + 1:
            self._refuse_structure(images)
        try:
            image_values.check_range(values)
            if is_first and not self._is_range_told:
                self._is_range_told = _warn_of_range(values)
            if self.num_classes is not None:
                if labels is None:
                    self._refuse_structure(images)
                labels = np.asarray(labels)
                if labels.shape not in label_shapes(values):
                    self._refuse_structure((images, labels), ONE_HOT)
                check_labels(labels, self.num_classes)
        except ValueError as error:
            self._problem = error
            raise
        return images, None if self.num_classes is None else labels

    def _check_dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        spec = dataset.element_spec
        parts = spec if isinstance(spec, tuple) else (spec,)
        if len(parts) == 3:
            self._refuse("A GAN cannot use sample or class weights: leave them out of the batches.")
        if not 1 <= len(parts) <= 2 or not all(isinstance(part, tf.TensorSpec) for part in parts):
            self._refuse_structure(spec)
        shape, dtype = parts[0].shape, parts[0].dtype
        if not shape.is_compatible_with((None, *self.image_shape)) or shape.rank is None:
            self._refuse_structure(spec)
        if not (dtype == tf.uint8 or dtype.is_floating):
            self._refuse(f"Images must be uint8 (0..255) or floats in [-1, 1]. Received: dtype={dtype.name}")
        if self.num_classes is not None:
            if len(parts) == 1 or parts[1].shape.rank is None:
                self._refuse_structure(spec)
            if parts[1].shape[1:] not in ((), (1,), (None,)):
                self._refuse_structure(spec, ONE_HOT)
            check_labels(np.zeros(1, parts[1].dtype.as_numpy_dtype), self.num_classes)
        labels_seen = getattr(dataset, "label_range", None)  # set by `gan.data.pipeline`
        if hasattr(dataset, "steps_per_pass"):
            if labels_seen is not None and self.num_classes is not None:
                check_labels(np.array(labels_seen), self.num_classes)
            return dataset
        return dataset.enumerate().map(self._check_tensors).prefetch(1)

    @tf.autograph.experimental.do_not_convert
    def _check_tensors(self, index, batch):
        """Checks a batch inside the pipeline. Calls Python only for the first batch and for a wrong batch."""
        images, labels = batch if isinstance(batch, tuple) and len(batch) == 2 else (batch, None)
        images = images[0] if isinstance(images, tuple) else images
        used = [images] if self.num_classes is None else [images, labels]
        is_fine = tf.reduce_all(tf.shape(images)[1:] == list(self.image_shape)) & (index > 0)
        if images.dtype.is_floating:
            is_fine &= ~tf.reduce_any(tf.abs(images) > 1)  # NaN passes, and `TerminateOnNaN` finds NaN
        if self.num_classes is not None:
            is_fine &= tf.size(labels) == tf.shape(images)[0]
            is_fine &= tf.reduce_all((labels >= 0) & (tf.cast(labels, tf.int64) < self.num_classes))

        def look(index, *batch):
            try:
                self._check_values(*batch, is_first=index == 0)
            except Exception as error:  # also a warning that the user's filters turn into an error
                self._problem = error
                raise
            return np.int64(0)

        looked = tf.cond(
            is_fine,
            lambda: tf.constant(0, tf.int64),
            lambda: tf.numpy_function(look, [index, *used], tf.int64),
        )
        with tf.control_dependencies([looked]):
            used[0] = tf.ensure_shape(tf.identity(images), (None, *self.image_shape))
        return used[0] if self.num_classes is None else tuple(used)

    def _refuse(self, message: str) -> None:
        self._problem = ValueError(message)
        raise self._problem

    def _refuse_structure(self, received, advice: str = "") -> None:
        shape = ", ".join(map(str, self.image_shape))
        batch = f"images of shape (batch, {shape}), as uint8 (0..255) or floats in [-1, 1]"
        if self.num_classes is None:
            expected = f"A batch must be {batch}; or (images, labels), but the labels are not used"
        else:
            expected = f"A conditional GAN needs batches of (images, labels): {batch}; integer labels of "
            expected += f"shape (batch,) in 0..{self.num_classes - 1}"
        self._refuse(f"{expected}. Received: {_describe(received)}{advice}")


class _CheckedPyDataset(keras.utils.PyDataset):
    """Reads batches from a PyDataset and checks each batch."""

    def __init__(self, dataset: keras.utils.PyDataset, checks: BatchChecks):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset = dataset
        self.checks = checks

    def __getitem__(self, index):
        return self.checks._check_batch(self.dataset[index], index)

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


def _warn_of_range(images: np.ndarray) -> bool:
    """Warns when the images seem to have a wrong range. Returns True after a warning."""
    if not images.size:
        return False
    low, high = images.min(), images.max()
    if images.dtype == np.uint8 and 0 < high <= MOST_LEVELS:
        advice = f"uint8 images should have the range 0..255: multiply the images by 255 / {high}"
    elif images.dtype != np.uint8 and low >= 0 and high > low:
        advice = "Float images should have the range [-1, 1]: scale images in [0, 1] by `images * 2 - 1`"
    else:
        return False
    warnings.warn(f"{advice}. Received: values from {float(low):g} to {float(high):g}", stacklevel=2)
    return True


def _advise(received: dict) -> str:
    """Says how to get images and labels out of a dictionary, or out of the dictionaries of a dataset."""
    images = next((key for key in received if str(key).lower() in IMAGE_KEYS), next(iter(received), "image"))
    labels = next((key for key in received if str(key).lower() in LABEL_KEYS), None)
    if any(isinstance(part, tf.TensorSpec) for part in received.values()):
        parts = f"batch[{images!r}]" if labels is None else f"(batch[{images!r}], batch[{labels!r}])"
        return f"Use `dataset.map(lambda batch: {parts})`"
    return f"Pass [{images!r}] as `x`" + ("" if labels is None else f" and [{labels!r}] as `y`")


def _describe(received) -> str:
    """Describes a received value in one line."""
    if isinstance(received, dict):
        return f"a dictionary with the keys {', '.join(map(repr, received))}. {_advise(received)}"
    if "Ragged" in type(received).__name__:
        return f"a {type(received).__name__}; call `.to_tensor()`"
    if isinstance(received, (list, tuple)) and len(received) > 3:
        return f"a {type(received).__name__} of {len(received)} parts"
    if isinstance(received, (list, tuple)):
        return f"a {type(received).__name__} of {', '.join(map(_describe, received)) or '0 parts'}"
    if hasattr(received, "shape") and hasattr(received, "dtype"):
        dtype = getattr(received.dtype, "name", received.dtype)
        shape = received.shape
        return f"{dtype} of shape {shape if getattr(shape, 'rank', 0) is None else tuple(shape)}"
    return type(received).__name__
