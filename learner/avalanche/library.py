"""The one place where avalanche is imported: late, quietly, and with the home directory left alone.

Its import writes `~/.avalanche/config.json` (where image data sets lie; nobody here reads it).
"""

import importlib
import os
import tempfile
import warnings
from types import ModuleType


def load(module: str = "avalanche.training.plugins") -> ModuleType:
    """A module of avalanche; the first call takes some seconds."""
    home = os.environ.get("HOME")
    with tempfile.TemporaryDirectory(prefix="riverrun-avalanche-") as scratch:
        os.environ["HOME"] = scratch
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return importlib.import_module(module)
        finally:
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home
