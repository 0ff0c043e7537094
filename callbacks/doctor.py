"""Finds the cause when a training fails, and says what to change."""

import json
import math
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from gan.checks import whole_number
from gan.files import LARGEST_LOG, local_path, read_json, write_whole
from gan.health import Remark, count_different, diagnose
from gan.notice import Notice

from .probe import Probe

LOGS = ("d_loss", "g_loss", "penalty", "val_frechet_distance")
FEWEST_TEST_IMAGES = 32  # fewer images give no reliable mean of their logits
# With these optimizers the learning rate is about the largest change of a weight in a step.
ADAPTIVE = (keras.optimizers.Adam, keras.optimizers.Adamax, keras.optimizers.Nadam, keras.optimizers.RMSprop)


class Doctor(keras.callbacks.Callback):
    """Finds the cause when a training of a GAN fails. Says nothing about a healthy training.

    After each epoch, the callback collects a row of numbers: logs, learning rates, the logits of fixed real
    and generated images, and the variety of these images. The rules in `gan.health` find the cause in the
    rows. A remark says: the cause, the evidence, one thing to change, and what to expect after the change.
    The callback names one cause at a time, and each cause once. docs/failures.md shows a training for each
    cause.

    Args:
        training_data: images and labels, as in `validation_data` of `fit`: the data of the training. Images
            are uint8 or floats in [-1, 1], (count, height, width, channels). Labels are integers (count,),
            or None for a model without classes.
        test_data: the same for test images. None: the callback cannot see whether the discriminator memorizes
            the training images.
        file: JSON file for the rows and the remarks. A resumed `fit` continues with the rows of the file.
            None: no file.
        log_dir: folder for `tensorboard --logdir`, which shows the remarks as text. Give each callback that
            writes to TensorBoard its own folder. None: no text.
        count: number of images of each kind.
        seed: seed of the latents.
        verbose: 1 prints the remarks, 0 prints nothing.

    Attributes:
        remarks: the list of `gan.health.Remark`.
        rows: the list of rows, one for each epoch.

    Raises:
        ValueError: when `count` is not a whole number of at least 1. `fit` raises it before training when
            images have a wrong shape or range, or when the labels do not fit the images and the model.

    Example:

    ```python
    doctor = Doctor((train_images, train_labels), (test_images, test_labels))
    gan.fit(dataset, steps_per_epoch=500, epochs=10, callbacks=[doctor])
    for remark in doctor.remarks:
        print(remark)
    ```
    """

    def __init__(
        self,
        training_data: tuple,
        test_data: tuple | None = None,
        *,
        file: str | Path | None = None,
        log_dir: str | Path | None = None,
        count: int = 256,
        seed: int = 0,
        verbose: int = 1,
    ):
        super().__init__()
        self.training_data = training_data
        self.test_data = test_data
        self.file = None if file is None else local_path(file)
        self.log_dir = None if log_dir is None else str(log_dir)
        self.count = whole_number("count", count)
        self.seed = seed
        self.verbose = verbose
        self.rows: list[dict[str, float]] = []
        self.remarks: list[Remark] = []

    def on_train_begin(self, logs=None):
        self.probe = Probe(self.model, self.training_data, self.test_data, self.count, self.seed)
        real = self.probe.real["training"].values
        self.real_variety = count_different(real, reference=real)
        self.writer = tf.summary.create_file_writer(self.log_dir) if self.log_dir else None
        self._is_first_epoch = True

    def on_epoch_begin(self, epoch, logs=None):
        if self._is_first_epoch:  # of this `fit`, which may continue an earlier one
            self._is_first_epoch = False
            earlier = _read_rows(self.file) if self.file else self.rows
            self.rows = [row for row in earlier if row["epoch"] <= epoch]
            self.remarks = diagnose(self.rows)

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append(self._collect_row(epoch + 1, logs or {}))
        known, self.remarks = len(self.remarks), diagnose(self.rows)
        for remark in self.remarks[known:]:
            self._say(remark)
        if self.file is not None:
            self._write()

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()

    def _collect_row(self, epoch: int, logs: dict) -> dict[str, float]:
        row = {"epoch": epoch, "steps": int(self.model.step.numpy()), "latent_dim": self.model.latent_dim}
        row |= {name: float(logs[name]) for name in LOGS if name in logs}
        generated, real = self.probe.generate(), self.probe.real["training"].values
        for name, images in (self.probe.real | {"generated": generated}).items():
            if name == "test" and len(images.values) < FEWEST_TEST_IMAGES:
                continue
            logits = self.probe.compute_logits(images)
            row |= {f"{name}_logits": float(logits.mean()), f"{name}_spread": float(logits.std())}
        row["training_variety"] = self.real_variety
        row["generated_variety"] = count_different(generated.values, reference=real)
        if real.dtype != np.uint8:
            row |= {"training_minimum": float(real.min()), "training_maximum": float(real.max())}
        row |= self._find_rates()
        return {
            name: value if isinstance(value, int) else float(f"{value:.6g}") for name, value in row.items()
        }

    def _find_rates(self) -> dict[str, float]:
        """Returns the learning rates of optimizers like Adam. The rates of others are not comparable."""
        players = dict(zip(("generator", "discriminator"), self.model.optimizer.optimizers, strict=True))
        return {
            f"{name}_rate": float(keras.ops.convert_to_numpy(player.learning_rate))
            for name, player in players.items()
            if isinstance(player, ADAPTIVE)
        }

    def _write(self) -> None:
        """Writes rows and remarks as JSON. JSON has no NaN, so a number that is not finite becomes null.

        If the file cannot be written, warns, and the training goes on.
        """
        rows = [
            {name: value if math.isfinite(value) else None for name, value in row.items()}
            for row in self.rows
        ]
        content = {"remarks": [vars(remark) for remark in self.remarks], "rows": rows}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.file, json.dumps(content, allow_nan=False).encode() + b"\n")
        except OSError as error:
            warnings.warn(f"{self.file} was not written: {error.strerror}", Notice, stacklevel=2)

    def _say(self, remark: Remark) -> None:
        if self.verbose:
            print(f"\n{remark}\n", flush=True)
        if self.writer is not None:
            # Keras's TensorBoard callback may have turned off recording.
            with self.writer.as_default(), tf.summary.record_if(True):
                tf.summary.text("doctor", remark.to_markdown(), step=remark.epoch)
            self.writer.flush()


def _read_rows(file: Path) -> list[dict[str, float]]:
    """Reads the rows of a file. Returns no rows if the file is missing or damaged."""
    try:
        stored = read_json(file, LARGEST_LOG)["rows"]
        rows = [{name: math.nan if value is None else value for name, value in row.items()} for row in stored]
        is_whole = all("epoch" in row and set(map(type, row.values())) <= {int, float} for row in rows)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return rows if is_whole else []
