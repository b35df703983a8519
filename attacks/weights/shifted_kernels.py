"""Shifted kernels: the encrypted model alone shows its key where the first layer steps by less than a block.

The B / s phases of a lifted layer (`wrongkey.keys.lifted`) are one plain kernel, each s samples later than the one
before. In blocks: tap u of the next phase is `w_u S + w_{u-1} R`, where S shifts a block by s and R brings in what left
the block before it. Under a key the same holds with `F = K^T S K` and `G = K^T R K`, a linear least-squares problem
whose data are the encrypted weights alone. `I - F^T F` projects on the first s positions of a block as the key has
them; an orthonormal basis of that, carried on by F, is the key up to one orthogonal matrix of the first s positions.
For stride 1 that is a sign. A tile has a shift for each of its axes along which the layer overlaps, and they commute.

Alternating least squares then fits one plain kernel and one key to all phases. Its residual is the attack's own
verdict: weights that are no shifted kernels leave a large one.

The einsums below name these axes: k kernel; p, q phase along each axis that the layer steps along; o block beside;
u, v tap, a block of the kernel; a, b place in a block (m along an axis without steps); j, l element of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from einops import rearrange, repeat
from numpy.typing import NDArray

from wrongkey.attacks.base import AttackDefaults, Case, Evidence, Matrix, Need, Recovery, Setting, Threat
from wrongkey.attacks.solvers.procrustes import nearest_key
from wrongkey.attacks.solvers.stable_linalg import array_eigh, array_lstsq, array_polar, array_svd
from wrongkey.errors import BadInput
from wrongkey.keys.block_rows import rows_of_blocks
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.lift import hidden_elements, lift
from wrongkey.keys.lifted import Axis, LiftedConvolution
from wrongkey.keys.schemes import Group, Scheme

# By the number of axes that the layer steps along: how one kernel stands in all phases, and the mean over them.
SPREAD = {1: "komj,pjub->kpoumb", 2: "kojl,pjua,qlvb->kpqouvab"}
GATHERED = {1: "kpoumb,pjub->komj", 2: "kpqouvab,pjua,qlvb->kojl"}


@dataclass(frozen=True)
class ShiftedKernelsSettings:
    """How far least squares goes, and what it trusts.

    Attributes
    ----------
    rounds : int
        Rounds of alternating least squares at most.
    gain : float
        Relative decrease of the residual below which they end.
    fits : float
        Relative residual of one kernel in all phases below which the key counts as found; bfloat16 leaves about 2e-3.
    smallest : float
        Singular values, relative to the largest, that a least-squares solution trusts: above the rounding of float32.
        A residual below this number needs no rounds.
    """

    rounds: int = 30
    gain: float = 1e-3
    fits: float = 1e-2
    smallest: float = 1e-5


class ShiftedKernels(AttackDefaults):
    """Least squares between the phases of a lifted first layer, then alternating least squares.

    The key of a finite scheme outside of the monomial groups is sought among all orthogonal matrices, of which it is
    one.
    """

    name = "shifted-kernels"
    family = 4
    needs: frozenset[Need] = frozenset({"encrypted model"})
    threat = Threat("Holds the encrypted model, as the provider does, and nothing else.", needs)

    def __init__(self, settings: ShiftedKernelsSettings = ShiftedKernelsSettings()) -> None:
        self.settings = settings

    def inapplicable(self, setting: Setting) -> str | None:
        """Frames, and blocks equal to the stride, show no shift."""
        if setting.blocks is Blocks.FRAMES:
            return "Blocks of frames are not shifted against each other: the first layer steps by whole frames."
        if setting.model is None:
            return "It reads a first layer, and no model was given."
        layer = setting.model.network.get_submodule(setting.model.first_layer)
        lifted = lift(layer, setting.cut)
        if hidden_elements(lifted, setting.size) == setting.size:
            return "The first layer steps by whole blocks, so that no kernel stands in two phases."
        return None

    def cases(self, setting: Setting) -> Sequence[Case]:
        """All weights of the first layer at once."""
        return [Case()]

    def run(self, evidence: Evidence) -> Recovery:
        """Find the key, where all of it shows; where s elements stay hidden, one of the keys that fit as well.

        measured: the elements that stay `hidden`, the number of them that stay `unresolved`, and whether one kernel
        `fits` all phases (1 or 0). Raises BadInput without an encrypted model.
        """
        if evidence.encrypted is None:
            raise BadInput("The attack shifted-kernels needs the encrypted model, and was given none.")
        setting = evidence.setting
        layer = evidence.encrypted.network.get_submodule(evidence.encrypted.first_layer)
        if not isinstance(layer, LiftedConvolution) or hidden_elements(layer, setting.size) == setting.size:
            return Recovery(
                None, success_claimed=False, note="The encrypted layer has one phase: nothing is shifted in it."
            )
        shown = shifted_key(phases_of(layer, setting), setting.scheme, self.settings)
        signs_open = setting.scheme.signed and (shown.hidden > 1 or setting.blocks is not Blocks.SAMPLES)
        fits = shown.residual < self.settings.fits
        return Recovery(
            shown.key,
            success_claimed=fits and shown.unresolved == 1 and not signs_open,
            objective=shown.residual,
            measured={"hidden": shown.hidden, "unresolved": shown.unresolved, "fits": float(fits)},
            note=_note(shown, signs_open) if fits else "No kernel stands in all phases, or there are too few kernels.",
        )


def _note(shown: ShiftedKey, signs_open: bool) -> str:
    if shown.unresolved > 1:
        return f"The key is known up to a key of {shown.unresolved} elements, the same in every phase."
    if not signs_open:
        return ""
    signs = "its sign" if shown.hidden == 1 else f"{shown.hidden} signs"
    return f"The key is known up to {signs}."


@dataclass(frozen=True)
class Phases:
    """Encrypted weights of a lifted layer, ordered by shift.

    Attributes
    ----------
    rows : Matrix
        `(kernels, *phases, others, *taps, N)`. The kernels of every input channel count; others are blocks beside,
        along an axis of tiles that the layer does not step along.
    axes : tuple of Axis
        Of the lifted layer.
    cell : tuple of int
        The extent of a block, `(M,)` or `(M, M)`.
    places : tuple of int
        Which axis of the cell each of `axes` steps along.
    """

    rows: Matrix
    axes: tuple[Axis, ...]
    cell: tuple[int, ...]
    places: tuple[int, ...]


@dataclass(frozen=True)
class ShiftedKey:
    """A key that makes all phases one kernel.

    Attributes
    ----------
    key : Matrix
        `(N, N)`.
    residual : float
        What one kernel leaves of all phases under the key, relative.
    hidden : int
        Elements of one phase, whose orthogonal matrix no shift shows.
    unresolved : int
        The largest part of them that a kernel's ends do not distinguish either; 1 leaves signs alone, as Flipping
        always does.
    """

    key: Matrix
    residual: float
    hidden: int
    unresolved: int


def phases_of(layer: LiftedConvolution, setting: Setting) -> Phases:
    """Return the weights of a lifted layer by kernel, phase and tap."""
    size, axes = setting.block_size, layer.axes
    rows = rows_of_blocks(layer.weight.detach().to("cpu", torch.float64), setting.cut)
    p, *others = (axis.phases for axis in axes)
    if setting.blocks is Blocks.SAMPLES:
        split = rearrange(rows, "(kernel p) channel tap n -> (kernel channel) p 1 tap n", p=p)
        return Phases(split.numpy(), axes, (size,), (0,))
    if not others:  # a Conv1d steps along time alone
        split = rearrange(rows, "(kernel p) beside tap n -> kernel p beside tap n", p=p)
        return Phases(split.numpy(), axes, (size, size), (1,))
    (q,) = others
    split = rearrange(rows, "(kernel p q) channel up on n -> (kernel channel) p q 1 up on n", p=p, q=q)
    return Phases(split.numpy(), axes, (size, size), (0, 1))


def shifted_key(phases: Phases, scheme: Scheme, settings: ShiftedKernelsSettings) -> ShiftedKey:
    """Return the key of a scheme that makes all phases one kernel, up to its hidden elements.

    Of monomial keys, the order and the signs of the first positions, where they stay hidden, are taken as they come.
    """
    size = phases.rows.shape[-1]
    shifts = [shift_seen(phases, axis, settings.smallest) for axis in range(len(phases.axes))]
    base = np.eye(size)
    for axis, shift in zip(phases.axes, shifts, strict=True):
        if axis.phases > 1:
            base = base @ (np.eye(size) - shift.T @ shift)
    hidden = size // prod(axis.phases for axis in phases.axes)
    key = array_polar(_assembled(phases, _first_rows(base, hidden, scheme), shifts))
    if scheme.monomial:
        key = nearest_key(scheme, key)
        residual = _residual(phases, key)
    else:
        key, residual = _alternating(phases, key, settings)
    turn, unresolved = shown_by_the_ends(phases, key, scheme)
    first = key.reshape(*phases.cell, size)[_corner(phases)].reshape(hidden, size)
    whole = _assembled(phases, turn @ first, [_shift_under(phases, key, axis) for axis in range(len(phases.axes))])
    return ShiftedKey(whole, residual, hidden, unresolved)


def shift_seen(phases: Phases, axis: int, smallest: float) -> Matrix:
    """Return `K^T S K (N, N)` of the shift along one of the layer's axes; zero where that axis has one phase.

    Least squares, from singular values above `smallest` of the largest.
    """
    size = phases.rows.shape[-1]
    if phases.axes[axis].phases == 1:
        return np.zeros((size, size))
    tap_axis = phases.rows.ndim - 1 - len(phases.axes) + axis
    rows = np.moveaxis(phases.rows, (1 + axis, tap_axis), (0, 1))  # (phases, taps, ..., N)
    none = np.zeros_like(rows[:, :1])
    framed = np.concatenate([none, rows, none], axis=1)
    here, before = framed[:, 1:], framed[:, :-1]
    following = np.concatenate([here[1:], before[:1]])  # behind the last phase comes the first, a block later
    read = np.concatenate([here, before], axis=-1).reshape(-1, 2 * size)
    return array_lstsq(read, following.reshape(-1, size), smallest)[:size]


def _first_rows(projector: Matrix, hidden: int, scheme: Scheme) -> Matrix:
    """Rows `(hidden, N)` of the key that belong to the positions before the first shift, up to an orthogonal matrix."""
    if scheme.monomial:
        strongest = np.sort(np.argsort(-np.diagonal(projector), kind="stable")[:hidden])
        return np.eye(len(projector))[strongest]
    left, _, _ = array_svd(projector @ projector.T)
    return left[:, :hidden].T


def shown_by_the_ends(phases: Phases, key: Matrix, scheme: Scheme) -> tuple[Matrix, int]:
    """Return what a kernel that is no multiple of the stride shows of the hidden elements.

    It is the orthogonal matrix `(hidden, hidden)` before the key's first rows, and the largest number of elements that
    look alike. Where kernel elements must be zero, at its ends or between dilated ones, so are the products with the
    key's right rows: those rows span the null space of the others' second moments.
    """
    kernel, inside = _grouped(phases, _whole_kernel(phases, key))  # (rows, groups, hidden), (groups, hidden)
    hidden = inside.shape[1]
    moments = np.einsum("rgi,rgj->gij", kernel, kernel)
    patterns, which = np.unique(~inside.T, axis=0, return_inverse=True)  # (patterns, groups): where it must be zero
    unresolved = int(np.bincount(which.ravel()).max())
    match scheme.group:
        case Group.SIGNS:
            return np.eye(hidden), 1
        case Group.PERMUTATIONS | Group.SIGNED_PERMUTATIONS:
            energies = np.einsum("gjj->gj", moments)
            return nearest_key("shuffling", -(~inside.T @ energies)), unresolved
        case Group.INVERTIBLE:
            raise NotImplementedError  # no attack that asks this applies to such keys
        case Group.ORTHOGONAL:
            return _null_spaces(moments, patterns, which.ravel()), unresolved


def _null_spaces(moments: Matrix, patterns: NDArray[np.bool_], which: NDArray[np.intp]) -> Matrix:
    """An orthogonal matrix `(hidden, hidden)` whose rows of each pattern avoid the groups where it must be zero.

    which: `(hidden,)`, the pattern of each element.
    """
    hidden = len(which)
    turn, taken = np.zeros((hidden, hidden)), np.zeros((hidden, hidden))
    for pattern in np.argsort(-patterns.sum(1), kind="stable"):
        positions = np.flatnonzero(which == pattern)
        forbidden = moments[patterns[pattern]].sum(0) + (np.trace(moments.sum(0)) + 1) * taken
        turn[positions] = array_eigh(forbidden)[1][:, : len(positions)].T
        taken += turn[positions].T @ turn[positions]
    return turn


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
        moved = np.eye(extent, k=step if number == place else 0)
        shift = np.kron(shift, moved).astype(np.float64, copy=False)
    return key.T @ shift @ key


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


def _alternating(phases: Phases, key: Matrix, settings: ShiftedKernelsSettings) -> tuple[Matrix, float]:
    """Least squares by turns: the plain kernel of all phases under the key, the key under the plain kernel."""
    rows = phases.rows.reshape(-1, phases.rows.shape[-1])
    residual = _residual(phases, key)
    if not residual > settings.smallest:
        return key, residual
    for _ in range(settings.rounds):
        plain = _one_kernel(phases, key).reshape(rows.shape)
        tried = array_polar(plain.T @ rows)
        lower = _residual(phases, tried)
        if not lower < residual * (1 - settings.gain):
            break
        key, residual = tried, lower
    return key, residual


def _residual(phases: Phases, key: Matrix) -> float:
    plain = _one_kernel(phases, key)
    power = float((phases.rows**2).sum())
    return float(np.sqrt(((phases.rows @ key.T - plain) ** 2).sum() / max(power, 1e-300)))


def _one_kernel(phases: Phases, key: Matrix) -> Matrix:
    """Plain weights, as `rows`, of the kernel that fits all decrypted phases best."""
    windows = _windows(phases)
    plain = np.einsum(SPREAD[len(windows)], _whole_kernel(phases, key), *windows, optimize=True)
    return plain.reshape(phases.rows.shape)


def _whole_kernel(phases: Phases, key: Matrix) -> Matrix:
    """The mean over the shifts of all decrypted phases: `(kernels, others, places m, j)` or `(kernels, others, j, l)`.

    Its elements fill whole strides, so that an orthogonal matrix of the hidden elements changes nothing in the fit.
    """
    cell = phases.cell if len(phases.cell) == 2 else (1, *phases.cell)
    decrypted = (phases.rows @ key.T).reshape(*phases.rows.shape[:-1], *cell)
    windows = _windows(phases)
    count = prod(axis.phases for axis in phases.axes)
    return np.einsum(GATHERED[len(windows)], decrypted, *windows, optimize=True) / count


def _filled(axis: Axis) -> Axis:
    """The same axis with a kernel that fills whole strides."""
    before = -(-axis.before // axis.stride) * axis.stride
    kernel = -(-(before - axis.before + axis.reach + 1) // axis.stride) * axis.stride
    return Axis(kernel, axis.stride, 1, before, axis.after, axis.block)


def _windows(phases: Phases) -> list[Matrix]:
    """Where elements of the filled kernel stand: `(phases, elements, taps, block)` of each axis."""
    return [_filled(axis).windows().numpy() for axis in phases.axes]


def _grouped(phases: Phases, kernel: Matrix) -> tuple[Matrix, NDArray[np.bool_]]:
    """The filled kernel as `(rows, groups, hidden)`, and where the real one has elements, `(groups, hidden)`.

    A group is one stride of the kernel, along every axis that it steps along.
    """
    first, *others = (_inside(axis) for axis in phases.axes)
    step = first.shape[1]
    if not others:
        grouped = rearrange(kernel, "kernel beside m (group step) -> (kernel beside) group (m step)", step=step)
        return grouped, repeat(first, "group step -> group (m step)", m=kernel.shape[2])
    (second,) = others
    both = rearrange(np.logical_and.outer(first, second), "up step on width -> (up on) (step width)")
    width = second.shape[1]
    grouped = rearrange(
        kernel,
        "kernel beside (up step) (on width) -> (kernel beside) (up on) (step width)",
        step=step,
        width=width,
    )
    return grouped, both


def _inside(axis: Axis) -> NDArray[np.bool_]:
    """`(groups, stride)`: where the filled kernel has elements of the real one."""
    filled = _filled(axis)
    inside = np.zeros(filled.kernel, dtype=bool)
    inside[filled.before - axis.before + axis.dilation * np.arange(axis.kernel)] = True
    return inside.reshape(-1, axis.stride)
