"""Shifted kernels: the encrypted model alone shows its key where the first layer steps by less than a block.

The B / s phases of a lifted layer (wrongkey.keys.lifted) are one plain kernel, each s samples later than the one
before. In blocks: tap u of the next phase is `w_u S + w_{u-1} R`, where S shifts a block by s and R brings in what left
the block before. Under a key the same holds with `F = K^T S K` and `G = K^T R K`, a linear least-squares problem whose
data are the encrypted weights alone. `I - F^T F` projects on the first s positions of a block as the key has them; an
orthonormal basis of that, carried on by F, is the key up to one orthogonal matrix of the first s positions. For stride
1 that is a sign. A tile has a shift for each of its axes along which the layer overlaps, and they commute.

Alternating least squares then fits one plain kernel and one key to all phases. What it cannot fit is the attack's own
verdict: weights that are no shifted kernels leave a residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray

from wrongkey.attacks.base import Case, Evidence, Matrix, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import nearest_key
from wrongkey.attacks.solvers.stable_linalg import array_eigh, array_lstsq, array_polar, array_svd
from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.lift import hidden_elements, lift
from wrongkey.keys.lifted import Axis, LiftedConvolution
from wrongkey.keys.schemes import SCHEMES, Group, Scheme

ROUNDS = 30  # of alternating least squares
FITS = 1e-2  # relative residual of one kernel in all phases below which it is believed; bfloat16 leaves about 2e-3
SMALLEST = 1e-5  # singular values, relative, that a least-squares solution trusts: above the rounding of float32


class ShiftedKernels:
    """Least squares between the phases of a lifted first layer, then alternating least squares."""

    name = "shifted-kernels"
    family = 4
    needs: frozenset[Need] = frozenset({"encrypted model"})
    threat = Threat("Holds the encrypted model, as the provider does, and nothing else.", needs)

    def inapplicable(self, setting: Setting) -> str | None:
        """Frames, and blocks equal to the stride, show no shift."""
        if setting.blocks == "frames":
            return "Blocks of frames are not shifted against each other: the first layer steps by whole frames."
        if setting.model is None:
            return "It reads a first layer, and no model was given."
        layer = setting.model.network.get_submodule(setting.model.first_layer)
        lifted = lift(layer, setting.cut)
        if hidden_elements(lifted, setting.size) == setting.size:
            return "The first layer steps by whole blocks, so that no kernel stands in two phases."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        """The key, where all of it shows; where s elements stay hidden, one of the keys that fit as well.

        measured: `hidden` elements, and the `bits` (of a discrete scheme) that stay to be guessed.
        """
        if evidence.encrypted is None:
            raise BadInput("shifted-kernels was given no encrypted model.")
        setting = evidence.setting
        layer = evidence.encrypted.network.get_submodule(evidence.encrypted.first_layer)
        if not isinstance(layer, LiftedConvolution) or hidden_elements(layer, setting.size) == setting.size:
            return Recovery(
                None, success_claimed=False, note="The encrypted layer has one phase: nothing is shifted in it."
            )
        found = shifted_key(phases_of(layer, setting), setting.scheme)
        signs_open = setting.scheme.signed and (found.hidden > 1 or setting.blocks is not Blocks.SAMPLES)
        fits = found.residual < FITS
        return Recovery(
            found.key,
            success_claimed=fits and found.unresolved == 1 and not signs_open,
            objective=found.residual,
            measured={"hidden": found.hidden, "unresolved": found.unresolved, "fits": float(fits)},
            note=_said(found, signs_open) if fits else "No kernel stands in all phases, or there are too few kernels.",
        )


def _said(found: ShiftedKey, signs_open: bool) -> str:
    if found.unresolved > 1:
        return f"The key is known up to a key of {found.unresolved} elements, the same in every phase."
    signs = "its sign" if found.hidden == 1 else f"{found.hidden} signs"
    return f"The key is known up to {signs}." if signs_open else ""


@dataclass(frozen=True)
class Phases:
    """Encrypted weights of a lifted layer, ordered by shift.

    rows: `(kernels, *phases, others, *taps, N)`; kernels of every input channel count, others are block rows that the
    layer does not step along. axes: of the lifted layer. cell: the extent of a block, `(M,)` or `(M, M)`, and
    `places`, which axis of it each of `axes` steps along.
    """

    rows: Matrix
    axes: tuple[Axis, ...]
    cell: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class ShiftedKey:
    """A key `(N, N)` that makes all phases one kernel, with the relative residual of that.

    hidden: elements of one phase, whose orthogonal matrix no shift shows. unresolved: the largest part of them that a
    kernel's ends do not tell apart either; 1 leaves signs alone, as Flipping always does.
    """

    key: Matrix
    residual: float
    hidden: int
    unresolved: int


def phases_of(layer: LiftedConvolution, setting: Setting) -> Phases:
    """The weights of a lifted layer by kernel, phase and tap."""
    block, axes = setting.block_size, layer.axes
    weight = layer.weight.detach().to("cpu", torch.float64)
    counts = tuple(axis.phases for axis in axes)
    rows = weight.unflatten(0, (layer.out_channels, *counts))  # type: ignore[no-untyped-call]
    if setting.blocks == "samples":  # (out, phases, in, taps * M)
        rows = rows.unflatten(-1, (-1, block)).movedim(2, 1).flatten(0, 1).unsqueeze(2)
        return Phases(rows.numpy(), axes, (block,), (0,))
    if len(axes) == 1:  # a Conv1d over tiles: (out, phases, bins, taps * M)
        rows = rows.unflatten(3, (-1, block)).unflatten(2, (-1, block)).movedim(3, -2).flatten(-2)
        return Phases(rows.numpy(), axes, (block, block), (1,))
    rows = rows.unflatten(5, (-1, block)).unflatten(4, (-1, block)).movedim(5, -2).flatten(-2)
    rows = rows.movedim(3, 1).flatten(0, 1).unsqueeze(3)
    return Phases(rows.numpy(), axes, (block, block), (0, 1))


def shifted_key(phases: Phases, scheme: Scheme) -> ShiftedKey:
    """The key of a scheme that makes all phases one kernel, up to its hidden elements.

    Discrete schemes: the first positions' order and signs, where they stay hidden, are taken as they come.
    """
    size = phases.rows.shape[-1]
    shifts = [shift_seen(phases, axis) for axis in range(len(phases.axes))]
    base = np.eye(size)
    for axis, shift in zip(phases.axes, shifts, strict=True):
        if axis.phases > 1:
            base = base @ (np.eye(size) - shift.T @ shift)
    hidden = size // prod(axis.phases for axis in phases.axes)
    key = nearest_key(SCHEMES["rom"], _assembled(phases, _first_rows(base, hidden, scheme), shifts))
    if scheme.monomial:
        key = nearest_key(scheme, key)
        residual = _residual(phases, key)
    else:
        key, residual = _alternating(phases, key)
    turn, unresolved = told_by_the_ends(phases, key, scheme)
    first = key.reshape(*phases.cell, size)[_corner(phases)].reshape(hidden, size)
    blocks = _assembled(phases, turn @ first, [_shift_under(phases, key, axis) for axis in range(len(phases.axes))])
    return ShiftedKey(blocks, residual, hidden, unresolved)


def shift_seen(phases: Phases, axis: int) -> Matrix:
    """`K^T S K (N, N)` of the shift along one of the layer's axes, by least squares; zero where it has one phase."""
    size = phases.rows.shape[-1]
    count = phases.axes[axis].phases
    if count == 1:
        return np.zeros((size, size))
    tap_axis = phases.rows.ndim - 1 - len(phases.axes) + axis
    rows = np.moveaxis(phases.rows, (1 + axis, tap_axis), (0, 1))  # (phases, taps, ..., N)
    none = np.zeros_like(rows[:, :1])
    framed = np.concatenate([none, rows, none], axis=1)
    here, before = framed[:, 1:], framed[:, :-1]
    following = np.concatenate([here[1:], before[:1]])  # behind the last phase comes the first, a block later
    read = np.concatenate([here, before], axis=-1).reshape(-1, 2 * size)
    solution = array_lstsq(read, following.reshape(-1, size), SMALLEST)
    shift: Matrix = solution[:size]
    return shift


def _first_rows(projector: Matrix, hidden: int, scheme: Scheme) -> Matrix:
    """Rows `(hidden, N)` of the key that belong to the positions before the first shift, up to an orthogonal matrix."""
    if scheme.monomial:
        strongest = np.sort(np.argsort(-np.diagonal(projector), kind="stable")[:hidden])
        rows: Matrix = np.eye(len(projector))[strongest]
        return rows
    left, _, _ = array_svd(projector @ projector.T)
    basis: Matrix = left[:, :hidden].T
    return basis


def told_by_the_ends(phases: Phases, key: Matrix, scheme: Scheme) -> tuple[Matrix, int]:
    """What a kernel that is no multiple of the stride tells of the hidden elements.

    Returns the orthogonal matrix `(hidden, hidden)` before the key's first rows, and the largest number of elements
    that look alike. Where kernel elements must be zero, at its ends or between dilated ones, so are the products with
    the key's right rows: those rows span the null space of the others' second moments.
    """
    kernel, inside = _grouped(phases, _whole_kernel(phases, key))  # (rows, groups, hidden), (groups, hidden)
    hidden = inside.shape[1]
    moments = np.einsum("rgi,rgj->gij", kernel, kernel)
    patterns, which = np.unique(~inside.T, axis=0, return_inverse=True)  # (patterns, groups): where it must be zero
    unresolved = int(np.bincount(which.ravel()).max())
    if scheme.group is Group.SIGNS:
        return np.eye(hidden), 1
    if scheme.group is Group.PERMUTATIONS:
        energies = np.einsum("gjj->gj", moments)
        return nearest_key(SCHEMES["shuffling"], -(~inside.T @ energies)), unresolved
    turn = np.zeros((hidden, hidden))
    taken = np.zeros((hidden, hidden))
    for pattern in np.argsort(-patterns.sum(1), kind="stable"):
        positions = np.flatnonzero(which.ravel() == pattern)
        forbidden = moments[patterns[pattern]].sum(0) + (np.trace(moments.sum(0)) + 1) * taken
        turn[positions] = array_eigh(forbidden)[1][:, : len(positions)].T
        taken += turn[positions].T @ turn[positions]
    return turn, unresolved


def _corner(phases: Phases) -> tuple[slice, ...]:
    """The positions of a block before the first shift."""
    extents = list(phases.cell)
    for axis, place in zip(phases.axes, phases.places, strict=True):
        extents[place] = axis.stride
    return tuple(slice(extent) for extent in extents)


def _shift_under(phases: Phases, key: Matrix, axis: int) -> Matrix:
    """`K^T S K (N, N)` of a key."""
    place, step = phases.places[axis], phases.axes[axis].stride
    shift: Matrix = np.eye(1)
    for number, extent in enumerate(phases.cell):
        shift = np.asarray(np.kron(shift, np.eye(extent, k=step if number == place else 0)), dtype=np.float64)
    seen: Matrix = key.T @ shift @ key
    return seen


def _assembled(phases: Phases, first: Matrix, shifts: Sequence[Matrix]) -> Matrix:
    """The key `(N, N)` from its first rows, each other row being a shifted one."""
    corner = _corner(phases)
    extents = [part.stop for part in corner]
    key = np.empty((*phases.cell, first.shape[-1]))
    for cell in np.ndindex(*(whole // part for whole, part in zip(phases.cell, extents, strict=True))):
        rows = first
        for shift, place in zip(shifts, phases.places, strict=True):
            rows = rows @ np.linalg.matrix_power(shift, cell[place])
        where = tuple(slice(c * e, (c + 1) * e) for c, e in zip(cell, extents, strict=True))
        key[where] = rows.reshape(*extents, -1)
    return key.reshape(-1, first.shape[-1])


def _alternating(phases: Phases, key: Matrix) -> tuple[Matrix, float]:
    """Least squares by turns: the plain kernel of all phases under the key, the key under the plain kernel."""
    rows = phases.rows.reshape(-1, phases.rows.shape[-1])
    residual = _residual(phases, key)
    for _ in range(ROUNDS if residual > SMALLEST else 0):
        plain = _one_kernel(phases, key).reshape(rows.shape)
        tried = array_polar(plain.T @ rows)
        now = _residual(phases, tried)
        if not now < residual * (1 - 1e-3):
            break
        key, residual = tried, now
    return key, residual


def _residual(phases: Phases, key: Matrix) -> float:
    plain = _one_kernel(phases, key)
    power = float((phases.rows**2).sum())
    return float(np.sqrt(((phases.rows @ key.T - plain) ** 2).sum() / max(power, 1e-300)))


def _one_kernel(phases: Phases, key: Matrix) -> Matrix:
    """Plain weights, as `rows`, of the kernel that fits all decrypted phases best."""
    kernel, windows = _whole_kernel(phases, key), _windows(phases)
    plain: Matrix
    if len(windows) == 1:
        plain = np.einsum("komj,pjub->kpoumb", kernel, windows[0], optimize=True)
    else:
        plain = np.einsum("kojl,pjua,qlvb->kpqouvab", kernel, *windows, optimize=True)
    return plain.reshape(phases.rows.shape)


def _whole_kernel(phases: Phases, key: Matrix) -> Matrix:
    """The mean over the shifts of all decrypted phases: `(kernels, others, other positions, j)` or `(..., j, l)`.

    Its elements fill whole strides, so that an orthogonal matrix of the hidden elements changes nothing in the fit.
    """
    decrypted = (phases.rows @ key.T).reshape(*phases.rows.shape[:-1], *phases.cell)
    windows = _windows(phases)
    count = prod(axis.phases for axis in phases.axes)
    if len(windows) == 2:
        kernel: Matrix = np.einsum("kpqouvab,pjua,qlvb->kojl", decrypted, *windows, optimize=True) / count
        return kernel
    if len(phases.cell) == 1:
        decrypted = decrypted[..., None, :]
    kernel = np.einsum("kpoumb,pjub->komj", decrypted, windows[0], optimize=True) / count
    return kernel


def _filled(axis: Axis) -> Axis:
    """The same axis with a kernel that fills whole strides."""
    before = -(-axis.before // axis.stride) * axis.stride
    kernel = -(-(before - axis.before + axis.reach + 1) // axis.stride) * axis.stride
    return Axis(kernel, axis.stride, 1, before, axis.after, axis.block)


def _windows(phases: Phases) -> list[Matrix]:
    """Where elements of the filled kernel stand: `(phases, elements, taps, block)` of each axis."""
    return [_filled(axis).windows().numpy() for axis in phases.axes]


def _grouped(phases: Phases, kernel: Matrix) -> tuple[Matrix, NDArray[np.bool_]]:
    """The filled kernel as `(rows, groups, hidden)`, and where the real one has elements, `(groups, hidden)`."""
    inside = []
    for axis in phases.axes:
        filled = _filled(axis)
        at = np.zeros(filled.kernel, dtype=bool)
        at[filled.before - axis.before + axis.dilation * np.arange(axis.kernel)] = True
        inside.append(at.reshape(-1, axis.stride))
    kernels, others, *_ = kernel.shape
    if len(inside) == 2:
        (groups, step), (across, width) = inside[0].shape, inside[1].shape
        split = kernel.reshape(kernels * others, groups, step, across, width).swapaxes(2, 3)
        mask = (inside[0][:, None, :, None] & inside[1][None, :, None, :]).reshape(groups * across, -1)
        return split.reshape(kernels * others, groups * across, step * width), mask
    (groups, step), lines = inside[0].shape, kernel.shape[2]
    split = kernel.reshape(kernels * others, lines, groups, step).swapaxes(1, 2)
    mask = np.repeat(inside[0][:, None, :], lines, axis=1).reshape(groups, -1)
    return split.reshape(kernels * others, groups, lines * step), mask
