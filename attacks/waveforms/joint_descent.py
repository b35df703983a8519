"""The last descent of `polyphase`: one real orthogonal key for all block frequencies, by L-BFGS.

`wrongkey.attacks.waveforms.joint_diagonalisation.separate_jointly` averages the quasi-Newton steps that every frequency
asks for. Where bands are empty (a telephone's, those of lossy coding at large M) a frequency asks for no step in the
directions that it does not see, the average is no direction of descent any more, and the steps end far above the
criterion of the true key. The gradient of the mean criterion has no such fault.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wrongkey.attacks.solvers.orthogonal_descent import DescentSettings, descend
from wrongkey.attacks.waveforms.block_diagonal import within_blocks
from wrongkey.attacks.waveforms.joint_diagonalisation import Criterion

DESCENT = DescentSettings()


class JointCriterion:
    """The mean criterion of the components of snapshots (g, N, T) under a key, with tones E (g, N, N) complex128.

    The key consists of as many blocks along its diagonal as it has `turns`.
    """

    def __init__(self, snapshots: Tensor, tones: Tensor, criterion: Criterion, turns: int) -> None:
        self.snapshots, self.criterion, self.turns = snapshots, criterion, turns
        self.analysis = tones.mH.to(snapshots.dtype)

    def value(self, keys: Tensor) -> Tensor:
        """Values (b,) of keys (b, N, N)."""
        return torch.stack([self._at(key) for key in keys])

    def value_and_gradient(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Values (b,) and the Euclidean gradient (b, N, N) within the blocks."""
        values, gradients = [], []
        for key in keys:
            with torch.enable_grad():  # attacks run without
                moving = key.clone().requires_grad_()
                value = self._at(moving)
                (gradient,) = torch.autograd.grad(value, moving)
            values.append(value.detach())
            gradients.append(within_blocks(gradient, self.turns))
        return torch.stack(values), torch.stack(gradients)

    def _at(self, key: Tensor) -> Tensor:
        components = (self.analysis @ key.to(self.snapshots.dtype)) @ self.snapshots
        values, _ = self.criterion(components)
        return values.mean()


def descend_jointly(
    snapshots: Tensor, tones: Tensor, key: Tensor, criterion: Criterion, turns: int
) -> tuple[Tensor, float]:
    """A key (N, N) of lower mean criterion for snapshots (g, N, T), and its value: see `JointCriterion`."""
    settings = criterion.settings
    objective = JointCriterion(snapshots, tones, criterion, turns)
    keys, values = descend(objective, key[None], settings.joint_steps, settings.least_gain, DESCENT)
    return keys[0], float(values)
