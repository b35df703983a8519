from .blocks import Blocks as Blocks
from .cutting import from_blocks as from_blocks
from .cutting import to_blocks as to_blocks
from .derived import Derived as Derived
from .derived import Label as Label
from .derived import Slots as Slots
from .derived import derived_matrices as derived_matrices
from .derived import derived_scheme as derived_scheme
from .draw import IncorrectKeys as IncorrectKeys
from .draw import correct_key as correct_key
from .draw import draw_keys as draw_keys
from .draw import draw_secret_matrix as draw_secret_matrix
from .family import get_scheme as get_scheme
from .key import SecretKey as SecretKey
from .key_cut import KeyCut as KeyCut
from .key_cut import default_blocks as default_blocks
from .lift import hidden_elements as hidden_elements
from .lift import lift as lift
from .lift import multiplications as multiplications
from .model import encrypt_model as encrypt_model
from .model import keyable_layers as keyable_layers
from .model import lift_model as lift_model
from .model import relative_kernels as relative_kernels
from .query import decrypt_query as decrypt_query
from .query import encrypt_query as encrypt_query
from .scheduled import ScheduledLayer as ScheduledLayer
from .scheduled import encrypt_scheduled as encrypt_scheduled
from .scheduled import encrypt_scheduled_model as encrypt_scheduled_model
from .schemes import SCHEMES as SCHEMES
from .schemes import Group as Group
from .schemes import Scheme as Scheme
from .seed_key import SeedKey as SeedKey
from .seed_key import load_key as load_key
from .space import KeySpace as KeySpace
from .space import key_space as key_space
from .windows import windowed_layer as windowed_layer
from .windows import windowed_query as windowed_query

__all__ = [
    "SCHEMES",
    "Blocks",
    "Derived",
    "Group",
    "IncorrectKeys",
    "KeyCut",
    "KeySpace",
    "Label",
    "ScheduledLayer",
    "Scheme",
    "SecretKey",
    "SeedKey",
    "Slots",
    "correct_key",
    "decrypt_query",
    "default_blocks",
    "derived_matrices",
    "derived_scheme",
    "draw_keys",
    "draw_secret_matrix",
    "encrypt_model",
    "encrypt_query",
    "encrypt_scheduled",
    "encrypt_scheduled_model",
    "from_blocks",
    "get_scheme",
    "hidden_elements",
    "key_space",
    "keyable_layers",
    "lift",
    "lift_model",
    "load_key",
    "multiplications",
    "relative_kernels",
    "to_blocks",
    "windowed_layer",
    "windowed_query",
]
