"""What undoes a key: the transpose of an orthogonal one, exactly, and the inverse of any other."""

import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.keys.invertible import MOST_CONDITION

TOLERANCE = 1e-9  # largest |K Kᵀ - I| of an orthogonal key; LAPACK's QR leaves about 1e-15


def inverse_of(matrices: Tensor) -> Tensor:
    """The inverse of keys.

    Parameters
    ----------
    matrices
        `(..., N, N)`.

    Returns
    -------
    Tensor
        Float64, of the same shape: the transposes where all are orthogonal, without any rounding.

    Raises
    ------
    BadInput
        For a matrix that is singular, or nearly so.

    Examples
    --------
    >>> inverse_of(torch.tensor([[2.0, 0.0], [0.0, 4.0]])).diagonal().tolist()
    [0.5, 0.25]
    """
    matrices = matrices.to(torch.float64)
    identity = torch.eye(matrices.shape[-1], dtype=torch.float64, device=matrices.device)
    if bool(((matrices @ matrices.mT - identity).abs() <= TOLERANCE).all()):
        return matrices.mT
    check_invertible(float(torch.linalg.cond(matrices).max()))
    inverses: Tensor = torch.linalg.inv(matrices)
    return inverses


def check_invertible(condition: float) -> None:
    """Raise BadInput for a condition number of a key that is too large for its inverse to be of use, NaN included."""
    if not condition <= MOST_CONDITION:
        raise BadInput(
            f"A key must be well conditioned, and this matrix has the condition number {condition:.3g}, above "
            f"{MOST_CONDITION:g}: it is singular, or nearly so; draw another."
        )
