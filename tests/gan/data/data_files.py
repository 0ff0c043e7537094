"""Contains small images and labels, and functions that write them to files."""

import struct

import numpy as np

from conftest import make_images

IMAGES = make_images(23)
LABELS = np.arange(23)


def write_idx_folder(folder, images=IMAGES, labels=LABELS, splits=("train", "t10k"), pack=bytes):
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        arrays = {"images-idx3": images[..., 0]} | ({} if labels is None else {"labels-idx1": labels})
        for part, array in arrays.items():
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            content = head + array.astype(np.uint8).tobytes()
            (folder / f"{split}-{part}-ubyte").write_bytes(pack(content))
    return folder


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return path
