"""A GAN that is an ordinary Keras model. `import gan` is all that loading a saved model needs."""

try:
    from . import metrics
    from .model import GAN
    from .networks import build_discriminator, build_generator
except ModuleNotFoundError as error:
    if error.name not in ("tensorflow", "keras"):
        raise
    # `python -m gan` imports this module first, and says in one line what is missing.
    _missing = error.name

    def __getattr__(name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModuleNotFoundError(f"{_missing} is not installed: see the README", name=_missing)
