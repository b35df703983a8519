"""Random orthogonal matrices for the starts of a search.

Keys themselves are drawn by `wrongkey.keys.draw`, from numbered words; a search draws from a generator of its own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def haar(count: int, size: int, rng: np.random.Generator) -> Tensor:
    """Random orthogonal matrices, uniform over the group O(N).

    The QR decomposition of Gaussian matrices, with the signs of the diagonal of R.

    Parameters
    ----------
    count : int
        How many matrices.
    size : int
        N, rows and columns of each.
    rng : numpy.random.Generator
        It gives `count * size * size` normal numbers.

    Returns
    -------
    Tensor
        Matrices (count, N, N), float64.

    References
    ----------
    F. Mezzadri, How to generate random matrices from the classical compact groups, Notices of the AMS 54, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> keys = haar(2, 3, np.random.default_rng(0))
    >>> torch.allclose(keys @ keys.mT, torch.eye(3, dtype=torch.float64))
    True
    """
    q, r = np.linalg.qr(rng.standard_normal((count, size, size)))
    return torch.from_numpy(q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[:, None, :])
