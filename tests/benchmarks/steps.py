"""Contains train steps for comparisons. Each step is a compiled function without other code around it.

All steps train on the same constant batch. `bare_step` uses TensorFlow's fused Adam kernel, with one call for
each variable. The steps from other projects use Keras's Adam.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

__all__ = [
    "LATENT_DIM",
    "Batch",
    "bare_step",
    "textbook_step",
    "tutorial_discriminator",
    "tutorial_generator",
    "tutorial_step",
]

LATENT_DIM = 100
LEARNING_RATE, BETA_1, BETA_2 = 1e-3, 0.5, 0.999


class Batch:
    """Holds one batch of noise instead of images, with labels if there are classes."""

    def __init__(self, size: int, num_classes: int | None, image_shape=(28, 28, 1)):
        rng = np.random.default_rng(0)
        self.size = size
        self.images = tf.constant(rng.uniform(-1, 1, (size, *image_shape)), tf.float32)
        self.labels = (
            None if num_classes is None else tf.constant(rng.integers(0, num_classes, size), tf.int32)
        )
        self.latents = tf.constant(rng.standard_normal((size, LATENT_DIM)), tf.float32)

    def beside(self, inputs):
        """Returns the inputs of a network: `inputs`, and the labels if there are labels."""
        return inputs if self.labels is None else [inputs, self.labels]

    def beside_twice(self, inputs):
        """Does the same as `beside` for two batches that are joined to one batch."""
        return inputs if self.labels is None else [inputs, tf.concat([self.labels, self.labels], 0)]


class _FusedAdam:
    def __init__(self, variables: list):
        self.states = [(v, tf.Variable(tf.zeros(v.shape)), tf.Variable(tf.zeros(v.shape))) for v in variables]

    def apply(self, gradients) -> None:
        for (variable, momentum, velocity), gradient in zip(self.states, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=momentum.handle,
                v=velocity.handle,
                beta1_power=BETA_1,
                beta2_power=BETA_2,
                lr=LEARNING_RATE,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=1e-7,
                grad=tf.convert_to_tensor(gradient),
            )


def bare_step(generator, discriminator, batch: Batch, r1_weight: float | None = 0.3, join=False):
    """Makes the smallest step: the forward and backward passes that a step of `GAN` needs, and both updates.

    Args:
        r1_weight: weight of the R1 penalty. The default is the weight in `GAN.compile`. None: no penalty.
        join: whether the discriminator gets real and fake images as one batch. A joined batch is good for
            timing only: `MinibatchDeviation` would mix real and fake images.
    """
    generator_adam = _FusedAdam(generator.trainable_variables)
    discriminator_adam = _FusedAdam(discriminator.trainable_variables)

    def discriminate(some_images):
        return discriminator(batch.beside(some_images), training=True)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as generator_tape:
            fake_images = generator(batch.beside(batch.latents), training=True)
        with tf.GradientTape() as discriminator_tape:
            with tf.GradientTape(watch_accessed_variables=False) as image_tape:
                image_tape.watch(batch.images)
                if join:
                    both = batch.beside_twice(tf.concat([batch.images, fake_images], 0))
                    real_logits, fake_logits = tf.split(discriminator(both, training=True), 2)
                else:
                    real_logits, fake_logits = discriminate(batch.images), discriminate(fake_images)
            d_loss = _mean_softplus(-real_logits) + _mean_softplus(fake_logits)
            if r1_weight is not None:
                slopes = image_tape.gradient(real_logits, batch.images)
                d_loss += 0.5 * r1_weight * tf.reduce_mean(tf.reduce_sum(tf.square(slopes), [1, 2, 3]))
        variables = discriminator.trainable_variables
        discriminator_adam.apply(discriminator_tape.gradient(d_loss, variables))
        with generator_tape:
            g_loss = _mean_softplus(-discriminate(fake_images))
        variables = generator.trainable_variables
        generator_adam.apply(generator_tape.gradient(g_loss, variables))
        return d_loss, g_loss

    return step


def textbook_step(generator, discriminator, batch: Batch):
    """Makes the step of the keras.io guide, https://keras.io/guides/custom_train_step_in_tensorflow/.

    The discriminator trains on fake images and real images in one joined batch. Then the generator trains on
    new fake images. There are two differences from the guide: the networks are called with `training=True`,
    and the labels have no noise.
    """
    generator_adam, discriminator_adam = _keras_adam(LEARNING_RATE), _keras_adam(LEARNING_RATE)

    def generate():
        return generator(batch.beside(tf.random.normal((batch.size, LATENT_DIM))), training=True)

    @tf.function(autograph=False)
    def step():
        both = batch.beside_twice(tf.concat([generate(), batch.images], 0))
        with tf.GradientTape() as tape:
            fake_logits, real_logits = tf.split(discriminator(both, training=True), 2)
            d_loss = _mean_softplus(-real_logits) + _mean_softplus(fake_logits)
        variables = discriminator.trainable_variables
        discriminator_adam.apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            g_loss = _mean_softplus(-discriminator(batch.beside(generate()), training=True))
        variables = generator.trainable_variables
        generator_adam.apply(tape.gradient(g_loss, variables), variables)
        return d_loss, g_loss

    step()
    return step


def tutorial_step(generator, discriminator, batch: Batch):
    """Makes the step of the TensorFlow tutorial, https://www.tensorflow.org/tutorials/generative/dcgan."""
    generator_adam, discriminator_adam = _keras_adam(1e-4), _keras_adam(1e-4)

    @tf.function
    def step():
        noise = tf.random.normal((batch.size, LATENT_DIM))
        with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
            generated_images = generator(batch.beside(noise), training=True)
            real_logits = discriminator(batch.beside(batch.images), training=True)
            fake_logits = discriminator(batch.beside(generated_images), training=True)
            g_loss = _mean_softplus(-fake_logits)
            d_loss = _mean_softplus(-real_logits) + _mean_softplus(fake_logits)
        variables = generator.trainable_variables
        generator_adam.apply(generator_tape.gradient(g_loss, variables), variables)
        variables = discriminator.trainable_variables
        discriminator_adam.apply(discriminator_tape.gradient(d_loss, variables), variables)
        return d_loss, g_loss

    step()
    return step


def tutorial_generator() -> keras.Model:
    """Builds the generator of the tutorial."""
    return keras.Sequential(
        [
            keras.Input((LATENT_DIM,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, 1, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(64, 5, 2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(1, 5, 2, padding="same", use_bias=False, activation="tanh"),
        ]
    )


def tutorial_discriminator() -> keras.Model:
    """Builds the discriminator of the tutorial."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, 2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Conv2D(128, 5, 2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def _keras_adam(learning_rate: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(learning_rate, beta_1=BETA_1)


def _mean_softplus(logits):
    return tf.reduce_mean(tf.nn.softplus(logits))
