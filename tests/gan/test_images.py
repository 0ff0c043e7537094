import io

import numpy as np
import pytest
from PIL import Image

from gan import images


def test_uint8_survives_the_round_trip():
    pixels = np.arange(256, dtype=np.uint8)
    floats = images.to_float(pixels.astype(np.float32))
    assert floats.min() == -1 and floats.max() == 1
    np.testing.assert_array_equal(images.to_uint8(floats), pixels)


def test_outside_is_clipped_and_nan_black():
    np.testing.assert_array_equal(images.to_uint8(np.array([-3.0, 3.0, np.nan])), [0, 255, 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_lays_out_row_by_row(channels):
    tiles = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((5, 2, 3, channels), np.uint8)
    grid = images.make_grid(tiles, columns=3, gap=1)
    assert grid.shape == (5, 11, channels)
    np.testing.assert_array_equal(grid[0, ::4, 0], [1, 2, 3])
    np.testing.assert_array_equal(grid[3, ::4, 0], [4, 5, 0])
    assert not grid[2].any()


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (5, 3), (56, 40)])
@pytest.mark.parametrize("scale", [1, 2, 3, 7])
def test_a_grid_of_any_scale_is_split_into_its_images(shape, scale):
    tiles = np.random.default_rng(0).integers(0, 256, (6, *shape, 3), np.uint8)
    grid = images.make_grid(tiles, columns=3, scale=scale)
    assert grid.shape == (scale * (2 * shape[0] + 2), scale * (3 * shape[1] + 4), 3)
    np.testing.assert_array_equal(images.split_grid(grid, *shape).reshape(tiles.shape), tiles)
    with pytest.raises(ValueError, match="does not have the size"):
        images.split_grid(grid[:-1], *shape)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1, 3])
def test_names_stand_beside_the_rows_and_the_grid_is_still_split(channels, scale):
    tiles = np.random.default_rng(0).integers(0, 256, (6, 28, 28, channels), np.uint8)
    grid = images.make_grid(tiles, columns=3, scale=scale)
    named = images.add_row_names(grid, ["cats", "a very long name of dogs"], rows=2)
    assert named.shape[0] == grid.shape[0] and named.shape[2] == channels
    column = named[:, : named.shape[1] - grid.shape[1]]
    np.testing.assert_array_equal(named[:, column.shape[1] :], grid)
    halves = np.array_split(column, 2)
    assert all((half < 128).any() for half in halves) and column.shape[1] < 120
    np.testing.assert_array_equal(images.split_grid(named, 28, 28).reshape(tiles.shape), tiles)


def test_a_name_that_the_font_lacks_becomes_the_number_of_the_class():
    grid = np.zeros((56, 10, 1), np.uint8)
    expected = images.add_row_names(grid, ["0", "1"], rows=2)
    np.testing.assert_array_equal(images.add_row_names(grid, ["кошки", "собаки"], rows=2), expected)


def test_more_rows_than_classes_begin_again_with_the_first_name():
    grid = np.zeros((90, 10, 1), np.uint8)
    expected = images.add_row_names(grid, ["a", "b", "a"], rows=3)
    np.testing.assert_array_equal(images.add_row_names(grid, ["a", "b"], rows=3), expected)
    assert not np.array_equal(expected, images.add_row_names(grid, ["a", "b", "b"], rows=3))


def test_small_images_are_enlarged_to_56_pixels():
    sides = {8: 7, 28: 2, 32: 2, 48: 2, 56: 1, 64: 1}
    assert {side: images.readable_scale(side, side) for side in sides} == sides


@pytest.mark.parametrize("channels", [1, 3])
def test_png_holds_the_pixels(channels):
    image = np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)
    decoded = np.asarray(Image.open(io.BytesIO(images.encode_png(image))))
    np.testing.assert_array_equal(decoded.reshape(image.shape), image)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.array([0.0, 255.0]), r"\[-1, 1\].*from 0 to 255"),
        (np.array([-1.5, 0.0]), "from -1.5 to 0"),
        (np.array([np.nan]), "from nan to nan"),
        (np.array([0, 255]), "dtype=int64"),
    ],
)
def test_other_ranges_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        images.check_range(array)


def test_both_ranges_pass():
    images.check_range(np.array([-1.0, 1.0], np.float32))
    images.check_range(np.array([0, 255], np.uint8))
