"""Tests the data checks of `fit` and `evaluate`. Every wrong kind of data raises an error of one line."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import BATCH_SIZE, make_gan, make_images, make_labels
from gan import GAN
from gan.data import load, pipeline

FLOATS = make_images().astype(np.float32) / 127.5 - 1
LABELS = make_labels()


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)
        return tuple(array[rows] for array in self.arrays)


def as_generator(*arrays):
    batches = Batches(*arrays)
    return (batches[index] for index in range(5))


def as_dataset(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH_SIZE)


def as_unknown_sides(*arrays):
    """Makes a dataset of images with unknown sides, as `decode_png` does."""
    shapes = [[None] * array.ndim for array in arrays]

    def forget(*parts):
        return tuple(tf.ensure_shape(tf.numpy_function(lambda x: x, [part], part.dtype), shape)
                     for part, shape in zip(parts, shapes, strict=True))  # fmt: skip

    return as_dataset(*arrays).map(forget)


class Counter(GAN):
    """Counts its steps and does not learn. The data are checked before the step."""

    def train_step(self, data):
        self.step.assign_add(1)
        return {"loss": 0.0}

    def test_step(self, data):
        return {"loss": 0.0}


def make_counter(num_classes=None):
    latents, images, labels = keras.Input((4,)), keras.Input((8, 8, 1)), keras.Input((), dtype="int32")
    pixels = keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64, "tanh")(latents))
    logits = keras.layers.Dense(1)(keras.layers.Flatten()(images))
    others = [] if num_classes is None else [labels]
    generator, discriminator = keras.Model([latents, *others], pixels), keras.Model([images, *others], logits)
    gan = Counter(generator, discriminator, num_classes=num_classes)
    gan.compile()
    return gan


KINDS = {
    "PyDataset": Batches,
    "generator": as_generator,
    "tf.data": as_dataset,
    "unknown sides": as_unknown_sides,
}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize(
    "images", [make_images(), FLOATS, FLOATS * 0.5 - 0.5, make_images() * 0], ids=range(4)
)
def test_usable_images_train_without_a_word(kind, images):
    gan = make_counter(3)
    gan.fit(kind(images, LABELS[:, None]), steps_per_epoch=5, verbose=0)
    assert int(gan.step) == 5


WRONG = {
    "pixels as floats": ((make_images().astype(np.float32), LABELS), r"\[-1, 1\].*from \d+ to 25\d"),
    "labels from 1": ((FLOATS, LABELS + 1), r"0\.\.2.*from 1 to 3"),
    "a label of -1": ((FLOATS, LABELS - 1), r"0\.\.2.*from -1 to 1"),
    "one-hot labels": (
        (FLOATS, np.eye(3, dtype=np.int32)[LABELS]),
        "needs batches of .*argmax",
    ),
    "labels as text": ((FLOATS, LABELS.astype(str)), "Labels must be integers"),
    "labels as floats": ((FLOATS, LABELS.astype(np.float32)), "Labels must be integers.*float32.*astype"),
    "no labels": ((FLOATS,), r"needs batches of \(images, labels\).*\(batch, 8, 8, 1\)"),
    "another size": ((FLOATS.repeat(2, axis=1), LABELS), r"\(batch, 8, 8, 1\)"),
    "weights": ((FLOATS, LABELS, np.ones(40, np.float32)), "cannot use sample or class weights"),
}


@pytest.mark.parametrize("arrays, message", WRONG.values(), ids=WRONG)
def test_wrong_batches_get_one_line(kind, arrays, message):
    assert_refused(make_counter(3), kind, arrays, message)


def assert_refused(gan, kind, arrays, message):
    for call in (
        lambda: gan.fit(kind(*arrays), verbose=0),
        lambda: gan.evaluate(kind(*arrays), verbose=0),
        lambda: gan.fit(FLOATS, LABELS, batch_size=8, validation_data=kind(*arrays), verbose=0),
    ):
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_a_graph_that_was_never_traced_raises_the_same(kind):
    gan = make_gan(3)
    gan.compile()
    assert_refused(gan, kind, *WRONG["labels from 1"])
    gan.fit(kind(FLOATS, LABELS), steps_per_epoch=5, verbose=0)
    assert int(gan.step) >= 5


def test_a_wrong_label_late_in_the_data_is_found():
    labels = LABELS.copy()
    labels[-1] = 3
    gan = make_gan(3)
    with pytest.raises(ValueError, match=r"0\.\.2.*to 3"):
        gan.fit(as_dataset(FLOATS, labels), verbose=0)
    assert int(gan.step) >= 3  # the batches before the wrong one were used


def test_the_data_are_drawn_once():
    drawn = []

    def note(images):
        drawn.append(len(images))
        return images

    data = as_dataset(make_images()).map(
        lambda images: tf.ensure_shape(tf.numpy_function(note, [images], images.dtype), (None, 8, 8, 1))
    )
    make_gan().fit(data, verbose=0)
    assert drawn == [BATCH_SIZE] * 5


SUSPICIOUS = {
    "[0, 1]": make_images() / np.float32(255),
    "0..16": make_images() // 16,
    "binary": make_images() // 128,
}


@pytest.mark.parametrize("images", SUSPICIOUS.values(), ids=SUSPICIOUS)
def test_suspicious_ranges_get_one_warning(kind, images):
    gan = make_counter()
    with pytest.warns(
        UserWarning, match=r"range (\[-1, 1\]|0\.\.255).*Received: values from 0 to "
    ) as caught:
        gan.fit(kind(images), steps_per_epoch=5, verbose=0)
    assert len([one for one in caught if "range" in str(one.message)]) == 1
    assert int(gan.step) == 5


def test_labels_without_classes_are_dropped(kind):
    gan = make_counter()
    gan.fit(kind(FLOATS, LABELS), steps_per_epoch=5, verbose=0)
    assert int(gan.step) == 5


STRUCTURES = {
    "dictionary": tf.data.Dataset.from_tensor_slices({"image": FLOATS, "label": LABELS}).batch(8),
    "nested": tf.data.Dataset.from_tensor_slices(((FLOATS, LABELS),)).batch(8),
    "list": [FLOATS, LABELS],
    "tuple": (FLOATS, LABELS),
    "list of images": list(FLOATS),
    "dictionary of arrays": {"image": FLOATS, "label": LABELS},
    "unknown rank": tf.data.Dataset.from_generator(lambda: iter(FLOATS), output_types=tf.float32).batch(8),
}


@pytest.mark.parametrize("data", STRUCTURES.values(), ids=STRUCTURES)
def test_other_structures_are_told_what_a_batch_is(data):
    for call in (make_counter(3).fit, make_counter(3).evaluate):
        with pytest.raises(ValueError, match=r"images of shape \(batch, 8, 8, 1\).*Received: ") as error:
            call(data, verbose=0)
        assert len(str(error.value)) < 600


def test_dictionaries_are_told_the_map_to_write():
    """The advice of the error works when it is run, for names of TensorFlow Datasets and Hugging Face."""
    for names in (("image", "label"), ("pixel_values", "labels"), ("img", "fine_label")):
        dataset = tf.data.Dataset.from_tensor_slices(dict(zip(names, (FLOATS, LABELS), strict=True))).batch(8)
        with pytest.raises(ValueError, match=rf"the keys '{names[0]}', '{names[1]}'. Use") as error:
            make_counter(3).fit(dataset, verbose=0)
        advice = str(error.value).split("`")[1]
        assert advice == f"dataset.map(lambda batch: (batch['{names[0]}'], batch['{names[1]}']))"
        gan = make_counter(3)
        gan.fit(eval(advice, {"dataset": dataset}), verbose=0)
        assert int(gan.step) == 5
    with pytest.raises(ValueError, match=r"Pass \['image'\] as `x` and \['label'\] as `y`"):
        make_counter(3).fit(STRUCTURES["dictionary of arrays"], verbose=0)


def test_a_folder_read_by_keras_needs_only_a_scale(tmp_path):
    """`image_dataset_from_directory` makes floats in 0..255, and the error says how to scale them."""
    for number in range(16):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"{number}.png", make_images(16)[number], scale=False)
    options = {"image_size": (8, 8), "color_mode": "grayscale", "batch_size": 8, "verbose": False}
    dataset = keras.utils.image_dataset_from_directory(tmp_path, **options)
    with pytest.raises(ValueError, match=r"scale by `images / 127\.5 - 1`"):
        make_counter(2).fit(dataset, verbose=0)
    gan = make_counter(2)
    gan.fit(dataset.map(lambda images, labels: (images / 127.5 - 1, labels)), verbose=0)
    assert int(gan.step) == 2


def test_images_and_labels_in_one_argument_are_told_of_the_two():
    for call in (make_gan(3).fit, make_gan(3).train_on_batch):
        with pytest.raises(ValueError, match="the images as `x`, the labels as `y`"):
            call((FLOATS, LABELS))


WRONG_INPUTS = {
    "latents alone": np.zeros((2, 4), np.float32),
    "latents of another length": [np.zeros((2, 5), np.float32), np.zeros(2, np.int32)],
    "labels of another length": [np.zeros((2, 4), np.float32), np.zeros(3, np.int32)],
    "a label too large": [np.zeros((2, 4), np.float32), np.array([0, 3])],
}


@pytest.mark.parametrize("inputs", WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_predict_says_what_it_takes(inputs):
    gan = make_gan(3)
    assert gan.predict([np.zeros((2, 4), np.float32), np.array([[0], [2]])], verbose=0).shape == (2, 8, 8, 1)
    with pytest.raises(ValueError, match=r"latents of shape \(batch, 4\)|0\.\.2.*from 0 to 3") as error:
        gan.predict(inputs, verbose=0)
    assert "\n" not in str(error.value)


def test_endless_data_need_a_number_of_steps():
    data = pipeline(make_images(), batch_size=BATCH_SIZE, seed=0)
    gan = make_gan()
    for call, name in (
        (lambda: gan.fit(data), "steps_per_epoch"),
        (lambda: gan.evaluate(data), "steps"),
        (lambda: gan.fit(make_images(), validation_data=data), "validation_steps"),
        (lambda: gan.fit(data, None, BATCH_SIZE, 2), "steps_per_epoch"),
    ):
        with pytest.raises(ValueError, match=f"endless: give `{name}`.*has 5 steps"):
            call()
    with pytest.raises(ValueError, match="endless: give `steps_per_epoch`"):
        gan.fit(as_dataset(make_images()).repeat())


def test_a_pipelines_labels_are_held_against_the_classes():
    data = pipeline(make_images(), LABELS + 1, batch_size=BATCH_SIZE, seed=0)
    with pytest.raises(ValueError, match=r"0\.\.2.*from 1 to 3"):
        make_gan(3).fit(data, steps_per_epoch=2)


def test_positional_steps_are_checked_too():
    gan = make_gan(steps_per_execution=2)
    with pytest.raises(ValueError, match="`steps_per_execution` must divide `steps_per_epoch`"):
        gan.fit(make_images(), None, 8, 1, 0, None, 0.0, None, False, None, None, 0, 3)


def test_the_digits_raise_no_warning():
    digits = load("digits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for images in (
            digits.train_images[:64, 10:18, 10:18],
            digits.train_images[:64, 10:18, 10:18] / 127.5 - 1,
        ):
            make_counter().fit(
                as_dataset(images.astype(images.dtype if images.dtype == np.uint8 else np.float32)), verbose=0
            )
