"""Draws line charts of a history as SVG. Dashes distinguish the lines also in a gray print."""

import math
from typing import NamedTuple

from .markup import Markup, element

WIDTH, HEIGHT = 460, 250  # of a chart, in units of the SVG
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 36  # margins around the lines
COLORS = ("#0072b2", "#d55e00", "#009e73", "#8a3f79", "#56a0d3", "#444444")  # for the color-blind too
DASHES = (None, "7 3", "2 2", "9 3 2 3", "4 2", "1 3")
MOST_MARKED = 15  # points of a line; a longer line has no circles
TICKS = 5
WIDE = 20  # a logarithmic axis, if the largest value is more than 20 times the smallest value


class Line(NamedTuple):
    """Holds a line of a chart: its name, and its points (epoch, value). Missing values have no point."""

    name: str
    points: list[tuple[float, float]]


def read_line(name: str, rows: list[dict[str, float]], column: str) -> Line:
    """Returns the line of one column of a history. Leaves out values that are missing or not finite."""
    points = [(row["epoch"], row[column]) for row in rows if math.isfinite(row.get(column, math.nan))]
    return Line(name, points)


def draw_chart(
    title: str, lines: list[Line], floor: float | None = None, may_be_logarithmic: bool = False
) -> Markup:
    """Draws a chart of lines over the epochs, with a title and a legend.

    Args:
        title: the name of the values.
        lines: at least one line with a point. A line without points is left out, and keeps its color and dash
            for the other charts.
        floor: the value for real images, drawn as a horizontal line. None: no line.
        may_be_logarithmic: whether the axis becomes logarithmic if the values are of very different size.

    Returns:
        A `figure` with an SVG.
    """
    values = [value for line in lines for _, value in line.points] + ([] if floor is None else [floor])
    epochs = [epoch for line in lines for epoch, _ in line.points]
    low, high = min(values), max(values)
    is_logarithmic = may_be_logarithmic and low > 0 and high > WIDE * low
    vertical = _LogarithmicAxis(low, high) if is_logarithmic else _Axis(low, high)
    horizontal = _Axis(min(epochs), max(epochs), is_whole=True)
    parts = [*_draw_axes(horizontal, vertical)]
    if floor is not None:
        y = _round(_to_y(vertical.place(floor)))
        parts.append(element("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="floor"))
    for number, line in enumerate(lines):
        parts += _draw_line(number, line, horizontal, vertical) if line.points else []
    svg = element("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{title}, by epoch")
    note = " (logarithmic axis)" if is_logarithmic else ""
    caption = element("figcaption", title, element("small", note))
    return element("figure", caption, svg, _draw_legend(lines, floor), class_="chart")


class _Axis:
    """Places values from 0 to 1 on an axis with equal steps."""

    def __init__(self, low: float, high: float, is_whole: bool = False):
        if low == high:
            gap = 0.5 if is_whole else abs(high) * 0.05
            low, high = (low - gap, high + gap) if gap else (0.0, 1.0)
        self.low, self.high = low, high
        step = _choose_step(self.high - self.low)
        step = max(1.0, math.ceil(step)) if is_whole else step
        if not is_whole:
            self.low, self.high = math.floor(self.low / step) * step, math.ceil(self.high / step) * step
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor((self.high - first * step) / step + 1e-9) + 1
        self.ticks = [(first + number) * step for number in range(count)]

    def place(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


class _LogarithmicAxis:
    """Places positive values from 0 to 1 on an axis with equal factors."""

    def __init__(self, low: float, high: float):
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ticks = [first * 10.0**exponent for exponent in exponents for first in (1, 2, 5)]
        lowest = max(tick for tick in ticks if tick <= low * (1 + 1e-9))
        highest = min(tick for tick in ticks if tick >= high * (1 - 1e-9))
        ticks = [tick for tick in ticks if lowest <= tick <= highest]
        self.ticks = ticks if len(ticks) <= 2 * TICKS else [10.0**exponent for exponent in exponents]
        self.ticks = [tick for tick in self.ticks if lowest <= tick <= highest]
        self.low, self.high = math.log(lowest), math.log(highest)

    def place(self, value: float) -> float:
        return (math.log(value) - self.low) / (self.high - self.low)


def _choose_step(length: float) -> float:
    """Returns 1, 2 or 5 times a power of ten: the smallest step that gives about five ticks."""
    power = 10.0 ** math.floor(math.log10(length / TICKS))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= length / TICKS * 0.999)


def _draw_axes(horizontal: _Axis, vertical: _Axis | _LogarithmicAxis):
    """Yields the grid, the ticks and their numbers."""
    bottom = HEIGHT - BOTTOM
    for tick in vertical.ticks:
        y = _round(_to_y(vertical.place(tick)))
        yield element("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="grid")
        yield element("text", f"{tick:.6g}", x=LEFT - 6, y=y, dy="0.32em", text_anchor="end")
    for tick in horizontal.ticks:
        x = _round(_to_x(horizontal.place(tick)))
        yield element("path", d=f"M{x} {bottom}v4", class_="axis")
        yield element("text", f"{tick:.6g}", x=x, y=bottom + 17, text_anchor="middle")
    yield element("path", d=f"M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}", class_="axis")
    yield element("text", "epoch", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 4, text_anchor="middle")


def _draw_line(number: int, line: Line, horizontal: _Axis, vertical: _Axis | _LogarithmicAxis):
    """Yields the path of a line, and a circle for each point of a short line."""
    style = _style(number)
    places = [
        (_round(_to_x(horizontal.place(epoch))), _round(_to_y(vertical.place(value))))
        for epoch, value in line.points
    ]
    yield element("path", d="M" + "L".join(f"{x} {y}" for x, y in places), class_="line", **style)
    if len(places) <= MOST_MARKED:
        for x, y in places:
            yield element("circle", cx=x, cy=y, r=2.6, fill=style["stroke"])


def _draw_legend(lines: list[Line], floor: float | None) -> Markup:
    numbered = [(number, line) for number, line in enumerate(lines) if line.points]
    styles = [(line.name, {"class_": "line"} | _style(number)) for number, line in numbered]
    styles += [] if floor is None else [(f"real images: {floor:.3g}", {"class_": "floor"})]
    items = []
    for name, style in styles:
        path = element("path", d="M0 6H28", **style)
        key = element("svg", path, viewBox="0 0 28 12", class_="key", aria_hidden="true")
        items.append(element("li", key, name))
    return element("ul", *items, class_="legend")


def _style(number: int) -> dict[str, str | None]:
    color, dash = COLORS[number % len(COLORS)], DASHES[number % len(DASHES)]
    return {"stroke": color, "stroke_dasharray": dash}


def _to_x(place: float) -> float:
    return LEFT + place * (WIDTH - RIGHT - LEFT)


def _to_y(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - BOTTOM - TOP)


def _round(coordinate: float) -> str:
    return f"{coordinate:.1f}"
