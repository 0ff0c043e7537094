"""Exports generators to other runtimes: the kernels of the page, and the formats of Keras."""

from .formats import FORMATS, export_generator
from .page import encode_frames, make_page
