"""wrongkey: how much a secret key really protects speech.

The rooms are imported when they are first used: ``from wrongkey import keys, evaluation, reports``.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = ("keys", "evaluation", "reports")


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return import_module(name)
    raise AttributeError(f"module 'wrongkey' has no attribute {name!r}")
