"""Public model: the plain checkpoint is in the open, and the provider holds the encrypted one.

Its first-layer kernels `K^-1 e`, or `K^T e` where keys are orthogonal, beside the public `e` are known plaintext
(`wrongkey.attacks.solvers.procrustes`): every block of the layer's weights is one pair. Lifting is public, so a lifted
layer is compared with the lifted public one. The key is found exactly where the kernels span the block; where they do
not, it is found on their span, which is all that the encrypted model ever looks at. Where the owner has fine-tuned the
model, what moved is noise on the pairs.

A batch norm that was merged into the kernels scales each of them, perhaps by a negative number. The scale of a kernel
shows in its length, which an orthogonal key leaves alone, and its sign in whether it agrees with the key that the
others give.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Matrix, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import Fit, FitSettings, fit
from wrongkey.attacks.solvers.stable_linalg import array_eigh, array_svd
from wrongkey.attacks.weights.kernel_rows import channels, independent, keyed_rows, lifted_layer
from wrongkey.errors import BadInput
from wrongkey.keys.compatibility import keyed_weights
from wrongkey.keys.schemes import Scheme

SINGULAR = "The encrypted kernels span fewer directions than the public ones, so that no key is between them."
FINE_TUNED = ("first layer fine-tuned", "all fine-tuned")


@dataclass(frozen=True)
class PublicModelSettings(FitSettings):
    """When kernels count as scaled, as by a merged batch norm, and how their signs are searched for.

    The fields of `FitSettings` and these.

    Attributes
    ----------
    rounds : int
        Fits after each of which the kernels' signs are turned to agree with the key; the search may end earlier.
    scaled : float
        Standard deviation of the kernels' lengths, encrypted to plain, relative to its mean: from here on kernels
        count as scaled. A fit with a smaller relative residual is taken as it is.
    gain : float
        Factor by which scaling the kernels must lower the relative residual to be accepted.
    """

    rounds: int = 20
    scaled: float = 0.02
    gain: float = 2.0


class PublicModel(AttackDefaults):
    """Procrustes, assignment or sign correlation between first-layer kernels, plain and encrypted."""

    name = "public-model"
    family = 4
    any_key = True
    needs: frozenset[Need] = frozenset({"public model", "encrypted model"})
    threat = Threat("Holds the encrypted model, as the provider does, and the plain checkpoint it comes from.", needs)

    def __init__(self, settings: PublicModelSettings = PublicModelSettings()) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Every first layer that takes a key is known plaintext, so that the attack always applies."""
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """Return the owner's model as it is, with fewer kernels known than a block has directions, and fine-tuned."""
        if setting.model is None:
            return []
        count = channels(setting.model.network.get_submodule(setting.model.first_layer))
        fewer = sorted({setting.size // 2, setting.size - 1} & set(range(1, count)))
        variants = [f"{kernels} kernels of {count}" for kernels in fewer]
        return [Case(variant=variant) for variant in (*variants, "", *FINE_TUNED)]

    def run(self, evidence: Evidence) -> Recovery:
        """Fit the nearest key to the kernels; success is claimed where they span the block and hardly moved.

        measured: the kernels' `rank`, and the key's `expected error`, computed from the residual alone. The variant
        "k kernels of C" leaves all but the first k kernels unused. Raises BadInput without both models, and where they
        are of different architectures.
        """
        if evidence.public is None or evidence.encrypted is None:
            raise BadInput("The attack public-model needs the plain and the encrypted model, and was not given both.")
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
        fitted, scaled = fit_scaled(setting.scheme, x, y, _kernel_of_row(plain, len(x), kernels), self.settings)
        rank = independent(x)
        measured = {"rank": rank, "expected error": fitted.expected_error}
        if not setting.scheme.orthogonal and independent(fitted.key) < setting.size:
            return Recovery(None, success_claimed=False, objective=fitted.residual, measured=measured, note=SINGULAR)
        key: Matrix = fitted.key if setting.scheme.orthogonal else np.linalg.inv(fitted.key).T.astype(np.float64)
        notes = []
        if rank < setting.size:
            notes.append(f"The kernels span {rank} of {setting.size} directions; the model looks at no other.")
        if scaled:
            notes.append("The kernels are scaled against the public ones, as by a merged batch norm.")
        return Recovery(
            key,
            success_claimed=fitted.certain,
            objective=fitted.residual,
            measured=measured,
            note=" ".join(notes),
        )


def fit_scaled(
    scheme: Scheme, plain: Matrix, cipher: Matrix, kernel: NDArray[np.intp], settings: PublicModelSettings
) -> tuple[Fit, bool]:
    """Return the key between rows `(n, N)` whose kernels may be scaled, and whether they seem to be.

    kernel: `(n,)`, the number of the kernel that a row belongs to; one kernel's rows have one scale. Kernels count as
    scaled where the residual is then much lower. Rows of kernels are multiplied by the transposed inverse of a key, so
    that is what is returned of an invertible one.
    """
    as_is = fit(scheme, plain, cipher, settings)
    if not scheme.orthogonal:
        return as_is, False  # lengths say nothing of a scale where the key changes them
    scales = _scales(plain, cipher, kernel, settings.scaled)
    if as_is.residual < settings.scaled or scales is None:
        return as_is, False
    scaled = _with_signs(scheme, plain, cipher, kernel, scales, settings)
    if scaled.residual < as_is.residual / settings.gain:
        return scaled, True
    return as_is, False


def _scales(plain: Matrix, cipher: Matrix, kernel: NDArray[np.intp], spread: float) -> Matrix | None:
    """Lengths of kernels, encrypted to plain, `(kernels,)`; None where they are about equal, or one is zero."""
    count = int(kernel.max()) + 1
    plain_power, cipher_power = (np.bincount(kernel, (rows**2).sum(1), count) for rows in (plain, cipher))
    present = plain_power > 0
    ratios = np.sqrt(cipher_power[present] / plain_power[present])
    if ratios.std() <= spread * ratios.mean() or not (ratios > 0).all():
        return None
    scales = np.ones(count)
    scales[present] = ratios
    return scales


def _with_signs(
    scheme: Scheme,
    plain: Matrix,
    cipher: Matrix,
    kernel: NDArray[np.intp],
    scales: Matrix,
    settings: PublicModelSettings,
) -> Fit:
    """The fit under the kernels' scales, whose signs are those that agree with the key of the round before."""
    signs = _first_signs(plain * scales[kernel, None], cipher, kernel)
    for _ in range(settings.rounds):
        fitted = fit(scheme, plain * (signs * scales)[kernel, None], cipher, settings)
        agreement = np.bincount(kernel, ((plain @ fitted.key) * cipher).sum(1), len(scales))
        agreed = np.where(agreement < 0, -1.0, 1.0)
        if (agreed == signs).all():
            break
        signs = agreed
    return fitted


def _first_signs(plain: Matrix, cipher: Matrix, kernel: NDArray[np.intp]) -> Matrix:
    """Signs `(kernels,)` between kernels, up to one sign of them all.

    Second moments do not depend on them: the eigenvectors of both sides, sorted, correspond up to signs of their own.
    Products of both sides' coefficients are then a sign of the kernel times a sign of the vector, which the first
    singular vectors separate.
    """
    sides = [rows @ array_eigh(rows.T @ rows)[1] for rows in (plain, cipher)]
    products = np.zeros((int(kernel.max()) + 1, plain.shape[1]))
    np.add.at(products, kernel, sides[0] * sides[1])
    first = array_svd(products)[0][:, 0]
    return np.where(first < 0, -1.0, 1.0)


def _used(variant: str, count: int) -> list[int] | None:
    """Numbers of the kernels that the variant "k kernels of C" leaves to the adversary; None for all."""
    asked = re.fullmatch(r"(\d+) kernels of \d+", variant)
    return None if asked is None else list(range(min(int(asked[1]), count)))


def _kernel_of_row(layer: nn.Module, rows: int, kernels: Sequence[int] | None) -> NDArray[np.intp]:
    """`(rows,)`: which kernel a row belongs to, counted on from one weight of the layer to the next."""
    count = channels(layer) if kernels is None else len(kernels)
    return np.arange(rows) // (rows // (count * len(keyed_weights(layer))))
