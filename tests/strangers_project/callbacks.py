"""Contains a callback of the independent project. The wheel has a package with the same name as this file."""

import keras


class Tell(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print("epoch", epoch, sorted(logs))
