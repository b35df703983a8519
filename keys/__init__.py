"""What a key is: schemes, draws, key files and key spaces; what it does to queries and to models.

Names are imported when first used: ``from keys.errors import BadInput`` must not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for mypy, which cannot read the table; `as` marks what is meant for others
    from keys.blocks import Blocks as Blocks
    from keys.blocks import dims_of as dims_of
    from keys.blocks import from_blocks as from_blocks
    from keys.blocks import to_blocks as to_blocks
    from keys.draw import IncorrectKeys as IncorrectKeys
    from keys.draw import correct_key as correct_key
    from keys.draw import draw_keys as draw_keys
    from keys.draw import draw_secret_matrix as draw_secret_matrix
    from keys.errors import BadInput as BadInput
    from keys.key import SecretKey as SecretKey
    from keys.lift import hidden_elements as hidden_elements
    from keys.lift import lift as lift
    from keys.lift import multiplications as multiplications
    from keys.model import default_blocks as default_blocks
    from keys.model import encrypt_model as encrypt_model
    from keys.model import keyable_layers as keyable_layers
    from keys.model import lift_model as lift_model
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
    "Blocks": "blocks",
    "IncorrectKeys": "draw",
    "KeySpace": "space",
    "Scheme": "schemes",
    "SecretKey": "key",
    "correct_key": "draw",
    "decrypt_query": "query",
    "default_blocks": "model",
    "dims_of": "blocks",
    "draw_keys": "draw",
    "draw_secret_matrix": "draw",
    "encrypt_model": "model",
    "encrypt_query": "query",
    "from_blocks": "blocks",
    "get_scheme": "schemes",
    "hidden_elements": "lift",
    "key_space": "space",
    "keyable_layers": "model",
    "lift": "lift",
    "lift_model": "model",
    "multiplications": "lift",
    "relative_kernels": "model",
    "to_blocks": "blocks",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"keys.{_HOME[name]}"), name)
    raise AttributeError(f"module 'keys' has no attribute {name!r}")
