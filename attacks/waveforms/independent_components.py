"""The attack `independent-components`: a ROM key from moments beyond the second, where speech was whitened.

Whitened speech is impulsive, so a block has independent components. FastICA finds them in ciphertext, up to their order
and signs, and in plain speech that was prepared in the same way (`wrongkey.attacks.waveforms.component_matching`). That
gives a key near the right one; nearby lies one under which moments do not depend on the place in a block
(`wrongkey.attacks.waveforms.stationary_moments`).

Each half of the ciphertext is attacked for itself, with starts of its own: keys that have nothing to do with speech do
not agree. Agreement is not yet success. A filter leaves moments stationary too, and a key that turns the sign of a band
of frequencies comes near to one; what tells it from the right key differs from voice to voice. It sounds the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from wrongkey.attacks.base import AttackDefaults, BackgroundSpeech, Case, Evidence, Matrix, Recovery, Setting, Threat
from wrongkey.attacks.waveforms.agreement import agreement_of
from wrongkey.attacks.waveforms.component_matching import Components, matched
from wrongkey.attacks.waveforms.continuum import no_continuum
from wrongkey.attacks.waveforms.fast_ica import level
from wrongkey.attacks.waveforms.independent_components_settings import DEFAULTS, IndependentComponentsSettings
from wrongkey.attacks.waveforms.lag_covariances import block_rows
from wrongkey.attacks.waveforms.learned_once import LearnedOnce
from wrongkey.attacks.waveforms.stationary_moments import Misfit
from wrongkey.errors import BadInput
from wrongkey.keys.blocks import Blocks

SECONDS = (10.0, 25.0)  # of ciphertext
BANDS = "Two halves of the ciphertext have nearly the same key, but it may turn the sign of a band of frequencies."


class IndependentComponents(AttackDefaults):
    """FastICA, matched with prepared background speech, then stationary moments."""

    name = "independent-components"
    family = 5
    threat = Threat(
        "Holds seconds of one victim's encrypted waveforms, and plain speech of others, which they can prepare as "
        "victims do.",
        frozenset({"ciphertext", "other speech"}),
    )

    def __init__(self, settings: IndependentComponentsSettings = DEFAULTS) -> None:
        self.settings = settings
        self._public = LearnedOnce(partial(public_components, settings=settings))

    def inapplicable(self, setting: Setting) -> str | None:
        """Only waveforms, small blocks, and schemes whose keys form a continuum."""
        if setting.blocks is not Blocks.SAMPLES:
            return f"This attack is for blocks of waveform samples, not for {setting.blocks} of spectrograms."
        if not 2 <= setting.size <= self.settings.largest:
            return f"This attack takes blocks of 2 to {self.settings.largest} samples, not of {setting.size}."
        return no_continuum(setting)

    def cases(self, setting: Setting) -> Sequence[Case]:
        """10 and 25 seconds of ciphertext."""
        return [Case(seconds=seconds) for seconds in SECONDS]

    def run(self, evidence: Evidence) -> Recovery:
        """The key under which all moments are most stationary, from the keys of two halves.

        Failure is admitted where these disagree, or the moments of the ciphertext were hardly less stationary. Success
        is never claimed. measured: `agreement` of the halves and `left`, the share of the ciphertext's misfit that the
        key leaves. Raises BadInput where the ciphertext is silent or too short, or evidence is missing.
        """
        settings = self.settings
        if evidence.background is None or not evidence.background.queries or not evidence.ciphertext:
            raise BadInput("This attack needs ciphertext, and speech of background speakers to compare it with.")
        public = self._public(evidence.background, evidence.setting)
        rows = block_rows(evidence.ciphertext, evidence.setting.block_size)
        halves = [
            recovered(half, public, evidence.seed + number, settings)
            for number, half in enumerate(halves_of_each(rows))
        ]
        misfit = Misfit(level(rows, settings), settings.descent_steps)
        ends = [misfit.descended(key) for key in halves]
        key = min(ends, key=misfit.of)
        agreement = agreement_of(halves[0], halves[1], rows)
        left = misfit.of(key) / max(misfit.of(np.eye(len(key))), 1e-300)
        found = agreement >= settings.agreed and left <= settings.left
        return Recovery(
            key,
            success_claimed=None if found else False,
            objective=misfit.of(key),
            measured={"agreement": agreement, "left": left},
            note=BANDS if found else "",
        )


def public_components(
    background: BackgroundSpeech, setting: Setting, settings: IndependentComponentsSettings
) -> Components:
    """The components of prepared background speech, of queries spread over all speakers."""
    queries = background.as_users
    samples = sum(query.shape[-1] for query in queries)
    every = max(1, int(samples / (settings.public_seconds * setting.rate)))
    return Components.of(block_rows(queries[::every], setting.block_size), 0, settings)


def recovered(
    sequences: Sequence[Matrix], public: Components, seed: int, settings: IndependentComponentsSettings
) -> Matrix:
    """The key `(N, N)` of encrypted block rows `(t, N)`."""
    misfit = Misfit(level(sequences, settings), settings.descent_steps)
    keys = matched(Components.of(sequences, seed, settings), public, seed, settings)
    ends = [misfit.descended(key) for key in sorted(keys, key=misfit.of)[: settings.descended]]
    return min(ends, key=misfit.of)


def halves_of_each(sequences: Sequence[Matrix]) -> tuple[list[Matrix], list[Matrix]]:
    """The first and the second half of each sequence of block rows."""
    return [rows[: len(rows) // 2] for rows in sequences], [rows[len(rows) // 2 :] for rows in sequences]
