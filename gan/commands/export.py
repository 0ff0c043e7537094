"""`python -m gan export`: writes a generator in the format of another runtime."""

import argparse
from pathlib import Path

from ..exports import FORMATS, export_generator
from ..limits import whole_number
from .program import UsageError, shorten, usage_errors
from .runs import add_run, hold, load_source


def add_command(commands) -> None:
    """Adds the command to the parser of `python -m gan`."""
    about = "write the generator in the format of another runtime"
    parser = commands.add_parser("export", help=about, allow_abbrev=False)
    add_run(parser)
    text = "keras: needs only Keras; saved_model: a folder for TensorFlow; litert: for phones; onnx: for "
    text += "ONNX Runtime"
    parser.add_argument("--format", choices=FORMATS, required=True, help=text)
    batch = "number of images in a batch (default: any number)"
    parser.add_argument("--batch-size", type=whole_number(1, 65_536), metavar="N", help=batch)
    output = "path of the file; for saved_model, path of a new folder (default: exported_saved_model, or "
    output += "exported with the suffix of the format; in RUN if RUN is given)"
    parser.add_argument("--output", type=Path, metavar="PATH", help=output)
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    suffix = FORMATS[options.format][0]
    output = options.output or (options.folder or Path()) / f"exported{suffix or '_saved_model'}"
    if output.suffix != suffix and suffix:
        raise UsageError(f"--output must end in {suffix} for --format {options.format}. Received: {output}")
    source = load_source(options.folder)
    with hold(options.folder, output), usage_errors():
        export_generator(source.generator, output, options.format, options.batch_size)
    files = [output] if output.is_file() else [file for file in output.rglob("*") if file.is_file()]
    print(f"{sum(file.stat().st_size for file in files) / 1e6:.2f} MB: {shorten(output)}")
