"""Loading modules at the start of a process."""

import gc
from importlib import import_module
from types import ModuleType


def load(name: str) -> ModuleType:
    """The module of that name. What is loaded with it stays as long as the process."""
    # Loading makes no garbage, and looking for some takes a quarter of the time.
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
