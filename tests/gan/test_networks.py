import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import both_kinds
from gan import build_discriminator, build_generator
from gan.networks import MinibatchDeviation, padded_size


@both_kinds
@pytest.mark.parametrize("shape", [(8, 8, 1), (16, 16, 3), (28, 28, 1), (32, 24, 3), (64, 64, 3)])
def test_shapes_and_range(shape, num_classes):
    generator = build_generator(shape, 6, num_classes, base_filters=4)
    discriminator = build_discriminator(shape, num_classes, base_filters=4)
    latents, labels = keras.random.normal((5, 6)), keras.ops.arange(5) % 3
    images = generator(latents if num_classes is None else [latents, labels])
    assert tuple(images.shape) == (5, *shape)
    assert np.abs(images).max() <= 1
    logits = discriminator(images if num_classes is None else [images, labels])
    assert tuple(logits.shape) == (5, 1)


@pytest.mark.parametrize("size", [4, 5, 16, 27, 30, 36, 50, 60, 64])
@pytest.mark.parametrize("channels", [1, 3], ids=["gray", "color"])
def test_any_size(size, channels):
    shape = (size, 80 - size, channels)
    generator, discriminator = (
        build_generator(shape, 3, base_filters=2),
        build_discriminator(shape, base_filters=2),
    )
    assert generator.output_shape == (None, *shape)
    assert discriminator(generator(np.zeros((2, 3)))).shape == (2, 1)
    kernels = {v.shape[:2] for v in generator.variables + discriminator.variables if len(v.shape) == 4}
    assert kernels == {(4, 4), (3, 3)}


def test_last_layers_have_the_range_the_losses_need():
    assert build_generator().layers[-1].activation is keras.activations.tanh
    assert build_discriminator().layers[-1].activation is keras.activations.linear


def test_larger_images_get_more_stages_not_larger_kernels():
    def convolutions(size):
        layers = build_generator((size, size, 1), base_filters=4).layers
        return [layer for layer in layers if isinstance(layer, keras.layers.Conv2DTranspose)]

    assert [len(convolutions(size)) for size in (16, 28, 32, 64)] == [2, 2, 2, 3]
    assert {layer.kernel_size for layer in convolutions(64)} == {(4, 4)}


def test_the_generator_crops_what_it_draws_too_large():
    assert [padded_size((side, side, 1)) for side in (28, 32, 48, 64)] == [(s, s) for s in (28, 32, 48, 64)]
    assert padded_size((30, 50, 1)) == (32, 56)
    generator = build_generator((30, 50, 1), 4, base_filters=2)
    assert generator.get_layer("last_upsample").output.shape == (None, 32, 56, 1)
    assert generator.get_layer("crop").cropping == ((1, 1), (3, 3))
    assert "crop" not in {layer.name for layer in build_generator((28, 28, 1)).layers}


def test_labels_matter():
    generator, discriminator = build_generator(num_classes=3), build_discriminator(num_classes=3)
    latents = np.random.default_rng(0).normal(size=(1, 100)).repeat(2, 0)
    images = np.asarray(generator([latents, np.array([0, 1])]))
    assert not np.allclose(images[0], images[1])
    logits = np.asarray(discriminator([images[:1].repeat(2, 0), np.array([0, 1])]))
    assert logits[0] != logits[1]


def test_the_projection_is_the_papers_inner_product():
    discriminator = build_discriminator((8, 8, 1), num_classes=3, base_filters=2)
    features = keras.Model(discriminator.inputs[0], discriminator.get_layer("features").output)
    images, labels = np.random.default_rng(0).normal(size=(4, 8, 8, 1)), np.array([0, 1, 2, 1])
    phi = np.asarray(features(images))
    embedding = discriminator.get_layer("label_embedding").get_weights()[0].T[labels]
    kernel, bias = discriminator.get_layer("realness").get_weights()
    expected = phi @ kernel + bias + (phi * embedding).sum(1, keepdims=True)
    np.testing.assert_allclose(discriminator([images, labels]), expected, atol=1e-5)


def test_generator_is_stock_keras():
    generator = build_generator((8, 8, 1), 4, num_classes=3, base_filters=2)
    modules = {type(layer).__module__.split(".")[0] for layer in generator.layers}
    assert modules == {"keras"}


@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_sides_below_four_pixels_are_refused(build):
    with pytest.raises(ValueError, match=r"at least 4 pixels.*Received: image_shape=\(3, 28, 1\)"):
        build((3, 28, 1))


@pytest.mark.parametrize("depth", [0, 2])
def test_depth_counts_the_convolutions_at_the_smallest_size(depth):
    for network in (build_generator((8, 8, 1), 4, depth=depth), build_discriminator((8, 8, 1), depth=depth)):
        convolutions = [layer for layer in network.layers if layer.name.startswith("convolution_")]
        convolutions = [layer for layer in convolutions if isinstance(layer, keras.layers.Conv2D)]
        assert [layer.output.shape[1:3] for layer in convolutions] == [(2, 2)] * depth


@pytest.mark.parametrize("depth", [0, 2])
def test_image_depth_counts_the_convolutions_at_the_size_of_the_image(depth):
    discriminator = build_discriminator((8, 12, 3), base_filters=6, image_depth=depth)
    convolutions = [layer for layer in discriminator.layers if isinstance(layer, keras.layers.Conv2D)]
    at_full_size = [layer for layer in convolutions if layer.output.shape[1:3] == (8, 12)]
    assert [(layer.filters, layer.kernel_size) for layer in at_full_size] == [(3, (3, 3))] * depth
    assert convolutions[: len(at_full_size)] == at_full_size


def test_the_discriminator_sees_how_much_its_batch_varies():
    features = np.random.default_rng(0).normal(size=(6, 2, 3, 4)).astype(np.float32)
    deviations = np.asarray(MinibatchDeviation()(features))
    np.testing.assert_allclose(deviations, features.mean((1, 2)).std(0)[np.newaxis].repeat(6, 0), atol=1e-5)
    discriminator = build_discriminator((8, 8, 1), base_filters=4)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    alone, among_others = discriminator(images[:1])[0], discriminator(images)[0]
    assert not np.allclose(alone, among_others)


def test_a_batch_that_does_not_vary_has_finite_gradients():
    features = tf.ones((4, 2, 2, 3))
    with tf.GradientTape() as tape:
        tape.watch(features)
        deviations = MinibatchDeviation()(features)
    assert np.isfinite(tape.gradient(deviations, features)).all()


def test_mixed_precision_leaves_float32_to_the_last_layers():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        discriminator = build_discriminator(num_classes=3, base_filters=4)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    layers = {layer.name: layer.compute_dtype for layer in discriminator.layers}
    late = ["flat", "deviation", "features", "realness", "label_embedding", "projection", "logits"]
    assert {layers[name] for name in late} == {"float32"}
    assert layers["convolution_1"] == "float16"


def test_latents_of_one_number_with_labels():
    generator = build_generator((8, 8, 1), latent_dim=1, num_classes=3, base_filters=2, depth=0)
    images = generator([keras.ops.zeros((2, 1)), keras.ops.zeros(2, "int32")])
    assert images.shape == (2, 8, 8, 1)
