"""Which keys the analyses can measure: they compare one orthogonal matrix with another."""

from wrongkey.errors import BadInput
from wrongkey.keys.derived import check_one_matrix
from wrongkey.keys.schemes import Scheme


def check_measurable(scheme: Scheme, *, of_one_block: bool = False) -> None:
    """Raise BadInput unless every key of a scheme is one orthogonal matrix, and, if asked for, of a single block."""
    check_one_matrix(scheme, "an analysis of its keys")
    if not scheme.orthogonal:
        raise BadInput(f"Keys are measured only where they are orthogonal, and those of {scheme.name} are not.")
    if of_one_block and scheme.span > 1:
        raise BadInput(
            f"These measures are of keys for single blocks, and a key of {scheme.name} multiplies {scheme.span} "
            "together: leave the scheme out."
        )
