import csv

import numpy as np
import pytest
from PIL import Image

from gan.images import encode_png, make_grid
from gan.reports.comparison import draw_columns, draw_epochs, format_epochs, format_runs
from gan.runs import RunFolder

DATA = {"checksum": "a", "image_shape": [8, 8, 1]}


def put_run(path, distances, checksum="a", **settings):
    """Makes a run folder with a history, a picture for each epoch, and a config."""
    folder = RunFolder(path)
    folder.samples.mkdir(parents=True)
    settings = {"dataset": "mine", "seed": 0, "loss": "hinge"} | settings
    folder.write_config({"settings": settings, "data": DATA | {"checksum": checksum}})
    with open(folder.history, "w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", "d_loss", "g_loss", "val_frechet_distance"])
        writer.writeheader()
        for epoch, distance in enumerate(distances, 1):
            row = {"epoch": epoch, "d_loss": 1.0, "g_loss": 0.5, "val_frechet_distance": distance}
            writer.writerow(row)
    (folder.samples / "epoch_of_mine.png").touch()
    for epoch in range(len(distances) + 1):
        images = np.full((20, 8, 8, 1), epoch, np.uint8)
        (folder.samples / f"epoch_{epoch:04d}.png").write_bytes(encode_png(make_grid(images, 10)))
    return folder


def test_the_best_epoch_is_marked(tmp_path):
    table = format_epochs(put_run(tmp_path / "one", [3.0, "NA", 1.25, 2.0])).splitlines()
    assert [line.split()[0] for line in table] == ["epoch", "1", "2", "3", "4"]
    assert [line.endswith("best") for line in table] == [False, False, False, True, False]
    assert table[2].split() == ["2", "1", "0.5", "-", "-", "-"]


def test_runs_that_differ_by_their_seed_have_a_mean(tmp_path):
    folders = [
        put_run(tmp_path / "one", [4.0, 1.0]),
        put_run(tmp_path / "two", [4.0, 2.0], seed=1),
        put_run(tmp_path / "three", [5.0], loss="minimax"),
    ]
    table = format_runs(folders)
    assert "1.5 ± 0.71" in table
    assert table.count("2 seeds, mean ± spread") == 1
    assert "seed=1, loss=hinge" in table
    assert "different data" not in table
    assert "different data" in format_runs([*folders, put_run(tmp_path / "four", [1.0], checksum="b")])


def test_a_figure_that_one_seed_lacks_has_no_mean(tmp_path):
    folders = [put_run(tmp_path / "one", [1.0]), put_run(tmp_path / "two", ["NA"], seed=1)]
    assert format_runs(folders).splitlines()[-1].split()[-3:] == ["-", "-", "-"]


def test_the_epochs_are_columns(tmp_path):
    folder = put_run(tmp_path / "one", [3.0, 2.0])
    picture = draw_epochs(folder)
    assert picture.shape == (14 + 7 * (4 * 10 - 2), 7 * (3 * 10 - 2), 3)  # each image has 56 pixels
    assert [int(picture[20, 7 * 10 * column + 2, 0]) for column in range(3)] == [0, 1, 2]
    assert draw_epochs(folder, scale=1).shape == (14 + 4 * 10 - 2, 3 * 10 - 2, 3)
    images = np.full((20, 8, 8, 1), 2, np.uint8)  # the run was continued with pictures of another scale
    (folder.samples / "epoch_0002.png").write_bytes(encode_png(make_grid(images, 10, scale=3)))
    np.testing.assert_array_equal(draw_epochs(folder), picture)
    (tmp_path / "one" / "samples" / "epoch_0001.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="epoch_0001.png is damaged"):
        draw_epochs(RunFolder(tmp_path / "one"))


def test_images_of_different_sizes_are_refused():
    columns = {"1": np.zeros((2, 8, 8, 1), np.uint8), "2": np.zeros((2, 12, 8, 1), np.uint8)}
    with pytest.raises(ValueError, match="different sizes cannot be compared"):
        draw_columns(columns)
    picture = Image.fromarray(draw_columns({"1": columns["1"], "2": np.zeros((2, 8, 8, 3), np.uint8)}))
    assert picture.mode == "RGB"
