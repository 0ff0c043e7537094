"""Draws digits, and tells how good a finished run is: `python -m gan generate | evaluate | compare`.

python -m gan generate --digit 4
python -m gan generate runs/first
python -m gan evaluate runs/first
python -m gan compare runs/first runs/second
"""

import argparse
import contextlib
import json
import secrets
import sys
from pathlib import Path

from gan.command_line import (
    Parser,
    UsageError,
    import_tensorflow_quietly,
    run_program,
    seed_number,
    shorten,
    whole_number,
)

COLUMNS = 10
MOST_IMAGES = 1_000_000  # in memory at once: 0.8 GB of MNIST's size


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    return run_program("python -m gan", lambda: run(parse(arguments)))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command and its flags."""
    parser = Parser(
        prog="python -m gan",
        description="Draw from trained generators, measure runs, compare them.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_generate, _add_evaluate, _add_compare, _add_classifier):
        add(commands)
    return parser.parse_args(arguments)


def _add_generate(commands) -> None:
    parser = commands.add_parser(
        "generate", help="draw images, of a run or of the package's own generator", allow_abbrev=False
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="folder of a finished run (default: the generator of MNIST that comes with the package)",
    )
    parser.add_argument(
        "--count", type=_count, default=100, metavar="N", help="how many images (default: 100)"
    )
    parser.add_argument("--digit", type=int, metavar="LABEL", help="only this class (default: each in turn)")
    parser.add_argument(
        "--seed", type=seed_number, metavar="N", help="draw the same images each time (default: fresh ones)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="a .png for one grid; a .npy for an array, uint8 (count, height, width, channels); a name "
        "without a suffix for a folder of single PNG files (default: RUN/generated.png; without RUN "
        "generated.png)",
    )
    parser.set_defaults(run=_generate)


def _count(text: str) -> int:
    count = whole_number(text)
    if count > MOST_IMAGES:
        raise argparse.ArgumentTypeError(f"{text} images are too many: at most {MOST_IMAGES:,} are drawn")
    return count


def _add_evaluate(commands) -> None:
    parser = commands.add_parser(
        "evaluate", help="measure a run's samples against real images", allow_abbrev=False
    )
    _add_run(parser)
    parser.add_argument(
        "--dataset", metavar="NAME|PATH", help="where the run's data are now (default: where they were)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="leave out the classifier trained on 60,000 samples, which takes minutes",
    )
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="what the samples follow from (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    parser.set_defaults(run=_evaluate)


def _add_compare(commands) -> None:
    parser = commands.add_parser(
        "compare", help="runs side by side; or the epochs of one", allow_abbrev=False
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--seed", type=seed_number, default=0, metavar="N", help="what the samples follow from (default: 0)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.png",
        help="where the picture goes (default: RUN/comparison.png of one run, comparison.png of several)",
    )
    parser.set_defaults(run=_compare)


def _add_classifier(commands) -> None:
    parser = commands.add_parser(
        "classifier", help="train the classifier that judges a dataset anew", allow_abbrev=False
    )
    parser.add_argument("dataset", metavar="NAME|PATH", help="as train.py's --dataset")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE.weights.h5", help="where its weights go"
    )
    parser.set_defaults(run=_train_classifier)


def run(options: argparse.Namespace) -> int:
    """Runs the command that the options name."""
    import_tensorflow_quietly()
    try:
        options.run(options)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}" if error.filename else error) from error
    return 0


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder of a finished run")


@contextlib.contextmanager
def _hold(path: Path, output: Path | None = None):
    """Keeps other processes from writing into a run folder, where the output goes into it."""
    from gan.run import RunFolder

    with contextlib.ExitStack() as held:
        if output is None or output.parent.resolve() == path.resolve():
            try:
                held.enter_context(RunFolder(path).open_for_writing())
            except ValueError as error:
                raise UsageError(error) from error
        yield


def _generate(options: argparse.Namespace) -> None:
    import numpy as np

    from gan.files import whole_file, write_whole
    from gan.images import encode_png, make_grid

    output = options.output or (options.folder or Path()) / "generated.png"
    if output.suffix not in ("", ".png", ".npy"):
        raise UsageError(f"--output must end in .png or .npy, or name a new folder. Received: {output}")
    if not output.suffix and output.exists():
        raise UsageError(f"{output} exists: name a new folder, or a .png or .npy file")
    folder = output.parent if output.suffix else output
    gan = _load_gan(options.folder) if options.folder else _load_trained_gan()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    images = gan.generate(options.count, _labels(gan, options), seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    with _hold(options.folder, output) if options.folder else contextlib.nullcontext():
        if output.suffix == ".npy":
            with whole_file(output) as temporary:
                np.save(temporary, images)
        elif output.suffix == ".png":
            write_whole(output, encode_png(make_grid(images, min(COLUMNS, len(images)))))
        else:
            for number, image in enumerate(images):
                write_whole(output / f"{number:05d}.png", encode_png(image))
    print(f"{len(images):,} images: {shorten(output)} (--seed {seed} draws them again)")


def _labels(gan, options: argparse.Namespace):
    import numpy as np

    if options.digit is None:
        return None
    if gan.num_classes is None:
        raise UsageError(f"{options.folder} was trained without labels: it cannot be asked for a digit")
    if not 0 <= options.digit < gan.num_classes:
        drawer = options.folder or "the package's generator"
        raise UsageError(f"--digit {options.digit}: {drawer} has the classes 0 to {gan.num_classes - 1}")
    return np.full(options.count, options.digit, np.int32)


def _evaluate(options: argparse.Namespace) -> None:
    from gan.features import classifier_for
    from gan.files import write_whole
    from gan.images import encode_png
    from gan.report import draw_nearest, evaluate, format_report, real_accuracy
    from gan.run import RunFolder

    folder = RunFolder(options.folder)
    gan = _load_gan(options.folder)
    dataset = _load_dataset(folder, options.dataset)
    with _hold(folder.path):
        folder.evaluation.mkdir(
            exist_ok=True
        )  # now, and not after minutes of work, what cannot be is refused
        verbose = 1 if sys.stderr.isatty() else 2
        with contextlib.redirect_stdout(sys.stderr):  # Keras's progress bars: what is asked for goes alone
            classifier = classifier_for(dataset, verbose)
            if classifier is None:
                raise UsageError(
                    f"{dataset.source} has no labels to train a classifier by, so nothing to judge by"
                )
            accuracy = None if options.quick else lambda: real_accuracy(dataset, verbose)
            try:
                report = evaluate(
                    gan, dataset, classifier, seed=options.seed, real_accuracy=accuracy, verbose=verbose
                )
            except ValueError as error:
                raise UsageError(error) from error
        report = {"run": str(options.folder)} | report
        if options.json:
            print(json.dumps(report, indent=2))
        else:
            print(format_report(report), "", sep="\n", flush=True)
        nearest = folder.evaluation / "nearest.png"
        write_whole(nearest, encode_png(draw_nearest(gan, dataset, options.seed)))
        write_whole(folder.evaluation / "report.json", json.dumps(report, indent=2).encode() + b"\n")
        if not options.json:
            print(f"Samples, and beside each the training images nearest to it: {shorten(nearest)}")


def _compare(options: argparse.Namespace) -> None:
    from gan import compare
    from gan.files import write_whole
    from gan.images import encode_png
    from gan.run import RunFolder

    folders = [RunFolder(path) for path in options.runs]
    is_one = len(folders) == 1
    output = options.output or (folders[0].path / "comparison.png" if is_one else Path("comparison.png"))
    if output.suffix != ".png":
        raise UsageError(f"--output must end in .png. Received: {output}")
    try:
        for folder in folders:
            folder.read_whole_config()
        if is_one:
            table, picture = compare.format_epochs(folders[0]), compare.draw_epochs(folders[0])
        else:
            table = compare.format_runs(folders)
            picture = compare.draw_runs([_load_gan(path) for path in options.runs], options.seed)
    except ValueError as error:
        raise UsageError(error) from error
    output.parent.mkdir(parents=True, exist_ok=True)
    with _hold(folders[0].path, output):
        write_whole(output, encode_png(picture))
    print(table, "", f"Picture: {shorten(output)}", sep="\n")


def _train_classifier(options: argparse.Namespace) -> None:
    from gan.data import load
    from gan.features import extract, save_classifier, train_classifier
    from gan.files import digest

    try:
        dataset = load(options.dataset)
    except ValueError as error:
        raise UsageError(error) from error
    if dataset.train_labels is None:
        raise UsageError(f"{dataset.source} has no labels to train a classifier by")
    if not options.output.name.endswith(".weights.h5"):
        raise UsageError(f"--output must end in .weights.h5. Received: {options.output}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    classifier = train_classifier(dataset.train_images, dataset.train_labels)
    save_classifier(classifier, options.output)
    print(f"Data:    SHA-256 {dataset.checksum}")
    print(f"Weights: {shorten(options.output)}, SHA-256 {digest(options.output)}")
    if dataset.test_labels is not None:
        _, logits = extract(classifier, dataset.test_images)
        print(f"Right on {(logits.argmax(1) == dataset.test_labels).mean():.2%} of the test images")


def _load_gan(path: Path):
    """The GAN of a finished run."""
    import keras

    import gan.networks  # noqa: F401, registers with Keras what a discriminator is made of
    from gan.model import GAN
    from gan.run import RunFolder

    folder = RunFolder(path)
    try:
        folder.read_whole_config()
    except ValueError as error:
        raise UsageError(error) from error
    if not folder.model.is_file():
        raise UsageError(f"{path} is not finished; finish it by  python train.py --resume {path}")
    try:
        model = keras.saving.load_model(folder.model, compile=False, safe_mode=True)
    except Exception as error:  # whatever a file that anyone may have written makes Keras stumble over
        raise UsageError(f"{folder.model} cannot be loaded: it is damaged, or no Keras model") from error
    if not isinstance(model, GAN):
        raise UsageError(f"{folder.model} is not a GAN of this project")
    return model


def _load_trained_gan():
    """The package's own generator in a GAN, to draw by; nothing has trained its discriminator."""
    from gan.model import GAN
    from gan.networks import build_discriminator
    from gan.trained import load_trained_generator

    try:
        generator = load_trained_generator()
    except ValueError as error:
        raise UsageError(error) from error
    classes = 10
    return GAN(
        generator, build_discriminator(num_classes=classes), num_classes=classes, ema_half_life_images=None
    )


def _load_dataset(folder, source: str | None):
    """The data that a run was trained on."""
    from gan.data import load

    config = folder.read_whole_config()
    try:
        dataset = load(source or config["settings"].get("dataset", ""))
    except ValueError as error:
        raise UsageError(f"{error}; where the run's data have moved, name them by --dataset PATH") from error
    if dataset.checksum != config["data"]["checksum"]:
        raise UsageError(f"{dataset.source}: not the data of {folder.path}: their checksum differs")
    return dataset


if __name__ == "__main__":
    sys.exit(main())
