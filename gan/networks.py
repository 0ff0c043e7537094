"""The generator and the discriminator: a DCGAN that is small enough for the CPU of a laptop.

Both networks are functional models. Keras can load a saved generator without this package. The generator
starts with a dense layer at the smallest size. Then transposed convolutions double the size. The
discriminator halves the size with strided convolutions. Both networks have additional convolutions at the
smallest size, where a convolution is cheapest. The discriminator also measures how much its batch varies.
If a doubled size cannot give the size of the images, the generator draws larger images and crops them.

With `num_classes` both networks are conditional. The generator concatenates the label's embedding and the
latents. Each class has its own scales and offsets after each batch norm: conditional batch norm (de Vries et
al. 2017, https://arxiv.org/abs/1707.00683). The discriminator projects its features on the label's
embedding (Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637, equation 3).
"""

import keras
from keras import layers, ops

from .augmentation import DiffAugment
from .checks import refuse_channels_first, whole_number
from .distribution import has_replicas, mean_over_replicas

KERNEL_SIZE = 4  # multiple of the stride: avoids checkerboards (distill.pub/2016/deconv-checkerboard)
SLOPE = 0.2
TINY = 1e-6  # keeps the root of a variance away from 0, where its slope is infinite
WHOLE_CHANNELS = (None, 1, 1, None)  # as in SpatialDropout2D, which loses its dtype float16 if it is saved
LARGEST_START = 8  # largest side of the dense layer's output


def build_generator(
    image_shape: tuple[int, int, int] = (28, 28, 1),
    latent_dim: int = 100,
    num_classes: int | None = None,
    base_filters: int = 32,
    depth: int = 1,
    name: str = "generator",
) -> keras.Model:
    """Builds the generator. The generator maps latents (and labels) to images in [-1, 1].

    The layers are: dense (with a reshape), 3x3 convolutions, and transposed convolutions of stride 2. Batch
    norm and LeakyReLU follow each layer except the last. Tanh follows the last layer.

    Args:
        image_shape: (height, width, channels) of the images; height and width at least 4.
        latent_dim: length of a latent vector.
        num_classes: number of classes of a conditional generator. None: a generator without labels.
        base_filters: channels of the largest hidden feature map. The number doubles when the size halves.
        depth: number of 3x3 convolutions at the smallest size, where a convolution is cheapest.
        name: name of the model.

    Returns:
        A model of `latents` (batch, latent_dim), or of `[latents, labels]` with integer labels
        (batch,). The output has the shape (batch, height, width, channels).

    Raises:
        ValueError: when the height or the width is less than 4.

    Example:

    ```python
    generator = build_generator((32, 32, 3), latent_dim=64)
    images = generator(keras.random.normal((16, 64)))    # (16, 32, 32, 3)
    ```
    """
    refuse_channels_first()
    latent_dim, base_filters = (
        whole_number("latent_dim", latent_dim),
        whole_number("base_filters", base_filters),
    )
    num_classes = None if num_classes is None else whole_number("num_classes", num_classes)
    stages, channels = _count_stages(image_shape), image_shape[-1]
    padded = padded_size(image_shape)
    start = (padded[0] >> stages, padded[1] >> stages, base_filters << (stages - 1))

    latents = keras.Input((latent_dim,), name="latents")
    inputs, labels, x = latents, None, latents
    if num_classes is not None:
        labels = keras.Input((), dtype="int32", name="labels")
        length = max(1, latent_dim // 2)
        embedded = layers.Embedding(num_classes, length, name="label_embedding")(labels)
        inputs, x = [latents, labels], layers.Concatenate(name="condition")([latents, embedded])
    x = layers.Dense(start[0] * start[1] * start[2], use_bias=False, name="start")(x)
    x = layers.Reshape(start, name="start_image")(x)
    x = _normalize_and_activate(x, labels, num_classes, "start_image")
    for number in range(depth):
        part = f"convolution_{number}"
        x = layers.Conv2D(start[2], 3, padding="same", use_bias=False, name=part)(x)
        x = _normalize_and_activate(x, labels, num_classes, part)
    for stage in range(1, stages):
        part, filters = f"upsample_{stage}", start[2] >> stage
        x = layers.Conv2DTranspose(filters, KERNEL_SIZE, 2, padding="same", use_bias=False, name=part)(x)
        x = _normalize_and_activate(x, labels, num_classes, part)
    x = layers.Conv2DTranspose(channels, KERNEL_SIZE, 2, padding="same", name="last_upsample")(x)
    surplus = [large - side for large, side in zip(padded, image_shape, strict=False)]
    if any(surplus):
        x = layers.Cropping2D([(extra // 2, extra - extra // 2) for extra in surplus], name="crop")(x)
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model(inputs, images, name=name)


def build_discriminator(
    image_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int | None = None,
    base_filters: int = 32,
    depth: int = 2,
    dropout: float = 0.0,
    translation: float = 0.0,
    cutout: float = 0.0,
    color_jitter: bool = False,
    minibatch_deviation: bool = True,
    image_depth: int = 0,
    name: str = "discriminator",
) -> keras.Model:
    """Builds the discriminator. The discriminator maps each image (and label) to a logit, high for real.

    The layers are: strided convolutions, then 3x3 convolutions. LeakyReLU and optional dropout follow each
    convolution. A dense layer maps the features and the `MinibatchDeviation` to one logit, without a sigmoid.
    Dropout drops whole channels (Tompson et al. 2015, https://arxiv.org/abs/1411.4280), because neighboring
    pixels of a channel are similar, and because random numbers for each pixel took a fifth of a step's time.

    Args:
        image_shape: (height, width, channels) of the images; height and width at least 4.
        num_classes: number of classes of a conditional discriminator. None: a discriminator without labels.
        base_filters: channels of the first hidden feature map. The number doubles when the size halves.
        depth: number of 3x3 convolutions at the smallest size, where a convolution is cheapest.
        dropout: fraction of the channels that dropout drops after each convolution, in [0, 1). 0: no
            dropout. With a gradient penalty the discriminator does not need dropout.
        translation, cutout, color_jitter: in training, the discriminator changes real and fake images at
            random: see `DiffAugment`. Without changes, the discriminator memorizes a dataset of a few
            thousand images.
        minibatch_deviation: whether to use `MinibatchDeviation`. If True, all images of a batch must be real,
            or all images must be fake.
        image_depth: number of 3x3 convolutions at the size of the image, with half of the base filters,
            before the strided convolutions. Strided convolutions alone make the generator draw fine hatching
            in plain areas of colored images.
        name: name of the model.

    Returns:
        A model of `images` (batch, height, width, channels) in [-1, 1], or of `[images, labels]` with
        integer labels (batch,). The output is a float32 logit of shape (batch, 1).

    Raises:
        ValueError: when the height or the width is less than 4.

    Example:

    ```python
    discriminator = build_discriminator(num_classes=10)
    images, labels = keras.ops.zeros((16, 28, 28, 1)), keras.ops.zeros(16, "int32")
    logits = discriminator([images, labels])    # (16, 1)
    ```
    """
    refuse_channels_first()
    base_filters = whole_number("base_filters", base_filters)
    num_classes = None if num_classes is None else whole_number("num_classes", num_classes)
    images = keras.Input(image_shape, name="images")
    x = images
    if translation or cutout or color_jitter:
        x = DiffAugment(translation, cutout, color_jitter, name="augmentation")(x)
    for number in range(image_depth):
        x = layers.Conv2D(max(1, base_filters // 2), 3, padding="same", name=f"image_convolution_{number}")(x)
        x = _activate_and_drop(x, dropout, f"image_convolution_{number}")
    for stage in range(_count_stages(image_shape)):
        filters = base_filters << stage
        x = layers.Conv2D(filters, KERNEL_SIZE, 2, padding="same", name=f"downsample_{stage}")(x)
        x = _activate_and_drop(x, dropout, f"downsample_{stage}")
    for number in range(depth):
        x = layers.Conv2D(filters, 3, padding="same", name=f"convolution_{number}")(x)
        x = _activate_and_drop(x, dropout, f"convolution_{number}")
    features = layers.Flatten(name="flat", dtype="float32")(x)
    if minibatch_deviation:
        features = layers.Concatenate(name="features", dtype="float32")(
            [features, MinibatchDeviation(name="deviation")(x)]
        )
    logits = layers.Dense(1, dtype="float32", name="realness")(features)
    if num_classes is None:
        return keras.Model(images, logits, name=name)
    labels = keras.Input((), dtype="int32", name="labels")
    # One matrix product with the embeddings of all classes is much faster than a vector product for each
    # image. Then `choice` selects the product for the label of the image.
    products = layers.Dense(num_classes, use_bias=False, dtype="float32", name="label_embedding")(features)
    choice = layers.CategoryEncoding(num_classes, output_mode="one_hot", name="choice")(labels)
    projection = layers.Dot(axes=1, dtype="float32", name="projection")([products, choice])
    logits = layers.Add(dtype="float32", name="logits")([logits, projection])
    return keras.Model([images, labels], logits, name=name)


@keras.saving.register_keras_serializable(package="gan")
class MinibatchDeviation(layers.Layer):
    """Measures how much a batch varies, so the discriminator can detect fake images that are too similar.

    Maps features (batch, height, width, channels) to float32 deviations (batch, channels): first the mean of
    each channel over height and width, then the standard deviation of this mean over the batch. All images of
    a batch get the same deviations. This has three effects: a logit depends on the whole batch; all images of
    a batch must be real, or all images must be fake; and the gradients in a penalty include a small part from
    the other images' logits.

    Reference: Karras et al. 2018, https://arxiv.org/abs/1710.10196, section 3. Karras et al. also average
    over the channels, and they use the layer with the penalty WGAN-GP.

    Example:

    ```python
    deviations = MinibatchDeviation()(keras.random.normal((64, 7, 7, 32)))    # (64, 32)
    ```
    """

    def __init__(self, **kwargs):
        super().__init__(**({"dtype": "float32"} | kwargs))

    def call(self, features):
        means = ops.mean(features, axis=(1, 2))
        mean, variance = ops.mean(means, axis=0, keepdims=True), ops.var(means, axis=0, keepdims=True)
        if has_replicas():
            whole_mean, square = mean_over_replicas([mean, variance + ops.square(mean)])
            variance = ops.maximum(square - ops.square(whole_mean), 0.0)
        deviations = ops.sqrt(variance + TINY)
        return ops.broadcast_to(deviations, ops.shape(means))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


def _normalize_and_activate(x, labels, num_classes: int | None, name: str):
    """Adds batch norm and LeakyReLU. With labels, each class has its own scales and offsets."""
    is_conditional = labels is not None
    x = layers.BatchNormalization(
        momentum=0.9,
        scale=not is_conditional,
        center=not is_conditional,
        synchronized=has_replicas(),
        name=f"{name}_norm",
    )(x)
    if is_conditional:
        scale, offset = (
            layers.Reshape((1, 1, -1), name=f"{name}_{part}_shape")(
                layers.Embedding(num_classes, x.shape[-1], initial, name=f"{name}_{part}")(labels)
            )
            for part, initial in (("scale", "ones"), ("offset", "zeros"))
        )
        x = layers.Add(name=f"{name}_offset_sum")(
            [layers.Multiply(name=f"{name}_scaled")([x, scale]), offset]
        )
    return layers.LeakyReLU(SLOPE, name=f"{name}_activation")(x)


def _activate_and_drop(x, dropout: float, name: str):
    x = layers.LeakyReLU(SLOPE, name=f"{name}_activation")(x)
    return layers.Dropout(dropout, noise_shape=WHOLE_CHANNELS, name=f"{name}_dropout")(x) if dropout else x


def padded_size(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """Returns the height and the width that the generator draws before it crops the images.

    Each layer doubles the size, so both are divisible by a power of two. If the height and the width of the
    images are divisible by 4, nothing is cropped.

    Raises:
        ValueError: when the height or the width is less than 4.
    """
    factor = 1 << _count_stages(image_shape)
    return tuple(-(-side // factor) * factor for side in image_shape[:2])


def _count_stages(image_shape: tuple[int, int, int]) -> int:
    """Counts the halvings of the size: at least two, then more until the size is at most LARGEST_START.

    If the sides are divisible by 4, counts only halvings of an even size: older runs have these networks.
    """
    height, width, _ = image_shape
    if min(height, width) < 4:
        expected = "`image_shape` must have a height and a width of at least 4 pixels"
        raise ValueError(f"{expected}. Received: image_shape={tuple(image_shape)}")
    stages, keeps_size = 2, not (height | width) % 4
    while max(height, width) > LARGEST_START << stages and not (
        keeps_size and (height | width) % (2 << stages)
    ):
        stages += 1
    return stages
