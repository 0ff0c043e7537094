"""The trained generator that comes with the package: digits from the first minute, without a training."""

from pathlib import Path

import keras

from gan.files import digest

__all__ = ["load_trained_generator"]

FILE = Path(__file__).parent / "assets" / "mnist_generator.keras"
SHA_256 = "6298abd07cbc365bf763b8ed5f694010b90cca7b898d3c50e09f8c2d02a5a9c6"


def load_trained_generator() -> keras.Model:
    """MNIST's conditional generator, the moving average that the preset `best` ended with.

    `gan/assets/README.md` has the command that trained it, and how good its digits are.

    Returns:
        A model of `[latents, labels]`, standard normal (batch, latent_dim) and integers (batch,) from 0
        to 9, to float32 images (batch, 28, 28, 1) in [-1, 1].

    Raises:
        ValueError: when its file is not the one that the package was made with.

    Example:

    ```python
    import keras
    from gan.trained import load_trained_generator

    generator = load_trained_generator()
    latents = keras.random.normal((10, *generator.inputs[0].shape[1:]))
    digits = generator([latents, keras.ops.arange(10)])    # one of each, (10, 28, 28, 1)
    ```
    """
    if not FILE.is_file() or digest(FILE) != SHA_256:
        raise ValueError(f"{FILE} is not the file that this package was made with: install it anew")
    return keras.saving.load_model(FILE, compile=False, safe_mode=True)
