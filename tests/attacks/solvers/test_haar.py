"""Random orthogonal matrices: orthogonal, and uniform."""

import numpy as np
import torch

from wrongkey.attacks.solvers.haar import haar


def test_matrices_are_orthogonal() -> None:
    keys = haar(4, 5, np.random.default_rng(0))
    assert keys.shape == (4, 5, 5) and keys.dtype == torch.float64
    assert torch.allclose(keys @ keys.mT, torch.eye(5, dtype=torch.float64).expand_as(keys))


def test_elements_have_no_preferred_sign_and_both_determinants_occur() -> None:
    """LAPACK's Q alone has a negative first element."""
    keys = haar(4000, 3, np.random.default_rng(0))
    assert float(keys.mean(0).abs().max()) < 0.05
    assert 0.45 < float((keys.det() > 0).double().mean()) < 0.55
