"""Speakers that several utterances enrol: which ones, from the lists that lie beside trials.

Trials of Kaldi's SRE recipes, of VoicePrivacy (evaluation plan 2024, section on ASV) and of CN-Celeb (Fan et al. 2020,
`eval/lists`) name a speaker, or a model, where VoxCeleb's name an utterance. What is compared is the mean of the
embeddings of its enrolment utterances, each scaled to unit length (`wrongkey.evaluation.tasks.asv`). Which utterances
these are, the first of these says:

1. what `enrolment.txt` beside the trials says, as wrongkey writes it: `model<TAB>utterance<TAB>utterance…`;
2. what one of the `LISTS` says, beside the trials or in the corpus' folder: `enrolls` of VoicePrivacy (an utterance a
   line, enrolled under its speaker), `enroll.lst` and `enroll.map` of CN-Celeb, `spk2utt` of a Kaldi folder of
   enrolments (a model and its utterances a line; the corpus' own `spk2utt` lists all utterances, and is not read);
3. else all utterances of the speaker that no trial tests.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.corpus import Corpus, first_three
from wrongkey.evaluation.corpora.ids import Names, composed
from wrongkey.evaluation.corpora.text_files import read_lines

ENROLMENT = "enrolment.txt"
LISTS = ("enrolls", "enroll.lst", "enroll.map", "spk2utt")


@dataclass(frozen=True)
class Model:
    """A speaker as enrolled: the name that trials give it, and the indices of its utterances."""

    name: str
    utterances: tuple[int, ...]


def resolve_enrolment(
    wanted: Sequence[str], path: Path, corpus: Corpus, names: Names, tested: Collection[int]
) -> tuple[dict[str, int | None], tuple[Model, ...]]:
    """What each name of the enrolment side of the trials in `path` stands for, and the models among them.

    An index below `len(corpus)` is an utterance, one from there on a model, None what is neither. `tested` are the
    indices of utterances that some trial tests. Raises `BadInput` where a list enrols by utterances that the corpus
    lacks, by those of several speakers, or only some of the speakers, and where all of a speaker are tested.
    """
    own = path.with_name(ENROLMENT)
    listed = _read(own, corpus, names, wanted) if own.is_file() else {}
    found = {name: None if composed(name) in listed else names.exactly(name) for name in wanted}
    others = [name for name, position in found.items() if position is None]
    listed = listed or _first_list(others, path, corpus, names)
    speakers = _untested(corpus, tested)
    models: list[Model] = []
    for name in others:
        members = listed.get(composed(name), speakers.get(composed(name)))
        if members is None:
            found[name] = names.find(name)
            continue
        if not members:
            raise BadInput(
                f"{path} enrols speaker {name} and tests all of their utterances: list those that enrol, one a line, "
                f"in a file named {LISTS[0]} beside it."
            )
        found[name] = len(corpus) + len(models)
        models.append(Model(name, tuple(sorted(set(members)))))
    return found, tuple(models)


def _untested(corpus: Corpus, tested: Collection[int]) -> dict[str, list[int]]:
    """Utterances of each speaker that no trial tests."""
    found: dict[str, list[int]] = {}
    for position, utterance in enumerate(corpus.utterances):
        of_speaker = found.setdefault(composed(utterance.speaker), [])
        if position not in tested:
            of_speaker.append(position)
    return found


def _first_list(wanted: Sequence[str], path: Path, corpus: Corpus, names: Names) -> dict[str, list[int]]:
    """Models of the first list that has those that are wanted, and whose utterances the corpus has; else none."""
    refused: list[BadInput] = []
    for file in _lists(path, corpus) if wanted else ():
        try:
            models = _read(file, corpus, names, wanted)
        except BadInput as error:
            refused.append(error)
            continue
        speakers = set(map(composed, corpus.speakers))
        lacking = [name for name in wanted if composed(name) not in models and composed(name) in speakers]
        if models and lacking:
            raise BadInput(f"{file} enrols others and not {first_three(lacking)}, whom {path} names: add them there.")
        if models:
            return models
    if refused and any(names.find(name) is None for name in wanted):
        raise refused[0]
    return {}


def _lists(path: Path, corpus: Corpus) -> Iterator[Path]:
    for folder in dict.fromkeys((path.parent, corpus.root)):
        for name in LISTS:
            whole = name == "spk2utt" and os.path.realpath(folder) == os.path.realpath(corpus.root)
            if not whole and (folder / name).is_file():
                yield folder / name


def _read(file: Path, corpus: Corpus, names: Names, wanted: Sequence[str]) -> dict[str, list[int]]:
    """Those models of a list that are wanted, by their names in composed characters, with their utterances."""
    asked = set(map(composed, wanted))
    models: dict[str, list[int]] = {}
    unknown: list[str] = []
    for line in read_lines(file):
        for name, utterance in _entries(line, file, names):
            position = names.find(utterance)
            if name is None and position is not None:
                name = corpus.utterances[position].speaker
            if name is not None and composed(name) not in asked:
                continue
            if position is None:
                unknown.append(utterance)
            elif name is not None:
                models.setdefault(composed(name), []).append(position)
    if unknown:
        raise BadInput(
            f"{file} enrols by utterances that corpus {corpus.name} lacks, {first_three(unknown)}"
            f"{names.why(unknown[0])}: add them to the corpus, or remove them there."
        )
    for name, members in models.items():
        if len({corpus.utterances[i].speaker for i in members}) > 1:
            raise BadInput(
                f"{file} enrols {name} by utterances of several speakers: check it and the corpus' speakers."
            )
    return models


def _entries(line: str, file: Path, names: Names) -> list[tuple[str | None, str]]:
    """Pairs of model and utterance in a line; a line that is an utterance has no model."""
    row = [field for field in (line.split("\t") if "\t" in line.strip() else line.split()) if field.strip()]
    if len(row) == 1 or (row and names.exactly(line) is not None):
        return [(None, line.strip())]
    if row and file.name == LISTS[0] and names.exactly(row[0]) is not None:  # what follows is something about it
        return [(None, row[0])]
    return [(row[0], utterance) for utterance in row[1:]]
