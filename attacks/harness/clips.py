"""Which clips attacks keep: of one trial of each attack, the victim's speech plain, encrypted and decrypted.

They hold what no attack may know. The harness makes them from the salt and the recovered key once an attack has ended,
and has them in memory alone until all attacks have (`wrongkey.evaluation.run_folder.media.kept_clips`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wrongkey.attacks.base import Attack, Case, Matrix
from wrongkey.attacks.harness.evidence import Trial, trial_of
from wrongkey.attacks.harness.salt import Salt
from wrongkey.attacks.harness.target import Target
from wrongkey.evaluation.clips import Spoken, begun, decrypted, encrypted, has_front_end, long_enough, original
from wrongkey.evaluation.run_folder.media import Row, row_of
from wrongkey.keys import draw_keys
from wrongkey.printable import printable

TRIAL = 0  # of each case
DRAWN = 16  # keys of which one is surely not the victim's, unless the scheme has no other


@dataclass(frozen=True, eq=False)
class Found:
    """What an attack returned in a trial: the recovered `key` of a case, and whether it counts as a success."""

    case: Case
    key: Matrix
    succeeded: bool


def to_keep(found: Sequence[Found]) -> Found:
    """The cheapest case that succeeded, or else the one with the most evidence."""
    if successes := [one for one in found if one.succeeded]:
        return min(successes, key=lambda one: _amounts(one.case))
    return max(found, key=lambda one: _amounts(one.case))


def row_of_attack(target: Target, salt: Salt, attack: Attack, found: Found) -> Row:
    """The clips of one utterance of the victim whose key an attack wanted."""
    trial, setting = trial_of(target, salt, attack, found.case, TRIAL), target.setting
    spoken = long_enough(
        Spoken(printable(utterance.id), query, setting.rate)
        for utterance, query in zip(trial.utterances, trial.queries, strict=True)
    )
    plain, cut = begun(spoken, setting.cut), setting.cut
    clips = [original(plain), encrypted(plain, trial.key, cut)]
    wrong = _wrong_key(target, trial)
    if wrong is not None:
        clips.append(decrypted(plain, trial.key, wrong, cut, "wrong key"))
    clips.append(decrypted(plain, trial.key, found.key, cut, "after the attack"))
    return row_of(
        clips,
        spoken.rate,
        attack=attack.name,
        given=str(found.case),
        voice=spoken.voice,
        corpus=printable(target.victims_corpus.name),
        recordings=target.victims_corpus.recordings,
        model=printable(target.model.name) if target.model else "",
        scheme=printable(target.scheme.name),
        blocks=cut.blocks.value,
        block_size=target.cut.block_size,
        front_end=target.model is not None and has_front_end(target.model),
        keyed=True,
    )


def _wrong_key(target: Target, trial: Trial) -> Matrix | None:
    """A random key that is not the victim's, whatever the sign; None where the scheme has no other.

    What the negative key decrypts sounds the same.
    """
    drawn = draw_keys(target.setting.scheme, target.setting.size, trial.seed, 0, DRAWN)
    same = trial.key, -trial.key
    return next((key for key in drawn if not any(np.array_equal(key, one) for one in same)), None)


def _amounts(case: Case) -> tuple[float, float, float]:
    """Seconds, known blocks and queries; what is not given counts as 0."""
    return case.seconds or 0.0, case.known_blocks or 0, case.queries or 0
