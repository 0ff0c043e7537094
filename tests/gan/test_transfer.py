"""Tests the copy of trained weights into a network that differs in some layers."""

import numpy as np

from gan import build_discriminator, build_generator
from gan.transfer import copy_fitting_weights


def build(num_classes, shape=(8, 8, 1)):
    return (
        build_generator(shape, 4, num_classes, base_filters=2, depth=1),
        build_discriminator(shape, num_classes, base_filters=2, depth=1),
    )


def test_other_classes_start_fresh_and_all_else_is_copied():
    for source, target in zip(build(3), build(5), strict=True):
        for weight in source.weights:
            weight.assign(np.random.default_rng(0).normal(size=weight.shape))
        before = {layer.name: layer.get_weights() for layer in target.layers}
        fresh = copy_fitting_weights(source, target)
        assert "label_embedding" in fresh
        for layer in target.layers:
            expected = (
                before[layer.name] if layer.name in fresh else source.get_layer(layer.name).get_weights()
            )
            for one, other in zip(layer.get_weights(), expected, strict=True):
                assert np.array_equal(one, other), layer.name
        with_weights = [layer.name for layer in target.layers if layer.weights]
        assert 0 < len(fresh) < len(with_weights)


def test_other_sizes_keep_what_fits():
    fresh = copy_fitting_weights(build(None)[0], build(None, (16, 16, 1))[0])
    assert fresh == ["start"]  # the dense layer at the smallest size
    assert copy_fitting_weights(build(None)[1], build(None, (16, 16, 3))[1]) == ["downsample_0", "realness"]


def test_without_labels_the_norms_start_fresh():
    fresh = copy_fitting_weights(build(3)[0], build(None)[0])
    assert fresh and all(name.endswith("_norm") or name == "start" for name in fresh)
