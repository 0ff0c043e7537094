"""The class `GAN`, an ordinary Keras model.

`train_step` contains the whole algorithm:

1. The generator makes fake images from latents.
2. The discriminator learns to distinguish fake images from real images.
3. The generator learns from the updated discriminator's logits for the same fake images.
4. The moving average follows the generator's weights.

Two base classes contain the code that is not part of the algorithm. `CheckedModel` checks the data before
Keras works. `ExtendedModel` adds features that Keras lacks.

The latents depend only on (seed, step). The step is a weight, and the model file also contains the random
states of dropout layers. So a run that you save and resume on the same data gives the same bits as a run
without a stop: on a CPU, and on a GPU after `tf.config.experimental.enable_op_determinism()`.
"""

import functools
import math
import random
import types
import warnings

import keras
import numpy as np
import tensorflow as tf

from . import checks, distribution, images, losses, penalties, sampling
from .average import copy_network, make_average, update_average
from .checked_model import CheckedModel
from .extended_model import ExtendedModel
from .latents import EVALUATION, PENALTY, TRAINING, draw_latents, draw_uniform
from .losses import added_losses, sum_added
from .old_keys import translate_old_keys
from .optimizer import ScaledTwoPlayerOptimizer, TwoPlayerOptimizer, resolve_players
from .penalties import DiscriminatorPass


@keras.saving.register_keras_serializable(package="gan")
class GAN(CheckedModel, ExtendedModel):
    """Trains a generator and a discriminator against each other.

    The images are float32 in [-1, 1] or uint8 in 0..255, with shape (batch, height, width, channels). A batch
    is `images` or `(images, labels)`. A conditional GAN uses the labels, integers of shape (batch,). An
    unconditional GAN ignores the labels. The tools of Keras work: callbacks, `predict` (maps latents to
    images), `evaluate`, saving, loading, resuming.

    The logs are `loss` (`d_loss` + `g_loss`), `d_loss` (without the penalty), `g_loss`, `penalty` (if the GAN
    has a penalty), and `real_logits` and `fake_logits`, the mean outputs of the discriminator. The logs show
    whether the two players are balanced, but not how good the images are.

    A NaN gradient makes the weights NaN at the same step and the losses NaN at the next step. Pass
    `keras.callbacks.TerminateOnNaN()` to `fit` to stop such a training. `callbacks.Checkpoint` never saves
    weights that are not finite, so the last good checkpoint remains. With mixed_float16, Keras skips an
    update with a NaN gradient. Then a NaN penalty appears only in the log `penalty`, because `d_loss`
    does not contain the penalty.

    Args:
        generator: a built model of `latents` (batch, latent_dim), or of `[latents, labels]` for a conditional
            GAN. The generator returns images in [-1, 1].
        discriminator: a built model of `images`, or of `[images, labels]`. The discriminator returns one
            logit for each image (batch, 1), high for real, without a sigmoid.
        num_classes: number of classes of a conditional GAN, or None.
        seed: non-negative integer, or None for a random seed. The seed determines the latents in
            training and evaluation, and the random numbers of the penalty. Before you build the networks,
            call `keras.utils.set_random_seed`: it determines the initial weights and, for None, the seed.
        ema_half_life_images: half-life, in images seen, of the moving average of the generator's weights. The
            half-life is at most a twentieth of the images seen so far. The average draws the samples. None:
            no average, and the generator draws the samples.

    Raises:
        ValueError: when a network is not built, or when the two networks do not fit each other.

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
        seed: int | None = 0,
        ema_half_life_images: float | None = 10_000,
        **kwargs,
    ):
        super().__init__(**kwargs)
        num_classes = None if num_classes is None else checks.whole_number("num_classes", num_classes)
        seed = random.randrange(2**31) if seed is None else seed  # depends on `set_random_seed`, as in Keras
        checks.check_arguments(seed, ema_half_life_images)
        self.latent_shape, self.image_shape = checks.check_networks(generator, discriminator, num_classes)
        distribution.check_networks_in_scope(generator, discriminator)
        self.latent_dim = math.prod(self.latent_shape)
        self.generator = generator
        self.discriminator = discriminator
        self.num_classes = num_classes
        self.seed = int(seed)
        self.ema_half_life_images = ema_half_life_images
        self.average_generator = None if ema_half_life_images is None else make_average(generator)
        counter = {"shape": (), "dtype": "int64", "trainable": False, "initializer": "zeros"}
        aggregation = {"aggregation": "only_first_replica"}
        self.step = self.add_weight(name="step", **counter, **aggregation)
        self.evaluation_step = self.add_weight(name="evaluation_step", **counter, **aggregation)
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")
        self.loss_tracker = _TotalLoss(self.d_loss_tracker, self.g_loss_tracker)
        self.penalty_tracker = keras.metrics.Mean(name="penalty")
        self.real_logits_tracker = keras.metrics.Mean(name="real_logits")
        self.fake_logits_tracker = keras.metrics.Mean(name="fake_logits")
        self._compile_arguments = None
        # Both networks are built already. After a call of `build`, Keras would lock the attributes,
        # and a subclass could not add attributes.
        self.built = True

    def build(self, input_shape=None):
        self.built = True

    def train_step(self, data) -> dict:
        """Updates the discriminator, the generator and the moving average on one batch."""
        arguments = self._compile_arguments
        loss, penalty, steps = arguments.loss, arguments.penalty, arguments.discriminator_steps
        real_images, labels = self._unpack(data)
        for turn in range(steps):  # the generator learns from the last turn's fake images
            update_index = self.step.value * steps + turn
            latents = self._draw_latents(TRAINING, update_index, real_images)
            generator_adds, discriminator_adds = [], []  # losses of regularizers and `add_loss`
            with tf.GradientTape() as generator_tape:
                fake_images = self._make_images(self.generator, latents, labels, True, generator_adds)
            with tf.GradientTape() as discriminator_tape:
                with tf.GradientTape(watch_accessed_variables=False) as image_tape:
                    image_tape.watch([real_images, fake_images])
                    real_logits = self._discriminate(real_images, labels, True, discriminator_adds)
                    fake_logits = self._discriminate(fake_images, labels, True, discriminator_adds)
                logits = [real_logits, fake_logits]
                penalty_value = 0.0
                if penalty is not None:  # TensorFlow removes unused gradients from the graph
                    gradients = image_tape.gradient(logits, [real_images, fake_images])
                    batch = [real_images, fake_images, labels]
                    seen = self._make_pass(*batch, logits, gradients, update_index, discriminator_adds)
                    penalty_value = checks.check_scalar("penalty", penalty(seen))
                    self.penalty_tracker.update_state(penalty_value)
                discriminator_loss = loss.discriminator_loss(*logits)
                discriminator_loss += sum_added(self.discriminator, discriminator_adds)
                self._track_discriminator(discriminator_loss, *logits)
                discriminator_loss += penalty_value
            self._update(self.discriminator, discriminator_tape, discriminator_loss)
        with generator_tape:  # continues to record, from the fake images to the loss
            fake_logits = self._discriminate(fake_images, labels, training=True)
            if getattr(loss, "compares_with_real", False):  # other losses do not use the real logits
                real_logits = self._discriminate(real_images, labels, training=True)
            generator_loss = loss.generator_loss(real_logits, fake_logits)
            generator_loss += sum_added(self.generator, generator_adds)
        self.g_loss_tracker.update_state(generator_loss)
        self._update(self.generator, generator_tape, generator_loss)
        self._update_average(real_images)
        self.step.assign_add(1)
        trackers = self._trackers() + ([] if penalty is None else [self.penalty_tracker])
        return {tracker.name: tracker.result() for tracker in trackers}

    def test_step(self, data) -> dict:
        """Measures both losses and the metrics on one batch, with images from the sampler."""
        loss = self._compile_arguments.loss
        real_images, labels = self._unpack(data)
        latents = self._draw_latents(EVALUATION, self.evaluation_step.value, real_images)
        generator_adds, discriminator_adds = [], []
        fake_images = self._make_images(self.sampler, latents, labels, False, generator_adds)
        real_logits = self._discriminate(real_images, labels, False, discriminator_adds)
        fake_logits = self._discriminate(fake_images, labels, False, discriminator_adds)
        discriminator_loss = loss.discriminator_loss(real_logits, fake_logits)
        discriminator_loss += sum_added(self.discriminator, discriminator_adds)
        self._track_discriminator(discriminator_loss, real_logits, fake_logits)
        generator_loss = loss.generator_loss(real_logits, fake_logits)
        self.g_loss_tracker.update_state(generator_loss + sum_added(self.generator, generator_adds))
        for metric in self._compile_arguments.metrics:
            metric.update_state(real_images, fake_images)
        self.evaluation_step.assign_add(1)
        return self._get_batch_results()

    def _unpack(self, data):
        """Returns the images, float32 in [-1, 1], and the labels (batch,). Unconditional: labels are None."""
        real_images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        real_images = tf.convert_to_tensor(real_images)  # eager `train_on_batch` passes arrays
        distribution.check_even_split(real_images, tf.distribute.get_replica_context().num_replicas_in_sync)
        is_pixels = real_images.dtype == tf.uint8
        real_images = tf.cast(real_images, tf.float32)
        if is_pixels:
            real_images = images.to_float(real_images)
        if self.num_classes is None:
            return real_images, None
        return real_images, tf.reshape(tf.cast(labels, tf.int32), [-1])

    def _draw_latents(self, stream: int, index, real_images):
        """Draws latents. Each replica gets its own part of the batch."""
        latents = draw_latents(self.seed, stream, index, tf.shape(real_images)[0], self.latent_dim)
        return tf.ensure_shape(
            tf.reshape(latents, [-1, *self.latent_shape]), (real_images.shape[0], *self.latent_shape)
        )

    def _make_images(self, network, latents, labels, training: bool, adds: list | None = None):
        inputs = latents if labels is None else [latents, labels]
        return self._call(network, inputs, training, adds)

    def _discriminate(self, some_images, labels, training: bool, adds: list | None = None):
        inputs = some_images if labels is None else [some_images, labels]
        return self._call(self.discriminator, inputs, training, adds)

    def _call(self, network, inputs, training: bool, adds: list | None):
        """Calls a network. Appends the losses from `add_loss` and activity regularizers to `adds`."""
        output = tf.cast(sampling.call(network, inputs, training), tf.float32)
        if adds is not None:
            adds += added_losses(network)
        return output

    def _make_pass(self, real_images, fake_images, labels, logits, gradients, update_index, adds):
        """Creates the input of the penalty."""
        uniform = draw_uniform(self.seed, PENALTY, update_index, tf.shape(real_images)[0], 1)
        uniform = uniform[:, :, tf.newaxis, tf.newaxis]
        discriminate = functools.partial(self._discriminate, labels=labels, training=True, adds=adds)
        return DiscriminatorPass(discriminate, real_images, fake_images, *logits, *gradients, uniform)

    def _update(self, network, tape, loss) -> None:
        """Updates a network. Averages the loss over the replicas, and scales the loss for float16."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        with tape:  # the gradient must include the scale
            scaled_loss = self.optimizer.scale_loss(checks.check_scalar("loss", loss) / replicas)
        variables = network.trainable_variables
        gradients = map(distribution.make_dense, tape.gradient(scaled_loss, variables))
        self.optimizer.apply(list(gradients), variables)  # with the player's optimizer

    def _update_average(self, real_images) -> None:
        """Moves the average towards the generator, and shares the statistics of both networks."""
        distribution.average_statistics(self.generator, self.discriminator)
        if self.average_generator is not None:
            half_life, count = self.ema_half_life_images, tf.shape(real_images)[0]
            update_average(self.average_generator, self.generator, half_life, self.step.value, count)

    def _track_discriminator(self, loss, real_logits, fake_logits) -> None:
        self.d_loss_tracker.update_state(loss)
        self.real_logits_tracker.update_state(real_logits)
        self.fake_logits_tracker.update_state(fake_logits)

    def compile(
        self,
        generator_optimizer=None,
        discriminator_optimizer=None,
        loss="non_saturating",
        penalty="r1",
        metrics=None,
        *,
        optimizer=None,
        discriminator_steps: int = 1,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ):
        """Configures the training. The defaults suit 28x28 images such as MNIST.

        `compile("adam")` and `compile(optimizer=...)` give each player a new copy of the optimizer. If you
        pass two optimizer objects, `compile` does not copy them.

        Args:
            generator_optimizer: name or object. None: Adam with learning rate 2e-3, beta1 0.5, beta2 0.99.
            discriminator_optimizer: name or object. None: each player gets a copy of the generator's
                optimizer.
            loss: "non_saturating", "minimax", "hinge", "least_squares", "wasserstein", "relativistic", or
                an object with the methods of `gan.losses.AdversarialLoss`.
            penalty: None, "r1", "r2", "r1+r2", "wgan_gp", or a callable like `gan.penalties.Penalty`. The
                weights of "r1" and "r2" are proportional to the number of pixels of an image.
            metrics: a list of metrics for `evaluate` and `validation_data`. Each metric is a
                `keras.metrics.Metric` with `update_state(real_images, fake_images)`. The images are float32
                batches in [-1, 1]. `result()` must also work before the first update, because Keras calls
                `result()` then.
            optimizer: one optimizer for both players, instead of the two arguments above.
            discriminator_steps: discriminator updates for each generator update, at least 1. All these
                updates use the same real images. Each update uses new latents.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: as in `keras.Model.compile`.
                `steps_per_execution` must divide `steps_per_epoch`, `validation_steps` and `steps`. The value
                8 makes a step of the default networks about 5 % faster. Several replicas need the value 1.

        Raises:
            ValueError: for an argument with a wrong value, or for a player without trainable weights.
        """
        discriminator_steps = checks.whole_number("discriminator_steps", discriminator_steps)
        self._check_scope()
        distribution.check_steps_per_execution(steps_per_execution, tf.distribute.get_strategy())
        checks.check_trainable(self.generator, self.discriminator)
        checks.warn_of_sigmoids(self.generator, self.discriminator)
        resolved = resolve_players(generator_optimizer, discriminator_optimizer, optimizer)
        players = TwoPlayerOptimizer(*resolved)
        players.build_players(self.generator.trainable_variables, self.discriminator.trainable_variables)
        keras_options = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "auto_scale_loss": auto_scale_loss,
        }
        # A SimpleNamespace hides the metrics from Keras, which refuses new tracked attributes after `build`.
        arguments = types.SimpleNamespace(
            generator_optimizer=players.generator_optimizer,
            discriminator_optimizer=players.discriminator_optimizer,
            loss=losses.get(loss),
            penalty=penalties.get(penalty, self.image_shape),
            metrics=checks.check_metrics(metrics, self.image_shape),
            discriminator_steps=discriminator_steps,
            **keras_options,
        )
        is_scaled = auto_scale_loss and checks.uses_float16(self, self.generator, self.discriminator)
        super().compile(ScaledTwoPlayerOptimizer(players) if is_scaled else players, **keras_options)
        self.optimizer.build(self.trainable_variables)  # creates the variables of loss scaling
        self._compile_arguments = arguments

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        metrics = self._trackers() + (self._compile_arguments.metrics if self._compile_arguments else [])
        others = {id(metric) for metric in [*metrics, self.penalty_tracker]}
        added = [metric for metric in super().metrics if id(metric) not in others]  # from a subclass
        return metrics + [metric for metric in added if metric.name != "loss"]  # Keras adds "loss"

    def _trackers(self) -> list[keras.metrics.Metric]:
        loss_trackers = [self.loss_tracker, self.d_loss_tracker, self.g_loss_tracker]
        return [*loss_trackers, self.real_logits_tracker, self.fake_logits_tracker]

    def reset_metrics(self):
        super().reset_metrics()
        self.penalty_tracker.reset_state()  # not in `metrics`, because only training has a penalty
        self.evaluation_step.assign(0)  # every evaluation uses the same latents

    def _begin(self) -> None:
        """Prepares for a call. Before the first step, copies the generator's weights to the average.

        The user may have loaded other weights into the generator after the GAN was created.
        """
        super()._begin()
        if self.average_generator is not None and int(self.step.numpy()) == 0:
            self.average_generator.set_weights(self.generator.get_weights())

    @property
    def sampler(self) -> keras.Model:
        """The network that draws samples: the moving average, or the generator if the GAN has no average."""
        return self.generator if self.average_generator is None else self.average_generator

    def copy_sampler(self) -> keras.Model:
        """Copies the sampler to a separate model, trainable like the generator. You can publish the copy.

        Raises:
            ValueError: when the generator cannot be rebuilt from its config.
        """
        self._begin()
        copy = copy_network(self.generator)
        copy.set_weights(self.sampler.get_weights())
        return copy

    def call(self, inputs):
        if tf.executing_eagerly():
            self._begin()
        return sampling.call(self.sampler, inputs)

    def generate(self, count: int, labels=None, seed: int | None = None) -> np.ndarray:
        """Draws images with the sampler. Returns uint8 (count, height, width, channels).

        Args:
            count: number of images.
            labels: integers (count,) for a conditional GAN. None: the labels 0, 1, 2, … in turn.
            seed: non-negative integer. The same seed gives the same latents. None: new latents in each call.

        Raises:
            ValueError: when the labels have a wrong shape, type or range, or when an unconditional GAN gets
                labels.
        """
        if self.num_classes is not None:
            labels = np.arange(count) % self.num_classes if labels is None else np.asarray(labels)
            sampling.check_labels(labels, self.num_classes)
        self._begin()
        return sampling.draw(self.sampler, count, labels, seed)

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
        config = translate_old_keys(config)
        if config.pop("update", None) is not None:
            warnings.warn(
                "This model was trained with update='simultaneous', which was removed: further training "
                "updates the discriminator first, then the generator.",
                stacklevel=2,
            )
        self.compile(**keras.saving.deserialize_keras_object(config))


class _TotalLoss(keras.metrics.Metric):
    """Adds the mean losses of both players. If either loss is NaN, `loss` is NaN, and callbacks can react."""

    def __init__(self, d_loss_tracker, g_loss_tracker):
        super().__init__(name="loss")
        self.parts = (d_loss_tracker, g_loss_tracker)

    def result(self):
        return self.parts[0].result() + self.parts[1].result()

    def reset_state(self):
        pass  # the two trackers hold the state
