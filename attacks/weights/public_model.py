"""Public model: the plain checkpoint is in the open, and the provider holds the encrypted one.

Its first-layer kernels `K^T e` beside the public `e` are known plaintext (wrongkey.attacks.solvers.procrustes): every
block of the layer's weights is one pair. Lifting is public, so a lifted layer is compared with the lifted public one.
The key is found exactly where the kernels span the block; where they do not, it is found on their span, which is all
that the encrypted model ever looks at. What a fine-tuned owner's kernels moved is noise on the pairs.

A batch norm that was merged into the kernels scales each of them, perhaps by a negative number: the scale of a kernel
shows in its length, which a key leaves alone, and its sign in whether it agrees with the key that the others give.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from wrongkey.attacks.base import Case, Evidence, Matrix, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import Fit, fit
from wrongkey.attacks.solvers.stable_linalg import array_eigh, array_svd
from wrongkey.attacks.weights.kernel_rows import channels, independent, keyed_rows, lifted_layer
from wrongkey.errors import BadInput
from wrongkey.keys.compatibility import keyed_weights
from wrongkey.keys.schemes import Scheme

FINE_TUNED = ("first layer fine-tuned", "all fine-tuned")
ROUNDS = 20  # of turning kernels' signs
SCALED = 0.02  # spread of the kernels' lengths, encrypted to plain, from which they count as scaled


class PublicModel:
    """Procrustes, assignment or sign correlation between first-layer kernels, plain and encrypted."""

    name = "public-model"
    family = 4
    needs: frozenset[Need] = frozenset({"public model", "encrypted model"})
    threat = Threat("Holds the encrypted model, as the provider does, and the plain checkpoint it comes from.", needs)

    def inapplicable(self, setting: Setting) -> str | None:
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """The owner's model as it is, with fewer kernels known than a block has directions, and fine-tuned."""
        if setting.model is None:
            return []
        count = channels(setting.model.network.get_submodule(setting.model.first_layer))
        fewer = sorted({setting.size // 2, setting.size - 1} & set(range(1, count)))
        variants = [f"{kernels} kernels of {count}" for kernels in fewer]
        return [Case(variant=variant) for variant in (*variants, "", *FINE_TUNED)]

    def run(self, evidence: Evidence) -> Recovery:
        """The nearest key to what the kernels show; believed where they span the block and hardly moved.

        measured: the kernels' `rank`, and the key's `expected error`, computed from the residual alone. A setting of
        the adversary's own, "k kernels of C", leaves all but the first k unused.
        """
        if evidence.public is None or evidence.encrypted is None:
            raise BadInput("public-model was not given two models: it needs the plain and the encrypted one.")
        setting = evidence.setting
        plain = lifted_layer(evidence.public, setting)
        cipher = evidence.encrypted.network.get_submodule(evidence.encrypted.first_layer)
        kernels = _used(evidence.case.variant, channels(plain))
        x, y = (keyed_rows(layer, setting, kernels) for layer in (plain, cipher))
        if x.shape != y.shape:
            raise BadInput(
                f"The public model's first layer has {len(x)} blocks of {x.shape[1]} and the encrypted one's {len(y)} "
                f"of {y.shape[1]}: they are not of one architecture."
            )
        found, scaled = fit_scaled(setting.scheme, x, y, _kernel_of_row(plain, len(x), kernels))
        rank = independent(x)
        notes = []
        if rank < setting.size:
            notes.append(f"The kernels span {rank} of {setting.size} directions; the model looks at no other.")
        if scaled:
            notes.append("The kernels are scaled against the public ones, as by a merged batch norm.")
        return Recovery(
            found.key,
            success_claimed=found.sure,
            objective=found.residual,
            measured={"rank": rank, "expected error": found.expected_error},
            note=" ".join(notes),
        )


def fit_scaled(scheme: Scheme, plain: Matrix, cipher: Matrix, kernel: NDArray[np.intp]) -> tuple[Fit, bool]:
    """The key between rows `(n, N)` whose kernels may be scaled, and whether they seem to be.

    kernel: `(n,)`, the number of the kernel that a row belongs to; one kernel's rows have one scale. It is believed
    that kernels are scaled where the key is surer so.
    """
    as_is = fit(scheme, plain, cipher)
    count = int(kernel.max()) + 1
    powers = [np.bincount(kernel, (rows**2).sum(1), count) for rows in (plain, cipher)]
    present = powers[0] > 0
    ratios = np.sqrt(powers[1][present] / powers[0][present])
    if as_is.residual < SCALED or ratios.std() <= SCALED * ratios.mean() or not (ratios > 0).all():
        return as_is, False
    scales = np.ones(count)
    scales[present] = ratios
    signs = _signs(plain * scales[kernel, None], cipher, kernel)
    for _ in range(ROUNDS):
        found = fit(scheme, plain * (signs * scales)[kernel, None], cipher)
        agreement = np.bincount(kernel, ((plain @ found.key) * cipher).sum(1), count)
        agreed = np.where(agreement < 0, -1.0, 1.0)
        if (agreed == signs).all():
            break
        signs = agreed
    better = found.residual < as_is.residual / 2
    return (found, True) if better else (as_is, False)


def _signs(plain: Matrix, cipher: Matrix, kernel: NDArray[np.intp]) -> Matrix:
    """Signs `(kernels,)` between kernels, up to one of them all.

    Second moments do not see them: their eigenvectors, sorted, belong together up to signs of their own. Products of
    both sides' coefficients are then a sign of the kernel times a sign of the vector, which the first singular vectors
    tell apart.
    """
    sides = [rows @ array_eigh(rows.T @ rows)[1] for rows in (plain, cipher)]
    products = np.zeros((int(kernel.max()) + 1, plain.shape[1]))
    np.add.at(products, kernel, sides[0] * sides[1])
    first = array_svd(products)[0][:, 0]
    return np.where(first < 0, -1.0, 1.0)


def _used(variant: str, count: int) -> list[int] | None:
    """Kernels that "k kernels of C" leaves to the adversary; None for all."""
    asked = re.fullmatch(r"(\d+) kernels of \d+", variant)
    return None if asked is None else list(range(min(int(asked[1]), count)))


def _kernel_of_row(layer: nn.Module, rows: int, kernels: Sequence[int] | None) -> NDArray[np.intp]:
    """`(rows,)`: which kernel a row belongs to; kernels of a layer's several weights count on."""
    count = channels(layer) if kernels is None else len(kernels)
    return np.arange(rows) // (rows // (count * len(keyed_weights(layer))))
