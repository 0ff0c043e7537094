"""Measures the Fréchet distance against the training time: `python tests/benchmarks/race.py`.

    python tests/benchmarks/race.py tutorial --epochs 10
    python tests/benchmarks/race.py fast --unconditional --until 20

The contender `tutorial` has the networks, the train step and the learning rates of the TensorFlow tutorial
(https://www.tensorflow.org/tutorials/generative/dcgan). Each other contender is a recipe of this project with
constant learning rates. The training time does not include the time for measuring the Fréchet distance.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

import keras
import tensorflow as tf

from gan import GAN
from gan.data import load, pipeline
from gan.latents import TRAINING
from gan.metrics import FrechetDistance
from gan.metrics.classifiers import classifier_for
from gan.recipes import RECIPES
from gan.runs.settings import STEPS_PER_EXECUTION
from steps import tutorial_discriminator, tutorial_generator
from timing import now, since
from training import TUTORIAL_BATCH_SIZE

TEST_EVERY = 2  # uses every second test image, as train.py does
MEASURING_SEED = 0


class Race(keras.callbacks.Callback):
    """Prints the Fréchet distance every few steps. Stops the training at the distance `until`."""

    def __init__(self, classifier, test_images, labels, every_n_steps: int, until: float | None):
        super().__init__()
        self.test_images, self.labels = test_images, labels
        self.every_n_steps, self.until = every_n_steps, until
        self.seconds, self.rows = 0.0, []
        self.metric = FrechetDistance(classifier)
        self._update = tf.function(self.metric.update_state)

    def on_train_batch_begin(self, batch, logs=None):
        self.started = now()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds += since(self.started).wall
        step = int(self.model.step)
        if step % self.every_n_steps < STEPS_PER_EXECUTION:
            row = {"step": step, "seconds": round(self.seconds, 2), "frechet_distance": self._distance()}
            self.rows.append(row)
            print(json.dumps(row), flush=True)
            self.model.stop_training = self.until is not None and row["frechet_distance"] <= self.until

    def _distance(self) -> float:
        drawn = self.model.generate(len(self.test_images), self.labels, seed=MEASURING_SEED)
        self.metric.reset_state()
        for start in range(0, len(drawn), 500):
            pair = [
                tf.cast(part[start : start + 500], tf.float32) / 127.5 - 1
                for part in (self.test_images, drawn)
            ]
            self._update(*pair)
        return float(self.metric.result())


class SimultaneousGAN(GAN):
    """Updates both networks from the same pass of the discriminator, as in the tutorial."""

    def train_step(self, data):
        real_images, _ = self._unpack(data)
        latents = self._draw_latents(TRAINING, self.step.value, real_images)
        with tf.GradientTape(persistent=True) as tape:
            fake_logits = self.discriminator(self.generator(latents, training=True), training=True)
            real_logits = self.discriminator(real_images, training=True)
            discriminator_loss = self.loss_fn.discriminator_loss(real_logits, fake_logits)
            generator_loss = self.loss_fn.generator_loss(real_logits, fake_logits)
        for network, loss in ((self.discriminator, discriminator_loss), (self.generator, generator_loss)):
            variables = network.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.step.assign_add(1)
        return {"d_loss": discriminator_loss, "g_loss": generator_loss}

    @property
    def loss_fn(self):
        return self._compile_arguments.loss


def main() -> None:
    """Trains one contender and prints a line of JSON for each measurement."""
    options = _parse()
    keras.mixed_precision.set_global_policy(options.policy)
    data = load(options.dataset)
    gan, batch_size = _make(options, data)
    requested = None if gan.num_classes is None else data.test_labels[::TEST_EVERY]
    race = Race(classifier_for(data), data.test_images[::TEST_EVERY], requested, options.every, options.until)
    groups = max(1, len(data.train_images) // batch_size // STEPS_PER_EXECUTION)
    labels = None if gan.num_classes is None else data.train_labels
    dataset = pipeline(
        data.train_images, labels, batch_size=batch_size, seed=options.seed, num_classes=gan.num_classes
    )
    gan.fit(
        dataset,
        steps_per_epoch=groups * STEPS_PER_EXECUTION,
        epochs=options.epochs,
        callbacks=[race],
        verbose=0,
    )


def _make(options, data) -> tuple[GAN, int]:
    num_classes = None if options.unconditional else data.num_classes
    if options.contender != "tutorial":
        recipe = RECIPES[options.contender]
        gan = recipe.make_gan(data.image_shape, num_classes, options.seed)
        recipe.compile(gan, steps_per_execution=STEPS_PER_EXECUTION)
        return gan, recipe.batch_size
    keras.utils.set_random_seed(options.seed)
    networks = tutorial_generator(), tutorial_discriminator()
    gan = SimultaneousGAN(*networks, seed=options.seed, ema_half_life_images=None)
    gan.compile(optimizer=keras.optimizers.Adam(1e-4), penalty=None, steps_per_execution=STEPS_PER_EXECUTION)
    return gan, TUTORIAL_BATCH_SIZE


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks/race.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("contender", choices=["tutorial", *RECIPES])
    parser.add_argument(
        "--unconditional", action="store_true", help="train without the labels, as the tutorial does"
    )
    parser.add_argument(
        "--dataset", default="mnist", metavar="NAME|PATH", help="as for train.py (default: mnist)"
    )
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="largest number of epochs (10)")
    parser.add_argument("--until", type=float, metavar="DISTANCE", help="stop at this Fréchet distance")
    parser.add_argument(
        "--every", type=int, default=40, metavar="STEPS", help="measure every STEPS steps (default: 40)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--policy",
        default="float32",
        choices=["float32", "mixed_bfloat16"],
        help="Keras's dtype policy (default: float32; mixed_bfloat16 is faster if the processor supports it)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
