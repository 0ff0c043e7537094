"""Trains a GAN on images and saves all results in a run folder.

python train.py                          # MNIST, or the digits in this package if MNIST cannot be downloaded
python train.py --minutes 5 --name first
python train.py --resume runs/first      # continues a run; on a CPU, with the same bits as without the stop
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # takes effect only before TensorFlow is imported

import argparse
import functools
import json
import math
import sys
import time

from gan.commands import program as programs

try:
    import keras
    import numpy as np
    import tensorflow as tf

    from gan import GAN, callbacks
    from gan.commands import training, workers
    from gan.commands.launcher import launch
    from gan.data import pipeline, validation_batches
    from gan.distribution import share
    from gan.files import whole_file
    from gan.metrics import quality_metrics
    from gan.runs import keep_history, tell_of_lost_pictures
    from gan.runs.settings import STEPS_PER_EXECUTION
except ModuleNotFoundError as error:
    raise programs.missing_package("train.py", error) from None

EPOCHS_UNTIL_TIME_IS_UP = 9999
CHECKPOINTS_KEPT = 2
SHOWN = ("d_loss", "g_loss", *training.QUALITY)  # logs in the terminal; history.csv has all logs


def main(arguments: list[str] | None = None, program: str = "train.py") -> int:
    """Runs the command line, from a script, a notebook or a thread. Returns the exit code."""
    return programs.run_program(program, lambda: run(training.parse(arguments, program), program))


def run(options: argparse.Namespace, program: str) -> int:
    """Checks the settings and the data before writing any file, and then trains. Returns the exit code."""
    command = ["python", programs.shorten(__file__)] if program == "train.py" else program.split()
    if options.workers and not workers.is_launched() and not options.dry_run:
        return launch(options, command, __file__)
    job = training.prepare(options)
    num_classes = job.dataset.num_classes if job.settings.conditional else None
    with programs.usage_errors(before=f"{job.dataset.source}: "), job.strategy.scope():
        gan = job.settings.make_gan(job.dataset.image_shape, num_classes, job.settings.seed)
    start = [] if job.is_resumed else training.copy_start(gan, job)
    if options.dry_run:
        for line in job.dataset.report:
            print(line, file=sys.stderr)
        print(json.dumps({"run_folder": str(job.folder.path)} | job.config, indent=2))
        return 0
    if job.dataset.notice:
        programs.notify(program, job.dataset.notice)
    say = (lambda *lines: None) if options.quiet else functools.partial(print, sep="\n", flush=True)
    with training.explain_stop(job, command, say), training.open_for_writing(job):
        if job.dataset.report:
            say(*job.dataset.report)
        train(gan, job, start, say, verbose=0 if options.quiet else 1 if sys.stdout.isatty() else 2)
    return 0


def train(gan: GAN, job: training.Job, start: list[str], say, verbose: int) -> None:
    """Trains the GAN. Continues from the newest checkpoint if the run folder has checkpoints.

    Args:
        gan: the GAN, not compiled yet.
        job: the training.
        start: the lines from `training.copy_start`.
        say: a function that prints lines.
        verbose: as in `fit`.

    Raises:
        programs.RunError: if a loss or weight is not finite.
    """
    settings, folder = job.settings, job.folder
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    network = training.load_network(job, verbose)
    with job.strategy.scope():
        metrics = [] if network is None else quality_metrics(network, job.dataset.has_classes)
        _compile(gan, job, metrics)
    kept = {"keep": CHECKPOINTS_KEPT, "monitor": training.QUALITY[0] if metrics else None}
    kept |= {"every_n_epochs": settings.checkpoint_every_epochs}
    checkpoint = callbacks.Checkpoint(folder.checkpoints, **kept)
    with programs.usage_errors():
        epochs_done = checkpoint.restore(gan)
    if job.is_resumed and not epochs_done:
        start = training.copy_start(gan, job)
    training.check_workers(gan, network, job, epochs_done)
    fit = functools.partial(_fit, gan, job, epochs_done, metrics, verbose)
    if not job.is_chief:
        fit([])
        _refuse_if_not_finite(gan, folder, [])
        share(None, job.strategy)  # waits until the chief has saved the models
        return
    history_file = callbacks.HistoryFile(folder.history, append=True)  # runs before `checkpoint`
    (folder.logs / "samples").mkdir(parents=True, exist_ok=True)
    keep_history(folder.history, epochs_done, _list_columns(gan, metrics, settings.penalty != "none"))
    tell_of_lost_pictures(folder, epochs_done)
    real_distance = training.measure_real(job, network)
    say(*training.describe_start(job, epochs_done, real_distance), *start)
    doctor = _make_doctor(job, verbose)
    started = time.monotonic()
    try:
        history = fit([*_watchers(gan, job, doctor), history_file, checkpoint])
    finally:
        history_file.on_train_end()  # closes the file, also after an interrupt
    _refuse_if_not_finite(gan, folder, doctor.remarks)
    for model, path in ((gan, folder.model), (gan.copy_sampler(), folder.generator)):
        with whole_file(path) as temporary:
            model.save(temporary)
    share(None, job.strategy)
    say(*training.describe_end(job, history, time.monotonic() - started, real_distance, doctor.remarks))


def _compile(gan: GAN, job: training.Job, metrics: list) -> None:
    settings, replicas = job.settings, job.strategy.num_replicas_in_sync
    steps_per_execution = 1 if replicas > 1 else math.gcd(STEPS_PER_EXECUTION, settings.steps_per_epoch)
    decay_steps = settings.decay_epochs * settings.steps_per_epoch
    settings.compile(gan, decay_steps, metrics=metrics, steps_per_execution=steps_per_execution)


def _fit(gan: GAN, job: training.Job, epochs_done: int, metrics: list, verbose: int, chief_callbacks: list):
    """Trains on all workers, with the callbacks that every worker needs and those of the chief."""
    settings, replicas = job.settings, job.strategy.num_replicas_in_sync
    time_limit = [callbacks.TimeLimit(settings.minutes)] if settings.minutes else []
    with programs.usage_errors():
        validation = metrics and validation_batches(job.dataset, settings.conditional, replicas=replicas)
    return gan.fit(
        _feed(gan, job, start_step=epochs_done * settings.steps_per_epoch),
        steps_per_epoch=settings.steps_per_epoch,
        initial_epoch=epochs_done,
        epochs=settings.epochs or EPOCHS_UNTIL_TIME_IS_UP,
        validation_data=validation or None,
        callbacks=[keras.callbacks.TerminateOnNaN(), *time_limit, *chief_callbacks],
        verbose=verbose,
    )


def _list_columns(gan: GAN, metrics: list, has_penalty: bool) -> list[str]:
    """Returns the columns of history.csv. Without validation, CSVLogger adds a `val_` column for each log."""
    columns = [tracker.name for tracker in gan.metrics if tracker not in metrics] + ["penalty"] * has_penalty
    measured = [metric.name for metric in gan.metrics] if metrics else columns
    return columns + [f"val_{name}" for name in measured]


def _feed(gan: GAN, job: training.Job, start_step: int):
    settings = job.settings
    order = {"batch_size": settings.batch_size, "seed": settings.seed, "start_step": start_step}
    return pipeline(*job.training_data, num_classes=gan.num_classes, flip=settings.flip, **order)


def _watchers(gan: GAN, job: training.Job, doctor) -> list[keras.callbacks.Callback]:
    settings, folder = job.settings, job.folder
    real_images = job.dataset.first_images(gan.num_classes)
    class_names = job.config["data"].get("class_names")  # an older run keeps its pictures without names
    shown = {"real_images": real_images, "seed": settings.seed, "class_names": class_names}
    return [
        callbacks.ProgressBar(SHOWN),
        callbacks.SampleGrid(folder.samples, **shown),
        callbacks.TensorBoardSamples(folder.logs / "samples", **shown),
        callbacks.TensorBoardLogits(folder.logs / "discriminator", **job.probe),
        callbacks.TensorBoard(folder.logs, write_graph=False),
        doctor,
    ]


def _make_doctor(job: training.Job, verbose: int) -> callbacks.Doctor:
    files = {"file": job.folder.doctor, "log_dir": job.folder.logs / "doctor"}
    return callbacks.Doctor(**job.probe, **files, verbose=min(verbose, 1))


def _refuse_if_not_finite(gan: GAN, folder, remarks: list) -> None:
    losses = gan.history.history.get("loss", [])
    if all(np.isfinite(values).all() for values in [losses, *gan.get_weights()]):
        return
    is_any_saved = any(folder.checkpoints.glob("*.json"))
    raise programs.RunError(
        f"a loss or weight was not finite in epoch {gan.history.epoch[-1] + 1}"
        f"{f'; the last good checkpoint is in {folder.checkpoints}' if is_any_saved else ''}. "
        f"Start a new run: {remarks[-1].change if remarks else 'halve both learning rates'}"
    )


if __name__ == "__main__":
    sys.exit(programs.run_as_process(main))
