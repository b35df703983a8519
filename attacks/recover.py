"""Speech out of encrypted recordings whose key nobody gives: the attacks from ciphertext alone, and what to believe.

The suite (`wrongkey.attacks.harness`) knows the truth and scores every answer. Here nobody does: scheme and block size
are what a user says, and may be wrong. So success is claimed only where the attack claims it *and* the key takes the
structure of its blocks out of the recordings (`wrongkey.attacks.waveforms.block_structure`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from wrongkey.attacks.base import Attack, Case, Evidence, Matrix, Recovery, Setting
from wrongkey.attacks.waveforms.block_structure import (
    BlockStructure,
    StructureSettings,
    mean_covariances,
    stationarity_by_size,
    structure_of,
)
from wrongkey.attacks.waveforms.lag_covariances import autocorrelations, block_rows
from wrongkey.attacks.waveforms.predictability import prediction
from wrongkey.errors import BadInput
from wrongkey.keys import SecretKey, decrypt_query, get_scheme
from wrongkey.keys.derived import check_one_matrix
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Group, Scheme

Waveform = NDArray[np.floating]


def _sample_order() -> Attack:
    from wrongkey.attacks.waveforms.sample_order import SampleOrder

    return SampleOrder()


def _sign_chain() -> Attack:
    from wrongkey.attacks.waveforms.sign_chain import SignChain

    return SignChain()


def _polyphase() -> Attack:
    """The suite asks whether the key is right; here, whether the audio is, but for weak bands that stay uncertain."""
    from wrongkey.attacks.waveforms.polyphase import Polyphase
    from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS

    return Polyphase(replace(DEFAULTS, agreed=AGREED))


# What is tried, by the smallest group of matrices that holds a scheme's keys.
ATTACKS: Mapping[Group, Callable[[], Attack]] = {
    Group.PERMUTATIONS: _sample_order,
    Group.SIGNS: _sign_chain,
    Group.ORTHOGONAL: _polyphase,
}
AGREED = 0.98  # correlation: what two estimates of a key decrypt differs by at most 4 % of the energy
LARGEST = 128  # samples of a block: the largest that these attacks were measured at
SETTINGS = StructureSettings()
REPEATS = 0.98  # of how the statistics vary over the places of a block: a shorter period explains at least this share
CURVE = 40  # points of the curve of evidence, about
WHITE_NOISE = 1e-3  # relative to the power: coded speech has empty bands, whose predictability means nothing


@dataclass(frozen=True)
class Recovered:
    """What an attack made of encrypted recordings, and how much of it to believe.

    Attributes
    ----------
    success_claimed : bool
        Whether the key is taken for the right one.
    evidence : tuple of str
        Why, or why not, in sentences.
    attack : str
        The attack that was tried.
    key : SecretKey
        The best key, whether or not success is claimed. Its sign may be wrong, which nobody hears.
    plain : tuple of ndarray
        What it decrypts of each recording, float64, `(samples,)`, without a tail shorter than a block.
    structure : BlockStructure
        Stationarity, 0 to 1, of the recordings before and after decryption.
    predictable : tuple of float
        Share of the energy, 0 to 1, that 8 samples of the past predict, before and after decryption.
    measured : mapping of str to float
        What the attack measured.
    seconds : float
        Seconds of ciphertext that it had.
    """

    success_claimed: bool
    evidence: tuple[str, ...]
    attack: str
    key: SecretKey
    plain: tuple[Waveform, ...]
    structure: BlockStructure
    predictable: tuple[float, float]
    measured: Mapping[str, float]
    seconds: float


def recover(
    waveforms: Sequence[Waveform], rate: int, scheme: str | Scheme, block_size: int, *, seed: int = 0
) -> Recovered:
    """Find the key of encrypted recordings from nothing but them, and decrypt them.

    Parameters
    ----------
    waveforms : sequence of ndarray
        Encrypted recordings of one voice under one key, each `(samples,)`, from the beginning of a block on.
    rate : int
        Samples per second of all of them.
    scheme : str or Scheme
        How the key was drawn.
    block_size : int
        M; the key may multiply 2 to 128 samples together.
    seed : int
        Of everything random in the attack.

    Returns
    -------
    Recovered
        The best key, also where success is not claimed.

    Raises
    ------
    BadInput
        Where no attack applies, or the recordings are silent or too short for it.

    Examples
    --------
    >>> from wrongkey.evaluation.corpora import load_audio, open_corpus
    >>> from wrongkey.keys import encrypt_query
    >>> key = SecretKey.from_seed("rom", 5, seed=0)
    >>> voice = [load_audio(one) for one in open_corpus("bundled").utterances[:2]]
    >>> found = recover([encrypt_query(one, key) for one in voice], 16_000, "rom", 5)
    >>> found.success_claimed
    True
    """
    scheme = get_scheme(scheme)
    check_one_matrix(scheme, "to recover it")
    setting = Setting(scheme, KeyCut("samples", block_size).under(scheme).merged, float(rate))
    attack, together = _attack_on(setting), setting.block_size  # samples that the key multiplies together
    whole = [_whole_blocks(waveform, together) for waveform in waveforms]
    if not any(one.any() for one in whole):
        raise BadInput(f"The recordings hold no block of {together} samples that is not silent: give longer ones.")
    evidence = Evidence(setting, Case(), seed, ciphertext=tuple(torch.from_numpy(one) for one in whole if len(one)))
    recovery = attack.run(evidence)
    assert recovery.key is not None  # the attacks of the table want a key
    covariances = mean_covariances(block_rows(evidence.ciphertext, together), rate, SETTINGS)
    structure = structure_of(covariances, recovery.key, SETTINGS)
    before, after = (_autocorrelation(each) for each in (covariances, recovery.key @ covariances @ recovery.key.T))
    predictable = _predictable(before), _predictable(after)
    upright = bool(after[1] > 0)
    claimed = bool(recovery.success_claimed) and structure.taken_away and upright
    key = SecretKey.of(scheme, block_size, 1, recovery.key)
    return Recovered(
        success_claimed=claimed,
        evidence=_sentences(recovery, structure, predictable, upright, claimed, _period(covariances)),
        attack=attack.name,
        key=key,
        plain=tuple(decrypt_query(one, key) if len(one) else one for one in whole),
        structure=structure,
        predictable=predictable,
        measured=recovery.measured,
        seconds=sum(map(len, whole)) / rate,
    )


def structure_curve(recovered: Recovered, waveforms: Sequence[Waveform], rate: int) -> tuple[list[int], Matrix, Matrix]:
    """The evidence as a curve: block sizes, and the stationarity in blocks of these sizes before and after decryption.

    waveforms, rate: as `recover` was given them.
    """
    size = recovered.key.block_size
    sizes = sorted({size, 2 * size, *np.linspace(2, max(2 * size + 2, 24), CURVE).round().astype(int).tolist()})
    before, after = (
        stationarity_by_size([torch.from_numpy(np.asarray(one, float)) for one in signals], sizes, rate, SETTINGS)
        for signals in (waveforms, recovered.plain)
    )
    return sizes, before, after


def _attack_on(setting: Setting) -> Attack:
    """The attack for a scheme and block size; BadInput where there is none."""
    size, scheme = setting.block_size, setting.scheme
    if not 2 <= size <= LARGEST:
        raise BadInput(f"Keys are recovered for blocks of 2 to {LARGEST} samples, not of {size}.")
    if scheme.group not in ATTACKS:
        raise BadInput(f"Keys of {scheme.name} are {scheme.group}, which no attack here finds from ciphertext alone.")
    attack = ATTACKS[scheme.group]()
    reason = attack.inapplicable(setting)
    if reason is not None:
        raise BadInput(reason)
    return attack


def _whole_blocks(waveform: Waveform, block_size: int) -> NDArray[np.float64]:
    return np.asarray(waveform[: len(waveform) // block_size * block_size], dtype=np.float64)


def _autocorrelation(covariances: Matrix) -> Matrix:
    return autocorrelations(covariances.mean(0), SETTINGS.structure_order)


def _predictable(r: Matrix) -> float:
    return 1 - float(prediction(r[None], WHITE_NOISE)[1][0] / r[0])


def _period(covariances: Matrix) -> int:
    """The smallest divisor of M after which the statistics `(2, L + 1, M, M)` of blocks repeat; M itself if none.

    The covariance at lag k and place i, less its mean over all places, is multiplied between the two halves, whose
    sampling noise is independent. A period D explains nearly all of it by the mean over the places i, i + D, i + 2 D …
    """
    size = covariances.shape[-1]
    place, lag = np.arange(size)[:, None], np.arange(1, SETTINGS.structure_order + 1)
    block, other = np.divmod(place + lag, size)
    values = covariances[:, block, place, other]
    one, two = values - values.mean(1, keepdims=True)
    for period in (divisor for divisor in range(2, size) if size % divisor == 0):
        folded = [part.reshape(-1, period, len(lag)).mean(0) for part in (one, two)]
        if size // period * np.sum(folded[0] * folded[1]) >= REPEATS * np.sum(one * two) > 0:
            return period
    return size


def _sentences(
    recovery: Recovery,
    structure: BlockStructure,
    predictable: tuple[float, float],
    upright: bool,
    claimed: bool,
    period: int,
) -> tuple[str, ...]:
    """What speaks for the key and against it; `period`: of the ciphertext's statistics, in samples."""
    before, after = map(_percent, predictable)
    said = [
        _on_blocks(structure, claimed),
        f"From the {SETTINGS.structure_order} samples before, {after} of the energy of the decrypted audio can be "
        f"predicted, and {before} of the ciphertext's.",
    ]
    if "agreement" in recovery.measured:
        said.append(
            f"Independent estimates of the key decrypt audio that correlates by {recovery.measured['agreement']:.4f}, "
            f"and {_percent(recovery.measured['linked bands'])} of the frequency bands join into one spectrum."
        )
    if recovery.note:
        said.append(recovery.note)
    if structure.taken_away and not upright:
        said.append("It is strongest at high frequencies, as speech whose spectrum is turned around.")
    elif not claimed and structure.seen and period < structure.block_size:
        said.append(
            f"The statistics repeat every {period} samples: the blocks look like M = {period}; try --block {period}."
        )
    elif not claimed and structure.taken_away:
        said.append("The parts of the key are too uncertain to claim it: give more recordings under the same key.")
    return tuple(said)


def _on_blocks(structure: BlockStructure, claimed: bool) -> str:
    size = structure.block_size
    before, after = _percent(structure.before), _percent(structure.after)
    if not structure.seen:
        return (
            f"Cut into blocks of {size} samples the audio is {before} stationary, as plain speech is: it is not "
            "encrypted, or in blocks of another size, or by a key that leaves speech almost as it is."
        )
    if structure.taken_away:
        return (
            f"The statistics of the ciphertext depend on the place in a block of {size} samples ({before} stationary "
            f"at the worst place); those of the {'decrypted audio' if claimed else 'best guess'} do not ({after})"
            f"{', as in plain speech' if claimed else ', which a wrong key can achieve too'}."
        )
    return (
        f"The best key leaves the audio {after} stationary at the worst place of a block ({before} before, plain "
        "speech nearly 100 %): the scheme or the block size is another, the key changes, or there is too little speech."
    )


def _percent(share: float) -> str:
    """A share in percent, with a decimal where it is nearly all or nothing."""
    percent = 100 * share
    return f"{percent:.1f} %" if 99 < percent < 100 or 0 < percent < 1 else f"{percent:.0f} %"
