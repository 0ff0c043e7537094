"""A GAN that is an ordinary Keras model."""

import sys
from pathlib import Path

# `import gan` is all that loading a saved model needs: it registers what such a model is made of. Only
# this project's own two programs read their command line before they load TensorFlow, for seconds.
# (While Python looks for the module of `python -m`, the first argument is "-m".)
_program = Path(getattr(sys.modules["__main__"], "__file__", None) or ".").resolve()
_is_train = _program == Path(__file__).resolve().parents[1] / "train.py"
_is_command = sys.argv[0] == "-m" and " -m gan " in f"{' '.join(sys.orig_argv[:4])} "
if not (_is_train or _is_command):
    from . import metrics
    from .model import GAN
    from .networks import build_discriminator, build_generator

    __all__ = ["GAN", "build_discriminator", "build_generator", "metrics"]
