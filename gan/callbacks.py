"""Makes the package `callbacks` importable as `gan.callbacks`, even beside a `callbacks.py` of the user."""

import importlib
import importlib.util
import sys
from pathlib import Path

_INIT = Path(__file__).parents[1] / "callbacks" / "__init__.py"
_found = importlib.util.find_spec("callbacks")
if _found is not None and _found.origin is not None and Path(_found.origin) == _INIT:
    sys.modules[__name__] = importlib.import_module("callbacks")
else:  # Python finds the user's callbacks.py, or finds no `callbacks`
    _spec = importlib.util.spec_from_file_location(
        __name__, _INIT, submodule_search_locations=[str(_INIT.parent)]
    )
    sys.modules[__name__] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[__name__])
