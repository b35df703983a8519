"""Who is a victim and who is a background speaker: the corpus is split by speaker, and nobody is both.

Every second speaker is a background speaker unless a corpus of background speech is named. Recordings of a corpus that
names no speakers are split round-robin into `PSEUDO_SPEAKERS` pseudo-speakers.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import cast

from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Recordings, Utterance, duration, open_corpus

PSEUDO_SPEAKERS = 20
FEWEST = 4  # speakers that can be split, two of each kind

Speakers = dict[str, tuple[Utterance, ...]]


def victims_and_background(config: AttackConfig) -> tuple[Corpus, Corpus]:
    """The corpora of the victims and of the background speakers.

    Raises BadInput where a speaker or a recording would be in both, and where there are too few speakers to split.
    """
    recordings = cast(Recordings | None, config.recordings)
    corpus = _opened(config.corpus, config.only, recordings)
    if config.background is None:
        return _alternate(corpus)
    background = _opened(config.background, config.background_only, recordings)
    _check_apart(corpus, background)
    return corpus, background


def by_speaker(corpus: Corpus) -> Speakers:
    """Utterances of every speaker, or pseudo-speaker, in the order of the corpus."""
    speakers: dict[str, list[Utterance]] = {}
    for number, utterance in enumerate(corpus.utterances):
        # Result files and the order of the victims hold the name of a pseudo-speaker: it stays "hand".
        speakers.setdefault(utterance.speaker or f"hand {number % PSEUDO_SPEAKERS}", []).append(utterance)
    return {name: tuple(utterances) for name, utterances in speakers.items()}


def in_drawn_order(speakers: Speakers, seed: int) -> tuple[tuple[str, tuple[Utterance, ...]], ...]:
    """Name and utterances of every speaker, in an order drawn with `seed`: a corpus may be sorted."""

    def drawn(speaker: tuple[str, tuple[Utterance, ...]]) -> bytes:
        return blake2b(f"{seed}/{speaker[0]}".encode("utf-8", "surrogateescape")).digest()

    return tuple(sorted(speakers.items(), key=drawn))


def some_of_each(corpus: Corpus, seconds: float) -> tuple[Utterance, ...]:
    """The first utterance of every speaker, then the second, until there are `seconds` of speech."""
    speakers = list(by_speaker(corpus).values())
    chosen, total = [], 0.0
    for turn in range(max(map(len, speakers))):
        for utterances in speakers:
            if turn < len(utterances) and total < seconds:
                chosen.append(utterances[turn])
                total += duration(utterances[turn])
    return tuple(chosen)


def _opened(spec: str, listed: str | None, recordings: Recordings | None) -> Corpus:
    corpus = open_corpus(spec, recordings)
    return corpus.only_listed(Path(listed)) if listed else corpus


def _alternate(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """The first speaker is a victim, the second a background speaker, and so on."""
    speakers = list(by_speaker(corpus).values())
    if len(speakers) < FEWEST:
        raise BadInput(
            f"{corpus.name} has {len(speakers)} speakers, too few to split into victims and background speakers: name "
            "other people's speech with --background CORPUS."
        )
    victims, background = speakers[::2], speakers[1::2]
    return _corpus_of(corpus, victims), _corpus_of(corpus, background)


def _corpus_of(corpus: Corpus, speakers: list[tuple[Utterance, ...]]) -> Corpus:
    return corpus.only([utterance.id for utterances in speakers for utterance in utterances])


def _check_apart(victims: Corpus, background: Corpus) -> None:
    if both := set(victims.speakers) & set(background.speakers):
        raise BadInput(f"Speaker {min(both)} is a victim and in --background too: name a corpus of other people.")
    if shared := _files(victims) & _files(background):
        raise BadInput(f"{min(shared)} is a victim's recording and in --background too: name another corpus.")


def _files(corpus: Corpus) -> set[Path]:
    return {utterance.path.resolve() for utterance in corpus.utterances}
