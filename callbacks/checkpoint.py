"""Saves and restores checkpoints of a training: the newest ones and the best one."""

import contextlib
import functools
import hashlib
import json
import math
import warnings
import zlib
from pathlib import Path

import h5py
import keras
import numpy as np

from gan.checks import whole_number
from gan.files import digest, encode_weights, find_numbered, local_path, read_json, write_json, write_whole
from gan.notice import Notice


class Checkpoint(keras.callbacks.Callback):
    """Saves everything that training needs to continue: weights, optimizers, step and random states.

    A checkpoint has two files: `epoch_0007.weights.h5`, as `save_weights` writes it, and its manifest
    `epoch_0007.json` (epoch, size, SHA-256, logs, and a checksum of the manifest). The manifest is written
    last: weights without a manifest are not a checkpoint. Each file is written completely or not at all.
    `restore` verifies a checkpoint before it loads the checkpoint.

    The last epoch is saved too. Epochs with weights or a loss that are not finite (NaN or infinite) are never
    saved, so the last good checkpoint remains. Saving epoch 7 deletes checkpoints of later epochs: they are
    damaged, or the training was restarted at an earlier epoch.

    Args:
        directory: the folder for the checkpoints. Created if it is missing.
        every_n_epochs: number of epochs from one checkpoint to the next, at least 1.
        keep: number of newest checkpoints to keep, at least 1.
        monitor: a key of the logs. The epoch with the best value is saved immediately and kept too.
        mode: "min" if lower values of `monitor` are better, "max" if higher values are better.

    Raises:
        ValueError: if an argument is out of its range; or, before the first epoch, if the directory contains
            checkpoints of another training that this training would delete.

    Example. The code continues from the newest checkpoint each time that you run it:

    ```python
    checkpoint = Checkpoint("checkpoints", keep=3)
    epochs_done = checkpoint.restore(gan)
    gan.fit(
        pipeline(images, batch_size=64, seed=0, start_step=epochs_done * 500),
        steps_per_epoch=500, initial_epoch=epochs_done, epochs=20, callbacks=[checkpoint],
    )
    ```
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        every_n_epochs: int = 1,
        keep: int = 2,
        monitor: str | None = None,
        mode: str = "min",
    ):
        super().__init__()
        if mode not in ("min", "max"):
            raise ValueError(f"`mode` must be 'min' or 'max'. Received: mode={mode!r}")
        self.directory = local_path(directory)
        self.every_n_epochs = whole_number("every_n_epochs", every_n_epochs)
        self.keep = whole_number("keep", keep)
        self.monitor = monitor
        self.mode = mode
        self._is_continued = False  # whether this training wrote or restored the checkpoints
        self._damaged = set()  # epochs that `restore` skips and that cannot be the best

    def restore(self, model: keras.Model) -> int:
        """Loads the newest undamaged checkpoint into a compiled model.

        Verifies all checkpoints. Skips damaged checkpoints, with a warning for each. A damaged checkpoint
        cannot be the best checkpoint either.

        Returns:
            The number of finished epochs, for `initial_epoch` of `fit`. 0 if there is no undamaged
            checkpoint.

        Raises:
            ValueError: if the model is not compiled, or if the newest undamaged checkpoint belongs to a model
                with other layers or another optimizer.
        """
        self._is_continued = True
        for epochs_done in sorted(self._epochs_of("json")):
            try:
                _verify(self._path(epochs_done, "weights.h5"), self._read_manifest(epochs_done))
            except (OSError, ValueError) as error:
                self._damaged.add(epochs_done)
                warnings.warn(f"{error}; this checkpoint is skipped.", Notice, stacklevel=2)
        newest = max(self._epochs_of("json") - self._damaged, default=0)
        if newest:
            _check_fit(model, self._path(newest, "weights.h5"))
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
            _load(model, self._path(newest, "weights.h5"))
        return newest

    def on_train_begin(self, logs=None):
        self.directory.mkdir(parents=True, exist_ok=True)
        self._unsaved = self._fingerprint = None

    def on_epoch_begin(self, epoch, logs=None):
        newest = max(self._epochs_of("json"), default=0)
        if newest > epoch and not self._is_continued:
            raise ValueError(
                f"{self.directory} contains checkpoints up to epoch {newest}, but training starts at "
                f"{epoch}: call `restore(model)` and pass its return value as `initial_epoch`, or choose "
                "another directory."
            )
        self._is_continued = True

    def on_epoch_end(self, epoch, logs=None):
        logs = {key: float(value) for key, value in (logs or {}).items()}
        self._unsaved = (epoch + 1, logs)
        is_last = self.model.stop_training or epoch + 1 == (self.params or {}).get("epochs")
        if self._is_best(epoch, logs) or is_last or (epoch + 1) % self.every_n_epochs == 0:
            self._save()
        else:
            self._fingerprint = _fingerprint(self.model)

    def on_train_end(self, logs=None):
        if self._unsaved is not None and not self._save_if_unchanged():
            epoch = self._unsaved[0]
            warnings.warn(f"Epoch {epoch} is not saved: another callback changed the weights.", stacklevel=2)
        for epoch in self._epochs_of("weights.h5") - self._epochs_of("json"):
            self._path(epoch, "weights.h5").unlink()  # left by a process that was killed during a removal

    def _save_if_unchanged(self) -> bool:
        """Saves the last epoch, unless another callback has changed the weights since its end."""
        if self._fingerprint not in (None, _fingerprint(self.model)):
            return False
        self._save()
        return True

    def _save(self) -> None:
        epochs_done, logs = self._unsaved
        weights = self.model.get_weights()
        if not all(np.isfinite(each).all() for each in [logs.get("loss", 0.0), *weights]):
            return
        weights = encode_weights(self.model)
        write_whole(self._path(epochs_done, "weights.h5"), weights)
        manifest = {
            "epoch": epochs_done,
            "bytes": len(weights),
            "sha256": hashlib.sha256(weights).hexdigest(),
            "logs": {key: value for key, value in logs.items() if math.isfinite(value)},
        }
        write_json(self._path(epochs_done, "json"), manifest | {"checksum": _checksum(manifest)})
        self._damaged.discard(epochs_done)
        self._unsaved = None
        self._remove_old(epochs_done)

    def _is_best(self, epochs_before: int, logs: dict) -> bool:
        if self.monitor is None:
            return False
        if self.monitor not in logs:
            names = ", ".join(sorted(logs))
            warnings.warn(f"`monitor` {self.monitor!r} is not in the logs; they have {names}.", stacklevel=2)
            return False
        best = self._best([manifest for manifest in self._manifests() if manifest["epoch"] <= epochs_before])
        return best is None or self._rank({"logs": logs}) < self._rank(best)

    def _best(self, manifests: list[dict]) -> dict | None:
        rated = [manifest for manifest in manifests if self.monitor in manifest["logs"]]
        return min(rated, key=self._rank, default=None)

    def _rank(self, manifest: dict) -> float:
        """Returns the monitored value, negated if higher values are better. Returns infinity for NaN."""
        value = manifest["logs"][self.monitor]
        if math.isnan(value):
            return math.inf
        return value if self.mode == "min" else -value

    def _remove_old(self, epochs_done: int) -> None:
        past = [manifest for manifest in self._manifests() if manifest["epoch"] <= epochs_done]
        kept = {manifest["epoch"] for manifest in [*past[-self.keep :], self._best(past)] if manifest}
        for suffix in ("json", "weights.h5"):  # the manifest first: weights alone are not a checkpoint
            for epoch in self._epochs_of(suffix) - kept:
                self._path(epoch, suffix).unlink()

    def _manifests(self) -> list[dict]:
        """Returns all undamaged manifests, in the order of their epochs."""
        manifests = []
        for epochs_done in sorted(self._epochs_of("json") - self._damaged):
            with contextlib.suppress(ValueError):  # `restore` warns, and the next save removes the file
                manifests.append(self._read_manifest(epochs_done))
        return manifests

    def _read_manifest(self, epochs_done: int) -> dict:
        path = self._path(epochs_done, "json")
        try:
            manifest = read_json(path)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        logs, checksum = manifest.get("logs"), manifest.pop("checksum", None)
        is_whole = (
            checksum == _checksum(manifest)
            and manifest.get("epoch") == epochs_done
            and isinstance(manifest.get("bytes"), int)
            and isinstance(manifest.get("sha256"), str)
            and isinstance(logs, dict)
            and all(isinstance(value, float) for value in logs.values())
        )
        if not is_whole:
            raise ValueError(f"{path} is damaged: it does not describe the checkpoint of epoch {epochs_done}")
        return manifest

    def _epochs_of(self, suffix: str) -> set[int]:
        """Returns the epochs that have a file with this suffix."""
        return set(find_numbered(self.directory, f".{suffix}"))

    def _path(self, epochs_done: int, suffix: str) -> Path:
        return self.directory / f"epoch_{epochs_done:04d}.{suffix}"


def _fingerprint(model: keras.Model) -> int:
    return functools.reduce(
        lambda sum_, array: zlib.crc32(np.ascontiguousarray(array), sum_), model.get_weights(), 0
    )


def _checksum(manifest: dict) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _verify(weights: Path, manifest: dict) -> None:
    """Raises ValueError if a weights file differs from its manifest. Compares the size first, for speed."""
    if not weights.is_file():
        raise ValueError(f"{weights} is missing")
    if weights.stat().st_size != manifest["bytes"] or digest(weights) != manifest["sha256"]:
        raise ValueError(f"{weights} is damaged: its size or SHA-256 differs from the manifest")


def _check_fit(model: keras.Model, weights: Path) -> None:
    """Raises ValueError for faults that Keras does not report.

    These faults are a model without an optimizer, and an average of the generator that only the model or only
    the checkpoint has.
    """
    if getattr(model, "optimizer", None) is None:
        raise ValueError(f"{weights} is not damaged, but this model is not compiled: compile the model first")
    try:
        with h5py.File(weights) as file:
            has_average = "average_generator" in file
    except Exception:  # not an HDF5 file, although its checksum is right: `_load` raises the error
        return
    if hasattr(model, "average_generator") and has_average != (model.average_generator is not None):
        difference = "lacks the average" if has_average else "has an additional average"
        raise ValueError(
            f"{weights} is not damaged, but this model {difference} of the generator: create the "
            "model with the same `ema_half_life_images` as before"
        )


def _load(model: keras.Model, weights: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras warns if it skips a part of the file
            model.load_weights(weights)
    except Exception as error:
        is_optimizer = "Skipping variable loading for optimizer" in str(error)
        other = "another optimizer" if is_optimizer else "other layers"
        same = "compile the model as before" if is_optimizer else "build the networks as before"
        raise ValueError(
            f"{weights} is not damaged, but belongs to a model with {other} than this model: {same}. "
            f"Received: {model.name}"
        ) from error
