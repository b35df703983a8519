"""What a key is: schemes, draws, key files and key spaces; what it does to queries and to models.

Names are imported when first used: ``from keys.errors import BadInput`` must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keys.blocks import from_blocks, to_blocks
    from keys.draw import IncorrectKeys, correct_key, draw_keys, draw_secret_matrix
    from keys.errors import BadInput
    from keys.key import SecretKey
    from keys.model import encrypt_model, keyable_layers, relative_kernels
    from keys.query import decrypt_query, encrypt_query
    from keys.schemes import SCHEMES, Scheme, get_scheme
    from keys.space import KeySpace, key_space

_HOME = {
    "SCHEMES": "schemes",
    "BadInput": "errors",
    "IncorrectKeys": "draw",
    "KeySpace": "space",
    "Scheme": "schemes",
    "SecretKey": "key",
    "correct_key": "draw",
    "decrypt_query": "query",
    "draw_keys": "draw",
    "draw_secret_matrix": "draw",
    "encrypt_model": "model",
    "encrypt_query": "query",
    "from_blocks": "blocks",
    "get_scheme": "schemes",
    "key_space": "space",
    "keyable_layers": "model",
    "relative_kernels": "model",
    "to_blocks": "blocks",
}

__all__ = [
    "SCHEMES",
    "BadInput",
    "IncorrectKeys",
    "KeySpace",
    "Scheme",
    "SecretKey",
    "correct_key",
    "decrypt_query",
    "draw_keys",
    "draw_secret_matrix",
    "encrypt_model",
    "encrypt_query",
    "from_blocks",
    "get_scheme",
    "key_space",
    "keyable_layers",
    "relative_kernels",
    "to_blocks",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"keys.{_HOME[name]}"), name)
    raise AttributeError(f"module 'keys' has no attribute {name!r}")
