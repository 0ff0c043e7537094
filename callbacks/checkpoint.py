"""States that training resumes from: whole or absent, the newest few and the best."""

import json
import math
import warnings
from pathlib import Path

import keras

from callbacks.base import check_counts
from gan.files import digest, whole_file, write_whole

__all__ = ["Checkpoint"]


class Checkpoint(keras.callbacks.Callback):
    """Saves all that training needs to go on: weights, optimizers, step and random states.

    A checkpoint is `epoch_0007.weights.h5`, as `save_weights` writes it, and `epoch_0007.json`, its
    manifest (epoch, size, SHA-256, logs), written after it: without its manifest it does not count.
    Both are written whole or not at all. The state after the last epoch is always saved; one whose
    loss is not finite never is. A state takes the place of those of later epochs: they are damaged, or
    of a training that was taken up again from before them.

    Args:
        directory: where the checkpoints go; made where it is missing.
        every_n_epochs: how often to save, from 1.
        keep: how many of the newest to keep, from 1.
        monitor: a key of the logs; the state that was best by it is saved at once and kept too.
        mode: "min" or "max": which values of `monitor` are better.

    Raises:
        ValueError: when an argument is none of these; and, before the first epoch, when the directory
            holds another training's checkpoints, which this one would push out.

    Example, which goes on where it was stopped each time it is run:

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
        check_counts(every_n_epochs=every_n_epochs, keep=keep)
        if mode not in ("min", "max"):
            raise ValueError(f"`mode` must be 'min' or 'max'. Received: mode={mode!r}")
        self.directory = Path(directory)
        self.every_n_epochs = every_n_epochs
        self.keep = keep
        self.monitor = monitor
        self.mode = mode
        self._is_continued = False  # whether what lies in the directory is this training's own

    def restore(self, model: keras.Model) -> int:
        """Loads the newest whole checkpoint into a compiled model.

        A damaged one is passed over with a warning.

        Returns:
            The number of epochs done: `fit`'s `initial_epoch`. 0 when there is no checkpoint.

        Raises:
            ValueError: when the newest whole one is of a model with other layers.
        """
        self._is_continued = True
        for manifest in reversed(self._manifests()):
            weights = self._weights_path(manifest["epoch"])
            if weights.is_file() and digest(weights) == manifest["sha256"]:
                if model.optimizer is not None and not model.optimizer.built:
                    model.optimizer.build(model.trainable_variables)
                _load(model, weights)
                return manifest["epoch"]
            warnings.warn(f"{weights} is damaged; an older checkpoint is used instead.", stacklevel=2)
        return 0

    def on_train_begin(self, logs=None):
        self._unsaved = None

    def on_epoch_begin(self, epoch, logs=None):
        newest = max((manifest["epoch"] for manifest in self._manifests()), default=0)
        if newest > epoch and not self._is_continued:
            raise ValueError(
                f"{self.directory} holds checkpoints up to epoch {newest}, and training starts at {epoch}: "
                "call `restore(model)` and pass what it returns as `initial_epoch`, or choose another "
                "directory."
            )
        self._is_continued = True

    def on_epoch_end(self, epoch, logs=None):
        logs = {key: float(value) for key, value in (logs or {}).items()}
        self._unsaved = (epoch + 1, logs)
        is_best = self._is_best(logs)
        if is_best or (epoch + 1) % self.every_n_epochs == 0:
            self._save()

    def on_train_end(self, logs=None):
        if self._unsaved is not None:
            self._save()

    def _save(self) -> None:
        epochs_done, logs = self._unsaved
        if not math.isfinite(logs.get("loss", 0.0)):
            return
        weights = self._weights_path(epochs_done)
        with whole_file(weights) as temporary:
            self.model.save_weights(temporary)
        manifest = {
            "epoch": epochs_done,
            "bytes": weights.stat().st_size,
            "sha256": digest(weights),
            "logs": {key: value for key, value in logs.items() if math.isfinite(value)},
        }
        write_whole(self._manifest_path(epochs_done), json.dumps(manifest, indent=2).encode() + b"\n")
        self._unsaved = None
        self._remove_old(epochs_done)

    def _is_best(self, logs: dict) -> bool:
        if self.monitor is None:
            return False
        if self.monitor not in logs:
            warnings.warn(
                f"`monitor` {self.monitor!r} is not among the logs, so none is best: "
                f"{', '.join(sorted(logs))}.",
                stacklevel=2,
            )
            return False
        best = self._best(self._manifests())
        return best is None or self._rank({"logs": logs}) < self._rank(best)

    def _best(self, manifests: list[dict]) -> dict | None:
        rated = [manifest for manifest in manifests if self.monitor in manifest["logs"]]
        return min(rated, key=self._rank, default=None)

    def _rank(self, manifest: dict) -> float:
        """The monitored value, such that less is better; a NaN ranks last."""
        value = manifest["logs"][self.monitor]
        if math.isnan(value):
            return math.inf
        return value if self.mode == "min" else -value

    def _remove_old(self, epochs_done: int) -> None:
        manifests = self._manifests()
        past = [manifest for manifest in manifests if manifest["epoch"] <= epochs_done]
        kept = [*past[-self.keep :], self._best(past)]
        for manifest in manifests:
            if manifest not in kept:
                self._manifest_path(manifest["epoch"]).unlink()
                self._weights_path(manifest["epoch"]).unlink(missing_ok=True)

    def _manifests(self) -> list[dict]:
        """All manifests, oldest epoch first."""
        paths = self.directory.glob("epoch_*.json")
        return sorted((json.loads(path.read_text("utf-8")) for path in paths), key=lambda m: m["epoch"])

    def _weights_path(self, epochs_done: int) -> Path:
        return self.directory / f"epoch_{epochs_done:04d}.weights.h5"

    def _manifest_path(self, epochs_done: int) -> Path:
        return self.directory / f"epoch_{epochs_done:04d}.json"


def _load(model: keras.Model, weights: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras warns where it leaves a part out
            model.load_weights(weights)
    except (ValueError, UserWarning) as error:
        raise ValueError(
            f"{weights} is whole, but of a model with other layers than this one: it was made by other "
            f"networks, or by another version of them. Received: {model.name}"
        ) from error
