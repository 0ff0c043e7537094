"""Makes a web page that contains a generator, and runs the generator offline."""

import base64
import html
import json
import string
from collections.abc import Sequence
from pathlib import Path

import keras

from ..files import find_numbered
from ..images import encode_webp, read_picture, spread_rows
from ..sampling import input_shapes, output_shape
from .nodes import describe_network

FILES = Path(__file__).parent / "browser"
MOST_FRAMES = 24  # of the film; each has about 20 kB


def make_page(
    title: str,
    generator: keras.Model,
    class_names: Sequence[str] | None = None,
    digit_reader: keras.Model | None = None,
    film: Sequence[tuple[int, str]] = (),
    origin: str = "",
) -> str:
    """Returns an HTML page that draws with a generator. The page loads nothing from the network.

    Args:
        title: the heading.
        generator: a built model of latents (batch, latent_dim), or of `[latents, labels]`, with the layers
            that `describe_network` accepts.
        class_names: a name for each class of a generator with labels.
        digit_reader: a model of images (batch, 28, 28, 1) in [-1, 1] to ten logits. With it, the page reads
            and collects handwritten digits.
        film: from `encode_frames`: the epochs of the training.
        origin: one line about the origin of the generator.

    Raises:
        ValueError: with a message of one line, if the page lacks a layer of the generator, or if the
            generator does not draw gray or color images from latents of one axis.

    Example:

    ```python
    from pathlib import Path
    from gan.exports import make_page
    from gan.sampling import load_trained_generator

    page = make_page("Digits", load_trained_generator(), class_names=[str(digit) for digit in range(10)])
    Path("page.html").write_text(page, "utf-8")
    ```
    """
    shape = output_shape(generator)
    if len(shape) != 3 or shape[-1] not in (1, 3) or len(input_shapes(generator)[0]) != 2:
        expected = "The page needs a generator of gray or color images from latents (batch, latent_dim)"
        raise ValueError(f"{expected}. Received: latents {input_shapes(generator)[0]}, images {shape}")
    networks = {"generator": describe_network(generator)}
    if digit_reader is not None:
        networks["classifier"] = describe_network(digit_reader)
    frames = [{"epoch": epoch, "picture": picture} for epoch, picture in film]
    names = None if class_names is None else list(class_names)
    data = {"shape": shape, "classes": names, "networks": networks, "film": frames}
    return string.Template(_read("page.html")).substitute(
        title=html.escape(title),
        origin=html.escape(origin),
        style=_read("page.css"),
        data=json.dumps(data).replace("<", "\\u003c"),  # a name cannot end the script
        worker=_read("kernels.js") + _read("worker.js"),
        script=_read("page.js"),
    )


def encode_frames(samples: Path) -> list[tuple[int, str]]:
    """Returns at most 24 epochs for `make_page`: the number of each epoch, and its picture as a data URL.

    Leaves out damaged pictures.

    Args:
        samples: the folder `samples` of a run.
    """
    pictures = [*find_numbered(samples, ".png").items()]
    frames = []
    for epoch, path in (pictures[number] for number in spread_rows(len(pictures), MOST_FRAMES)):
        try:
            picture = encode_webp(read_picture(path))
        except Exception:  # Pillow raises errors of many kinds for damaged files, and for very high pictures
            continue
        content = base64.b64encode(picture).decode()
        frames.append((epoch, f"data:image/webp;base64,{content}"))
    return frames


def _read(name: str) -> str:
    return (FILES / name).read_text("utf-8")
