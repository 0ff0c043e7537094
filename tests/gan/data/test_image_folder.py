"""Tests folders of pictures: formats, colors, sizes, classes, the report, and the choice of test images."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from gan import GAN, build_discriminator, build_generator
from gan.data import DataError, load, pipeline
from gan.data import pictures as reading
from gan.data.folder import ONE_IN_N_FOR_TESTS, _File

RED, GREEN = (220, 20, 20), (10, 200, 40)


def write(path, size=(8, 8), color=RED, mode="RGB", **kwargs):
    """Writes a picture of one color. The suffix of the path decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).convert(mode).save(path, **kwargs)
    return path


def write_many(folder, count, color=RED):
    for number in range(count):
        write(folder / f"{number:03d}.png", color=tuple(np.clip(np.add(color, number % 7), 0, 255)))


def pixels_of(folder, **kwargs):
    """Returns the training and test images of a folder as one array."""
    dataset = load(str(folder), **kwargs)
    parts = [dataset.train_images] + ([] if dataset.test_images is None else [dataset.test_images])
    return np.concatenate(parts)


def test_subfolders_are_classes(tmp_path):
    write_many(tmp_path / "cats", 30)
    write_many(tmp_path / "dogs" / "deeper", 20, GREEN)
    dataset = load(str(tmp_path))
    assert dataset.class_names == ("cats", "dogs")
    assert dataset.image_shape == (8, 8, 3)
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    assert list(np.bincount(labels)) == [30, 20]
    greens = dataset.train_images[dataset.train_labels == 1].mean((0, 1, 2))
    assert greens[1] > 190 and greens[0] < 30


def test_without_subfolders_there_are_no_labels(tmp_path):
    write_many(tmp_path, 30)
    dataset = load(str(tmp_path))
    assert (dataset.train_labels, dataset.test_labels, dataset.class_names) == (None, None, None)
    assert len(dataset.train_images) + len(dataset.test_images) == 30


def test_files_beside_one_folder_do_not_hide_its_classes(tmp_path):
    write_many(tmp_path / "images" / "a", 12)
    write_many(tmp_path / "images" / "b", 12)
    (tmp_path / "README.md").write_text("about")
    assert load(str(tmp_path)).class_names == ("a", "b")


def test_one_folder_of_pictures_is_no_class(tmp_path):
    write_many(tmp_path, 30)
    write_many(tmp_path / "old", 3)
    dataset = load(str(tmp_path))
    assert len(dataset.train_images) + len(dataset.test_images) == 33
    assert dataset.train_labels is None


def test_a_second_class_moves_no_picture_of_the_first(tmp_path):
    def tests_of_cats():
        dataset = load(str(tmp_path))
        is_cat = np.ones(len(dataset.test_images), bool)
        if dataset.test_labels is not None:
            is_cat = dataset.test_labels == 0
        return {image[0, 0, 0] for image in dataset.test_images[is_cat]}

    for number in range(60):
        write(tmp_path / "cats" / f"{number}.png", color=(number, 0, 0))
    before = tests_of_cats()
    write_many(tmp_path / "dogs", 30, GREEN)
    assert tests_of_cats() == before


def test_the_samples_of_runs_are_not_data(tmp_path):
    write_many(tmp_path / "a", 12)
    write_many(tmp_path / "b", 12)
    write_many(tmp_path / "runs" / "one" / "samples", 5)
    (tmp_path / "runs" / "one" / "config.json").write_text("{}")
    assert load(str(tmp_path)).class_names == ("a", "b")


def test_linked_folders_are_read_once(tmp_path):
    write_many(tmp_path / "far", 12)
    write_many(tmp_path / "data" / "a", 12)
    (tmp_path / "data" / "b").symlink_to(tmp_path / "far")
    (tmp_path / "data" / "a" / "loop").symlink_to(tmp_path / "data" / "a")
    dataset = load(str(tmp_path / "data"))
    assert dataset.class_names == ("a", "b")
    assert "Classes:    a 12, b 12" in dataset.report


def test_pictures_named_like_mnist_are_pictures(tmp_path):
    write_many(tmp_path / "train-images", 12)
    write_many(tmp_path / "test-images", 12)
    write(tmp_path / "train-images.png")
    assert load(str(tmp_path)).class_names == ("test-images", "train-images")


@pytest.mark.parametrize("exif", [b"garbage", b"Exif\x00\x00garbage"])
def test_a_damaged_exif_block_does_no_harm(tmp_path, exif):
    Image.new("RGB", (8, 8), RED).save(tmp_path / "one.png", exif=exif)
    assert (pixels_of(tmp_path)[0] == RED).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_rotation_is_the_one_of_pillow(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "one.png", exif=exif)
    with Image.open(tmp_path / "one.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(pixels_of(tmp_path)[0, :, :, 0], expected)


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ((255, 0, 0), (0, 255, 0))]
    frames[0].save(tmp_path / "one.gif", save_all=True, append_images=frames[1:])
    assert (pixels_of(tmp_path)[0] == (255, 0, 0)).all()


def test_a_folder_in_a_folder_is_opened(tmp_path):
    write_many(tmp_path / "unpacked" / "a", 12)
    write_many(tmp_path / "unpacked" / "b", 12)
    write(tmp_path / "__MACOSX" / "._a.png")
    assert load(str(tmp_path)).class_names == ("a", "b")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp", "jpg", "JPEG", "gif"])
def test_every_format_gives_the_same_color(tmp_path, suffix):
    write(tmp_path / f"one.{suffix}")
    (image,) = pixels_of(tmp_path)
    assert np.abs(image.astype(int) - RED).max() <= 6  # JPEG and WebP lose a little


def save_16_bits(path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(path)


def save_palette_with_transparency(path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *GREEN])
    image.save(path, transparency=0)


SPECIAL = {
    "16 bits": (save_16_bits, "png", (156,)),
    "16 bits in TIFF": (save_16_bits, "tif", (156,)),
    "transparent palette": (save_palette_with_transparency, "png", (255,)),
    "transparent": (lambda path: Image.new("RGBA", (8, 8), (*RED, 0)).save(path), "png", (255,)),
    "half transparent": (lambda path: Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(path), "png", (127,)),
    "gray and alpha": (lambda path: Image.new("LA", (8, 8), (90, 0)).save(path), "png", (255,)),
    "CMYK": (lambda path: Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path), "tif", (255, 0, 0)),
    "two colors": (lambda path: Image.new("1", (8, 8), 1).save(path), "png", (255,)),
}


@pytest.mark.parametrize("save, suffix, color", SPECIAL.values(), ids=SPECIAL)
def test_special_pictures(tmp_path, save, suffix, color):
    save(tmp_path / f"one.{suffix}")
    (image,) = pixels_of(tmp_path)
    assert image.shape == (8, 8, len(color))
    assert (image == color).all()


def test_a_jpeg_for_print_is_converted(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "one.jpg", quality=100)
    (image,) = pixels_of(tmp_path)
    assert np.abs(image.astype(int) - (255, 0, 0)).max() <= 6


def test_a_terminal_shows_a_progress_bar_on_stderr(tmp_path, monkeypatch, capsys):
    write_many(tmp_path, 12)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    load(str(tmp_path))
    output = capsys.readouterr()
    assert output.out == "" and "12/12" in output.err
    load(str(tmp_path), verbose=0)
    assert capsys.readouterr() == ("", "")


def test_the_background_shows_behind_transparent_pictures(tmp_path):
    Image.new("RGBA", (8, 8), (*RED, 0)).save(tmp_path / "one.png")
    assert (pixels_of(tmp_path, background="#000000") == 0).all()
    assert (pixels_of(tmp_path, background="lime")[0, 0, 0] == (0, 255, 0)).all()


def test_the_camera_rotation_is_undone(tmp_path):
    image = Image.fromarray(np.repeat(np.uint8([[0, 80], [160, 240]]), 4, 0).repeat(4, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "one.png", exif=exif)
    (turned,) = pixels_of(tmp_path)
    assert turned[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist() == [160, 0, 240, 80]
    assert any("1 rotated" in line for line in load(str(tmp_path)).report)


def test_crop_cuts_the_longer_side_and_pad_adds_borders(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 4:12] = RED
    Image.fromarray(pixels).save(tmp_path / "one.png")
    assert (pixels_of(tmp_path)[0] == RED).all()
    padded = pixels_of(tmp_path, fit="pad", background="lime")[0]
    assert (padded[:2] == (0, 255, 0)).all() and (padded[-2:] == (0, 255, 0)).all()
    assert not (padded[3:5] == (0, 255, 0)).all(-1).any()


def test_the_size_is_the_most_common_one_up_to_64(tmp_path):
    for number in range(3):
        write(tmp_path / f"large_{number}.png", (40, 90))
    write(tmp_path / "small.png", (10, 10))
    assert load(str(tmp_path)).image_shape == (40, 40, 3)
    assert load(str(tmp_path), image_size=12).image_shape == (12, 12, 3)
    for number in range(4):
        write(tmp_path / f"huge_{number}.png", (300, 200 + number))
    assert load(str(tmp_path)).image_shape == (64, 64, 3)


def test_gray_pictures_give_one_channel_and_one_color_gives_three(tmp_path):
    write(tmp_path / "a" / "gray.png", mode="L", color=(9, 9, 9))
    write(tmp_path / "b" / "also_gray.png", color=(9, 9, 9))
    assert load(str(tmp_path)).image_shape == (8, 8, 1)
    write(tmp_path / "b" / "red.png")
    dataset = load(str(tmp_path))
    assert dataset.image_shape == (8, 8, 3)
    assert any("1 gray, converted to color" in line for line in dataset.report)


def test_one_picture_in_five_is_a_test_image_by_its_name_alone(tmp_path):
    def tests_of(folder):
        dataset = load(str(folder))
        return {image[0, 0, 0] for image in dataset.test_images}

    for number in range(200):
        write(tmp_path / f"{number}.png", color=(number, 0, 0))
    before = tests_of(tmp_path)
    assert 25 <= len(before) <= 55
    for number in range(200, 230):
        write(tmp_path / f"{number}.png", color=(number, 0, 0))
    assert {value for value in tests_of(tmp_path) if value < 200} == before
    assert ONE_IN_N_FOR_TESTS == 5


def test_a_class_is_never_left_without_training_images(tmp_path):
    name = next(f"{n}.png" for n in range(100) if _File(Path(f"{n}.png"), "", "rare").is_test)
    write(tmp_path / "rare" / name)
    write_many(tmp_path / "usual", 40)
    dataset = load(str(tmp_path))
    assert (dataset.train_labels == 0).sum() == 1
    assert any("fewer than 20 pictures" in line and "rare" in line for line in dataset.report)


def test_a_folder_with_each_trouble_is_reported_exactly_and_trains(tmp_path):
    write_many(tmp_path / "cats", 25)
    write_many(tmp_path / "dogs", 24, GREEN)
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(whole, "PNG")
    (tmp_path / "cats" / "cut.png").write_bytes(whole.getvalue()[:400])
    (tmp_path / "cats" / "empty.jpg").write_bytes(b"")
    (tmp_path / "dogs" / "text.png").write_text("not a picture")
    (tmp_path / "dogs" / "gone.png").symlink_to("absent.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    write(tmp_path / "dogs" / "turned.jpg", exif=exif)
    write(tmp_path / "dogs" / "gray.png", mode="L")
    write(tmp_path / "dogs" / "tiny.png", (4, 4))
    write(tmp_path / "cats" / "palette.png", mode="P", transparency=0)
    write(tmp_path / "cats" / "clear.webp", mode="RGBA")
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "cats" / "deep.png")
    write(tmp_path / "cats" / "print.jpg", mode="CMYK")
    write(tmp_path / "cats" / "moving.gif", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    write(tmp_path / "beside.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "cats" / "pipe.png")  # would block for ever
    for name in (".DS_Store", ".hidden.png", "cats/Thumbs.db", "__MACOSX/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "cats" / "notes.txt").write_text("notes")
    dataset = load(str(tmp_path))
    tests = len(dataset.test_images)
    assert len(dataset.train_images) + tests == 57
    report = list(dataset.report)
    assert report.pop(0) == f"Pictures:   57 used, 8x8 in color; {tests} of them are test images"
    assert report.pop(0) == "            4 broken, left out:"
    broken, rest = report[:4], report[4:]
    assert broken == [
        "              cats/cut.png: image file is truncated",
        "              cats/empty.jpg: not a picture",
        "              dogs/gone.png: No such file or directory",
        "              dogs/text.png: not a picture",
    ]
    assert [line.strip() for line in rest] == [
        "1 rotated, as their EXIF data say",
        "2 gray, converted to color",
        "1 smaller than 8x8, enlarged",
        "1 beside the class folders, left out",
        f"files of other types, ignored: 1 .txt{', 1 not a file' if hasattr(os, 'mkfifo') else ''}",
        "Classes:    cats 30, dogs 27",
    ]
    gan = GAN(
        build_generator(dataset.image_shape, 4, 2, base_filters=2, depth=0),
        build_discriminator(dataset.image_shape, 2, base_filters=2, depth=0),
        num_classes=2,
    )
    gan.compile(penalty=None)
    gan.fit(pipeline(dataset.train_images, dataset.train_labels, batch_size=8, seed=0), steps_per_epoch=2)
    assert int(gan.step.numpy()) == 2


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"image_size": 2}, "from 4 to 512 pixels. Received: 2"),
        ({"fit": "stretch"}, "one of crop, pad. Received: 'stretch'"),
        ({"background": "no color"}, "must be a color.*Received: 'no color'"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, kwargs, message):
    write(tmp_path / "one.png")
    with pytest.raises(DataError, match=message):
        load(str(tmp_path), **kwargs)


def test_a_folder_without_a_usable_picture_is_refused(tmp_path):
    with pytest.raises(DataError, match="found no pictures"):
        load(str(tmp_path))
    (tmp_path / "broken.png").write_bytes(b"x")
    with pytest.raises(DataError, match="no picture can be used. The first one: broken.png: ") as error:
        load(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kwargs", [{"image_size": 32}, {"fit": "pad"}, {"background": "black"}])
def test_other_data_are_not_scaled(kwargs):
    name = next(iter(kwargs)).replace("_", " ")
    with pytest.raises(DataError, match=f"digits is not a folder of pictures: leave out the {name}"):
        load("digits", **kwargs)


def test_slow_reading_is_done_once_until_a_picture_changes(somewhere, monkeypatch):
    pictures = somewhere / "pictures"
    write_many(pictures / "a", 12)
    write_many(pictures / "b", 12, GREEN)
    (pictures / "b" / "broken.png").write_bytes(b"x")
    first = load(str(pictures))
    assert not (somewhere / "keras").exists()  # fast reading saves nothing
    monkeypatch.setattr(reading, "SLOW", -1)
    monkeypatch.setattr(reading, "SLOW_PICTURE", -1)
    load(str(pictures))
    (saved,) = (somewhere / "keras" / "gan").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_decode_all", None)  # reading again would fail
        again = load(str(pictures))
        assert (again.checksum, again.report) == (first.checksum, first.report)
        with pytest.raises(TypeError):
            load(str(pictures), image_size=6)
    write(pictures / "a" / "000.png", color=(0, 0, 0), size=(9, 9))
    changed = load(str(pictures))
    assert changed.checksum != first.checksum
    saved.write_bytes(b"damaged")
    assert load(str(pictures)).checksum == changed.checksum
    assert len(list(saved.parent.iterdir())) == 1
