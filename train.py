"""Trains a GAN on images and keeps everything of it in a run folder.

python train.py                          # MNIST, or the embedded digits without a network
python train.py --minutes 5 --name first
python train.py --resume runs/first      # after a Ctrl-C, to the same bits
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gan.command_line import (
    RunError,
    UsageError,
    command,
    import_tensorflow_quietly,
    run_program,
    shorten,
)
from gan.run import RunFolder
from gan.settings import (
    STEPS_PER_EXECUTION,
    Settings,
    describe_recipe,
    list_changes,
    new_settings,
    parse,
    resumed_settings,
)

EPOCHS_UNTIL_TIME_IS_UP = 9999
CHECKPOINTS_KEPT = 2
VALIDATION_IMAGES = 5000  # half of MNIST's test set: less than a twentieth of the epoch
VALIDATION_BATCH_SIZE = 250
EVENT_FILE = "events.out.tfevents"  # what TensorFlow's errors of writing to TensorBoard name
BEST_BY = "val_frechet_distance"
SHOWN_WHILE_TRAINING = ("d_loss", "g_loss")  # a line of less than 80 characters; history.csv has all
SHOWN_AFTER_AN_EPOCH = (BEST_BY, "val_classifier_score", "val_least_share")
EVERY_EPOCH = ("--samples_per_plugin", "images=1000")  # TensorBoard shows ten pictures otherwise


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_program("train.py", lambda: run(parse(arguments)))


def run(options: argparse.Namespace) -> int:
    """Settles everything that can be refused before a file is touched, then trains."""
    resumed = getattr(options, "resume", None)
    folder_path = resumed or _new_folder_path(options)
    if folder_path and not resumed:
        _refuse_existing(folder_path)

    import_tensorflow_quietly()
    gan, settings, dataset, report, changes = _prepare(options, resumed)
    folder = RunFolder(folder_path or Path("runs") / _default_name(dataset.name))
    if options.dry_run:
        print(json.dumps({"run_folder": str(folder.path)} | report, indent=2))
        return 0
    if dataset.notice:
        _notice(dataset.notice)
    say = (lambda *lines: None) if options.quiet else (lambda *lines: print(*lines, sep="\n", flush=True))
    with _open_for_writing(folder, report, is_new=not resumed), _explained(folder, say):
        if changes:
            say(*changes)
        train(gan, settings, dataset, folder, say, is_resumed=bool(resumed), quiet=options.quiet)
    return 0


@contextlib.contextmanager
def _open_for_writing(folder, report: dict, is_new: bool) -> Iterator[None]:
    """Holds the folder, with its config.json written, for this process alone."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(folder.open_for_writing())
            if is_new:
                _refuse_existing(folder.path)
            folder.write_config(report)
        except OSError as error:
            raise UsageError(f"{folder.path} cannot be written: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(error) from error
        yield


@contextlib.contextmanager
def _explained(folder, say) -> Iterator[None]:
    """Says in one line how to go on after what stops a training: Ctrl-C, or a disk that takes no more."""
    import tensorflow as tf

    resume = command("python", shorten(__file__), "--resume", folder.path)
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nStopped. Continue it:  {resume}")
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"{error.filename or 'output'} cannot be written: {error.strerror or error}"
        raise RunError(f"{what}. When that is mended, continue by  {resume}") from error
    except tf.errors.OpError as error:
        if EVENT_FILE not in error.message:
            raise
        what = f"{folder.logs} cannot be written: {error.message.splitlines()[0].rpartition('; ')[2]}"
        raise RunError(f"{what}. When that is mended, continue by  {resume}") from error


class Prepared(NamedTuple):
    """What is settled before a file is touched."""

    gan: Any  # not compiled yet; its class is imported once the flags are known to be right
    settings: Settings
    dataset: Any
    report: dict  # what config.json says
    changes: list[str]  # what is told of a resumed run


def _prepare(options: argparse.Namespace, resumed: Path | None) -> Prepared:
    from gan import data

    try:
        stored = RunFolder(resumed).read_whole_config() if resumed else {}
    except ValueError as error:
        raise UsageError(error) from error
    settings = resumed_settings(stored, options) if resumed else None
    try:
        dataset = data.load(settings.dataset if resumed else getattr(options, "dataset", Settings.dataset))
    except ValueError as error:
        advice = "; where a run's data have moved, name them by --dataset PATH" if resumed else ""
        raise UsageError(f"{error}{advice}") from error
    if not resumed:
        settings = new_settings(options, dataset)
    elif stored["data"]["checksum"] != dataset.checksum:
        raise UsageError(f"{dataset.source}: not the data that {resumed} began with: their checksum differs")
    else:
        _tell_of_other_versions(stored)
        settings = dataclasses.replace(settings, dataset=dataset.source)
    count = len(dataset.train_images)
    if settings.batch_size > count:
        raise UsageError(f"--batch-size {settings.batch_size} is more than the {count} images that there are")
    try:
        num_classes = None if settings.unconditional else dataset.num_classes
        gan = settings.recipe.make_gan(dataset.image_shape, num_classes, settings.seed)
    except ValueError as error:
        raise UsageError(f"{dataset.source}: {error}") from error
    report = describe(settings, dataset) | ({"data": stored["data"]} if resumed else {})
    return Prepared(
        gan, settings, dataset, report, list_changes(stored["settings"], settings) if resumed else []
    )


def train(gan, settings: Settings, dataset, folder, say, is_resumed: bool, quiet: bool) -> None:
    """Trains from the folder's newest checkpoint, where it has one.

    Raises:
        RunError: when a loss or gradient is not finite.
    """
    import callbacks

    metrics = _quality_metrics(settings, dataset, say, quiet)
    settings.recipe.compile(
        gan,
        settings.decay_epochs * settings.steps_per_epoch,
        metrics=metrics,
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    checkpoint = callbacks.Checkpoint(
        folder.checkpoints,
        every_n_epochs=settings.checkpoint_every_epochs,
        keep=CHECKPOINTS_KEPT,
        monitor=BEST_BY if metrics else None,
    )
    epochs_done = _restore(checkpoint, gan)
    _prepare_folder(folder, epochs_done)
    tensorboard = command("tensorboard", "--logdir", folder.path, *EVERY_EPOCH)
    say(
        f"Run folder: {folder.path} (on {_device()})",
        f"Data:       {_describe_data(dataset, gan)}",
        f"Recipe:     {describe_recipe(settings)}",
        f"Watch it:   {tensorboard}",
    )
    if is_resumed:
        say(_explain_resume(settings, epochs_done))

    started = time.monotonic()
    gan.fit(
        _feed(gan, settings, dataset, start_step=epochs_done * settings.steps_per_epoch),
        steps_per_epoch=settings.steps_per_epoch,
        initial_epoch=epochs_done,
        epochs=settings.epochs or EPOCHS_UNTIL_TIME_IS_UP,
        validation_data=_validation_data(gan, dataset) if metrics else None,
        callbacks=[*_watchers(settings, dataset, folder, gan), checkpoint],
        verbose=_verbosity(quiet),
    )
    _refuse_if_not_finite(gan, folder)
    _export(gan, folder)
    say(*_summarize(folder, gan, time.monotonic() - started), f"Watch it:   {tensorboard}")


def describe(settings: Settings, dataset) -> dict:
    """What config.json holds: the settings, the data and the versions behind them."""
    return {
        "settings": dataclasses.asdict(settings),
        "data": {
            "name": dataset.name,
            "images": len(dataset.train_images),
            "image_shape": list(dataset.image_shape),
            "num_classes": dataset.num_classes,
            "checksum": dataset.checksum,
            "notice": dataset.notice,
        },
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    import keras
    import numpy as np
    import tensorflow as tf

    python = sys.version.split()[0]
    return {
        "python": python,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _quality_metrics(settings: Settings, dataset, say, quiet: bool) -> list:
    """What measures the samples after each epoch: nothing, where there is nothing to measure by."""
    from gan.features import classifier_for
    from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance

    if not settings.validation:
        return []
    classifier = classifier_for(dataset, verbose=_verbosity(quiet))
    if classifier is None:
        say("The data have no labels to train a classifier by, so the samples' quality is not measured.")
        return []
    return [FrechetDistance(classifier), ClassifierScore(classifier), ClassBalance(classifier)]


def _validation_data(gan, dataset):
    """Images spread over the test set, or over the training set where there is none, with labels."""
    import tensorflow as tf

    images, labels = dataset.test_images, dataset.test_labels
    if images is None or (gan.num_classes is not None and labels is None):
        images, labels = dataset.train_images, dataset.train_labels
    every_n = -(-len(images) // VALIDATION_IMAGES)
    arrays = images[::every_n] if gan.num_classes is None else (images[::every_n], labels[::every_n])
    return tf.data.Dataset.from_tensor_slices(arrays).batch(VALIDATION_BATCH_SIZE).prefetch(1)


def _feed(gan, settings: Settings, dataset, start_step: int):
    from gan.data import pipeline

    return pipeline(
        dataset.train_images,
        None if gan.num_classes is None else dataset.train_labels,
        batch_size=settings.batch_size,
        seed=settings.seed,
        start_step=start_step,
        num_classes=gan.num_classes,
    )


def _watchers(settings: Settings, dataset, folder, gan) -> list:
    import keras

    import callbacks

    real_images = _real_images_by_class(dataset, gan.num_classes)
    watchers = [
        callbacks.ProgressBar(SHOWN_WHILE_TRAINING + SHOWN_AFTER_AN_EPOCH),
        keras.callbacks.TerminateOnNaN(),
        callbacks.SampleGrid(folder.samples, real_images=real_images, seed=settings.seed),
        callbacks.TensorBoardSamples(folder.logs / "samples", real_images=real_images, seed=settings.seed),
        callbacks.TensorBoard(folder.logs, write_graph=False),
        callbacks.HistoryFile(folder.history, append=True),
    ]
    return watchers + ([callbacks.TimeLimit(settings.minutes)] if settings.minutes else [])


def _real_images_by_class(dataset, num_classes: int | None):
    """The first hundred training images, or the first ten of each class, a row each."""
    import numpy as np

    if num_classes is None:
        return dataset.train_images[:100]
    rows = np.zeros((num_classes, 10, *dataset.image_shape), np.uint8)  # black where a class has fewer
    for label, row in enumerate(rows):
        found = dataset.train_images[dataset.train_labels == label][:10]
        row[: len(found)] = found
    return rows.reshape(-1, *dataset.image_shape)


def _prepare_folder(folder, epochs_done: int) -> None:
    """Trims what will be written again, and tells of what has been lost before."""
    for logs in ("train", "validation", "samples"):
        (folder.logs / logs).mkdir(parents=True, exist_ok=True)
    if not folder.trim_history(epochs_done):
        _notice(f"{folder.history} lacks rows of the {epochs_done} epochs done: they are lost")
    if epochs_done and not all(
        (folder.samples / f"epoch_{n:04d}.png").is_file() for n in range(epochs_done + 1)
    ):
        _notice(f"{folder.samples} lacks pictures of the {epochs_done} epochs done: they are lost")


def _notice(message) -> None:
    print(f"train.py: NOTICE: {message}", file=sys.stderr)


def _restore(checkpoint, gan) -> int:
    """The epochs that the newest whole checkpoint has done, once the GAN stands where it was saved."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            epochs_done = checkpoint.restore(gan)
        except ValueError as error:
            raise UsageError(error) from error
    for warning in caught:
        _notice(warning.message)
    return epochs_done


def _describe_data(dataset, gan) -> str:
    labels = "without labels" if gan.num_classes is None else f"{gan.num_classes} classes"
    return f"{dataset.name}, {len(dataset.train_images):,} images, {labels}"


def _explain_resume(settings: Settings, epochs_done: int) -> str:
    if not epochs_done:
        return "There is no whole checkpoint: starting over."
    if settings.minutes:
        how_far = "; how many epochs that makes depends on the machine"
        return f"Resuming after epoch {epochs_done}, for {settings.minutes:g} minutes{how_far}."
    if epochs_done >= settings.epochs:
        return f"All {epochs_done} epochs are done; --epochs N trains up to N."
    is_beyond = 0 < settings.decay_epochs < settings.epochs
    rest = (
        f" Those after the {settings.decay_epochs}th learn at a hundredth of the rates." if is_beyond else ""
    )
    return f"Resuming after epoch {epochs_done} of {settings.epochs}.{rest}"


def _export(gan, folder) -> None:
    from gan.files import whole_file

    for model, path in ((gan, folder.model), (gan.copy_sampler(), folder.generator)):
        with whole_file(path) as temporary:
            model.save(temporary)


def _verbosity(quiet: bool) -> int:
    return 0 if quiet else 1 if sys.stdout.isatty() else 2


def _refuse_if_not_finite(gan, folder) -> None:
    if _is_finite(gan):
        return
    epoch = gan.history.epoch[-1] + 1
    is_any_saved = any(folder.checkpoints.glob("*.json"))
    raise RunError(
        f"a loss, gradient or weight was not finite in epoch {epoch}"
        f"{f'; the last good state is in {folder.checkpoints}' if is_any_saved else ''}. "
        "Start a new run with lower rates"
    )


def _is_finite(gan) -> bool:
    import numpy as np

    losses = gan.history.history.get("loss", [])
    return all(np.isfinite(values).all() for values in [losses, *gan.get_weights()])


def _summarize(folder, gan, seconds: float) -> list[str]:
    minutes, seconds = divmod(round(seconds), 60)
    newest = max(folder.samples.glob("epoch_*.png"), default=folder.samples)
    return [
        "",
        f"Trained to step {int(gan.step.numpy())} in {minutes} min {seconds} s.",
        *_summarize_quality(gan),
        f"Samples:    {newest}",
        "            beside it epochs.gif, which shows all epochs, and real.png, real images",
        f"Models:     {folder.model}",
        "            beside it generator.keras, for Keras alone",
        f"Measure it: {command('python', '-m', 'gan', 'evaluate', folder.path)}",
    ]


def _summarize_quality(gan) -> list[str]:
    """The last epoch's figures, where quality was measured and an epoch was run."""
    history = gan.history.history
    if not history.get(BEST_BY):
        return []
    names = {BEST_BY: "Fréchet distance", "val_classifier_score": "classifier score"}
    figures = [f"{name} {history[key][-1]:.3g}" for key, name in names.items()]
    return [f"Quality:    {', '.join(figures)}, least digit's share {history['val_least_share'][-1]:.1%}"]


def _device() -> str:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else "CPU"


def _tell_of_other_versions(stored: dict) -> None:
    """Other versions may compute other bits, so whoever goes on with them should know."""
    then, now = stored.get("versions"), _versions()
    if isinstance(then, dict) and then != now:
        changes = [
            f"{name} {version} (it began with {then.get(name)})"
            for name, version in now.items()
            if then.get(name) != version
        ]
        _notice(f"the run goes on, to other bits perhaps, with {', '.join(changes)}")


def _new_folder_path(options: argparse.Namespace) -> Path | None:
    """Where the run goes, or None for a name that the dataset takes part in."""
    if hasattr(options, "name"):
        return Path("runs") / options.name
    return getattr(options, "run_dir", None)


def _refuse_existing(folder_path: Path) -> None:
    try:
        is_empty = RunFolder(folder_path).is_empty()
    except OSError as error:
        raise UsageError(f"{folder_path}: {error.strerror}") from error
    if not is_empty:
        is_run = (folder_path / "config.json").is_file()
        advice = ", or continue it by --resume" if is_run else ""
        raise UsageError(f"{folder_path} exists; choose another name{advice}")


def _default_name(dataset_name: str) -> str:
    return f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{dataset_name}"


if __name__ == "__main__":
    sys.exit(main())
