"""Tests networks, metrics, subclasses and callbacks as other projects write them."""

import csv
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from callbacks import Checkpoint, HistoryFile, SampleGrid, TensorBoardSamples
from conftest import fit, make_gan, make_images, make_labels
from gan import GAN, build_discriminator, build_generator
from gan.metrics import ClassBalance, FrechetDistance

LATENTS, SHAPE = 4, (8, 8, 1)
IMAGES = make_images()


def dense_generator(*more, latents=(LATENTS,), name="generator"):
    first = [keras.Input(latents), layers.Flatten(), layers.Dense(64, "tanh"), *more, layers.Reshape(SHAPE)]
    return keras.Sequential(first, name=name)


def dense_discriminator(shape=SHAPE, **kwargs):
    return keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(1, **kwargs)], name="discriminator"
    )


def in_lists():
    latents, images = keras.Input((LATENTS,)), keras.Input(SHAPE)
    drawn = layers.Reshape(SHAPE)(layers.Dense(64, "tanh")(latents))
    return keras.Model([latents], [drawn]), keras.Model([images], [layers.Dense(1)(layers.Flatten()(images))])


def of_any_size():
    images = keras.Input((None, None, 1))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(images))
    return dense_generator(), keras.Model(images, layers.Dense(1)(features))


USABLE = {
    "one-element lists": in_lists,
    "latents (1, 1, n)": lambda: (dense_generator(latents=(1, 1, LATENTS)), dense_discriminator()),
    "a Lambda": lambda: (dense_generator(layers.Lambda(lambda x: ops.tanh(x))), dense_discriminator()),
    "a discriminator of any size": of_any_size,
}


@pytest.mark.parametrize("make", USABLE.values(), ids=USABLE)
def test_usable_networks_train_and_draw(tmp_path, make):
    gan = GAN(*make())
    gan.compile()
    gan.fit(IMAGES, batch_size=8, verbose=0, callbacks=[SampleGrid(tmp_path, rows=2, columns=2)])
    assert int(gan.step) == 5
    assert gan.generate(3, seed=0).shape == (3, *SHAPE)
    assert (tmp_path / "epoch_0001.png").is_file()


def with_labels(swapped=False):
    latents, labels = keras.Input((LATENTS,)), keras.Input((), dtype="int32")
    joined = layers.Concatenate()([latents, layers.Embedding(3, 2)(labels)])
    drawn = layers.Reshape(SHAPE)(layers.Dense(64, "tanh")(joined))
    return keras.Model([labels, latents] if swapped else [latents, labels], drawn)


def of_dictionary():
    latents = keras.Input((LATENTS,), name="z")
    return keras.Model({"z": latents}, layers.Reshape(SHAPE)(layers.Dense(64)(latents)))


def of_two_outputs():
    latents = keras.Input((LATENTS,))
    drawn = layers.Reshape(SHAPE)(layers.Dense(64)(latents))
    return keras.Model(latents, [drawn, layers.Dense(3)(latents)])


REFUSED = {
    "functions": (lambda: GAN(lambda z: z, lambda x: x), "generator must be a `keras.Model`"),
    "two outputs": (lambda: GAN(of_two_outputs(), dense_discriminator()), "one output. Received: 2"),
    "a dictionary": (lambda: GAN(of_dictionary(), dense_discriminator()), "Received: a dictionary"),
    "swapped inputs": (
        lambda: GAN(with_labels(True), build_discriminator(SHAPE, 3), num_classes=3), "latents and labels"
    ),
    "points": (
        lambda: GAN(keras.Sequential([keras.Input((4,)), layers.Dense(2)]), dense_discriminator((2,))),
        r"\(batch, height, width, channels\).*\(batch, 2\)",
    ),
    "no classes": (lambda: GAN(*in_lists(), num_classes=0), "`num_classes` must be a whole number"),
    "a seed of 1.0": (lambda: GAN(*in_lists(), seed=1.0), "`seed` must be an integer"),
}  # fmt: skip


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED)
def test_other_networks_are_refused_by_the_constructor(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_networks_that_share_a_layer_are_refused():
    """Both optimizers would update the layer, and Keras could not load the model."""
    shared = layers.Embedding(3, 2)
    latents, labels = keras.Input((LATENTS,)), keras.Input((), dtype="int32")
    drawn = layers.Dense(64, "tanh")(layers.Concatenate()([latents, shared(labels)]))
    images, other_labels = keras.Input(SHAPE), keras.Input((), dtype="int32")
    logit = layers.Dense(1)(layers.Concatenate()([layers.Flatten()(images), shared(other_labels)]))
    networks = (
        keras.Model([latents, labels], layers.Reshape(SHAPE)(drawn)),
        keras.Model([images, other_labels], logit),
    )
    with pytest.raises(ValueError, match="must not share layers.*embedding"):
        GAN(*networks, num_classes=3)


def test_images_of_bfloat16_train():
    gan = make_gan()
    gan.fit(tf.cast(IMAGES / 127.5 - 1, tf.bfloat16), batch_size=8, verbose=0)
    assert int(gan.step) == 5


def test_whole_numbers_of_numpy_are_whole_numbers():
    number = np.uint8(3)
    generator = build_generator(SHAPE, np.int64(4), number, np.int32(2), np.int64(1))
    gan = GAN(
        generator, build_discriminator(SHAPE, number, np.int64(2)), num_classes=number, seed=np.int64(5)
    )
    gan.compile(discriminator_steps=np.int64(2))
    gan.fit(IMAGES, make_labels(), batch_size=8, verbose=0)
    assert (gan.num_classes, gan.seed, type(gan.seed)) == (3, 5, int)


def test_without_a_seed_two_models_draw_differently_and_keras_determines_how():
    def draw():
        keras.utils.set_random_seed(3)
        models = [GAN(dense_generator(), dense_discriminator(), seed=None) for _ in range(2)]
        return [model.seed for model in models], [models[0].generate(4) for _ in range(2)]

    (one, other), (images, other_images) = draw()
    assert one != other
    assert not np.array_equal(images, other_images)
    seeds, again = draw()
    assert seeds == [one, other]
    np.testing.assert_array_equal(again, [images, other_images])


def test_networks_of_float16_get_loss_scaling_whatever_the_policy_is_now(mixed_float16):
    networks = dense_generator(), dense_discriminator()
    keras.mixed_precision.set_dtype_policy("float32")
    gan = GAN(*networks)
    gan.compile()
    assert isinstance(gan.optimizer, keras.optimizers.LossScaleOptimizer)
    gan.fit(IMAGES, batch_size=8, verbose=0)
    again = keras.models.clone_model(gan)  # a copy made from the config
    again.compile(auto_scale_loss=False)
    assert not isinstance(again.optimizer, keras.optimizers.LossScaleOptimizer)


class Adds(layers.Layer):
    """Adds an extra loss in every call."""

    def call(self, x):
        self.add_loss(0.25 * ops.mean(ops.ones_like(x)))
        return x


def test_what_layers_add_counts_in_the_loss_of_their_network():
    def losses(generator, discriminator):
        keras.utils.set_random_seed(0)
        gan = GAN(generator(), discriminator(), ema_half_life_images=None)
        gan.compile("sgd", penalty=None)
        return gan.test_on_batch(IMAGES[:8], return_dict=True), gan.train_on_batch(
            IMAGES[:8], return_dict=True
        )

    plain = losses(dense_generator, dense_discriminator)
    drawn = losses(lambda: dense_generator(Adds()), dense_discriminator)
    with_discriminator = losses(
        dense_generator, lambda: keras.Sequential([keras.Input(SHAPE), Adds(), *dense_discriminator().layers])
    )
    for before, generator, discriminator in zip(plain, drawn, with_discriminator, strict=True):
        assert generator["g_loss"] - before["g_loss"] == pytest.approx(0.25, abs=1e-5)
        assert generator["d_loss"] == pytest.approx(before["d_loss"], abs=1e-5)
        assert discriminator["d_loss"] - before["d_loss"] == pytest.approx(0.5, abs=1e-5)  # 2 calls
        assert discriminator["loss"] == pytest.approx(discriminator["d_loss"] + discriminator["g_loss"])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_weight_decay_shrinks_the_weights(jit_compile):
    decay = keras.regularizers.L2(1.0)
    gan = GAN(dense_generator(), dense_discriminator(kernel_regularizer=decay, activity_regularizer="l2"))
    gan.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.1), penalty=None, jit_compile=jit_compile)
    kernel = gan.discriminator.layers[-1].kernel
    before = float(ops.sum(kernel**2))
    d_loss = gan.train_on_batch(IMAGES[:8], return_dict=True)["d_loss"]
    assert d_loss > before  # the regularizer adds `before`
    gan.fit(IMAGES, batch_size=8, epochs=3, verbose=0)
    assert float(ops.sum(kernel**2)) < 0.1 * before


class Counting(GAN):
    """A subclass of GAN with an extra metric, layer and weight."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.images_seen = keras.metrics.Sum(name="images_seen")
        self.extra = layers.Dense(2)
        self.total = self.add_weight(shape=(), name="total", initializer="zeros", trainable=False)

    def train_step(self, data):
        logs = super().train_step(data)
        self.images_seen.update_state(8.0)
        self.total.assign_add(8.0)
        return logs | {"images_seen": self.images_seen.result()}


def test_a_subclass_adds_state_that_is_saved(tmp_path):
    gan = Counting(dense_generator(), dense_discriminator())
    gan.compile()
    logs = gan.fit(IMAGES, batch_size=8, epochs=2, verbose=0).history
    assert logs["images_seen"] == [40, 40]  # Keras resets a metric before each epoch
    gan.save_weights(tmp_path / "gan.weights.h5")
    again = Counting(dense_generator(), dense_discriminator())
    again.compile()
    again.load_weights(tmp_path / "gan.weights.h5")
    assert float(again.total) == 80


NAN_SEARCH = """
import keras, numpy as np, tensorflow as tf
from keras import layers
from gan import GAN
from gan.metrics import FrechetDistance

tf.debugging.enable_check_numerics()
generator = keras.Sequential([keras.Input((4,)), layers.Dense(64, "tanh"), layers.Reshape((8, 8, 1))])
discriminator = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1)])
network = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(5)])
gan = GAN(generator, discriminator)
gan.compile(metrics=[FrechetDistance(network)])
images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), np.uint8)
gan.fit(images, batch_size=8, validation_data=images, verbose=0)
"""


def test_a_search_for_nan_passes_a_healthy_run(request):
    """Runs in a new process, because the search changes every function that TensorFlow traces."""
    environment = os.environ | {"PYTHONPATH": str(request.config.rootpath)}
    process = subprocess.run(
        [sys.executable, "-c", NAN_SEARCH], capture_output=True, text=True, env=environment
    )
    assert process.returncode == 0, process.stderr[-2000:]


def make_network(shape=SHAPE):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(5)])


@pytest.mark.parametrize(
    "metrics, message",
    [
        ([lambda real, fake: 0.0], "functions and names"),
        (["accuracy"], "functions and names"),
        ("mae", "must be a list"),
        ([FrechetDistance("digits")], r"must take the GAN's images, \(8, 8, 1\).*\(28, 28, 1\)"),
    ],
)
def test_metrics_that_cannot_serve_are_refused_by_compile(metrics, message):
    with pytest.raises(ValueError, match=message):
        make_gan(metrics=metrics)


def test_two_metrics_of_one_name_have_logs_and_networks_of_their_own(tmp_path):
    gan = make_gan(metrics=[FrechetDistance(make_network()), FrechetDistance(make_network())])
    logs = gan.evaluate(IMAGES, verbose=0, return_dict=True)
    assert logs["frechet_distance"] != logs["frechet_distance_1"]
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert again.evaluate(IMAGES, verbose=0, return_dict=True) == pytest.approx(logs)


def test_callbacks_know_the_direction_of_our_metrics():
    metrics = [FrechetDistance(make_network()), ClassBalance(make_network())]
    stops = [
        keras.callbacks.EarlyStopping(name)
        for name in ("val_frechet_distance", "val_smallest_class_share", "d_loss")
    ]
    fit(make_gan(metrics=metrics), validation_data=IMAGES, callbacks=stops)
    assert [stop.mode for stop in stops] == ["min", "max", "min"]


def test_hdf5_is_refused_before_a_file_is_touched(tmp_path):
    path = tmp_path / "gan.h5"
    path.write_text("precious")
    with pytest.raises(ValueError, match=r"saved as a `.keras` file"):
        make_gan().save(path)
    assert path.read_text() == "precious"


def test_another_strategys_scope_is_refused():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        gan = GAN(dense_generator(), dense_discriminator())
    with pytest.raises(ValueError, match=r"in the scope of one strategy.*MirroredStrategy, "):
        gan.compile()
    gan = make_gan()
    with strategy.scope(), pytest.raises(ValueError, match="in the scope of one strategy"):
        fit(gan)


def test_weights_loaded_before_the_first_step_are_drawn_with(tmp_path):
    trained, gan = make_gan(), GAN(*(make_gan().generator, make_gan().discriminator))
    fit(trained, epochs=2)
    trained.generator.save_weights(tmp_path / "generator.weights.h5")
    gan.generator.load_weights(tmp_path / "generator.weights.h5")
    latents = np.ones((2, LATENTS), np.float32)
    expected = ops.convert_to_numpy(trained.generator(latents))
    np.testing.assert_allclose(ops.convert_to_numpy(gan(latents)), expected, atol=1e-5)


REASONS = {
    "not compiled": (lambda: GAN(*networks()), "not compiled: compile the model"),
    "no average": (lambda: compiled(ema_half_life_images=None), "lacks the average"),
    "another optimizer": (lambda: compiled(optimizer="sgd"), "another optimizer"),
    "other layers": (lambda: compiled(units=8), "other layers"),
}


def networks(units=4):
    hidden = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(units), layers.Dense(1)])
    return dense_generator(), hidden


def compiled(units=4, optimizer="adam", **kwargs):
    gan = GAN(*networks(units), **kwargs)
    gan.compile(optimizer)
    return gan


@pytest.mark.parametrize("make, reason", REASONS.values(), ids=REASONS)
def test_a_checkpoint_that_does_not_fit_says_why(tmp_path, make, reason):
    compiled().fit(IMAGES, batch_size=8, verbose=0, callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(ValueError, match=f"is not damaged, but .*{reason}"):
        Checkpoint(tmp_path).restore(make())


@pytest.mark.parametrize("order", [1, -1])
def test_a_checkpoint_holds_the_weights_of_its_epoch(tmp_path, order):
    """The weights that `EarlyStopping` restores at the end do not get into the checkpoint."""

    class Worse(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["figure"] = epoch
            steps[epoch + 1] = int(self.model.step)

    steps = {}
    stop = keras.callbacks.EarlyStopping("figure", mode="min", patience=2, restore_best_weights=True)
    callbacks = [stop, Checkpoint(tmp_path, every_n_epochs=5)][::order]
    gan = make_gan()
    fit(gan, epochs=9, callbacks=[Worse(), *callbacks])
    assert int(gan.step) == steps[1]
    again = make_gan()
    epochs_done = Checkpoint(tmp_path).restore(again)
    assert int(again.step) == steps[epochs_done]


def test_columns_that_come_later_get_their_place(tmp_path):
    path = tmp_path / "history.csv"
    gan = make_gan()
    history = gan.fit(IMAGES, batch_size=8, epochs=4, validation_data=IMAGES, validation_freq=2, verbose=0,
                      callbacks=[HistoryFile(path)]).history  # fmt: skip
    gan.compile(metrics=[FrechetDistance(make_network())])
    gan.fit(IMAGES, batch_size=8, initial_epoch=4, epochs=5, validation_data=IMAGES, verbose=0,
            callbacks=[HistoryFile(path, append=True)])  # fmt: skip
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [float(row["val_loss"]) for row in rows if row["val_loss"] != "NA"][:2] == history["val_loss"]
    assert [row["val_frechet_distance"] == "NA" for row in rows] == [True] * 4 + [False]


@pytest.mark.parametrize("make", [SampleGrid, Checkpoint, HistoryFile])
def test_an_address_is_no_folder(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="local folders only. Received: gs://bucket/run"):
        make("gs://bucket/run")
    assert list(tmp_path.iterdir()) == []


def test_tensorflow_writes_samples_to_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit(make_gan(), callbacks=[TensorBoardSamples("ram://logs", rows=2, columns=2)])
    assert tf.io.gfile.glob("ram://logs/*")
    assert list(tmp_path.iterdir()) == []


PICTURES = {
    "a dataset": (tf.data.Dataset.from_tensor_slices(IMAGES), "must be an array"),
    "five channels": (np.zeros((40, 8, 8, 5), np.uint8), r"1 \(gray\) or 3 \(color\)"),
    "no images": (np.zeros((40, 8), np.uint8), r"1 \(gray\) or 3 \(color\)"),
}


@pytest.mark.parametrize("real_images, message", PICTURES.values(), ids=PICTURES)
def test_real_images_that_are_no_pictures(tmp_path, real_images, message):
    gan = make_gan()
    with pytest.raises(ValueError, match=message):
        fit(gan, callbacks=[SampleGrid(tmp_path, real_images=real_images)])
    assert int(gan.step) == 0
    fit(gan, callbacks=[SampleGrid(tmp_path, real_images=IMAGES[..., 0], rows=2, columns=2)])


def test_a_sigmoid_is_told_of_in_either_network():
    generator = keras.Sequential([keras.Input((4,)), layers.Dense(64, "sigmoid"), layers.Reshape(SHAPE)])
    with pytest.warns(UserWarning, match="generator ends in a sigmoid.*tanh"):
        GAN(generator, dense_discriminator()).compile()
    nested = keras.Sequential([keras.Input(SHAPE), dense_discriminator(activation=tf.nn.sigmoid)])
    with pytest.warns(UserWarning, match="discriminator ends in a sigmoid"):
        GAN(dense_generator(), nested).compile()


def test_channels_first_is_refused_in_one_line():
    keras.config.set_image_data_format("channels_first")
    try:
        for build in (build_generator, build_discriminator):
            with pytest.raises(ValueError, match="need images with channels_last"):
                build()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_names_of_the_average_are_its_own():
    gan = make_gan()
    paths = [variable.path for variable in gan.weights]
    assert len(paths) == len(set(paths))
