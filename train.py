"""Trains a GAN on images and keeps everything of it in a run folder.

python train.py                          # MNIST, or the embedded digits without a network
python train.py --minutes 5 --name first
python train.py --resume runs/first      # after a Ctrl-C, to the same bits
"""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import json
import math
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from gan.commands.program import (
    Parser,
    RunError,
    UsageError,
    command,
    import_tensorflow_quietly,
    run_program,
    shorten,
    usage_errors,
)
from gan.runs import RunFolder, Settings, keep_history
from gan.runs.settings import (
    STEPS_PER_EXECUTION,
    add_flags,
    describe_recipe,
    list_changes,
    new_settings,
    read_settings,
    resumed_settings,
)

EPOCHS_UNTIL_TIME_IS_UP = 9999
CHECKPOINTS_KEPT = 2
VALIDATION_IMAGES = 5000  # half of MNIST's test set: less than a twentieth of the epoch
VALIDATION_BATCH_SIZE = 250
EVENT_FILE = "events.out.tfevents"  # what TensorFlow's errors of writing to TensorBoard name
BEST_BY = "val_frechet_distance"
SHOWN = (
    "d_loss",
    "g_loss",
    BEST_BY,
    "val_classifier_score",
    "val_smallest_class_share",
)  # in the terminal; history.csv has all logs
EVERY_EPOCH = ("--samples_per_plugin", "images=1000")  # TensorBoard shows ten pictures otherwise


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_program("train.py", lambda: run(parse(arguments)))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Reads the flags. Those that were not given are left out, except the switches."""
    parser = Parser(
        prog="train.py",
        description="Train a GAN and watch its images form. Each run has a folder of its own.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    groups = {
        name: parser.add_argument_group(name) for name in ("data", "length", "recipe", "run folder", "output")
    }
    add_flags(groups)
    where = groups["run folder"].add_mutually_exclusive_group()
    where.add_argument("--name", type=_name, help="write to runs/NAME (default: date-time-dataset)")
    where.add_argument("--run-dir", type=Path, metavar="DIR", help="write to DIR")
    where.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="continue the run in DIR with its settings; only --epochs, --minutes, --checkpoint-every-epochs "
        "and the place of the same --dataset may change",
    )
    output = groups["output"]
    output.add_argument("--quiet", action="store_true", default=False, help="print errors only")
    output.add_argument(
        "--dry-run", action="store_true", default=False, help="print the settings and train nothing"
    )
    return parser.parse_args(arguments)


def _name(text: str) -> str:
    if text in ("", "..") or Path(text).name != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a name; for a path use --run-dir")
    return text


def run(options: argparse.Namespace) -> int:
    """Checks everything that can be wrong before a file is touched, then trains."""
    resumed = getattr(options, "resume", None)
    folder_path = resumed or _new_folder_path(options)
    if folder_path and not resumed:
        _refuse_existing(folder_path)

    import_tensorflow_quietly()
    gan, settings, dataset, report, changes = _prepare(options, resumed)
    now = datetime.datetime.now()
    folder = RunFolder(folder_path or Path("runs") / f"{now:%Y-%m-%d-%H%M%S}-{dataset.name}")
    if options.dry_run:
        print(json.dumps({"run_folder": str(folder.path)} | report, indent=2))
        return 0
    if dataset.notice:
        _notice(dataset.notice)
    say = (lambda *lines: None) if options.quiet else functools.partial(print, sep="\n", flush=True)
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
            with usage_errors():
                held.enter_context(folder.open_for_writing())
            if is_new:
                _refuse_existing(folder.path)
            folder.write_config(report)
        except OSError as error:
            raise UsageError(f"{folder.path} cannot be written: {error.strerror}") from error
        yield


@contextlib.contextmanager
def _explained(folder, say) -> Iterator[None]:
    """Says in one line how to continue a training that Ctrl-C or a full disk stopped."""
    import tensorflow as tf

    resume = command("python", shorten(__file__), "--resume", folder.path)
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nStopped. Continue it:  {resume}")
        raise
    except (OSError, tf.errors.OpError) as error:
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            where, why = error.filename or "output", error.strerror or error
        elif EVENT_FILE in str(error):
            where, why = folder.logs, error.message.splitlines()[0].rpartition("; ")[2]
        else:
            raise
        what = f"{where} cannot be written: {why}"
        raise RunError(f"{what}. After you correct that, continue by  {resume}") from error


def _prepare(options: argparse.Namespace, resumed: Path | None) -> tuple:
    """Returns the GAN, its settings and data, config.json's content, and lines about changed settings."""
    from gan import data

    with usage_errors():
        stored = RunFolder(resumed).read_whole_config() if resumed else {}
        settings = resumed_settings(stored, options) if resumed else None
    advice = "; if the run's data are somewhere else now, name them by --dataset PATH" if resumed else ""
    with usage_errors(advice):
        dataset = data.load(settings.dataset if resumed else getattr(options, "dataset", Settings.dataset))
    if not resumed:
        settings = new_settings(options, dataset)
    elif stored["data"]["checksum"] != dataset.checksum:
        raise UsageError(f"{dataset.source}: not the data of {resumed}: their checksum differs")
    else:
        _tell_of_other_versions(stored)
        settings = dataclasses.replace(settings, dataset=dataset.source)
    count = len(dataset.train_images)
    if settings.batch_size > count:
        raise UsageError(f"--batch-size {settings.batch_size} is more than the {count} images of the data")
    try:
        num_classes = None if settings.unconditional else dataset.num_classes
        gan = settings.make_recipe().make_gan(dataset.image_shape, num_classes, settings.seed)
    except ValueError as error:
        raise UsageError(f"{dataset.source}: {error}") from error
    report = describe(settings, dataset) | ({"data": stored["data"]} if resumed else {})
    before = read_settings(stored, RunFolder(resumed).config) if resumed else settings
    return gan, settings, dataset, report, list_changes(before, settings)


def train(gan, settings: Settings, dataset, folder, say, is_resumed: bool, quiet: bool) -> None:
    """Trains, from the folder's newest checkpoint if it has one.

    Raises:
        RunError: when a loss or weight is not finite.
    """
    import callbacks

    metrics = _quality_metrics(settings, dataset, say, quiet)
    settings.make_recipe().compile(
        gan,
        settings.decay_epochs * settings.steps_per_epoch,
        metrics=metrics,
        steps_per_execution=math.gcd(STEPS_PER_EXECUTION, settings.steps_per_epoch),
    )
    checkpoint = callbacks.Checkpoint(
        folder.checkpoints,
        every_n_epochs=settings.checkpoint_every_epochs,
        keep=CHECKPOINTS_KEPT,
        monitor=BEST_BY if metrics else None,
    )
    epochs_done = _restore(checkpoint, gan)
    _prepare_folder(folder, settings, gan, metrics, epochs_done)
    tensorboard = command("tensorboard", "--logdir", folder.path, *EVERY_EPOCH)
    labels = "without labels" if gan.num_classes is None else f"{gan.num_classes} classes"
    say(
        f"Run folder: {folder.path} (on {_device()})",
        f"Data:       {dataset.name}, {len(dataset.train_images):,} images, {labels}",
        f"Recipe:     {describe_recipe(settings)}",
        f"Watch it:   {tensorboard}",
        *([_explain_resume(settings, epochs_done)] if is_resumed else []),
    )
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
    """Returns the content of config.json: the settings, the data and the package versions."""
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

    packages = {module.__name__: module.__version__ for module in (tf, keras, np)}
    return {"python": sys.version.split()[0]} | packages


def _quality_metrics(settings: Settings, dataset, say, quiet: bool) -> list:
    """The metrics of the samples' quality after each epoch; none for data without labels."""
    from gan.metrics import ClassBalance, ClassifierScore, FrechetDistance, classifier_for

    if not settings.validation:
        return []
    classifier = classifier_for(dataset, verbose=_verbosity(quiet))
    if classifier is None:
        say("The data have no labels to train a classifier with, so the samples' quality is not measured.")
        return []
    return [FrechetDistance(classifier), ClassifierScore(classifier), ClassBalance(classifier)]


def _validation_data(gan, dataset):
    """Images from all over the test set, or the training set if there is no test set, with labels."""
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
        callbacks.ProgressBar(SHOWN),
        keras.callbacks.TerminateOnNaN(),
        callbacks.SampleGrid(folder.samples, real_images=real_images, seed=settings.seed),
        callbacks.TensorBoardSamples(folder.logs / "samples", real_images=real_images, seed=settings.seed),
        callbacks.TensorBoard(folder.logs, write_graph=False),
        callbacks.HistoryFile(folder.history, append=True),
    ]
    return watchers + ([callbacks.TimeLimit(settings.minutes)] if settings.minutes else [])


def _real_images_by_class(dataset, num_classes: int | None):
    """The first hundred training images, or the first ten of each class in one row each."""
    import numpy as np

    if num_classes is None:
        return dataset.train_images[:100]
    rows = np.zeros((num_classes, 10, *dataset.image_shape), np.uint8)  # black where a class has fewer
    for label, row in enumerate(rows):
        found = dataset.train_images[dataset.train_labels == label][:10]
        row[: len(found)] = found
    return rows.reshape(-1, *dataset.image_shape)


def _prepare_folder(folder, settings: Settings, gan, metrics: list, epochs_done: int) -> None:
    """Keeps the history of the epochs that are done, and reports lost rows and pictures."""
    for logs in ("train", "validation", "samples"):
        (folder.logs / logs).mkdir(parents=True, exist_ok=True)
    columns = [tracker.name for tracker in gan.metrics if tracker not in metrics]
    columns += [] if settings.penalty == "none" else ["penalty"]
    measured = [metric.name for metric in gan.metrics] if metrics else columns  # Keras logs these as NA
    columns += [f"val_{name}" for name in measured]
    if not keep_history(folder.history, epochs_done, columns):
        _notice(f"{folder.history} lacks rows of the {epochs_done} epochs done: they are lost")
    pictures = [folder.samples / f"epoch_{n:04d}.png" for n in range(epochs_done + 1)]
    if epochs_done and not all(picture.is_file() for picture in pictures):
        _notice(f"{folder.samples} lacks pictures of the {epochs_done} epochs done: they are lost")


def _notice(message) -> None:
    print(f"train.py: NOTICE: {message}", file=sys.stderr)


def _restore(checkpoint, gan) -> int:
    """Restores the newest whole checkpoint. Returns the number of epochs that are done."""
    with warnings.catch_warnings(record=True) as caught, usage_errors():
        warnings.simplefilter("always", UserWarning)
        epochs_done = checkpoint.restore(gan)
    for warning in caught:
        _notice(warning.message)
    return epochs_done


def _explain_resume(settings: Settings, epochs_done: int) -> str:
    if not epochs_done:
        return "There is no whole checkpoint: starting over."
    if settings.minutes:
        length = f"{settings.minutes:g} minutes; the number of epochs depends on the machine"
        return f"Resuming after epoch {epochs_done}, for {length}."
    if epochs_done >= settings.epochs:
        return f"All {epochs_done} epochs are done; --epochs N trains up to N."
    is_beyond = 0 < settings.decay_epochs < settings.epochs
    rest = (
        f" After epoch {settings.decay_epochs} both learning rates stay at a hundredth." if is_beyond else ""
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
    import numpy as np

    losses = gan.history.history.get("loss", [])
    if all(np.isfinite(values).all() for values in [losses, *gan.get_weights()]):
        return
    is_any_saved = any(folder.checkpoints.glob("*.json"))
    raise RunError(
        f"a loss or weight was not finite in epoch {gan.history.epoch[-1] + 1}"
        f"{f'; the last good checkpoint is in {folder.checkpoints}' if is_any_saved else ''}. "
        "Start a new run with lower rates"
    )


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
    """The last epoch's figures, if there are any."""
    last = {name: values[-1] for name, values in gan.history.history.items() if values}
    if BEST_BY not in last:
        return []
    return [
        f"Quality:    Fréchet distance {last[BEST_BY]:.3g}, "
        f"classifier score {last['val_classifier_score']:.3g}, "
        f"smallest class {last['val_smallest_class_share']:.1%} of the samples"
    ]


def _device() -> str:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else "CPU"


def _tell_of_other_versions(stored: dict) -> None:
    """Reports that other versions may compute other bits."""
    then, now = stored.get("versions"), _versions()
    if isinstance(then, dict) and then != now:
        names = [name for name in now if then.get(name) != now[name]]
        changes = [f"{name} {now[name]} (it started with {then.get(name)})" for name in names]
        _notice(f"the run continues, perhaps with other bits, with {', '.join(changes)}")


def _new_folder_path(options: argparse.Namespace) -> Path | None:
    """The run's folder, or None for a name that is made from the dataset's."""
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


if __name__ == "__main__":
    sys.exit(main())
