"""The command line of train.py: its flags, its checks before the training, and the lines that it prints."""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ..data import SCALING, Dataset, load, validation_split
from ..distribution import chief_first, count_workers, is_chief, share
from ..files import find_numbered
from ..metrics import feature_network_for
from ..metrics.evaluation import real_distance
from ..model import GAN
from ..networks import padded_size
from ..runs import RunFolder, Settings, describe_run, tell_of_other_machine
from ..runs.failures import FAILURES, change_data
from ..runs.settings import add_flags, given_settings
from ..transfer import copy_fitting_weights
from . import workers
from .program import Parser, RunError, UsageError, command, shorten, usage_errors
from .runs import load_dataset, load_gan

QUALITY = ("val_frechet_distance", "val_classifier_score", "val_smallest_class_share")
EVERY_EPOCH = ("--samples_per_plugin", "images=1000")  # by default TensorBoard shows ten pictures


@dataclasses.dataclass(frozen=True)
class Job:
    """Holds everything that a training needs, checked before any file is written.

    Attributes:
        settings: the settings of the run.
        dataset: the dataset that the run trains on.
        folder: the run folder.
        config: the content of config.json.
        changes: one line for each setting that a resumed run changes.
        is_resumed: true for a resumed run, false for a new run.
        strategy: the strategy that trains.
        repeated_flags: the flags that a command to resume the run needs too.
    """

    settings: Settings
    dataset: Dataset
    folder: RunFolder
    config: dict
    changes: list[str]
    is_resumed: bool
    strategy: tf.distribute.Strategy
    repeated_flags: list[str]

    @property
    def probe(self) -> dict:
        """Returns the data with which callbacks look at the discriminator."""
        return {"training_data": self.training_data, "test_data": self.test_data, "seed": self.settings.seed}

    @property
    def is_chief(self) -> bool:
        """Returns whether this process writes the files."""
        return is_chief(self.strategy)

    @functools.cached_property
    def training_data(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the images and labels to train on. Without classes the labels are None."""
        labels = self.dataset.train_labels if self.settings.conditional else None
        return change_data(self.settings.failure, self.dataset.train_images, labels)

    @property
    def test_data(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Returns the test images and labels, or None if the run cannot use the test images."""
        images, labels = self.dataset.test_images, self.dataset.test_labels
        if not self.settings.conditional:
            labels = None
        elif labels is None:
            return None
        return None if images is None else (images, labels)


def parse(arguments: list[str] | None, program: str) -> argparse.Namespace:
    """Reads the flags. Leaves out the flags that were not given, except --quiet and --dry-run."""
    parser = Parser(
        prog=program,
        description="Train a GAN on images. Each run saves its results in its own folder.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    names = ("data", "length", "recipe", "several devices", "run folder", "output")
    groups = {name: parser.add_argument_group(name) for name in names}
    add_flags(groups)
    workers.add_flags(groups["several devices"])
    where = groups["run folder"].add_mutually_exclusive_group()
    where.add_argument(
        "--name", type=_name, help="save the run in runs/NAME (default NAME: date-time-dataset)"
    )
    where.add_argument("--run-dir", type=Path, metavar="DIR", help="save the run in the folder DIR")
    resume = "continue the run in the folder DIR with its settings; you may change only --epochs, --minutes, "
    resume += "--checkpoint-every-epochs, and --dataset if the same data are in another place now"
    where.add_argument("--resume", type=Path, metavar="DIR", help=resume)
    switch = {"action": "store_true", "default": False}
    groups["output"].add_argument("--quiet", help="print only errors and notices", **switch)
    groups["output"].add_argument(
        "--dry-run", help="print the settings as JSON and the report of a folder, and do not train", **switch
    )
    options = parser.parse_args(arguments)
    options.arguments = sys.argv[1:] if arguments is None else arguments
    return options


def prepare(options: argparse.Namespace) -> Job:
    """Loads the data and determines the settings of a new run or a resumed run.

    Raises:
        UsageError: with a message of one line, for a mistake that the user can correct.
    """
    strategy = tf.distribute.get_strategy() if options.dry_run else workers.connect(options)
    advice = "Look at the output of the others"
    with workers.explain_lost_worker(strategy, advice), chief_first(strategy):
        job = (_prepare_resumed if hasattr(options, "resume") else _prepare_new)(options, strategy)
    with workers.explain_lost_worker(strategy, advice):  # before TensorFlow exchanges the first weights
        workers.check_agreement(_describe_agreement(job), strategy)
    batch_size, count = job.settings.batch_size, len(job.dataset.train_images)
    workers.check_batch_size(batch_size, strategy)
    if batch_size > count:
        raise UsageError(
            f"--batch-size {batch_size} is more than the {count} images of the data: use at most {count}"
        )
    if strategy.num_replicas_in_sync > 1 and job.settings.jit == "on":
        raise UsageError("Keras does not use XLA on several replicas: leave out --jit on or --distribute")
    if job.settings.deterministic and job.settings.jit == "on":
        raise UsageError("--deterministic trains without XLA: leave out --jit on or --deterministic")
    if job.settings.conditional and job.dataset.num_classes is None:
        raise UsageError(
            f"--conditional needs labels, and {job.dataset.source} has no labels: use --unconditional"
        )
    return job


def choose_path(options: argparse.Namespace, name: str | None = None) -> Path:
    """Returns the path of the run folder.

    Args:
        options: the flags.
        name: name of the dataset for the name of a new run. None: the flag `--dataset`.
    """
    for given in ("resume", "run_dir"):
        if hasattr(options, given):
            return getattr(options, given)
    name = name or Path(getattr(options, "dataset", "workers")).stem
    return Path("runs", getattr(options, "name", f"{datetime.datetime.now():%Y-%m-%d-%H%M%S}-{name}"))


def _prepare_new(options: argparse.Namespace, strategy: tf.distribute.Strategy) -> Job:
    if {"name", "run_dir"} & vars(options).keys() and is_chief(strategy):
        refuse_existing(choose_path(options))
    given = given_settings(options)
    with usage_errors():
        if "start_from" in given:
            given["start_from"] = _absolute(given["start_from"])
        scaling = {name: given[name] for name in SCALING if name in given}
        dataset = load(given.get("dataset", Settings.dataset), **scaling, verbose=not options.quiet)
        settings = Settings.new(given, dataset)
    folder = RunFolder(choose_path(options, dataset.name))
    flags = workers.repeat_flags(options)
    return Job(settings, dataset, folder, describe_run(settings, dataset), [], False, strategy, flags)


def _prepare_resumed(options: argparse.Namespace, strategy: tf.distribute.Strategy) -> Job:
    folder = RunFolder(options.resume)
    if folder.checkpoints.is_symlink() and not folder.checkpoints.exists():
        raise UsageError(
            f"{folder.checkpoints} is a link to a folder that does not exist: mount the disk of the folder"
        )
    with usage_errors():
        stored, before = folder.read_whole_config(), folder.read_settings()
        given = given_settings(options)
        if "start_from" in given:
            given["start_from"] = _absolute(given["start_from"])
        settings = before.resume(given)
    dataset = load_dataset(folder, settings.dataset, verbose=not options.quiet)
    tell_of_other_machine(stored)
    settings = dataclasses.replace(settings, dataset=dataset.source)
    config = describe_run(settings, dataset) | {"data": stored["data"]}
    changes, flags = settings.list_changes(before), workers.repeat_flags(options)
    return Job(settings, dataset, folder, config, changes, True, strategy, flags)


@contextlib.contextmanager
def open_for_writing(job: Job) -> Iterator[None]:
    """Locks the run folder until the block ends, and writes config.json. Only the chief does so.

    Raises:
        UsageError: if the folder cannot be locked or written, or if the folder of a new run contains files.
    """
    with contextlib.ExitStack() as held:
        problem = None
        if job.is_chief:
            try:
                _open(job, held)
            except UsageError as error:
                problem = str(error)
        if problem := share(problem, job.strategy)[0]:  # all workers end with the error of the chief
            raise UsageError(problem)
        yield


def _open(job: Job, held: contextlib.ExitStack) -> None:
    try:
        with usage_errors():
            held.enter_context(job.folder.open_for_writing())
        if not job.is_resumed:
            refuse_existing(job.folder.path)
        job.folder.write_config(job.config)
    except OSError as error:
        raise UsageError(f"{job.folder.path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def explain_stop(job: Job, program: list[str], say) -> Iterator[None]:
    """Says in one line how to continue: after Ctrl-C, without another worker, or if a file cannot be written.

    Args:
        job: the training.
        program: the words of the command that runs the program, without flags.
        say: a function that prints lines.
    """
    resume = command(*program, *job.repeated_flags, "--resume", job.folder.path)
    try:
        with workers.explain_lost_worker(job.strategy, f"Start all workers again, with:  {resume}"):
            yield
    except KeyboardInterrupt:
        if not workers.is_launched():  # the launcher says it
            say(f"\nStopped. Continue the run:  {resume}")
        raise
    except (OSError, tf.errors.OpError) as error:
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            where, why = error.filename or "output", error.strerror or error
        elif workers.EVENT_FILE in str(error):
            where, why = job.folder.logs, error.message.splitlines()[0].rpartition("; ")[2]
        else:
            raise
        what = f"{where} cannot be written: {why}"
        raise RunError(f"{what}. Correct the problem, then continue with:  {resume}") from error


def describe_start(job: Job, epochs_done: int, real_distance: float | None) -> list[str]:
    """Returns the lines to print before the training.

    Args:
        job: the training.
        epochs_done: number of finished epochs.
        real_distance: the Fréchet distance of real images, if it is known.
    """
    settings, dataset, gpus = job.settings, job.dataset, len(tf.config.list_physical_devices("GPU"))
    device, replicas = f"{gpus} GPU" if gpus else "CPU", job.strategy.num_replicas_in_sync
    device += f", {replicas} replicas" if replicas > 1 else ""
    labels = f"{dataset.num_classes} classes" if settings.conditional else "without labels"
    return [
        *job.changes,
        f"Run folder: {job.folder.path} (on {device})",
        f"Data:       {dataset.name}, {len(job.training_data[0]):,} images, {labels}",
        *_describe_crop(dataset),
        f"Recipe:     {settings.describe_recipe(dataset.image_shape)}",
        *([f"Failure:    {FAILURES[settings.failure].reason}"] if settings.failure else []),
        *(
            []
            if real_distance is None
            else [f"Floor:      real images have a Fréchet distance of {real_distance:.3g}"]
        ),
        _describe_tensorboard(job),
        *([_describe_resume(settings, epochs_done)] if job.is_resumed else []),
    ]


def load_network(job: Job, verbose: int) -> keras.Model | None:
    """Returns the network that measures the quality, or None without validation."""
    if not job.settings.validation:
        return None
    with chief_first(job.strategy):  # the chief may train the network, and the others load its file
        return feature_network_for(job.dataset, verbose)


def measure_real(job: Job, network: keras.Model | None) -> float | None:
    """Returns the Fréchet distance of real images. None without validation or without test images."""
    data, has_labels = job.dataset, job.settings.conditional
    if network is None or data.test_images is None or (has_labels and data.test_labels is None):
        return None
    return real_distance(network, data, *validation_split(data, has_labels))


def check_workers(gan: GAN, network: keras.Model | None, job: Job, epochs_done: int) -> None:
    """Checks that all workers continue from the same checkpoint, with the same network for the metrics.

    Args:
        gan: the GAN, compiled and restored.
        network: the network that measures the quality, or None.
        job: the training.
        epochs_done: number of finished epochs.

    Raises:
        UsageError: on all workers, with the first difference.
    """
    if count_workers(job.strategy) == 1:
        return
    facts = {
        "finished epochs": epochs_done,
        "weights": workers.digest_weights(gan),
        "feature network": None if network is None else workers.digest_weights(network),
    }
    workers.check_agreement(facts, job.strategy)


def _describe_agreement(job: Job) -> dict:
    """Returns the facts that must be the same on all workers before the GAN is built."""
    settings = {name: value for name, value in job.config["settings"].items() if name != "dataset"}
    data = {name: job.config["data"][name] for name in ("checksum", "images", "image_shape", "num_classes")}
    versions = {package.__name__: package.__version__ for package in (tf, keras)}
    return {"settings": settings, "data": data, "versions": versions}


def copy_start(gan: GAN, job: Job) -> list[str]:
    """Copies the weights of the run `--start-from` into a new GAN. Returns the lines to print.

    Raises:
        UsageError: if the run is not finished, or if no layer fits.
    """
    if job.settings.start_from is None:
        return []
    source = load_gan(Path(job.settings.start_from))
    lines = [f"Start from: {shorten(job.settings.start_from)}"]
    for name in ("generator", "discriminator"):
        target = getattr(gan, name)
        fresh = copy_fitting_weights(getattr(source, name), target)
        if len(fresh) == len([layer for layer in target.layers if layer.weights]):
            raise UsageError(f"--start-from {job.settings.start_from}: no layer fits the {name} of this run")
        lines += [f"            new weights in the {name}: {', '.join(fresh)}"] * bool(fresh)
    return lines


def describe_end(
    job: Job,
    history: keras.callbacks.History,
    seconds: float,
    real_distance: float | None,
    remarks: list,
) -> list[str]:
    """Returns the lines to print after the training.

    Args:
        job: the training.
        history: the return value of `fit`.
        seconds: the time of the training.
        real_distance: the Fréchet distance of real images, if it is known.
        remarks: the remarks of `callbacks.Doctor`.
    """
    minutes, seconds = divmod(round(seconds), 60)
    folder = job.folder
    newest = [folder.samples, *find_numbered(folder.samples, ".png").values()][-1]
    last = [history.history[name][-1] for name in QUALITY if history.history.get(name)]
    return [
        "",
        f"Trained to step {int(history.model.step.numpy())} in {minutes} min {seconds} s.",
        *([_describe_quality(real_distance, *last)] if last else []),
        *(f"Doctor:     {one.cause} (since epoch {one.since_epoch})" for one in remarks),
        f"Samples:    {newest}",
        "            in the same folder: epochs.gif (all epochs) and real.png (real images)",
        f"Models:     {folder.model}",
        "            in the same folder: generator.keras (only the generator; needs only Keras)",
        f"Evaluate:   {command('python', '-m', 'gan', 'evaluate', folder.path)}",
        _describe_tensorboard(job),
    ]


def _name(text: str) -> str:
    if text in ("", "..") or Path(text).name != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder name; for a path use --run-dir")
    return text


def _absolute(path: str) -> str:
    try:
        return str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError) as error:  # for example an unknown home directory
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def refuse_existing(folder_path: Path) -> None:
    """Refuses a folder that contains files.

    Raises:
        UsageError: if the folder cannot be read or is not empty.
    """
    try:
        is_empty = RunFolder(folder_path).is_empty()
    except OSError as error:
        raise UsageError(f"{folder_path}: {error.strerror}") from error
    if not is_empty:
        is_run = (folder_path / "config.json").is_file()
        advice = ", or continue the run with --resume" if is_run else ""
        raise UsageError(f"{folder_path} exists; choose another name{advice}")


def _describe_crop(dataset: Dataset) -> list[str]:
    """Returns a line if the generator draws larger images than those of the data."""
    shape = dataset.image_shape
    sizes = [f"{height}x{width}" for height, width in (padded_size(shape), shape[:2])]
    return (
        [f"Size:       the generator draws {sizes[0]} and crops to {sizes[1]}"]
        if sizes[0] != sizes[1]
        else []
    )


def _describe_tensorboard(job: Job) -> str:
    return f"Watch:      {command('tensorboard', '--logdir', job.folder.path, *EVERY_EPOCH)}"


def _describe_quality(
    real_distance: float | None, frechet: float, score: float | None = None, share: float | None = None
) -> str:
    line = f"Quality:    Fréchet distance {frechet:.3g}"
    line += "" if real_distance is None else f" (real images: {real_distance:.3g})"
    if score is not None:
        line += f", classifier score {score:.3g}, smallest class {share:.1%} of the samples"
    return line


def _describe_resume(settings: Settings, epochs_done: int) -> str:
    if not epochs_done:
        return "There is no checkpoint to continue from: training starts again from the beginning."
    if settings.minutes:
        length = f"{settings.minutes:g} minutes; the number of epochs depends on the machine"
        return f"Resuming after epoch {epochs_done}, for {length}."
    if epochs_done >= settings.epochs:
        return f"All {epochs_done} epochs are done. To train until epoch N, use --epochs N."
    line = f"Resuming after epoch {epochs_done} of {settings.epochs}."
    if 0 < settings.decay_epochs < settings.epochs:
        line += f" After epoch {settings.decay_epochs} both learning rates stay at their final value."
    return line
