"""What a key is: schemes, draws, key files and key spaces; what it does to queries and to models.

Names are imported when first used: ``from keys.errors import BadInput`` must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for mypy, which cannot read the table; `as` marks what is meant for others
    from keys.blocks import from_blocks as from_blocks
    from keys.blocks import to_blocks as to_blocks
    from keys.draw import IncorrectKeys as IncorrectKeys
    from keys.draw import correct_key as correct_key
    from keys.draw import draw_keys as draw_keys
    from keys.draw import draw_secret_matrix as draw_secret_matrix
    from keys.errors import BadInput as BadInput
    from keys.key import SecretKey as SecretKey
    from keys.model import encrypt_model as encrypt_model
    from keys.model import keyable_layers as keyable_layers
    from keys.model import relative_kernels as relative_kernels
    from keys.query import decrypt_query as decrypt_query
    from keys.query import encrypt_query as encrypt_query
    from keys.schemes import SCHEMES as SCHEMES
    from keys.schemes import Scheme as Scheme
    from keys.schemes import get_scheme as get_scheme
    from keys.space import KeySpace as KeySpace
    from keys.space import key_space as key_space

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

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"keys.{_HOME[name]}"), name)
    raise AttributeError(f"module 'keys' has no attribute {name!r}")
