"""Speech out of encrypted recordings whose key nobody gives: the attacks from ciphertext alone, and what to believe.

The suite (`wrongkey.attacks.harness`) knows the truth and scores every answer. Here nobody does: the scheme is what a
user says, the block size too or what the ciphertext shows (`wrongkey.attacks.waveforms.block_size`), and both may be
wrong. So success is claimed only where an attack claims it *and* its key takes the structure of blocks out of the
recordings (`wrongkey.attacks.judgement`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lcm, log

import numpy as np
import torch
from numpy.typing import NDArray

from wrongkey.attacks.base import Case, CompleteAttack, Evidence, Matrix, Setting
from wrongkey.attacks.judgement import SETTINGS, Judgement, judge, overlap_of
from wrongkey.attacks.solvers.stable_linalg import GAVE_UP
from wrongkey.attacks.waveforms.block_size import DEFAULTS as PERIOD
from wrongkey.attacks.waveforms.block_size import Period, block_within, period_of
from wrongkey.attacks.waveforms.block_structure import BlockStructure, stationarity_by_size
from wrongkey.attacks.waveforms.whitened_speech import whitened
from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.windows import sends_windows
from wrongkey.keys import SecretKey, decrypt_query, get_scheme
from wrongkey.keys.derived import check_one_matrix
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.schemes import Group, Scheme
from wrongkey.keys.windows import Windows
from wrongkey.printable import listed

Waveform = NDArray[np.floating]


def _sample_order() -> CompleteAttack:
    from wrongkey.attacks.waveforms.sample_order import SampleOrder

    return SampleOrder()


def _sign_chain() -> CompleteAttack:
    from wrongkey.attacks.waveforms.sign_chain import SignChain

    return SignChain()


def _polyphase() -> CompleteAttack:
    """The suite asks whether the key is right; here, whether the audio is, but for weak bands that stay uncertain."""
    from wrongkey.attacks.waveforms.polyphase import Polyphase
    from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS

    return Polyphase(replace(DEFAULTS, agreed=AGREED))


def _signed_order() -> CompleteAttack:
    from wrongkey.attacks.waveforms.signed_order import SignedOrder

    return SignedOrder()


def _shared_samples() -> CompleteAttack:
    from wrongkey.attacks.waveforms.shared_samples import SharedSamples

    return SharedSamples()


def _block_pattern() -> CompleteAttack:
    from wrongkey.attacks.waveforms.block_pattern import ON_BASE, BlockPattern

    return BlockPattern(on_base={**ON_BASE, Group.ORTHOGONAL: _polyphase})


def _oblique_polyphase() -> CompleteAttack:
    from wrongkey.attacks.waveforms.oblique_polyphase import ObliquePolyphase

    return ObliquePolyphase()


def _whitened_prediction() -> CompleteAttack:
    from wrongkey.attacks.waveforms.whitened_prediction import WhitenedPrediction

    return WhitenedPrediction(AGREED, PREDICTED)


# Tried in this order, as far as they apply, until one succeeds: those that use more of a scheme's structure come first.
ATTACKS: tuple[Callable[[], CompleteAttack], ...] = (
    _block_pattern,
    _sample_order,
    _sign_chain,
    _signed_order,
    _polyphase,
    _oblique_polyphase,
    _whitened_prediction,
)
ON_WINDOWS: tuple[Callable[[], CompleteAttack], ...] = (_shared_samples,)  # windows that overlap are no blocks
AGREED = 0.98  # correlation: what two estimates of a key decrypt differs by at most 4 % of the energy
LARGEST = 128  # samples of a block: the largest that these attacks were measured at
PREDICTED = 12  # the same for linear prediction, which takes minutes from there on
CURVE = 40  # points of the curve of evidence, about


@dataclass(frozen=True)
class Attempt:
    """What one attack made of the recordings.

    Attributes
    ----------
    attack : str
        Its name.
    success_claimed : bool
        Whether its key is taken for the right one.
    evidence : tuple of str
        Why, or why not, in sentences.
    """

    attack: str
    success_claimed: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Recovered:
    """What attacks made of encrypted recordings, and how much of it to believe.

    Attributes
    ----------
    success_claimed : bool
        Whether the key is taken for the right one.
    evidence : tuple of str
        Why, or why not, in sentences.
    attack : str
        The attack that found the key.
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
    attempts : tuple of Attempt
        All attacks that were tried: those that found a key, then those that had too little to begin.
    period : int or None
        Samples after which the statistics of the ciphertext repeat; None where they do not.
    block_from_ciphertext : bool
        Whether the block size is from there.
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
    attempts: tuple[Attempt, ...]
    period: int | None
    block_from_ciphertext: bool


def recover(
    waveforms: Sequence[Waveform],
    rate: int,
    scheme: str | Scheme,
    block_size: int | None = None,
    *,
    seed: int = 0,
) -> Recovered:
    """Find the key of encrypted recordings from nothing but them, and decrypt them.

    Parameters
    ----------
    waveforms : sequence of ndarray
        Encrypted recordings of one voice under one key, each `(samples,)`, from the beginning of a block on.
    rate : int
        Samples per second of all of them; of the speech in them, where a scheme sends windows. Searches begin with what
        average speech is like at 16,000 a second.
    scheme : str or Scheme
        How the key was drawn.
    block_size : int, optional
        M, up to 128, of keys that multiply at least 2 samples together. By default the ciphertext shows it. Of blocks
        that are more than 128 samples together divisors may show alone, and all that it may be are tried.
    seed : int
        Of everything random in the attacks.

    Returns
    -------
    Recovered
        The best key, also where success is not claimed.

    Raises
    ------
    BadInput
        Where no attack applies, the recordings are silent or too short for it, or show no block size; for samples that
        are no finite real numbers, a rate that is not positive, a block size that is not whole, or a negative seed.

    Examples
    --------
    >>> from wrongkey.evaluation.corpora import load_audio, open_corpus
    >>> from wrongkey.keys import encrypt_query
    >>> key = SecretKey.from_seed("rom", 5, seed=0)
    >>> voice = [load_audio(one) for one in open_corpus("bundled").utterances[:2]]
    >>> found = recover([encrypt_query(one, key) for one in voice], 16_000, "rom")
    >>> found.success_claimed, found.key.block_size
    (True, 5)
    """
    check_input(waveforms, rate, block_size, seed)
    scheme = get_scheme(scheme)
    check_one_matrix(scheme, "to recover it")
    period = period_of(waveforms, rate, span=scheme.span)
    size = block_size if block_size is not None else _block_shown(period, scheme, waveforms)
    setting = Setting(scheme, KeyCut("samples", size).under(scheme).merged, float(rate))
    attacks, together = _attacks_on(setting), setting.block_size  # samples that the key multiplies together
    whole = [_whole_blocks(waveform, together) for waveform in waveforms]
    if not any(one.any() for one in whole):
        raise BadInput(f"The recordings hold no block of {together} samples that is not silent: give longer ones.")
    tried, refused = _tried(attacks, setting, size, whole, seed)
    if not sends_windows(scheme.name) and _contradicts(period.samples, together):
        tried = [replace(one, judged=replace(one.judged, contradicted=True)) for one in tried]
    best = max(
        tried, key=lambda one: (one.judged.believed, one.judged.structure.taken_away, one.judged.structure.after)
    )
    other = block_of(period, scheme)
    attempts = tuple(
        Attempt(one.attack, one.judged.believed, one.judged.sentences(None if other == size else other))
        for one in tried
    )
    chosen = attempts[tried.index(best)]
    evidence = [*chosen.evidence]
    if sends_windows(scheme.name) and not chosen.success_claimed:
        evidence.append("Windows that share no samples are blocks: name the scheme without +windows for them.")
    if block_size is None:
        evidence += _on_block_shown(period, waveforms, rate, scheme)
    evidence += [f"{one.attack} was tried too, and its key is not believed." for one in attempts if one is not chosen]
    evidence += [f"{one.attack} was tried too: {one.evidence[0]}" for one in refused]
    found = Recovered(
        success_claimed=chosen.success_claimed,
        evidence=tuple(evidence),
        attack=best.attack,
        key=best.key,
        plain=best.plain,
        structure=best.judged.structure,
        predictable=best.judged.predictable,
        measured=best.judged.recovery.measured,
        seconds=sum(map(len, whole)) / best.rate,
        attempts=(*attempts, *refused),
        period=period.samples,
        block_from_ciphertext=block_size is None,
    )
    if block_size is not None or found.success_claimed:
        return found
    return _in_longer_super_blocks(found, waveforms, rate, scheme, seed)


def _in_longer_super_blocks(
    found: Recovered, waveforms: Sequence[Waveform], rate: int, scheme: Scheme, seed: int
) -> Recovered:
    """What longer super-blocks give, whose own period is beyond those that are looked for: a divisor of it shows."""
    assert found.period is not None
    tried = []
    for times in range(2, scheme.span + 1):
        block, rest = divmod(times * found.period, scheme.span)
        if scheme.span % times or rest or times * found.period <= PERIOD.largest or block > LARGEST:
            continue
        try:
            other = recover(waveforms, rate, scheme, block, seed=seed)
        except BadInput:
            continue
        if other.success_claimed:
            said = (
                f"The block size is from the ciphertext: its statistics repeat every {found.period} samples, which is "
                f"as much as shows of {scheme.span} blocks of {block}."
            )
            return replace(other, evidence=(*other.evidence, said), block_from_ciphertext=True)
        tried.append(str(block))
    said = f"No key is believed with blocks of {listed(tried)} samples either."
    return replace(found, evidence=(*found.evidence, said)) if tried else found


def structure_curve(recovered: Recovered, waveforms: Sequence[Waveform], rate: int) -> tuple[list[int], Matrix, Matrix]:
    """The evidence as a curve: block sizes, and the stationarity in blocks of these sizes before and after decryption.

    waveforms, rate: as `recover` was given them.
    """
    size = recovered.key.size
    sizes = sorted({size, 2 * size, *np.linspace(2, max(2 * size + 2, 24), CURVE).round().astype(int).tolist()})
    before, after = (
        stationarity_by_size([torch.from_numpy(np.array(one, float)) for one in signals], sizes, rate, SETTINGS)
        for signals in (waveforms, recovered.plain)
    )
    return sizes, before, after


@dataclass(frozen=True)
class _Tried:
    """An attack, its key, what it decrypts, and how much of it to believe; rate: samples that were sent per second."""

    attack: str
    key: SecretKey
    plain: tuple[Waveform, ...]
    judged: Judgement
    rate: float


def check_input(waveforms: Sequence[Waveform], rate: float, block_size: int | None, seed: int) -> None:
    """Raise BadInput unless there are recordings, each of finite samples `(samples,)`, and these numbers are valid."""
    if not rate > 0:
        raise BadInput(f"The rate must be a number of samples per second, not {rate}.")
    if block_size is not None and not isinstance(block_size, int | np.integer):
        raise BadInput(f"The block size must be a whole number of samples, not {block_size!r}.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise BadInput(f"The seed must be a whole number from 0 up, not {seed!r}.")
    if not waveforms:
        raise BadInput("There is no recording: give at least one.")
    for number, one in enumerate(map(np.asarray, waveforms), start=1):
        if one.ndim != 1:
            raise BadInput(f"Recording {number} has the shape {one.shape}: give its samples alone, (samples,).")
        if one.dtype.kind not in "fiu":
            raise BadInput(f"Recording {number} holds {one.dtype}, and samples are real numbers.")
        if not np.isfinite(one).all():
            raise BadInput(f"Recording {number} holds samples that are not finite: repair it, or leave it out.")


def _attacks_on(setting: Setting) -> list[CompleteAttack]:
    """The attacks for a scheme and block size; BadInput where there is none."""
    size, scheme = setting.block_size, setting.scheme
    block = size // scheme.span
    if size < 2 or block > LARGEST:
        raise BadInput(f"Keys are recovered for blocks of 2 to {LARGEST} samples, not of {block}.")
    attacks = [make() for make in (ON_WINDOWS if sends_windows(scheme.name) else ATTACKS)]
    found = [attack for attack in attacks if applies(attack, setting)]
    if not found:
        smallest = replace(setting, cut=KeyCut("samples", 1 if scheme.span > 1 else 2).under(scheme).merged)
        beyond = [str(one.inapplicable(setting)) for one in attacks if applies(one, smallest)]
        if beyond:
            raise BadInput(beyond[0])
        kind = f"finitely many {scheme.group}" if scheme.finite(size) else str(scheme.group)
        raise BadInput(
            f"No attack here finds a key of {scheme.name} from ciphertext alone: its keys are {kind}, {size} x {size}."
        )
    return found


def applies(attack: CompleteAttack, setting: Setting) -> bool:
    """Whether an attack finds keys of this kind."""
    return attack.inapplicable(setting) is None and (attack.any_key or setting.scheme.orthogonal)


def _tried(
    attacks: Sequence[CompleteAttack], setting: Setting, block_size: int, whole: Sequence[Waveform], seed: int
) -> tuple[list[_Tried], list[Attempt]]:
    """What the attacks find in whole blocks, up to the first that succeeds, and those that have too little to begin.

    BadInput where all have.
    """
    tried: list[_Tried] = []
    refused: list[Attempt] = []
    ciphertext = tuple(torch.from_numpy(one) for one in whole if len(one))
    for attack in attacks:
        try:
            tried.append(_result(attack, Evidence(setting, Case(), seed, ciphertext=ciphertext), block_size, whole))
        except BadInput as error:
            refused.append(Attempt(attack.name, False, (str(error),)))
            continue
        except (ArithmeticError, np.linalg.LinAlgError, GAVE_UP) as error:  # of a singular matrix, say
            refused.append(Attempt(attack.name, False, (f"The attack broke down ({in_one_line(error)}).",)))
            continue
        if tried[-1].judged.believed:
            break
    if not tried:
        raise BadInput(refused[0].evidence[0])
    return tried, refused


def _result(attack: CompleteAttack, evidence: Evidence, block_size: int, whole: Sequence[Waveform]) -> _Tried:
    """What an attack finds, and what to believe of it."""
    recovery, setting = attack.run(evidence), evidence.setting
    scheme, size, rate = setting.scheme, setting.block_size, setting.rate
    stride = round(recovery.measured.get("step", 0)) if sends_windows(scheme.name) else 0
    if stride:  # the sound is then k / s times as long as the rate of speech says, which the attack could not know
        rate *= size / stride
        recovery = attack.run(replace(evidence, setting=replace(setting, rate=rate)))
    assert recovery.key is not None  # the attacks of the table want a key
    key = SecretKey.of(scheme, block_size, 1, recovery.key)
    decrypted = [decrypt_query(one, key) if len(one) else one for one in whole]
    white = whitened(scheme.name)
    if not stride:
        return _Tried(
            attack.name, key, tuple(decrypted), judge(recovery, whole, decrypted, size, rate, whitened=white), rate
        )
    join = Windows(size, stride).join
    sent, speech = (
        [join(torch.from_numpy(one)).numpy() for one in signals if len(one)] for signals in (whole, decrypted)
    )
    rows, windows = ([one.reshape(-1, size) for one in signals if len(one)] for signals in (whole, decrypted))
    overlap = overlap_of(rows, windows, stride)
    judged = judge(recovery, sent, speech, stride, setting.rate, whitened=white, overlap=overlap)
    plain = tuple(join(torch.from_numpy(one)).numpy() if len(one) else one for one in decrypted)
    return _Tried(attack.name, key, plain, judged, rate)


def _whole_blocks(waveform: Waveform, block_size: int) -> NDArray[np.float64]:
    return np.array(waveform[: len(waveform) // block_size * block_size], dtype=np.float64)


def block_of(period: Period, scheme: Scheme) -> int | None:
    """The block of a scheme whose super-blocks are the shortest with such a period; None where there is no period."""
    return None if period.samples is None else lcm(period.samples, scheme.span) // scheme.span


def _contradicts(period: int | None, together: int) -> bool:
    """Whether keys of so many samples cannot give the ciphertext such a period.

    Theirs divides the samples, and one that chance adds makes a multiple of them.
    """
    return period is not None and together % period != 0 and period % together != 0


def _block_shown(period: Period, scheme: Scheme, waveforms: Sequence[Waveform]) -> int:
    """The block size that the ciphertext shows; BadInput where it shows none."""
    block = block_of(period, scheme)
    if block is None:
        silent = not any(np.any(waveform) for waveform in waveforms)
        raise BadInput(
            "The recordings are silent: give recordings of encrypted speech."
            if silent
            else f"The recordings show no blocks of 2 to {LARGEST} samples, as plain speech, noise and the output of a "
            "stream cipher show none: give encrypted speech, more of it, or --block M to attack anyway."
        )
    return block


def _on_block_shown(period: Period, waveforms: Sequence[Waveform], rate: float, scheme: Scheme) -> list[str]:
    """How the block size was found, and which other schemes may have such a period, in sentences."""
    assert period.samples is not None
    chance = int(-period.chance / log(10))
    said = [
        f"The block size is from the ciphertext: its statistics repeat every {period.samples} samples, and without a "
        f"period they look so with a probability below 1e-{chance}."
    ]
    if scheme.group is Group.ORTHOGONAL and scheme.span == 1 and not sends_windows(scheme.name):
        block = block_within(waveforms, period.samples, rate)
        if block is not None and block > 1:
            count = period.samples // block
            said.append(
                f"The energy of blocks of {block} samples is not seen to depend on their place among {count}: they may "
                f"be those of {scheme.name}+turns={count}, +signs={count} or +order={count} with --block {block}."
            )
    return said
