"""Tests a GAN as a Keras model: its methods, the ways to save it, and the kinds of data and networks."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import (
    IMAGE_SHAPE,
    LATENT_DIM,
    STEPS,
    assert_same_state,
    both_kinds,
    fit,
    make_dataset,
    make_gan,
    make_images,
    make_labels,
)
from gan import GAN

LOGS = ["d_loss", "fake_logits", "g_loss", "loss", "real_logits"]


def latents_for(gan, count=3):
    latents = np.random.default_rng(0).normal(size=(count, LATENT_DIM)).astype("float32")
    return latents if gan.num_classes is None else [latents, make_labels(count)]


def batch_for(gan, count=8):
    return (make_images(count), None if gan.num_classes is None else make_labels(count))


@pytest.mark.exact
def test_train_on_batch_is_a_step_of_fit(gan, num_classes):
    reference = make_gan(num_classes)
    history = reference.fit(make_dataset(num_classes), steps_per_epoch=1, verbose=0).history
    batch = next(iter(make_dataset(num_classes)))
    logs = gan.train_on_batch(*(batch if num_classes else (batch,)), return_dict=True)
    assert logs == pytest.approx({key: values[0] for key, values in history.items()})
    assert_same_state(gan, reference)


def test_test_on_batch_is_a_step_of_evaluate(gan):
    images, labels = batch_for(gan)
    logs = gan.test_on_batch(images, labels, return_dict=True)
    assert sorted(logs) == LOGS
    evaluated = gan.evaluate(images, labels, batch_size=8, verbose=0, return_dict=True)
    assert logs == pytest.approx(evaluated, rel=1e-5)


@both_kinds
def test_predict_on_batch_is_predict(gan):
    inputs = latents_for(gan)
    np.testing.assert_allclose(gan.predict_on_batch(inputs), gan.predict(inputs, verbose=0), atol=1e-6)


def test_clone_model_makes_another_of_the_kind(gan):
    copy = keras.models.clone_model(gan)
    assert copy.get_config() == gan.get_config()
    copy.compile()
    fit(copy)


def test_summary_and_count_params(gan):
    lines = []
    gan.summary(print_fn=lines.append)
    text = "\n".join(map(str, lines))
    assert "generator" in text
    assert "discriminator" in text
    assert gan.count_params() == sum(np.prod(v.shape, dtype=int) for v in gan.weights)


@both_kinds
@pytest.mark.parametrize("whose", ["gan", "generator", "sampler"])
def test_export_serves_latents_and_labels(gan, whose, tmp_path):
    fit(gan)
    model = gan if whose == "gan" else getattr(gan, whose)
    model.export(tmp_path / "served", verbose=False)
    inputs = latents_for(gan)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    served = loaded.serve(inputs if gan.num_classes is None else list(map(tf.constant, inputs)))
    expected = gan.generator(inputs, training=False) if whose == "generator" else gan(inputs)
    np.testing.assert_allclose(served, expected, atol=1e-6)


CHILD = """
import sys
import keras
import numpy as np

assert "gan" not in sys.modules
with np.load(sys.argv[2]) as file:
    inputs = [file[name] for name in sorted(file.files)]
generator = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], generator(inputs if len(inputs) > 1 else inputs[0], training=False))
assert "gan" not in sys.modules
"""


def test_a_saved_generator_loads_with_keras_alone(gan, tmp_path):
    fit(gan)
    gan.generator.save(tmp_path / "generator.keras")
    inputs = latents_for(gan)
    parts = inputs if isinstance(inputs, list) else [inputs]
    np.savez(tmp_path / "inputs.npz", **{str(index): part for index, part in enumerate(parts)})
    files = [str(tmp_path / name) for name in ("generator.keras", "inputs.npz", "images.npy")]
    subprocess.run([sys.executable, "-c", CHILD, *files], check=True, cwd=tmp_path, timeout=300)
    np.testing.assert_array_equal(np.load(files[2]), gan.generator(inputs, training=False))


@pytest.mark.exact
def test_compile_after_load_with_other_settings(gan, tmp_path):
    fit(gan)
    gan.save(tmp_path / "gan.keras")
    copy = keras.models.load_model(tmp_path / "gan.keras")
    copy.compile(keras.optimizers.SGD(1e-2), keras.optimizers.Adam(1e-4), "relativistic", "r1+r2")
    fit(copy, epochs=2, start_step=STEPS)
    copy.save(tmp_path / "other.keras")
    assert_same_state(copy, keras.models.load_model(tmp_path / "other.keras"))


class Batches(keras.utils.PyDataset):
    """Holds five batches of eight images, with or without labels."""

    def __init__(self, labelled):
        super().__init__()
        self.labelled = labelled

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return (make_images()[rows], make_labels()[rows]) if self.labelled else (make_images()[rows],)


KINDS_OF_DATA = {
    "arrays": lambda labelled: (make_images(), make_labels()) if labelled else (make_images(),),
    "tensors": lambda labelled: tuple(map(tf.constant, KINDS_OF_DATA["arrays"](labelled))),
    "tf.data": lambda labelled: (
        tf.data.Dataset.from_tensor_slices(
            (make_images(), make_labels()) if labelled else make_images()
        ).batch(8),
    ),
    "tf.data of floats": lambda labelled: (make_dataset(3 if labelled else None).take(5),),
    "PyDataset": lambda labelled: (Batches(labelled),),
}


@both_kinds
@pytest.mark.parametrize("kind", KINDS_OF_DATA)
def test_every_kind_of_data_trains(gan, kind):
    data = KINDS_OF_DATA[kind](gan.num_classes is not None)
    history = gan.fit(*data, epochs=1, verbose=0, shuffle=False).history
    assert sorted(history) == LOGS
    assert np.isfinite(list(history.values())).all()
    assert int(gan.step) == (2 if kind in ("arrays", "tensors") else 5)  # Keras makes batches of 32


@pytest.mark.exact
def test_labels_are_no_burden_to_an_unconditional_gan():
    with_labels, without = make_gan(), make_gan()
    with_labels.fit(make_images(), make_labels(), batch_size=8, verbose=0, shuffle=False)
    without.fit(make_images(), batch_size=8, verbose=0, shuffle=False)
    assert_same_state(with_labels, without)


@pytest.mark.parametrize(
    "weights", [{"sample_weight": np.ones(40)}, {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}]
)
def test_weights_of_samples_are_refused(weights):
    with pytest.raises(ValueError, match="cannot use sample or class weights"):
        make_gan(3).fit(make_images(), make_labels(), verbose=0, **weights)


def condition(x, labels):
    return x if labels is None else keras.layers.Concatenate()([x, keras.layers.Embedding(3, 2)(labels)])


def functional(num_classes):
    latents, images = keras.Input((LATENT_DIM,)), keras.Input(IMAGE_SHAPE)
    labels = None if num_classes is None else keras.Input((), dtype="int32")
    drawn = keras.layers.Dense(64, "tanh")(condition(latents, labels))
    logits = keras.layers.Dense(1)(condition(keras.layers.Flatten()(images), labels))
    networks = (latents, keras.layers.Reshape(IMAGE_SHAPE)(drawn)), (images, logits)
    return [keras.Model(x if labels is None else [x, labels], y) for x, y in networks]


def sequential(num_classes):
    layers = keras.layers
    return [
        keras.Sequential([keras.Input((LATENT_DIM,)), layers.Dense(64, "tanh"), layers.Reshape(IMAGE_SHAPE)]),
        keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Flatten(), layers.Dense(1)]),
    ]


@keras.saving.register_keras_serializable(package="test")
class Subclassed(keras.Model):
    """A generator or discriminator that is not a functional model: flatten, dense, reshape."""

    def __init__(self, units, output_shape, num_classes=None, **kwargs):
        super().__init__(**kwargs)
        self.arguments = {"units": units, "output_shape": output_shape, "num_classes": num_classes}
        self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(units)
        self.shape_layer = keras.layers.Reshape(output_shape)
        self.embedding = None if num_classes is None else keras.layers.Embedding(num_classes, 2)

    def call(self, inputs):
        if self.embedding is not None:
            inputs, labels = inputs
            inputs = keras.ops.concatenate([self.flat(inputs), self.embedding(labels)], axis=-1)
        return self.shape_layer(self.dense(self.flat(inputs)))

    def build(self, input_shape):
        size = int(np.prod(input_shape[1:] if self.embedding is None else input_shape[0][1:]))
        if self.embedding is not None:
            self.embedding.build((None,))
        self.dense.build((None, size if self.embedding is None else size + 2))
        self.built = True

    def get_config(self):
        return super().get_config() | self.arguments


def subclassed(num_classes):
    networks = [Subclassed(64, IMAGE_SHAPE, num_classes), Subclassed(1, (1,), num_classes)]
    inputs = np.zeros((1, LATENT_DIM), "float32"), np.zeros((1, *IMAGE_SHAPE), "float32")
    for network, x in zip(networks, inputs, strict=True):
        network(x if num_classes is None else [x, np.zeros(1, "int32")])
    return networks


@pytest.mark.exact
@pytest.mark.parametrize(
    "make_networks, num_classes",
    [(functional, None), (functional, 3), (sequential, None), (subclassed, None), (subclassed, 3)],
)
def test_networks_of_ones_own_train_save_load_and_export(make_networks, num_classes, tmp_path):
    gan = GAN(*make_networks(num_classes), num_classes=num_classes)
    gan.compile()
    fit(gan)
    gan.save(tmp_path / "gan.keras")
    gan.export(tmp_path / "served", verbose=False)
    copy = keras.models.load_model(tmp_path / "gan.keras")
    for model in (gan, copy):
        fit(model, epochs=2, start_step=STEPS)
    assert_same_state(gan, copy)
