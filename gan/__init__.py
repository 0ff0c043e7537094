"""A GAN that is an ordinary Keras model. `import gan` is all that loading a saved model needs."""

try:
    from . import metrics
    from .model import GAN
    from .networks import build_discriminator, build_generator
except ModuleNotFoundError as error:
    # `python -m gan` imports this module first, and says in one line what is missing.
    _missing = error.name

    def __getattr__(name: str):
        raise ModuleNotFoundError(f"{_missing} is not installed: see the README", name=_missing)


__all__ = ["GAN", "build_discriminator", "build_generator", "metrics"]
