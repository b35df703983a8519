"""What undoes a key: the transpose of an orthogonal one, exactly, and the inverse of any other."""

import torch
from torch import Tensor

from wrongkey.keys.invertible import check_invertible
from wrongkey.keys.key import TOLERANCE


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
