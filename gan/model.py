"""The GAN as an ordinary Keras model.

One train step, in the order of `train_step`: latents are drawn and the fake images made, once; the
discriminator learns to tell them from the real ones; the generator learns from the discriminator's
verdict on the same images; the generator's average follows. Everything random is a function of
(seed, step), and the step is a weight, so a run that is saved and resumed goes on to the same bits.
"""

import contextlib
import functools
import inspect
import math
import types

import keras
import numpy as np
import tensorflow as tf

from gan import checks, guard, images, losses, penalties
from gan.average import copy_network, update_average
from gan.latents import EVALUATION, PENALTY, TRAINING, draw_latents, draw_uniform
from gan.optimizer import ScaledTwoPlayerOptimizer, TwoPlayerOptimizer, recommended_optimizer

__all__ = ["GAN"]

UPDATES = ("alternating", "simultaneous")
GENERATE_BATCH_SIZE = 500


@keras.saving.register_keras_serializable(package="gan")
class GAN(keras.Model):
    """A generator and a discriminator that `fit` trains against each other.

    Images are float32 in [-1, 1] or uint8 0..255, of shape (batch, height, width, channels). Batches
    are `images` or `(images, labels)`; labels, integers of shape (batch,), are used by a conditional
    GAN and ignored by any other. Everything Keras does with a model works on it: callbacks, `predict`
    (latents in, images out), `evaluate`, saving, loading, resuming.

    The logs are `loss` (= `d_loss` + `g_loss`), `d_loss` (with its penalty), `g_loss`, and
    `real_logits` and `fake_logits`, the means of the discriminator's raw outputs. They say whether the
    game is in balance, not how good the images are.

    Args:
        generator: a built model of `latents` (batch, latent_dim), or of `[latents, labels]` where
            `num_classes` is given, to images in [-1, 1].
        discriminator: a built model of `images`, or `[images, labels]`, to one logit (batch, 1),
            high for real, without a sigmoid.
        num_classes: number of labels of a conditional GAN, or None.
        seed: non-negative integer that all latents of training and evaluation follow from. (Initial
            weights and dropout follow from `keras.utils.set_random_seed`, called before building the
            networks.)
        ema_half_life_images: half-life, in images seen, of the moving average of the generator's
            weights, which draws the samples; it is shorter in the beginning. None: no average, and
            the generator itself draws them.

    Raises:
        ValueError: when a network is not built, or the two do not fit each other.

    Example:

    ```python
    gan = GAN(build_generator(), build_discriminator())
    gan.compile()
    gan.fit(pipeline(images, batch_size=64, seed=0), steps_per_epoch=500, epochs=10)
    pictures = gan.generate(16)      # uint8 (16, 28, 28, 1)
    ```
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        num_classes: int | None = None,
        seed: int = 0,
        ema_half_life_images: float | None = 10_000,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.latent_dim, self.image_shape = checks.check_networks(generator, discriminator, num_classes)
        if ema_half_life_images is not None and not ema_half_life_images > 0:
            raise ValueError(
                "`ema_half_life_images` must be positive, or None for no average. "
                f"Received: ema_half_life_images={ema_half_life_images}"
            )
        if not 0 <= seed < 2**63:
            raise ValueError(f"`seed` must be an integer from 0 to 2**63 - 1. Received: seed={seed!r}")
        self.generator = generator
        self.discriminator = discriminator
        self.num_classes = num_classes
        self.seed = seed
        self.ema_half_life_images = ema_half_life_images
        self.average_generator = None
        if ema_half_life_images is not None:
            self.average_generator = copy_network(generator)
            self.average_generator.trainable = False
            self.average_generator.name = f"{generator.name}_average"
        counter = {"shape": (), "dtype": "int64", "trainable": False, "initializer": "zeros"}
        aggregation = {"aggregation": "only_first_replica"}
        self.step = self.add_weight(name="step", **counter, **aggregation)
        self.evaluation_step = self.add_weight(name="evaluation_step", **counter, **aggregation)
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")
        self.real_logits_tracker = keras.metrics.Mean(name="real_logits")
        self.fake_logits_tracker = keras.metrics.Mean(name="fake_logits")
        self.loss_tracker = _TotalLoss(self.d_loss_tracker, self.g_loss_tracker)
        self._compile_arguments = None
        self.build()

    @functools.wraps(keras.Model.export)
    def export(self, *args, **kwargs):
        latents = np.zeros((1, self.latent_dim), np.float32)
        self(latents if self.num_classes is None else [latents, np.zeros(1, np.int32)])  # Keras insists
        return self.sampler.export(*args, **kwargs)

    def build(self, input_shape=None):
        self.built = True  # both networks came built, and the GAN's own weights are made above

    @property
    def _players(self) -> tuple[keras.Model, keras.Model]:
        return self.generator, self.discriminator

    @property
    def sampler(self) -> keras.Model:
        """The network that draws samples: the generator's average where there is one."""
        return self.generator if self.average_generator is None else self.average_generator

    def copy_sampler(self) -> keras.Model:
        """The sampler as a model of its own, trainable like the generator: what to save for others.

        Raises:
            ValueError: when the generator cannot be made again from its config.
        """
        copy = copy_network(self.generator)
        copy.set_weights(self.sampler.get_weights())
        return copy

    def call(self, inputs):
        return self.sampler(inputs, training=False)

    def generate(self, count: int, labels=None, seed: int | None = None) -> np.ndarray:
        """Draws images.

        Args:
            count: how many.
            labels: integers (count,) for a conditional GAN; None: each class in turn.
            seed: non-negative integer; the same seed draws the same latents. None: fresh ones.

        Returns:
            uint8 (count, height, width, channels).

        Raises:
            ValueError: when the labels do not fit.
        """
        latents = np.random.default_rng(seed).standard_normal((count, self.latent_dim), np.float32)
        labels = self._labels_to_draw(count, labels)
        draw = self.call if self.run_eagerly else self._compiled_call
        drawn = np.empty((count, *self.image_shape), np.uint8)
        for start in range(0, count, GENERATE_BATCH_SIZE):
            chunk = slice(start, start + GENERATE_BATCH_SIZE)
            inputs = latents[chunk] if labels is None else [latents[chunk], labels[chunk]]
            drawn[chunk] = images.to_uint8(keras.ops.convert_to_numpy(draw(inputs)))
        return drawn

    @functools.cached_property
    def _compiled_call(self):
        """`call` as a function compiled once for batches of any size."""
        latents = tf.TensorSpec((None, self.latent_dim), tf.float32)
        labels = tf.TensorSpec((None,), tf.int32)
        inputs = latents if self.num_classes is None else [latents, labels]
        return tf.function(self.call, input_signature=[inputs], autograph=False)

    def _labels_to_draw(self, count: int, labels) -> np.ndarray | None:
        if self.num_classes is None:
            if labels is not None:
                raise ValueError("`labels` need a conditional GAN; this one has num_classes=None.")
            return None
        if labels is None:
            return np.arange(count, dtype=np.int32) % self.num_classes
        labels = np.asarray(labels)
        if labels.shape != (count,):
            raise ValueError(
                f"`labels` must have shape ({count},), one for each image. Received: {labels.shape}"
            )
        checks.check_labels(labels, self.num_classes)
        return labels.astype(np.int32)

    def compile(
        self,
        generator_optimizer=None,
        discriminator_optimizer=None,
        loss="non_saturating",
        penalty="r1",
        metrics=None,
        *,
        optimizer=None,
        update: str = "alternating",
        discriminator_steps: int = 1,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ):
        """Chooses how the two players learn. Without arguments it trains MNIST well.

        `compile("adam")` and `compile(optimizer=...)` give each player a fresh copy of the one; of two,
        each player takes the object itself.

        Args:
            generator_optimizer: name or object of the generator's optimizer; None: Adam at 2e-3 with
                beta1 0.5 and beta2 0.99.
            discriminator_optimizer: likewise; None: both players get copies of the generator's.
            loss: "non_saturating", "minimax", "hinge", "least_squares", "wasserstein", "relativistic", or
                an object like `gan.losses.AdversarialLoss`.
            penalty: None, "r1", "r2", "r1+r2", "wgan_gp", or a callable like `gan.penalties.Penalty`.
            metrics: a list of metrics of quality for `evaluate` and `validation_data`, each a
                `keras.metrics.Metric` with `update_state(real_images, fake_images)`, float32 batches
                in [-1, 1]. Keras asks for `result()` before the first update too.
            optimizer: one optimizer for both players, in place of the two arguments above.
            update: "alternating": the generator learns from the discriminator as just updated;
                "simultaneous": from the pass the discriminator learned from, which saves a pass.
            discriminator_steps: the generator moves at every n-th train step only; from 1, and 1 where
                a strategy spreads a batch over several replicas.
            run_eagerly, jit_compile, auto_scale_loss: as in `keras.Model.compile`.
            steps_per_execution: likewise; where it does not divide `steps_per_epoch` or
                `validation_steps`, the largest number that divides them all takes its place. 8 saves a
                twentieth of a step of the default networks.

        Raises:
            ValueError: for an argument that is not among these, or a player without trainable weights.
        """
        if optimizer is not None:
            if generator_optimizer is not None or discriminator_optimizer is not None:
                raise ValueError("Give either `optimizer` for both players, or one to each, not both.")
            generator_optimizer = optimizer
        _check_scheme(update, discriminator_steps, self.distribute_strategy.num_replicas_in_sync)
        checks.check_trainable(self.generator, self.discriminator)
        checks.warn_of_sigmoid(self.discriminator)
        players = TwoPlayerOptimizer(*_resolve_optimizers(generator_optimizer, discriminator_optimizer))
        players.build_players(self.generator.trainable_variables, self.discriminator.trainable_variables)
        ways_of_running = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        # Kept in an object that Keras does not track: it takes no new state once a model is built.
        arguments = types.SimpleNamespace(
            generator_optimizer=players.generator_optimizer,
            discriminator_optimizer=players.discriminator_optimizer,
            loss=losses.get(loss),
            penalty=penalties.get(penalty),
            metrics=_get_metrics(metrics),
            update=update,
            discriminator_steps=discriminator_steps,
            **ways_of_running,
        )
        is_scaled = auto_scale_loss and self.dtype_policy.name == "mixed_float16"
        super().compile(ScaledTwoPlayerOptimizer(players) if is_scaled else players, **ways_of_running)
        self.optimizer.build(self.trainable_variables)  # where loss scaling wraps it, the scale's state
        self._compile_arguments = arguments

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        quality = [] if self._compile_arguments is None else self._compile_arguments.metrics
        return self._trackers() + quality

    def _trackers(self) -> list[keras.metrics.Metric]:
        return [
            self.loss_tracker,
            self.d_loss_tracker,
            self.g_loss_tracker,
            self.real_logits_tracker,
            self.fake_logits_tracker,
        ]

    def reset_metrics(self):
        super().reset_metrics()
        self.evaluation_step.assign(0)  # so that every evaluation sees the same latents

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        call = inspect.signature(super().fit).bind(*args, **kwargs)
        given = call.arguments
        self._check_fit(**given)
        self._settle_steps_per_execution(given.get("steps_per_epoch"), given.get("validation_steps"))
        if isinstance(given.get("x"), tf.data.Dataset):
            given.setdefault("shuffle", False)  # Keras warns that it cannot shuffle a dataset
        return super().fit(*call.args, **call.kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        given = inspect.signature(super().evaluate).bind(*args, **kwargs).arguments
        self._check_arrays(given.get("x"), given.get("y"))
        with self._executions_that_divide(given.get("steps")):
            return super().evaluate(*args, **kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, x, y=None, *args, **kwargs):
        self._check_arrays(x, y)
        return super().train_on_batch(x, y, *args, **kwargs)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, x, y=None, *args, **kwargs):
        self._check_arrays(x, y)
        return super().test_on_batch(x, y, *args, **kwargs)

    def _settle_steps_per_execution(self, *steps_to_run: int | None) -> None:
        """Lowers it to what divides the steps, for on endless data Keras would go beyond the last of them."""
        steps = self._compile_arguments.steps_per_execution if self._compile_arguments else 1
        steps = math.gcd(steps, *filter(None, steps_to_run))
        if steps != self.steps_per_execution:
            self.steps_per_execution = steps
            self.train_function = self.test_function = self.predict_function = None  # made for another

    @contextlib.contextmanager
    def _executions_that_divide(self, steps: int | None):
        """The same for an evaluation, which may be part of a `fit` and leaves that as it was."""
        if steps is None or steps % self.steps_per_execution == 0:
            yield
            return
        kept = self.steps_per_execution, self.test_function
        self.steps_per_execution, self.test_function = math.gcd(self.steps_per_execution, steps), None
        try:
            yield
        finally:
            self.steps_per_execution, self.test_function = kept

    def _check_fit(self, x=None, y=None, validation_data=None, **_) -> None:
        self._check_arrays(x, y)
        if isinstance(validation_data, (tuple, list, np.ndarray)):
            self._check_arrays(*keras.utils.unpack_x_y_sample_weight(validation_data)[:2])

    def _check_arrays(self, some_images, labels) -> None:
        """Range and labels, before any work is done; shapes and types are seen when a step is traced."""
        if isinstance(some_images, (np.ndarray, tf.Tensor)):
            images.check_range(np.asarray(some_images))
            if labels is not None and self.num_classes is not None:
                checks.check_labels(np.asarray(labels), self.num_classes)

    def train_step(self, data) -> dict:
        real_images, labels = self._unpack(data)
        latents = self._draw_latents(TRAINING, self.step, real_images)
        statistics = [weight for player in self._players for weight in player.non_trainable_weights]
        values = [tf.convert_to_tensor(weight.value) for weight in statistics]
        with tf.GradientTape() as generator_tape:
            fake_images = self._make_fakes(self.generator, latents, labels, training=True)
        is_finite, verdict = self._discriminator_step(real_images, fake_images, labels)
        is_finite &= self._at_generator_turn(
            lambda: self._generator_step(generator_tape, real_images, fake_images, labels, *verdict)
        )
        guard.restore_unless(is_finite, statistics, values)
        self._update_average(real_images)
        self.step.assign_add(1)
        return {tracker.name: tracker.result() for tracker in self._trackers()}

    def test_step(self, data) -> dict:
        real_images, labels = self._unpack(data)
        latents = self._draw_latents(EVALUATION, self.evaluation_step, real_images)
        fake_images = self._make_fakes(self.sampler, latents, labels, training=False)
        real_logits = self._judge(real_images, labels, training=False)
        fake_logits = self._judge(fake_images, labels, training=False)
        loss = self._compile_arguments.loss
        self._track_discriminator(loss.discriminator_loss(real_logits, fake_logits), real_logits, fake_logits)
        self.g_loss_tracker.update_state(loss.generator_loss(real_logits, fake_logits))
        for metric in self._compile_arguments.metrics:
            metric.update_state(real_images, fake_images)
        self.evaluation_step.assign_add(1)
        return self.get_metrics_result()

    def _unpack(self, data):
        """The batch's images in [-1, 1], float32, and its labels (batch,), or None if unconditional."""
        real_images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        checks.check_batch(real_images, labels, sample_weight, self.image_shape, self.num_classes)
        checks.check_share(real_images, tf.distribute.get_replica_context().num_replicas_in_sync)
        is_pixels = real_images.dtype == tf.uint8
        real_images = tf.cast(real_images, tf.float32)
        if is_pixels:
            real_images = images.to_float(real_images)
        if self.num_classes is None:
            return real_images, None
        return real_images, tf.reshape(tf.cast(labels, tf.int32), [-1])

    def _draw_latents(self, stream: int, counter, real_images):
        latents = draw_latents(self.seed, stream, counter, tf.shape(real_images)[0], self.latent_dim)
        return tf.ensure_shape(latents, (real_images.shape[0], self.latent_dim))

    def _make_fakes(self, network, latents, labels, training: bool):
        inputs = latents if labels is None else [latents, labels]
        return tf.cast(network(inputs, training=training), tf.float32)

    def _judge(self, some_images, labels, training: bool):
        inputs = some_images if labels is None else [some_images, labels]
        return tf.cast(self.discriminator(inputs, training=training), tf.float32)

    def _discriminator_step(self, real_images, fake_images, labels):
        """Moves the discriminator; returns whether its numbers are finite, and the tape with its logits."""
        arguments = self._compile_arguments
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake_images)
            real_logits = self._judge(real_images, labels, training=True)
            fake_logits = self._judge(fake_images, labels, training=True)
            loss = arguments.loss.discriminator_loss(real_logits, fake_logits)
            if arguments.penalty is not None:
                loss += self._penalize(real_images, fake_images, labels)
            scaled_loss = self._scale(loss)
        variables = self.discriminator.trainable_variables
        is_finite = self._move(variables, tape.gradient(scaled_loss, variables), loss)
        self._track_discriminator(_nan_unless(is_finite, loss), real_logits, fake_logits)
        return is_finite, (tape, real_logits, fake_logits)

    def _penalize(self, real_images, fake_images, labels):
        count = tf.shape(real_images)[0]
        uniform = draw_uniform(self.seed, PENALTY, self.step, count, 1)[:, :, tf.newaxis, tf.newaxis]
        return self._compile_arguments.penalty(
            lambda some_images: self._judge(some_images, labels, training=True),
            real_images,
            tf.stop_gradient(fake_images),
            uniform,
        )

    def _generator_step(
        self, generator_tape, real_images, fake_images, labels, tape, real_logits, fake_logits
    ):
        """Moves the generator by what the discriminator says; returns whether its numbers are finite."""
        arguments = self._compile_arguments
        if arguments.update == "alternating":
            tape, real_logits, fake_logits = self._judge_anew(real_images, fake_images, labels, real_logits)
        with tape:
            loss = arguments.loss.generator_loss(tf.stop_gradient(real_logits), fake_logits)
            scaled_loss = self._scale(loss)
        variables = self.generator.trainable_variables
        image_gradients = tape.gradient(scaled_loss, fake_images)
        gradients = generator_tape.gradient(fake_images, variables, output_gradients=image_gradients)
        is_finite = self._move(variables, gradients, loss)
        self.g_loss_tracker.update_state(_nan_unless(is_finite, loss))
        return is_finite

    def _move(self, variables, gradients, loss):
        """Updates a player unless a number is not finite; returns whether all are."""
        is_finite = guard.are_finite(loss, gradients)
        if isinstance(self.optimizer, ScaledTwoPlayerOptimizer):  # it takes care of gradients scaled too far
            has_scale_left = self.optimizer.dynamic_scale.value > 1.0
            is_finite |= guard.are_finite(loss, []) & has_scale_left
        guard.apply_if(is_finite, self.optimizer, gradients, variables)
        return is_finite

    def _judge_anew(self, real_images, fake_images, labels, real_logits):
        """What the discriminator as just updated says; of real images only where the loss looks at it."""
        with tf.GradientTape() as tape:
            tape.watch(fake_images)
            fake_logits = self._judge(fake_images, labels, training=True)
        if getattr(self._compile_arguments.loss, "compares_with_real", False):
            real_logits = self._judge(real_images, labels, training=True)
        return tape, real_logits, fake_logits

    def _at_generator_turn(self, move):
        """What `move` returns, called at every `discriminator_steps`-th step; true at the others."""
        every = self._compile_arguments.discriminator_steps
        if every == 1:
            return move()
        return tf.cond(tf.equal(self.step.value % every, every - 1), move, lambda: tf.constant(True))

    def _scale(self, loss):
        """The loss as its gradient is taken: averaged over replicas, scaled for float16."""
        replica = tf.distribute.get_replica_context()
        return self.optimizer.scale_loss(loss / replica.num_replicas_in_sync)

    def _update_average(self, real_images) -> None:
        if self.average_generator is not None:
            update_average(
                self.average_generator,
                self.generator,
                self.ema_half_life_images,
                self.step.value,
                tf.shape(real_images)[0],
            )

    def _track_discriminator(self, loss, real_logits, fake_logits) -> None:
        self.d_loss_tracker.update_state(loss)
        self.real_logits_tracker.update_state(real_logits)
        self.fake_logits_tracker.update_state(fake_logits)

    def _random_states(self) -> list:
        """The states of dropout and its like, which Keras counts among no model's weights."""
        others = {id(v) for v in [*self.weights, *self.metrics_variables]}
        return [v for v in self.variables if id(v) not in others]

    def save_own_variables(self, store) -> None:
        store["step"] = self.step.numpy()
        for index, state in enumerate(self._random_states()):
            store[f"random_state_{index}"] = state.numpy()

    def load_own_variables(self, store) -> None:
        self.step.assign(store["step"])
        for index, state in enumerate(self._random_states()):
            state.assign(store[f"random_state_{index}"])

    def save_assets(self, directory: str) -> None:
        for metric in self._metrics_with_assets():
            metric.save_assets(directory)

    def load_assets(self, directory: str) -> None:
        for metric in self._metrics_with_assets():
            metric.load_assets(directory)

    def _metrics_with_assets(self) -> list[keras.metrics.Metric]:
        return [metric for metric in self.metrics if hasattr(metric, "save_assets")]

    def get_config(self) -> dict:
        return super().get_config() | {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "num_classes": self.num_classes,
            "seed": self.seed,
            "ema_half_life_images": self.ema_half_life_images,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "GAN":
        networks = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("generator", "discriminator")
        }
        return cls(**(config | networks))

    def get_compile_config(self) -> dict | None:
        if self._compile_arguments is None:
            return None
        return {
            key: keras.saving.serialize_keras_object(value)
            for key, value in vars(self._compile_arguments).items()
        }

    def compile_from_config(self, config: dict) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))


class _TotalLoss(keras.metrics.Metric):
    """The sum of the two players' mean losses, so that what watches `loss` sees a NaN of either."""

    def __init__(self, d_loss_tracker, g_loss_tracker):
        super().__init__(name="loss")
        self.parts = (d_loss_tracker, g_loss_tracker)

    def result(self):
        return self.parts[0].result() + self.parts[1].result()

    def reset_state(self):
        pass  # it has no state of its own


def _nan_unless(is_finite, loss):
    """The loss as it is logged: no number, where the step was not made for a gradient that is none."""
    return tf.where(is_finite, loss, math.nan)


def _check_scheme(update: str, discriminator_steps: int, replicas: int) -> None:
    if update not in UPDATES:
        raise ValueError(f"`update` must be one of {', '.join(UPDATES)}. Received: update={update!r}")
    if not isinstance(discriminator_steps, int) or discriminator_steps < 1:
        raise ValueError(
            "`discriminator_steps` must be a whole number from 1. "
            f"Received: discriminator_steps={discriminator_steps!r}"
        )
    if discriminator_steps > 1 and replicas > 1:
        raise ValueError(
            "`discriminator_steps` must be 1 where several replicas share a batch: they cannot skip the "
            f"generator's turn together. Received: {discriminator_steps} for {replicas} replicas"
        )


def _resolve_optimizers(generator_optimizer, discriminator_optimizer):
    if generator_optimizer is None:
        generator_optimizer = recommended_optimizer()
    generator_optimizer = keras.optimizers.get(generator_optimizer)
    if discriminator_optimizer is None:
        config = generator_optimizer.get_config()
        return generator_optimizer.from_config(config), generator_optimizer.from_config(config)
    return generator_optimizer, keras.optimizers.get(discriminator_optimizer)


def _get_metrics(metrics) -> list[keras.metrics.Metric]:
    if not isinstance(metrics or [], (list, tuple)):
        raise ValueError(f"`metrics` must be a list of `keras.metrics.Metric`. Received: metrics={metrics!r}")
    return [keras.metrics.get(metric) for metric in metrics or []]
