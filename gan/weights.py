"""A model's weights as the bytes of a `.weights.h5` file."""

import contextlib
import io

__all__ = ["encode_weights"]


class _WeightsFile(io.BytesIO):
    """A file in memory that Keras, which looks at the name, takes for one of weights."""

    def __str__(self):
        return "memory.weights.h5"


def encode_weights(model) -> bytes:
    """What `model.save_weights` writes.

    HDF5 does not survive a disk that is full: it ends the process. So it writes to memory, and what
    goes to the disk are plain bytes.

    Raises:
        ValueError: when the model is not built.
    """
    _remember_attributes()
    file = _WeightsFile()
    model.save_weights(file)
    return file.getvalue()


def _remember_attributes() -> None:
    """Lets Keras make the objects only once by which it knows what to leave out of a file.

    It looks them up under another key (`skiplist`) than it keeps them by (`skipset`), so each save makes
    them anew, optimizers among them, whose variables TensorFlow does not give back: 0.2 MiB a save.
    """
    with contextlib.suppress(ImportError, AttributeError):  # not public: elsewhere, or mended
        from keras.src.backend.common import global_state
        from keras.src.saving.saving_lib import get_attr_skipset

        for kind in ("Layer", "Functional", "Sequential", "Metric", "Optimizer", "Loss"):
            key = f"saving_attr_skiplist_{kind}"
            if global_state.get_global_attribute(key) is None:
                global_state.set_global_attribute(key, get_attr_skipset(kind))
