"""The network that makes features of images, and its training on images without labels."""

import keras
import numpy as np
from keras import layers

from ..data import pipeline
from ..images import to_float

FEATURES = 64
LAST = {"data_format": "channels_last"}  # independent of Keras's global setting
BATCH_SIZE = 128
TRAINING_STEPS = 1500  # an autoencoder needs fewer steps than a classifier
MOST_PASSES = 500  # passes over the data; a small dataset gets fewer steps
LEARNING_RATE = 3e-3
SIDE_OF_STRIDE_2 = 32  # pixels; the stride of the first convolution grows with the side
EXTRACT_BATCH_SIZE = 500


@keras.saving.register_keras_serializable(package="gan")
class FeatureNetwork(keras.Model):
    """Maps images to 64 features with a small convolutional network.

    The network has four convolutions and a dense layer. It always computes in float32, so the metrics do not
    depend on the dtype policy.

    Args:
        image_shape: (height, width, channels) of the images, which are float32 in [-1, 1].
        stride: stride of the first convolution. Larger images need a larger stride, so that the network stays
            as fast as for 28x28 pixels. None: chosen by the size.
    """

    def __init__(self, image_shape: tuple[int, int, int], stride: int | None = None, **kwargs):
        super().__init__(**({"dtype": "float32"} | kwargs))
        self.image_shape = tuple(image_shape)
        self.stride = stride or 2 * -(-max(image_shape[:2]) // SIDE_OF_STRIDE_2)
        self.body = keras.Sequential([keras.Input(self.image_shape)], name="body")
        first = (24, max(5, self.stride + 1), self.stride)
        kernels = (first, (32, 3, 1), (64, 3, 2), (64, 3, 2))  # filters, size, stride
        for seed, kernel in enumerate(kernels):
            self.body.add(seeded(layers.Conv2D, seed, *kernel, padding="same", use_bias=False, **LAST))
            self.body.add(layers.BatchNormalization(momentum=0.95, dtype="float32"))
            self.body.add(layers.ReLU(dtype="float32"))
        self.body.add(layers.Flatten(dtype="float32", **LAST))
        self.body.add(layers.Dropout(0.3, seed=0, dtype="float32"))
        self.body.add(seeded(layers.Dense, 4, FEATURES, "relu"))
        self.built = True  # after a call of `build`, Keras would not accept the head of a classifier

    def build(self, input_shape=None):
        self.built = True

    def call(self, images, training=False):
        return self.body(images, training=training)

    def extract(self, images):
        """Returns the features of a batch, (batch, 64). The features are not negative."""
        return self.body(images, training=False)

    def get_config(self) -> dict:
        return super().get_config() | {"image_shape": self.image_shape, "stride": self.stride}


def train_autoencoder(images: np.ndarray, verbose: int = 1) -> FeatureNetwork:
    """Trains features from which a dense layer can draw the image again. The training needs no labels.

    The same images give the same weights. docs/quality.md compares these features with random features, with
    features that learned to tell how an image was turned, and with the features of a classifier.

    Args:
        images: uint8 (count, height, width, channels).
        verbose: as in `fit`.
    """
    network = FeatureNetwork(images.shape[1:])
    decoder = [seeded(layers.Dense, 5, int(np.prod(images.shape[1:])), "tanh")]
    decoder.append(layers.Reshape(images.shape[1:], dtype="float32"))
    autoencoder = keras.Sequential([keras.Input(images.shape[1:]), network, *decoder])
    batch_size = min(BATCH_SIZE, len(images))
    steps = min(TRAINING_STEPS, MOST_PASSES * len(images) // batch_size)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    autoencoder.compile(keras.optimizers.Adam(rate), "mean_squared_error")
    batches = pipeline(images, batch_size=batch_size, seed=0).map(lambda images: (images, images))
    autoencoder.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=verbose)
    return network


def extract(network: FeatureNetwork, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the features (count, 64), and a classifier's logits (count, num_classes) or None."""
    head = getattr(network, "head", None)
    features, logits = [], []
    for start in range(0, len(pixels), EXTRACT_BATCH_SIZE):
        batch = pixels[start : start + EXTRACT_BATCH_SIZE].astype(np.float32)
        features.append(network.extract(to_float(batch)))
        if head is not None:
            logits.append(head(features[-1]))
    return np.concatenate(features), np.concatenate(logits) if logits else None


def seeded(layer_class: type, seed: int, *args, **kwargs) -> keras.Layer:
    """Makes a float32 layer whose weights have a fixed seed, so that only the data determine the result."""
    initializer = keras.initializers.GlorotUniform(seed)
    return layer_class(*args, kernel_initializer=initializer, dtype="float32", **kwargs)
