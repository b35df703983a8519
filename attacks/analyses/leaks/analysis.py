"""What anyone can measure in ciphertext alone, whatever the scheme.

An orthogonal key keeps the energy of every block and the eigenvalues of every covariance. From these follow

energy: correlation of the energy contour (dB, every 20 ms) of a ciphertext with that of the plain waveform;
activity: agreement of an energy-based speech detector on ciphertext and on plain speech, as balanced accuracy in
    percent;
rhythm: correlation of the two contours' modulation spectra from 1 to 16 Hz, where syllables are;
rate: difference in Hz of the centroids of the two modulation spectra;
linkability: EER in percent of telling two ciphertexts of one speaker from two of different speakers (of one gender
    where genders are known) by `linkability.speaker_features`. Condition "one key": all utterances are under one key,
    which then is a fixed, unknown front end. Condition "a key each": every utterance has its own, and only what no key
    changes is used;
eer, wer: of public models that hear encrypted waveforms as they are, where such models are named; the EER is of pairs
    of ciphertexts under one key. cer takes the place of wer where spaces do not mark words.

Conditions of contours are "encrypted", and "chance": an encrypted utterance's contour against another utterance's plain
one, which is what no leak would give. What models hear has the condition "plain" too, without encryption. Linkability
and EER are measured again on the quietest fifth of every recording (conditions "one key, quietest fifth" and so on).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from wrongkey.attacks.analyses.base import Findings, Progress
from wrongkey.attacks.analyses.leaks.contours import contour_rows, query_of
from wrongkey.attacks.analyses.leaks.linkability import linkability_rows, linked_utterances, parts_of, sentences
from wrongkey.attacks.analyses.leaks.media import write_media
from wrongkey.attacks.analyses.leaks.public_models import over_keys, recogniser_rows, speaker_rows
from wrongkey.attacks.analyses.quietest import holds_blocks
from wrongkey.attacks.analyses.speech import COLUMNS, Rows, SpeechAnalysis
from wrongkey.attacks.harness.listeners import chosen
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

BLOCK_SIZES = (3, 10, 32)
LARGEST_TILE = 32  # bins; a larger tile is a good part of the spectrum, and its key of N = M² elements a large matrix


@dataclass(frozen=True, kw_only=True)
class Leaks(SpeechAnalysis):
    """What encrypted speech shows without a key.

    Contours, and what a recogniser hears, are of `utterances` of the corpus, each under its own key. Linkability is of
    up to 40 speakers with 3 utterances each, where speakers are known. Tiles are those of the magnitude spectrogram, up
    to LARGEST_TILE bins.

    Attributes
    ----------
    blocks : sequence of Blocks or str
        The kinds of blocks.
    linkability : bool
        Whether linkability is measured, which takes most of the time.
    """

    name: ClassVar[str] = "leaks"

    blocks: Sequence[Blocks | str] = (Blocks.SAMPLES, Blocks.TILES)
    linkability: bool = True

    def run(self, out: Path | None = None, progress: Progress | None = None) -> Findings:
        """One row per blocks, scheme, block size, condition, utterance and metric, with the columns of `COLUMNS`.

        The ciphertexts of the first utterance go to `media/leaks` of the run folder `out`, if there is one. Raises
        BadInput for unknown blocks or models, and for a recogniser where utterances have no transcript.
        """
        block_sizes = self.block_sizes or BLOCK_SIZES
        used = chosen(self.corpus, self.utterances)
        linked = linked_utterances(self.corpus) if self.linkability or self.speaker_model else []
        speech, parts = list(map(self.waveform, used)), parts_of(list(map(self.waveform, linked)))
        rows, kinds = Rows(), list(map(Blocks.named, self.blocks))
        step = _steps(self._work(kinds, block_sizes), progress)
        for blocks in kinds:
            sizes = _sizes(blocks, block_sizes)
            queries = [query_of(waveform, blocks) for waveform in speech]
            heard = parts if self.linkability else {}
            to_link = {part: [query_of(waveform, blocks) for waveform in some] for part, some in heard.items()}
            for scheme in self.schemes:
                for cut in (KeyCut(blocks, size) for size in sizes):
                    of_cut = contour_rows(speech, queries, used, scheme, cut, self.seed)
                    for part, some in to_link.items():
                        if not part or all(holds_blocks(query, cut) for query in some):
                            of_cut += linkability_rows(some, linked, scheme, cut, self.seed, part)
                    labels = {"blocks": cut.blocks.value, "scheme": scheme, "block_size": cut.block_size}
                    rows += [{**row, **labels} for row in of_cut]
                    step()
            if out is not None:
                write_media(out / "media" / self.name, used[0], queries[0], blocks, self.schemes, sizes, self.seed)
        keys = over_keys(self.schemes, block_sizes)
        if self.speaker_model is not None:
            rows += speaker_rows(parts, linked, keys, self.seed, self.speaker_model)
            step()
        if self.recogniser is not None:
            rows += recogniser_rows(speech, used, keys, self.seed, self.recogniser, self.text)
            step()
        table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("experiment", "method")])
        table["experiment"], table["method"] = self.name, ""
        table = table[list(COLUMNS)]
        return Findings(table, {**self.about(), "sentences": sentences(table, self.corpus)})

    def _work(self, kinds: Sequence[Blocks], block_sizes: Sequence[int]) -> int:
        """How many steps there are: every scheme and block size of every kind of blocks, and every model."""
        cuts = sum(len(_sizes(blocks, block_sizes)) for blocks in kinds)
        return cuts * len(self.schemes) + sum(model is not None for model in (self.speaker_model, self.recogniser))


def _sizes(blocks: Blocks, block_sizes: Sequence[int]) -> list[int]:
    return [size for size in block_sizes if blocks is not Blocks.TILES or size <= LARGEST_TILE]


def _steps(total: int, progress: Progress | None) -> Callable[[], None]:
    """A function to call after every step; the first report, of none, is made here."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    if progress:
        progress(0, total)
    return step
