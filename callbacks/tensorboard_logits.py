"""Writes the logits of the discriminator to TensorBoard, as histograms."""

from pathlib import Path

import keras
import tensorflow as tf

from gan.checks import whole_number

from .probe import Probe


class TensorBoardLogits(keras.callbacks.Callback):
    """Writes histograms of the discriminator's logits before training and after every n-th epoch.

    A logit above 0 means: the discriminator takes the image for real. The histograms are:

    - `logits/training`: D(x) for training images x;
    - `logits/test`: D(x) for test images x, which the discriminator has never seen;
    - `logits/generated`: D(G(z)) for images of the generator, for fixed latents z.

    How to read them: when `training` and `generated` are far apart and the samples look alike, the
    discriminator wins, and the generator learns little. When `training` moves away from `test`, the
    discriminator memorizes the training images. Then `generated` is close to `test`, although the images may
    be poor (Karras et al. 2020, https://arxiv.org/abs/2006.06676, figure 1).

    Args:
        log_dir: folder for `tensorboard --logdir`. It is created if it does not exist. Give each callback
            that writes to TensorBoard its own folder: TensorBoard reads one file of a folder at a time.
        training_data: images and labels, as in `validation_data` of `fit`. Images are uint8 or floats in
            [-1, 1], (count, height, width, channels). Labels are integers (count,), or None for a model
            without classes. The generated images get the same labels.
        test_data: the same for test images. None: no histogram of test images.
        count: number of images for each histogram. They are evenly spread over the data.
        every_n_epochs: number of epochs from one histogram to the next, at least 1.
        seed: seed of the latents.

    Raises:
        ValueError: when `count` or `every_n_epochs` is not a whole number of at least 1. `fit` raises it
            before training when images have a wrong shape or range, or when the labels do not fit the images
            and the model.

    Example:

    ```python
    watch = TensorBoardLogits("logs/discriminator", (train_images, None), (test_images, None))
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[watch])
    ```
    """

    def __init__(
        self,
        log_dir: str | Path,
        training_data: tuple,
        test_data: tuple | None = None,
        *,
        count: int = 500,
        every_n_epochs: int = 1,
        seed: int = 0,
    ):
        super().__init__()
        self.log_dir = str(log_dir)  # a folder, or an address that TensorFlow can write to
        self.training_data = training_data
        self.test_data = test_data
        self.count = whole_number("count", count)
        self.every_n_epochs = whole_number("every_n_epochs", every_n_epochs)
        self.seed = seed

    def on_train_begin(self, logs=None):
        self.probe = Probe(self.model, self.training_data, self.test_data, self.count, self.seed)
        self.writer = tf.summary.create_file_writer(self.log_dir)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self._write(0)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every_n_epochs == 0:
            self._write(epoch + 1)

    def on_train_end(self, logs=None):
        self.writer.close()

    def _write(self, epochs_done: int) -> None:
        images = self.probe.real | {"generated": self.probe.generate()}
        # Keras's TensorBoard callback may have turned off recording.
        with self.writer.as_default(), tf.summary.record_if(True):
            for name, some in images.items():
                logits = self.probe.compute_logits(some)
                tf.summary.histogram(f"logits/{name}", logits, step=epochs_done)
        self.writer.flush()
