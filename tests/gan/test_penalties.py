import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import fit, make_dataset, make_gan
from gan import GAN, build_discriminator, build_generator, penalties

REAL = tf.constant(np.random.default_rng(0).normal(size=(5, 4, 4, 1)), tf.float32)
FAKE = tf.constant(np.random.default_rng(1).normal(size=(5, 4, 4, 1)), tf.float32)
UNIFORM = tf.constant(np.random.default_rng(2).uniform(size=(5, 1, 1, 1)), tf.float32)
SLOPE = tf.constant(np.random.default_rng(3).normal(size=(4, 4, 1)), tf.float32)


def linear(images):
    """Returns logits. Their gradient with respect to the images is SLOPE."""
    return tf.reduce_sum(SLOPE * images, axis=[1, 2, 3])[:, None]


def quadratic(images):
    """Returns logits. Their gradient with respect to an image is twice the image."""
    return tf.reduce_sum(images**2, axis=[1, 2, 3])[:, None]


def describe(discriminator):
    """Returns the pass of a discriminator over REAL and FAKE, in the form that the train step uses."""
    with tf.GradientTape() as tape:
        tape.watch([REAL, FAKE])
        logits = [discriminator(REAL), discriminator(FAKE)]
    real_gradients, fake_gradients = tape.gradient(logits, [REAL, FAKE])
    return penalties.DiscriminatorPass(
        discriminator=discriminator,
        real_images=REAL,
        fake_images=FAKE,
        real_logits=logits[0],
        fake_logits=logits[1],
        real_gradients=real_gradients,
        fake_gradients=fake_gradients,
        uniform=UNIFORM,
    )


def squared_norms(gradients):
    return np.sum(np.square(gradients), axis=(1, 2, 3))


def between():
    return UNIFORM * REAL + (1 - UNIFORM) * FAKE


# The formulas of the papers, for the quadratic discriminator.
FORMULAS = {
    "r1": lambda weight: weight / 2 * np.mean(squared_norms(2 * REAL)),
    "r2": lambda weight: weight / 2 * np.mean(squared_norms(2 * FAKE)),
    "wgan_gp": lambda weight: weight * np.mean((np.sqrt(squared_norms(2 * between())) - 1) ** 2),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_the_papers(name):
    penalty = penalties.get(name)
    value = float(penalty(describe(quadratic)))
    assert value == pytest.approx(FORMULAS[name](penalty.weight), rel=1e-5)
    heavy = type(penalty)(weight=3.0)
    assert float(heavy(describe(quadratic))) == pytest.approx(FORMULAS[name](3.0), rel=1e-5)


def test_r1_and_r2_add_up():
    value = float(penalties.get("r1+r2")(describe(quadratic)))
    assert value == pytest.approx(FORMULAS["r1"](0.1) + FORMULAS["r2"](0.1), rel=1e-5)


def test_a_linear_discriminator_pays_for_its_slope():
    squared = float(tf.reduce_sum(SLOPE**2))
    assert float(penalties.R1(2.0)(describe(linear))) == pytest.approx(squared, rel=1e-5)
    gp = float(penalties.WganGP(1.0)(describe(linear)))
    assert gp == pytest.approx((squared**0.5 - 1) ** 2, rel=1e-5)


# For a discriminator w * sum(x), the squared gradient norm is 16 w^2 on every image.
SLOPES_BY_WEIGHT = {"r1": 16 * 0.5, "r2": 16 * 0.5, "r1+r2": 2 * 16 * 0.5, "wgan_gp": 8 * (4 * 0.5 - 1)}


@pytest.mark.parametrize("name", penalties.BY_NAME)
def test_gradients_with_respect_to_the_discriminators_weights(name):
    weight = tf.Variable(0.5)
    factor = {"wgan_gp": 10.0, "r1": 0.3}.get(name, 0.1)
    with tf.GradientTape() as tape:
        penalty = penalties.get(name)(describe(lambda x: weight * tf.reduce_sum(x, axis=[1, 2, 3])[:, None]))
    assert float(tape.gradient(penalty, weight)) == pytest.approx(factor * SLOPES_BY_WEIGHT[name], rel=1e-5)


def test_a_flat_discriminator_has_a_finite_gradient():
    weight = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = penalties.WganGP()(describe(lambda x: weight * tf.reduce_sum(x, axis=[1, 2, 3])[:, None]))
    assert np.isfinite(float(tape.gradient(penalty, weight)))


def train_once(gan, penalty):
    """Returns the pass that a penalty receives in one train step, and the value of the penalty."""
    values = []

    def record(discriminator_pass):
        values.append((discriminator_pass, penalty(discriminator_pass)))
        return values[-1][1]

    gan.compile(penalty=record, run_eagerly=True)
    gan.train_step(next(iter(make_dataset())))
    return values[0]


@pytest.mark.parametrize("name", ["r1", "r2"])
def test_they_are_those_of_a_pass_of_their_own(name):
    """Without dropout, the gradients of the loss's pass equal the gradients of a second pass."""
    gan = make_gan(dropout=0.0)
    before = gan.discriminator.get_weights()
    seen, value = train_once(gan, penalties.get(name))
    gan.discriminator.set_weights(before)
    images = seen.real_images if name == "r1" else seen.fake_images
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = gan.discriminator(images, training=True)
    expected = penalties.get(name).weight / 2 * np.mean(squared_norms(tape.gradient(logits, images)))
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert expected > 0


def test_with_dropout_they_see_the_mask_of_the_loss():
    """One pass draws one mask for each batch. The random state advances once for each pass of the step."""
    gan = make_gan(dropout=0.5)
    before = [int(state.numpy()[1]) for state in gan._random_states()]
    train_once(gan, penalties.R1())
    after = [int(state.numpy()[1]) for state in gan._random_states()]
    assert [b - a for a, b in zip(before, after, strict=True)] == [3, 3]  # real, fake, generator


class DriftPenalty(penalties.Penalty):
    """The example in the docstring of `Penalty`."""

    def __call__(self, discriminator_pass):
        return self.weight * tf.reduce_mean(tf.square(discriminator_pass.real_logits))


@pytest.mark.parametrize(
    "penalty, received",
    [(lambda seen: seen.real_logits[:, 0], r"shape \(8,\)"), (lambda seen: None, "None")],
    ids=["a value for each image", "nothing"],
)
def test_a_penalty_must_be_a_scalar(penalty, received):
    """A penalty for each image would broadcast the loss to the batch, and so multiply the whole loss."""
    with pytest.raises(ValueError, match=f"penalty must be a scalar.*Received: {received}"):
        fit(make_gan(penalty=penalty))


def test_a_sum_takes_names():
    (r1, r2) = penalties.PenaltySum(["r1", penalties.R2(2.0)]).penalties
    assert (type(r1), r1.weight, r2.weight) == (penalties.R1, 0.3, 2.0)


def test_your_own_penalty_trains(num_classes):
    history = fit(make_gan(num_classes, loss="wasserstein", penalty=DriftPenalty(1e-3))).history
    assert np.isfinite(history["penalty"]).all()
    assert history["penalty"][0] > 0


@pytest.mark.parametrize("name", penalties.BY_NAME)
def test_survives_serialization(name):
    penalty = penalties.get(name)
    copy = penalties.get(keras.saving.serialize_keras_object(penalty))
    assert type(copy) is type(penalty)
    assert copy.get_config() == penalty.get_config()


def test_weights_survive_serialization():
    total = penalties.PenaltySum([penalties.R1(0.7), penalties.WganGP(3.0)])
    copy = penalties.get(keras.saving.serialize_keras_object(total))
    assert [one.weight for one in copy.penalties] == [0.7, 3.0]


def test_a_class_stands_for_its_default():
    assert penalties.get(penalties.WganGP).weight == 10.0


def test_errors_say_what_is_accepted():
    with pytest.raises(ValueError, match=r"one of r1, r2, r1\+r2, wgan_gp.*Received: penalty='r9'"):
        penalties.get("r9")
    with pytest.raises(ValueError, match="must not be negative"):
        penalties.R1(-1.0)


@pytest.mark.parametrize("factor", [2, 3])
def test_the_weight_grows_with_the_pixels_so_the_penalty_of_enlarged_images_is_equal(factor):
    """An enlarged image, seen by a discriminator that takes the mean of each block, is the same image."""
    images = np.random.default_rng(0).normal(size=(4, 14, 14, 1)).astype(np.float32)

    def penalty_of(images, block):
        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            small = tf.nn.avg_pool2d(images, block, block, "VALID") if block > 1 else images
            logits = tf.reduce_sum(small**3, [1, 2, 3])
        norms = squared_norms(tape.gradient(logits, images))
        return penalties.recommended_weight("r1", images.shape[1:]) / 2 * float(tf.reduce_mean(norms))

    large = images.repeat(factor, 1).repeat(factor, 2)
    assert penalty_of(large, factor) == pytest.approx(penalty_of(images, 1), rel=1e-5)


def test_names_have_the_weight_for_the_size_of_the_images():
    assert penalties.recommended_weight("r1", (28, 28, 1)) == penalties.R1().weight == 0.3
    assert penalties.get("r1", (56, 56, 3)).weight == pytest.approx(1.2)
    assert penalties.get("r2", (14, 28, 1)).weight == pytest.approx(0.05)
    assert penalties.get("wgan_gp", (56, 56, 3)).weight == penalties.WganGP().weight
    assert [one.weight for one in penalties.get("r1+r2", (28, 56, 1)).penalties] == pytest.approx([0.2, 0.2])
    gan = GAN(build_generator((64, 64, 3), base_filters=2), build_discriminator((64, 64, 3), base_filters=2))
    gan.compile()
    assert gan.get_compile_config()["penalty"]["config"]["weight"] == pytest.approx(0.3 * 64**2 / 28**2)
