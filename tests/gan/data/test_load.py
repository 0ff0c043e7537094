import os

import numpy as np
import pytest

from gan.data import DataError, load


def test_without_mnist_auto_loads_the_digits_with_a_notice(no_network):
    dataset = load("auto")
    assert (dataset.name, dataset.source) == ("digits", "digits")
    assert "MNIST could not be downloaded" in dataset.notice
    assert "no network" in dataset.notice


@pytest.mark.parametrize("source", ["absent.npz", "", "x" * 5000, "~no-such-user/data"])
def test_an_absent_source_is_named_in_one_line(somewhere, source):
    with pytest.raises(DataError, match="No such dataset|File name too long|home directory") as error:
        load(source)
    assert source in str(error.value)
    assert "\n" not in str(error.value)


def test_the_real_mnist(mnist_path):
    mnist = load(os.fspath(mnist_path))
    assert (mnist.name, mnist.source) == ("mnist", str(mnist_path.resolve()))
    assert mnist.train_images.shape == (60000, 28, 28, 1)
    assert mnist.test_images.shape == (10000, 28, 28, 1)
    expected = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(mnist.train_labels), expected)


def test_the_real_fashion_mnist(fashion_mnist_path):
    fashion = load(os.fspath(fashion_mnist_path))
    assert fashion.name == "fashion_mnist"
    assert fashion.class_names[0] == "T-shirt" and len(fashion.class_names) == 10
    np.testing.assert_array_equal(np.bincount(fashion.train_labels), [6000] * 10)


def test_the_real_emoji(emoji_folder):
    emoji = load(os.fspath(emoji_folder), image_size=32)
    assert len(emoji.train_images) + len(emoji.test_images) == 3781
    assert emoji.image_shape == (32, 32, 3)
    assert emoji.class_names[:3] == ("activities", "animals-nature", "flags")
    assert emoji.report[0].startswith("Pictures:   3,781 used, 32x32 in color; ")
    assert (emoji.train_images[:, 0, 0] == 255).all(1).mean() > 0.8  # the white background
