import re

import pytest

from gan.reports.curves import HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, draw_chart, read_line


def numbers_of(chart):
    """Returns the numbers at the ticks, in the order of the text elements."""
    return [float(text) for text in re.findall(r"<text [^>]*>(-?[\d.e+-]+)</text>", chart)]


def path_of(chart):
    """Returns the points of the first line, in units of the SVG."""
    points = re.search(r'd="M([^"]*)" class="line"', chart)[1].split("L")
    return [tuple(map(float, point.split())) for point in points]


def test_a_line_has_its_points_in_place():
    chart = draw_chart("Losses", [Line("one", [(1, 0.0), (2, 10.0), (3, 5.0)])])
    left, middle, right = path_of(chart)
    assert (left[0], right[0]) == (LEFT, WIDTH - RIGHT)
    assert middle == ((LEFT + WIDTH - RIGHT) / 2, TOP)
    assert right[1] == pytest.approx((left[1] + middle[1]) / 2)
    assert left[1] < HEIGHT
    assert numbers_of(chart) == [0, 2, 4, 6, 8, 10, 1, 2, 3]


def test_values_that_are_missing_or_not_finite_are_left_out():
    rows = [{"epoch": 1.0, "loss": 1.0}, {"epoch": 2.0, "loss": float("nan")}, {"epoch": 3.0}]
    assert read_line("loss", rows, "loss") == Line("loss", [(1.0, 1.0)])
    chart = draw_chart("Losses", [Line("none", []), read_line("loss", rows, "loss")])
    assert ">none<" not in chart and ">loss<" in chart
    assert 'stroke-dasharray="7 3"' in chart  # the second line keeps its dash
    assert "nan" not in chart


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-7])
def test_equal_values_have_an_axis(value):
    chart = draw_chart("Losses", [Line("one", [(1, value), (2, value)])])
    low, *_, high = numbers_of(chart)[:-2]
    assert low <= value <= high and low < high


def test_very_different_values_get_a_logarithmic_axis():
    lines = [Line("one", [(1, 500.0), (30, 2.0)])]
    chart = draw_chart("Distance", lines, floor=1.5, may_be_logarithmic=True)
    assert "logarithmic" in chart and "real images: 1.5" in chart
    assert numbers_of(chart)[:9] == [1, 2, 5, 10, 20, 50, 100, 200, 500]
    assert "logarithmic" not in draw_chart("Distance", lines)
    assert draw_chart("Distance", lines).count('class="floor"') == 0
    ticks = numbers_of(draw_chart("Distance", [Line("one", [(1, 1e-4), (2, 1e6)])], None, True))
    assert ticks[:-2] == [10.0**exponent for exponent in range(-4, 7)]


def test_names_are_escaped():
    assert "<script>" not in draw_chart("<script>", [Line("<script>", [(1, 1.0)])])
