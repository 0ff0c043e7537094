"""Draws walks: the images on the way from one sample to another."""

import keras
import numpy as np

from ..images import encode_animation, encode_png, make_grid, readable_scale, to_uint8
from ..sampling import interpolate

MILLISECONDS = 80  # of each frame


def draw_walk(
    generator: keras.Model, latents: np.ndarray, class_weights: np.ndarray | None, frames: int
) -> np.ndarray:
    """Draws the images on the way from station to station, including the first and the last station.

    Between two stations, the latents move along a great circle, and the class weights along a line.

    Args:
        generator: a generator without labels, or a generator from `gan.sampling.blend_classes`.
        latents: (stations, count, …), at least two stations.
        class_weights: (stations, classes) for all images of a station. None for a generator without labels.
        frames: number of frames from one station to the next.

    Returns:
        uint8 ((stations - 1) * frames + 1, count, height, width, channels).
    """
    fractions = np.arange(frames) / frames
    ways, weights = [], []
    for here in range(len(latents) - 1):
        pairs = zip(latents[here], latents[here + 1], strict=True)
        ways.append(np.stack([interpolate(*pair, fractions) for pair in pairs], axis=1))
        if class_weights is not None:
            difference = class_weights[here + 1] - class_weights[here]
            weights.append(class_weights[here] + fractions[:, np.newaxis] * difference)
    way, count = np.concatenate([*ways, latents[-1:]]), latents.shape[1]
    inputs = way.reshape(-1, *way.shape[2:])
    if class_weights is not None:
        weights = np.concatenate([*weights, class_weights[-1:]]).astype(np.float32)
        inputs = [inputs, weights.repeat(count, axis=0)]
    images = to_uint8(generator.predict(inputs, verbose=0))
    return images.reshape(-1, count, *images.shape[1:])


def make_endless(walk: np.ndarray, is_loop: bool) -> np.ndarray:
    """Returns the frames of an endless animation: a loop without its last station, or the way there and back.

    Args:
        walk: the images from `draw_walk`.
        is_loop: whether the last station is the first station.
    """
    return walk[:-1] if is_loop else np.concatenate([walk, walk[-2:0:-1]])


def encode_walk(walk: np.ndarray, suffix: str, scale: int | None = None) -> bytes:
    """Returns the bytes of an endless animation of a walk, or of a picture with a row for each image.

    Args:
        walk: the images from `draw_walk` or `make_endless`.
        suffix: ".gif", ".webp" or ".png".
        scale: integer factor that enlarges the images. None: see `gan.images.readable_scale`.

    Raises:
        ValueError: if the frames are larger than the format allows.
    """
    scale = scale or readable_scale(*walk.shape[2:4])
    if suffix == ".png":
        rows = walk.swapaxes(0, 1)
        return encode_png(make_grid(rows.reshape(-1, *walk.shape[2:]), columns=len(walk), scale=scale))
    frames = (make_grid(images, columns=len(images), scale=scale) for images in walk)
    return encode_animation(frames, len(walk), suffix, MILLISECONDS, MILLISECONDS)
