"""Exports generators to other runtimes: the kernels of the page, and the formats of Keras."""
