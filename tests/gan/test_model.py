import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from callbacks import Checkpoint
from conftest import (
    BATCH_SIZE,
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
    state_of,
)
from gan import GAN, build_discriminator, build_generator
from gan.average import RAMP_UP
from gan.latents import EVALUATION, TRAINING, draw_uniform

LOGS = {"loss", "d_loss", "g_loss", "real_logits", "fake_logits"}


class MeanDifference(keras.metrics.Metric):
    """Computes the difference of the mean pixels, as an example of a metric."""

    def __init__(self, name="mean_difference", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, real_images, fake_images):
        self.total.assign_add(keras.ops.mean(real_images) - keras.ops.mean(fake_images))

    def result(self):
        return self.total


class Recorder(keras.callbacks.Callback):
    """Copies the weights at the end of each batch."""

    def __init__(self):
        super().__init__()
        self.generators, self.averages, self.discriminators = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        self.generators.append(self.model.generator.get_weights())
        self.discriminators.append(self.model.discriminator.get_weights())
        if self.model.average_generator is not None:
            self.averages.append(self.model.average_generator.get_weights())


def first_batch(num_classes):
    return next(iter(make_dataset(num_classes)))


def changed(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@both_kinds
@pytest.mark.parametrize(
    "penalty, loss", [(None, "non_saturating"), ("r1", "hinge"), ("r1+r2", "relativistic")]
)
def test_every_weight_learns_and_logs_are_finite(num_classes, penalty, loss):
    gan = make_gan(num_classes, penalty=penalty, loss=loss)
    before = {"generator": gan.generator.get_weights(), "discriminator": gan.discriminator.get_weights()}
    history = fit(gan, epochs=2).history
    assert all(changed(before["generator"], gan.generator.get_weights()))
    learned = changed(before["discriminator"], gan.discriminator.get_weights())
    still = [w.path for w, has in zip(gan.discriminator.weights, learned, strict=True) if not has]
    # This bias has no gradient if the loss depends only on differences of logits.
    assert not still or (loss != "non_saturating" and still == ["realness/bias"])
    assert set(history) == (LOGS if penalty is None else LOGS | {"penalty"})
    assert np.isfinite(list(history.values())).all()
    np.testing.assert_allclose(np.add(history["d_loss"], history["g_loss"]), history["loss"], rtol=1e-6)


def trainable_values(network):
    return [v.numpy() for v in network.trainable_variables]


def pair(inputs, labels):
    return inputs if labels is None else [inputs, labels]


@both_kinds
def test_the_discriminators_gradient_is_the_textbooks(num_classes):
    gan, reference = (make_gan(num_classes, optimizer=keras.optimizers.SGD(1.0)) for _ in range(2))
    data = first_batch(num_classes)
    real_images, labels = data if num_classes else (data, None)
    latents = reference._draw_latents(TRAINING, reference.step.value, real_images)
    with tf.GradientTape() as tape:
        fake_images = reference.generator(pair(latents, labels), training=True)
        real_logits = reference.discriminator(pair(real_images, labels), training=True)
        fake_logits = reference.discriminator(pair(fake_images, labels), training=True)
        d_loss = tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))
    expected = tape.gradient(d_loss, reference.discriminator.trainable_variables)
    before = trainable_values(gan.discriminator)
    logs = gan.train_step(data)
    for gradient, old, new in zip(expected, before, trainable_values(gan.discriminator), strict=True):
        np.testing.assert_allclose(old - new, tf.convert_to_tensor(gradient), atol=2e-6)
    assert float(logs["d_loss"]) == pytest.approx(float(d_loss), rel=1e-6)


def test_the_generator_learns_from_the_updated_discriminator(num_classes):
    """The update of the generator uses the discriminator that the same step has updated."""
    sgd = keras.optimizers.SGD
    gan = make_gan(num_classes, generator_optimizer=sgd(0.0), discriminator_optimizer=sgd(0.5))
    gan.train_step(first_batch(num_classes))  # updates only the discriminator
    reference = make_gan(num_classes)
    reference.discriminator.set_weights(gan.discriminator.get_weights())
    both = make_gan(num_classes, generator_optimizer=sgd(1.0), discriminator_optimizer=sgd(0.5))
    before = [v.numpy() for v in both.generator.trainable_variables]
    data = first_batch(num_classes)
    both.train_step(data)
    # Set the dropout states to their values before the generator's own pass.
    for variable, state in zip(reference._random_states(), both._random_states(), strict=True):
        variable.assign(state)
    for variable in reference._random_states():
        variable.assign(variable.numpy() - np.array([0, variable.numpy()[1] - 2], np.uint32))
    real_images, labels = data if num_classes else (data, None)
    latents = reference._draw_latents(TRAINING, reference.step.value, real_images)
    with tf.GradientTape() as tape:
        fakes = reference.generator(latents if labels is None else [latents, labels], training=True)
        logits = reference.discriminator(fakes if labels is None else [fakes, labels], training=True)
        loss = tf.reduce_mean(tf.nn.softplus(-logits))
    expected = tape.gradient(loss, reference.generator.trainable_variables)
    for old, new, gradient in zip(before, both.generator.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(old - new.numpy(), tf.convert_to_tensor(gradient), atol=2e-6)


def test_the_relativistic_generator_compares_what_one_discriminator_says(num_classes):
    """Both logits come from the updated discriminator."""
    sgd = keras.optimizers.SGD
    recipe = {"loss": "relativistic", "dropout": 0.0}
    updated = make_gan(num_classes, generator_optimizer=sgd(0.0), discriminator_optimizer=sgd(0.5), **recipe)
    both = make_gan(num_classes, generator_optimizer=sgd(1.0), discriminator_optimizer=sgd(0.5), **recipe)
    before = [v.numpy() for v in both.generator.trainable_variables]
    data = first_batch(num_classes)
    real_images, labels = data if num_classes else (data, None)
    latents = both._draw_latents(TRAINING, both.step.value, real_images)
    updated.train_step(data)
    both.train_step(data)
    reference = make_gan(num_classes, **recipe)
    with tf.GradientTape() as tape:
        fakes = reference.generator(latents if labels is None else [latents, labels], training=True)
        real_logits, fake_logits = (
            updated.discriminator(x if labels is None else [x, labels]) for x in (real_images, fakes)
        )
        loss = tf.reduce_mean(tf.nn.softplus(real_logits - fake_logits))
    expected = tape.gradient(loss, reference.generator.trainable_variables)
    for old, new, gradient in zip(before, both.generator.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(old - new.numpy(), tf.convert_to_tensor(gradient), atol=2e-6)


def test_a_penalty_gets_fresh_numbers_for_each_image_and_step():
    drawn = []

    def penalty(discriminator_pass):
        drawn.append(discriminator_pass.uniform.numpy())
        return 0.0

    for _ in range(2):
        fit(make_gan(penalty=penalty, run_eagerly=True))
    assert drawn[0].shape == (BATCH_SIZE, 1, 1, 1)
    assert np.min(drawn) > 0
    assert np.max(drawn) < 1
    assert len(np.unique(drawn)) == STEPS * BATCH_SIZE  # both runs drew the same numbers
    behind_the_latents = draw_uniform(0, TRAINING, tf.constant(0, tf.int64), tf.constant(BATCH_SIZE), 1)
    assert not np.isin(drawn[0], behind_the_latents).any()


def test_the_discriminator_is_updated_n_times_a_step():
    gan, seen = make_gan(discriminator_steps=3), []
    history = fit(gan, epochs=2).history
    assert [int(player.iterations) for player in gan.optimizer.optimizers] == [2 * STEPS, 3 * 2 * STEPS]
    assert int(gan.step) == 2 * STEPS
    assert np.isfinite(history["g_loss"]).all()

    def record(discriminator_pass):
        seen.append((discriminator_pass.real_images.numpy(), discriminator_pass.fake_images.numpy()))
        return 0.0

    fit(make_gan(discriminator_steps=3, penalty=record, run_eagerly=True))
    assert len(seen) == 3 * STEPS
    (real_images, *more_real), (fake_images, *more_fake) = zip(*seen[:3], strict=True)
    assert all(np.array_equal(real_images, each) for each in more_real)  # the same real images
    assert not any(np.array_equal(fake_images, each) for each in more_fake)  # new latents
    assert not np.array_equal(real_images, seen[3][0])


def test_several_discriminator_steps_are_those_steps_one_by_one():
    """With a constant generator, two updates in one step equal two steps on the same batch."""
    sgd = keras.optimizers.SGD
    at_once, one_by_one = (
        make_gan(
            generator_optimizer=sgd(0.0),
            discriminator_optimizer=sgd(0.1),
            dropout=0.0,
            discriminator_steps=steps,
        )
        for steps in (2, 1)
    )
    batch = first_batch(None)
    at_once.train_step(batch)
    one_by_one.train_step(batch)
    one_by_one.train_step(batch)
    for a, b in zip(
        trainable_values(at_once.discriminator), trainable_values(one_by_one.discriminator), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_loss_of_the_discriminator_excludes_the_penalty(tmp_path):
    """`d_loss` and `val_d_loss` measure the same quantity. Only training logs `penalty`."""
    plain, penalized = make_gan(dropout=0.0), make_gan(dropout=0.0, penalty=lambda discriminator_pass: 7.0)
    expected, history = (
        fit(gan, validation_data=make_dataset(), validation_steps=2).history for gan in (plain, penalized)
    )
    assert history.pop("penalty") == [7.0]
    assert history == expected
    assert set(expected) == LOGS | {f"val_{key}" for key in LOGS}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_nan_stops_the_run_and_the_last_good_checkpoint_remains(tmp_path, jit_compile):
    images = make_images(8 * BATCH_SIZE).astype(np.float32) / 127.5 - 1
    images[5 * BATCH_SIZE, 0, 0, 0] = np.nan  # in the second epoch, within an execution of several steps
    data = tf.data.Dataset.from_tensor_slices(images).batch(BATCH_SIZE, drop_remainder=True).repeat()
    gan = make_gan(steps_per_execution=4, jit_compile=jit_compile)
    checkpoint = Checkpoint(tmp_path)
    history = gan.fit(
        data, steps_per_epoch=4, epochs=3, callbacks=[keras.callbacks.TerminateOnNaN(), checkpoint], verbose=0
    ).history
    assert np.isnan(history["loss"]).tolist() == [False, True]
    assert not np.isfinite(gan.discriminator.get_weights()[0]).any()
    assert checkpoint.restore(gan) == 1
    assert all(np.isfinite(weights).all() for weights in gan.get_weights())
    assert int(gan.step) == 4


def test_batch_statistics_move_and_dropout_differs():
    gan = make_gan()
    norm = next(la for la in gan.generator.layers if isinstance(la, keras.layers.BatchNormalization))
    before = norm.moving_mean.numpy()
    states = [v.numpy() for v in gan._random_states()]
    fit(gan)
    assert not np.array_equal(before, norm.moving_mean)
    assert len(states) == 2
    assert all(changed(states, [v.numpy() for v in gan._random_states()]))


def test_the_average_follows_its_formula():
    gan = make_gan(ema_half_life_images=20.0)
    expected, recorder = gan.average_generator.get_weights(), Recorder()
    fit(gan, epochs=3, callbacks=[recorder])
    for step, (weights, averages) in enumerate(zip(recorder.generators, recorder.averages, strict=True)):
        half_life = min(20.0, RAMP_UP * (step + 1) * BATCH_SIZE)
        decay = 0.5 ** (BATCH_SIZE / half_life)
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
        for average, value in zip(averages, expected, strict=True):
            np.testing.assert_allclose(average, value, rtol=1e-4, atol=1e-6)


def test_the_average_draws_the_samples():
    gan = make_gan()
    fit(gan)
    latents = np.ones((2, LATENT_DIM), np.float32)
    np.testing.assert_array_equal(gan(latents), gan.average_generator(latents))
    assert gan.average_generator.trainable_variables == []
    assert [layer.name for layer in gan.layers] == ["generator", "discriminator", "generator_average"]
    without = make_gan(ema_half_life_images=None)
    assert without.sampler is without.generator
    np.testing.assert_array_equal(without(latents), without.generator(latents))


@pytest.mark.exact
def test_a_run_is_a_function_of_seed_and_step(num_classes):
    one, same, other = make_gan(num_classes), make_gan(num_classes), make_gan(num_classes, seed=1)
    for gan in (one, same, other):
        fit(gan, epochs=2)
    assert_same_state(one, same)
    assert any(changed(one.get_weights(), other.get_weights()))
    assert int(one.step) == 2 * STEPS


def test_latents_are_standard_normal_and_new_at_each_step():
    gan, images = make_gan(), np.zeros((20_000, *IMAGE_SHAPE), np.float32)
    latents = [gan._draw_latents(TRAINING, tf.constant(step, tf.int64), images).numpy() for step in (0, 1)]
    assert np.isfinite(latents).all()
    np.testing.assert_allclose(np.mean(latents, axis=1), 0, atol=0.04)
    np.testing.assert_allclose(np.std(latents, axis=1), 1, atol=0.03)
    assert np.abs(np.corrcoef(np.hstack(latents), rowvar=False) - np.eye(2 * LATENT_DIM)).max() < 0.04
    assert not np.array_equal(latents[0], gan._draw_latents(EVALUATION, tf.constant(0, tf.int64), images))


def test_evaluation_leaves_training_alone_and_compares_between_epochs(num_classes):
    quiet, evaluated = make_gan(num_classes), make_gan(num_classes)
    fit(quiet, epochs=2)
    data = make_dataset(num_classes)
    fit(evaluated, epochs=2, validation_data=data, validation_steps=2)
    for one, other in zip(quiet.generator.weights, evaluated.generator.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    results = [evaluated.evaluate(data, steps=2, verbose=0, return_dict=True) for _ in range(2)]
    assert results[0] == results[1]
    assert set(results[0]) == LOGS
    penalized = make_gan(num_classes, penalty="r1", metrics=[MeanDifference()])
    listed = dict(zip(penalized.metrics_names, penalized.evaluate(data, steps=2, verbose=0), strict=False))
    assert listed == penalized.evaluate(data, steps=2, verbose=0, return_dict=True)
    assert evaluated.evaluate(data, steps=2, verbose=0)[0] == results[0]["loss"]


def test_metrics_of_quality_are_validated(num_classes, tmp_path):
    gan = make_gan(num_classes, metrics=[MeanDifference()])
    with pytest.raises(ValueError, match="`metrics` must be a list"):
        make_gan(metrics=MeanDifference())
    data = make_dataset(num_classes)
    history = fit(gan, validation_data=data, validation_steps=2).history
    assert set(history) == LOGS | {f"val_{key}" for key in LOGS | {"mean_difference"}}
    first = gan.evaluate(data, steps=2, verbose=0, return_dict=True)
    assert first["mean_difference"] != 0
    with keras.saving.custom_object_scope({"MeanDifference": MeanDifference}):
        gan.save(tmp_path / "gan.keras")
        copy = keras.models.load_model(tmp_path / "gan.keras")
    assert copy.evaluate(data, steps=2, verbose=0, return_dict=True) == first


def test_epoch_logs_are_means_of_the_epochs_steps():
    at_once, step_by_step = make_gan(), make_gan()
    mean = fit(at_once).history["d_loss"][0]
    each = step_by_step.fit(make_dataset(), steps_per_epoch=STEPS, epochs=1, verbose=0)
    assert mean == each.history["d_loss"][0]
    step_by_step, losses = make_gan(), []
    for step in range(STEPS):
        history = step_by_step.fit(make_dataset(start_step=step), steps_per_epoch=1, verbose=0).history
        losses += history["d_loss"]
    assert mean == pytest.approx(np.mean(losses), rel=1e-6)
    assert len(set(losses)) == STEPS


@both_kinds
def test_generate(num_classes):
    gan = make_gan(num_classes)
    images = gan.generate(300, seed=3)
    assert (images.shape, images.dtype) == ((300, *IMAGE_SHAPE), np.uint8)
    np.testing.assert_array_equal(images, gan.generate(300, seed=3))
    np.testing.assert_array_equal(images[:5], gan.generate(5, seed=3))
    assert not np.array_equal(gan.generate(5), gan.generate(5))
    assert gan.generate(0).shape == (0, *IMAGE_SHAPE)


def test_generate_draws_the_labels_asked_for():
    gan = make_gan(3)
    ones = gan.generate(4, labels=[1] * 4, seed=0)
    np.testing.assert_array_equal(ones[1], gan.generate(4, seed=0)[1])
    with pytest.raises(ValueError, match=r"Labels must lie in 0..2.*from 1 to 3"):
        gan.generate(2, labels=[1, 3])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        gan.generate(2, labels=[1])
    with pytest.raises(ValueError, match="Labels must be integers. Received: float64"):
        gan.generate(2, labels=[0.5, 1.0])  # floats are not truncated
    with pytest.raises(ValueError, match="`labels` need a conditional generator"):
        make_gan().generate(1, labels=[0])


@both_kinds
def test_predict_draws_samples(num_classes):
    gan = make_gan(num_classes)
    latents = np.random.default_rng(0).normal(size=(5, LATENT_DIM)).astype("float32")
    inputs = latents if num_classes is None else [latents, make_labels(5)]
    predicted = gan.predict(inputs, verbose=0)
    np.testing.assert_allclose(predicted, gan(inputs), atol=1e-6)


@both_kinds
def test_config_is_a_fixed_point(gan):
    config = json.dumps(keras.saving.serialize_keras_object(gan))
    copy = keras.saving.deserialize_keras_object(json.loads(config))
    assert json.dumps(keras.saving.serialize_keras_object(copy)) == config
    public = [{name for name in dir(model) if not name.startswith("_")} for model in (gan, copy)]
    assert public[0] == public[1]


@pytest.mark.exact
def test_steps_per_execution_must_divide_the_steps():
    gan, data = make_gan(steps_per_execution=4), make_dataset()
    for use, arguments, message in (
        (gan.fit, {"steps_per_epoch": 6}, "steps_per_execution=4, steps_per_epoch=6"),
        (
            gan.fit,
            {"steps_per_epoch": 4, "validation_data": data, "validation_steps": 3},
            "validation_steps=3",
        ),
        (gan.evaluate, {"steps": 3}, "steps_per_execution=4, steps=3"),
    ):
        with pytest.raises(ValueError, match=f"`steps_per_execution` must divide.*{message}"):
            use(data, verbose=0, **arguments)
    assert int(gan.step) == 0
    gan.fit(data, steps_per_epoch=8, validation_data=data, validation_steps=4, verbose=0)
    assert int(gan.step) == 8
    one_by_one = make_gan()
    one_by_one.fit(make_dataset(), steps_per_epoch=8, verbose=0)
    one_by_one.evaluate(make_dataset(), steps=4, verbose=0)
    assert_same_state(gan, one_by_one)


def test_compile_arguments_survive_the_file(tmp_path):
    gan = make_gan(
        generator_optimizer=keras.optimizers.Adam(1e-4),
        discriminator_optimizer=keras.optimizers.SGD(2e-4),
        loss="hinge",
        penalty="r1",
        discriminator_steps=2,
        steps_per_execution=3,
    )
    gan.save(tmp_path / "gan.keras")
    copy = keras.models.load_model(tmp_path / "gan.keras")
    assert copy.get_compile_config() == gan.get_compile_config()
    assert copy.steps_per_execution == 3
    assert [type(p).__name__ for p in copy.optimizer.optimizers] == ["Adam", "SGD"]


def test_one_optimizer_for_both_becomes_two():
    given = keras.optimizers.Adam(0.01, name="mine")
    for arguments in ({"optimizer": "adam"}, {"optimizer": given}, {"generator_optimizer": given}):
        generator, discriminator = make_gan(**arguments).optimizer.optimizers
        assert generator is not discriminator
        assert given not in (generator, discriminator)
        assert float(generator.learning_rate) == float(discriminator.learning_rate)
    assert (given.name, given.built) == ("mine", False)


@both_kinds
@pytest.mark.exact
def test_saved_loaded_and_saved_weights_go_on_to_the_same_bits(gan, num_classes, tmp_path):
    fit(gan, epochs=1)
    gan.save(tmp_path / "gan.keras")
    gan.save_weights(tmp_path / "gan.weights.h5")
    loaded = keras.models.load_model(tmp_path / "gan.keras")
    restored = make_gan(num_classes)
    restored.load_weights(tmp_path / "gan.weights.h5")
    assert_same_state(gan, loaded)
    for model in (gan, loaded, restored):
        fit(model, epochs=2, start_step=STEPS)
    assert_same_state(gan, loaded)
    assert_same_state(gan, restored)


CHILD = """
import sys
import keras
import numpy as np
import gan

sys.path.insert(0, "tests")
model = keras.models.load_model(sys.argv[1])
from conftest import STEPS, fit, state_of
fit(model, epochs=2, start_step=STEPS)
np.savez(sys.argv[2], **{str(i): v for i, v in enumerate(state_of(model).values())})
"""


def test_loads_in_a_process_that_only_imports_gan(gan, tmp_path, request):
    fit(gan)
    gan.save(tmp_path / "gan.keras")
    fit(gan, epochs=2, start_step=STEPS)
    arguments = [str(tmp_path / "gan.keras"), str(tmp_path / "state.npz")]
    subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=True, cwd=request.config.rootpath, timeout=300
    )
    with np.load(tmp_path / "state.npz") as other:
        for index, value in enumerate(state_of(gan).values()):
            np.testing.assert_array_equal(value, other[str(index)])


def test_loads_without_compiling_and_compiles_twice(gan, tmp_path):
    gan.compile(loss="hinge")
    fit(gan)
    gan.save(tmp_path / "gan.keras")
    plain = keras.models.load_model(tmp_path / "gan.keras", compile=False)
    np.testing.assert_array_equal(plain.generate(3, seed=0), gan.generate(3, seed=0))
    plain.compile()
    fit(plain)


@both_kinds
def test_the_sampler_alone_loads_with_keras_alone(gan, num_classes, tmp_path):
    fit(gan)
    gan.copy_sampler().save(tmp_path / "generator.keras")
    alone = keras.models.load_model(tmp_path / "generator.keras")
    assert len(alone.trainable_variables) == len(gan.generator.trainable_variables)
    latents = keras.random.normal((3, LATENT_DIM))
    inputs = latents if num_classes is None else [latents, keras.ops.arange(3)]
    np.testing.assert_array_equal(alone(inputs), gan(inputs))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_of_either_range_train_alike(dtype):
    gan = make_gan(3)
    images = make_images()
    arrays = images if dtype == np.uint8 else images.astype(np.float32) / 127.5 - 1
    history = gan.fit(arrays, make_labels(), batch_size=8, epochs=1, verbose=0).history
    reference = make_gan(3)
    expected = reference.fit(
        images.astype(np.float32) / 127.5 - 1, make_labels(), batch_size=8, epochs=1, verbose=0
    ).history
    assert history["d_loss"] == pytest.approx(expected["d_loss"], rel=1e-5)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (make_images().astype("float32"), make_labels(), r"\[-1, 1\].*from 0 to 255"),
        (make_images(), make_labels() + 1, r"Labels must lie in 0..2. Received: labels from 1 to 3"),
        (make_images().astype("int32") % 2, make_labels(), "uint8.*dtype=int32"),
        (
            make_images(),
            None,
            r"needs batches of \(images, labels\).*Received: uint8 of shape \(40, 8, 8, 1\)",
        ),
        (
            make_images(),
            np.eye(3, dtype=int)[make_labels()],
            r"Received: a tuple of .*int\d+ of shape \(40, 3\)",
        ),
        (make_images(), make_labels() * 0.9, "Labels must be integers. Received: float"),
        (make_images().repeat(2, axis=1), make_labels(), r"\(batch, 8, 8, 1\).*16, 8, 1"),
    ],
)
def test_data_that_do_not_fit_are_refused(images, labels, message):
    gan = make_gan(3)
    gan.compile()  # discards the traced step: after tracing, Keras reports unknown sides, not wrong sides
    with pytest.raises(ValueError, match=message):
        gan.fit(images, labels, batch_size=8, verbose=0)


@pytest.mark.parametrize("wrap", [tuple, list], ids=["tuple", "list"])
def test_validation_arrays_are_refused_before_training(wrap):
    gan, images = make_gan(3), make_images()
    wrong = wrap([images.astype("float32"), make_labels()])
    with pytest.raises(ValueError, match="from 0 to 255"):
        gan.fit(images, make_labels(), batch_size=8, verbose=0, validation_data=wrong)
    assert int(gan.step) == 0
    with pytest.raises(ValueError, match="from 0 to 255"):
        gan.evaluate(*wrong, verbose=0)


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_single_batches_are_checked_too(method):
    gan = make_gan(3)
    with pytest.raises(ValueError, match="from 0 to 255"):
        getattr(gan, method)(make_images().astype("float32"), make_labels())
    with pytest.raises(ValueError, match=r"Labels must lie in 0\.\.2"):
        getattr(gan, method)(make_images(), make_labels() + 1)


@pytest.mark.parametrize("num_classes", [3])
def test_single_batches_of_arrays_train_eagerly_too(num_classes):
    gan, graph = make_gan(num_classes, run_eagerly=True, dropout=0.0), make_gan(num_classes, dropout=0.0)
    batch = make_images(8).astype(np.float32) / 127.5 - 1, make_labels(8)
    assert gan.test_on_batch(*batch) == pytest.approx(graph.test_on_batch(*batch), rel=1e-5)
    assert gan.train_on_batch(*batch) == pytest.approx(graph.train_on_batch(*batch), rel=1e-5)


def test_fit_takes_keras_own_positions():
    images, labels = make_images(), make_labels()
    gan = make_gan(3)
    gan.fit(make_dataset(3), None, None, 1, 0, None, 0.0, None, False, steps_per_epoch=1)
    history = gan.fit(images, labels, 8, 2, 0, None, 0.0, (images, labels))
    assert history.epoch == [0, 1]
    assert "val_loss" in history.history


def test_networks_that_do_not_fit_are_refused():
    generator, discriminator = build_generator((8, 8, 1), 4), build_discriminator((12, 8, 1))
    with pytest.raises(ValueError, match=r"generator \(8, 8, 1\), discriminator \(12, 8, 1\)"):
        GAN(generator, discriminator)
    with pytest.raises(ValueError, match="generator must take 2 input"):
        GAN(generator, build_discriminator((8, 8, 1), num_classes=3), num_classes=3)
    unbuilt = keras.Sequential([keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    with pytest.raises(ValueError, match="generator must be built"):
        GAN(unbuilt, build_discriminator((8, 8, 1)))
    ten = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    with pytest.raises(ValueError, match=r"one logit.*Received: shape=\(batch, 10\)"):
        GAN(generator, ten)


def test_a_player_that_cannot_learn_is_refused():
    gan = make_gan()
    gan.generator.trainable = False
    with pytest.raises(ValueError, match="Each player needs trainable weights.*generator"):
        gan.compile()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"discriminator_steps": 0}, "Received: discriminator_steps=0"),
        ({"discriminator_steps": 2.0}, "Received: discriminator_steps=2.0"),
        ({"optimizer": "adam", "generator_optimizer": "sgd"}, "not both"),
        ({"loss": "bce"}, "Invalid `loss`"),
        ({"penalty": "gp"}, "Invalid `penalty`"),
    ],
)
def test_compile_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_gan(**arguments)


def test_a_sigmoid_under_a_loss_of_logits_draws_a_warning():
    discriminator = keras.Sequential(
        [keras.Input(IMAGE_SHAPE), keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")]
    )
    gan = GAN(build_generator(IMAGE_SHAPE, LATENT_DIM), discriminator)
    with pytest.warns(UserWarning, match="sigmoid"):
        gan.compile()


@pytest.mark.parametrize("arguments", [{"ema_half_life_images": 0}, {"seed": -1}])
def test_constructor_refuses(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}"):
        GAN(build_generator(IMAGE_SHAPE), build_discriminator(IMAGE_SHAPE), **arguments)


class WithoutConfig(keras.Model):
    """A generator that Keras cannot build again from a config."""

    def __init__(self, secret):
        super().__init__()
        self.dense = keras.layers.Dense(64, "tanh")
        self.image = keras.layers.Reshape(IMAGE_SHAPE)

    def call(self, latents):
        return self.image(self.dense(latents))

    def get_config(self):
        raise NotImplementedError


def test_a_generator_that_cannot_be_copied_has_no_average():
    generator = WithoutConfig("secret")
    generator(np.zeros((1, LATENT_DIM), np.float32))
    discriminator = build_discriminator(IMAGE_SHAPE)
    with pytest.raises(ValueError, match="ema_half_life_images=None"):
        GAN(generator, discriminator)
    gan = GAN(generator, discriminator, ema_half_life_images=None)
    gan.compile()
    fit(gan)
