"""A GAN as an ordinary Keras model. Run `import gan` before you load a saved model."""

try:
    import keras

    if keras.config.backend() != "tensorflow":
        other = keras.config.backend()
        raise ModuleNotFoundError(f"gan needs Keras's backend tensorflow. Received: {other}", name=other)
    from . import metrics
    from .model import GAN
    from .networks import build_discriminator, build_generator
except ModuleNotFoundError as error:
    from .commands.program import explain_missing

    # `python -m gan` imports this module first and must print one line, so the error is raised only later.
    _problem = explain_missing(error)

    def __getattr__(name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        raise _problem
