"""Writes HTML and SVG. All text is escaped."""

import base64
import html

import numpy as np

from ..images import encode_png, encode_webp

EMPTY = ("img", "col")  # elements without an end tag
LARGEST_EXACT = 70_000  # values of an image; larger images become WebP files, which are smaller but not exact


class Markup(str):
    """Holds HTML. All other strings are text, which `element` escapes."""


def element(name: str, *children: str, **attributes) -> Markup:
    """Returns an element of HTML or SVG.

    Args:
        name: the name of the element.
        children: text, which is escaped, and `Markup`, which is not.
        attributes: `class_` gives class, and `stroke_width` gives stroke-width. None leaves an attribute out.

    Example: `element("p", "1 < 2", class_="small")` is `<p class="small">1 &lt; 2</p>`.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in EMPTY else f"{join(*children)}</{name}>"
    return Markup(f"<{name}{written}>{end}")


def join(*children: str) -> Markup:
    """Returns text and `Markup` one after the other. Escapes the text."""
    return Markup("".join(each if isinstance(each, Markup) else html.escape(str(each)) for each in children))


def make_table(heads: list[list], rows: list[tuple[str, list[str]]], **attributes) -> Markup:
    """Returns a table that scrolls if it is wider than the window.

    Args:
        heads: rows of the head. A cell is a text, or a text and the number of its columns.
        rows: rows of the body: the name of each row, and its cells.
        attributes: of the table: see `element`.
    """
    head = [
        element("tr", *(_make_head(*(cell if isinstance(cell, tuple) else (cell, 1))) for cell in cells))
        for cells in heads
    ]
    body = [
        element("tr", element("th", name, scope="row"), *(element("td", cell) for cell in cells))
        for name, cells in rows
    ]
    table = element("table", element("thead", *head), element("tbody", *body), **attributes)
    return element("div", table, class_="scroll")


def make_image(image: np.ndarray, text: str, is_exact: bool = False, **attributes) -> Markup:
    """Returns an image that is a part of the page.

    Args:
        image: uint8 (height, width, channels), 1 or 3 channels.
        text: what the image shows, for readers who do not see it.
        is_exact: whether the image keeps its exact pixels.
        attributes: of the image: see `element`.
    """
    kind, encode = ("png", encode_png) if is_exact else ("webp", encode_webp)
    size = {"width": image.shape[1], "height": image.shape[0]}
    return element("img", src=to_url(encode(image), kind), alt=text, **size | attributes)


def make_sample(image: np.ndarray, text: str) -> Markup:
    """Returns a sample or a few samples, with exact pixels if they are small: see `make_image`."""
    return make_image(image, text, is_exact=image.size <= LARGEST_EXACT, class_="pixels")


def to_url(content: bytes, kind: str) -> str:
    """Returns the bytes of a picture as a data URL. The kind is "png" or "webp"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _make_head(text: str, columns: int) -> Markup:
    return element("th", text, scope="col", colspan=columns if columns > 1 else None)
