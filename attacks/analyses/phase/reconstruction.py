"""Phase reconstruction of encrypted spectrograms (paper, section IV-C, Fig. 8), in numbers.

Each utterance's spectrogram is encrypted under a key of its own by every scheme and block size. Speech is reconstructed
by PGHI and by fast Griffin-Lim from the plain spectrogram, from the one decrypted with an incorrect key, and from the
ciphertext itself, and is scored against the plain speech. Rows have the columns `COLUMNS`; `value` is

spectral_convergence: dB, `20 log10 ‖|G x| - s‖ / ‖s‖` of the reconstruction x and the plain magnitude s; silence scores
    0, and lower is nearer.
consistency: the same against the magnitude that the method was given: how well it did its own work.
stoi, pesq: intelligibility 0 to 1, and wide-band quality 1 to 4.6 (where `pesq` is installed).
errors, words: of an utterance's transcript; wer: in percent, pooled over `utterance` "all". Where spaces do not mark
    words: errors, characters; cer.
eer: in percent, of reconstructions against their speakers' voices (`listeners.voice_eer`), `utterance` "all".
deviation: largest difference between plain and correctly decrypted spectrogram, relative to the largest magnitude.

The condition "energies" is what no orthogonal key hides: every element of a block is its root mean square, which is the
same in plain and encrypted magnitudes whatever the scheme.

The correct key gives the plain spectrogram back, within `EXACT`; its rows then repeat the plain ones instead of being
computed a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from wrongkey.attacks.analyses.base import Findings, Progress
from wrongkey.attacks.analyses.phase.cases import EXACT, Deviations, MagnitudeCase, decryptions, encrypted_cases
from wrongkey.attacks.analyses.phase.gabor import Gabor, TorchGabor, open_gabor
from wrongkey.attacks.analyses.phase.griffin_lim import griffin_lim
from wrongkey.attacks.analyses.phase.media import write_decryptions, write_media
from wrongkey.attacks.analyses.phase.pghi import pghi
from wrongkey.attacks.analyses.phase.scores import Listening, Original, pooled, scored
from wrongkey.attacks.analyses.phase.spectrograms import Scale
from wrongkey.attacks.analyses.speech import COLUMNS, Rows, SpeechAnalysis
from wrongkey.attacks.harness.listeners import chosen, open_listener
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.tasks.asr import error_rate_of
from wrongkey.evaluation.tasks.text import normaliser
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

METHODS = ("pghi", "griffin-lim")
BLOCK_SIZES = (3, 5, 10)
ROWS = 8  # spectrograms that Griffin-Lim works on at a time: more do not fit a cache


@dataclass(frozen=True, kw_only=True)
class PhaseReconstruction(SpeechAnalysis):
    """Speech reconstructed from plain and encrypted spectrograms.

    Utterance i has the correct key of `seed` + i, and the first incorrect key of that seed.

    Attributes
    ----------
    blocks : Blocks or str
        Tiles or frames.
    scale : {"magnitude", "log"}
        What is encrypted (`spectrograms`).
    methods : sequence of str
        Some of METHODS.
    iterations : int
        Iterations of Griffin-Lim.
    transcribed : int or None
        Utterances that the recogniser hears, which takes longest; all by default.

    Raises
    ------
    BadInput
        For an unknown method, and for blocks that do not cut spectrograms.
    """

    name: ClassVar[str] = "phase"

    blocks: Blocks | str = Blocks.TILES
    scale: Scale = "magnitude"
    methods: Sequence[str] = METHODS
    iterations: int = 50
    transcribed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = [method for method in self.methods if method not in METHODS]
        if unknown:
            raise BadInput(
                f"There is no method {unknown[0]!r} of phase reconstruction: choose from {', '.join(METHODS)}."
            )
        if Blocks.named(self.blocks) is Blocks.SAMPLES:
            raise BadInput("Phase reconstruction needs spectrograms: blocks are tiles or frames, not samples.")

    def run(self, out: Path | None = None, progress: Progress | None = None) -> Findings:
        """One row per case, method, utterance and metric, with the columns of `COLUMNS`.

        The first utterance's reconstructions (.wav), magnitudes (.npz, dB) and decryptions go to `media/phase` of the
        run folder `out`, if there is one. Raises BadInput for unknown models, and for utterances without transcript
        where a recogniser is named.
        """
        used, gabor, rows = chosen(self.corpus, self.utterances), open_gabor(), Rows()
        listening = self._listening(used)
        if progress:
            progress(0, len(used))
        for number, utterance in enumerate(used):
            plain = self.waveform(utterance)
            magnitude = TorchGabor(gabor.lattice).analyse(plain).abs()
            original = Original(utterance, number, plain, magnitude)
            cases, deviations = self._cases(original, gabor)
            reconstructions = reconstructed(cases, gabor, len(plain), self.methods, self.iterations)
            own = [
                {**case.labels, "method": method, **row}
                for (case, method), signal in reconstructions.items()
                for row in scored(case, method, signal, original, listening, gabor)
            ]
            own += [{**labels, "method": "", "metric": "deviation", "value": value} for labels, value in deviations]
            own += _repeated(own, deviations)
            rows += [{"utterance": utterance.id, **row} for row in own]
            if out is not None and number == 0:
                write_media(out / "media" / self.name, utterance, plain, reconstructions, gabor)
                self._write_decryptions(out / "media" / self.name, original, gabor)
            if progress:
                progress(number + 1, len(used))
        rows += pooled(rows, listening, self.corpus, used, self.channels)
        table = pd.DataFrame(rows)
        table["experiment"], table["blocks"] = f"{self.name} {self.scale}", Blocks.named(self.blocks).value
        return Findings(table[list(COLUMNS)], self.about())

    @property
    def _cuts(self) -> list[KeyCut]:
        return [KeyCut(Blocks.named(self.blocks), block_size) for block_size in self.block_sizes or BLOCK_SIZES]

    def _cases(self, original: Original, gabor: Gabor) -> tuple[list[MagnitudeCase], Deviations]:
        seed = self.seed + original.number
        return encrypted_cases(original.magnitude, self.schemes, self._cuts, seed, self.scale, gabor.lattice)

    def _write_decryptions(self, folder: Path, original: Original, gabor: Gabor) -> None:
        """What decryption with keys of several kinds shows, for every scheme and block size."""
        for scheme, each in product(self.schemes, self._cuts):
            pictures = decryptions(original.magnitude, scheme, each, self.seed, self.scale, gabor.lattice)
            write_decryptions(folder, original.utterance, scheme, each.block_size, pictures)

    def _listening(self, used: Sequence[Utterance]) -> Listening:
        """The models that are named, and what of the speech they hear."""
        transcribed = used if self.transcribed is None else used[: self.transcribed]
        listening = Listening(
            open_listener(self.recogniser, "asr") if self.recogniser else None,
            open_listener(self.speaker_model, "asv") if self.speaker_model else None,
            self.text,
            len(used) if self.transcribed is None else self.transcribed,
        )
        if listening.recogniser is None:
            return listening
        silent = [utterance.id for utterance in transcribed if utterance.text is None]
        if silent:
            raise BadInput(f"Utterance {silent[0]} of {self.corpus.name} has no transcript: leave the recogniser out.")
        normal = normaliser(self.text)
        listening.metric = error_rate_of([normal(utterance.text or "") for utterance in transcribed])
        return listening


def reconstructed(
    cases: Sequence[MagnitudeCase], gabor: Gabor, samples: int, methods: Sequence[str], iterations: int
) -> dict[tuple[MagnitudeCase, str], Tensor]:
    """Speech `(samples,)`, float64, of every case by every method."""
    signals: dict[tuple[MagnitudeCase, str], Tensor] = {}
    if "pghi" in methods:
        signals |= {(case, "pghi"): pghi(case.magnitude, gabor, samples) for case in cases}
    if "griffin-lim" in methods:
        batched = TorchGabor(gabor.lattice)
        for start in range(0, len(cases), ROWS):
            some = cases[start : start + ROWS]
            magnitudes = torch.stack([case.magnitude for case in some]).float()
            batch = griffin_lim(magnitudes, batched, samples, iterations=iterations).double()
            signals |= {(case, "griffin-lim"): signal for case, signal in zip(some, batch, strict=True)}
    return signals


def _repeated(rows: Rows, deviations: Deviations) -> Rows:
    """The plain rows under the labels of correct keys that gave the plain spectrogram."""
    plain = [row for row in rows if row["condition"] == "plain"]
    return [{**row, **labels} for labels, deviation in deviations if deviation <= EXACT for row in plain]
