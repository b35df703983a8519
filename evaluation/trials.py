"""Verification trials: pairs of utterances by one speaker (target) or by two (nontarget).

File format, as published with VoxCeleb: one trial a line, `1 enrolment test` for a target, `0 enrolment test`
for a nontarget. `target` and `nontarget` may stand for 1 and 0, also at the end of the line, as in Kaldi.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.corpora.corpus import Corpus, Utterance, first_three
from evaluation.corpora.files import AUDIO_SUFFIXES
from keys.errors import BadInput

Indices = NDArray[np.int64]

LABELS = {"1": True, "0": False, "target": True, "nontarget": False}


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials over the utterances `ids`: exactly those that some trial uses, in corpus order.

    `enrolment` and `test` are indices into `ids`, `target` says which trials are same-speaker; all three have
    shape (trials,). `speaker` (ids,) is the index of each utterance's speaker into `speakers`. `source` says
    where the trials come from. Raises `BadInput` without a target or a nontarget: no error rate exists then.
    """

    ids: tuple[str, ...]
    enrolment: Indices
    test: Indices
    target: NDArray[np.bool_]
    speaker: Indices
    speakers: tuple[str, ...]
    source: str

    def __post_init__(self) -> None:
        if self.target.all() or not self.target.any():
            raise BadInput(
                f"{self.source} has {self.targets} same-speaker and {self.nontargets} different-speaker "
                "trials: error rates need at least one of each"
            )

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return f"Trials({self.targets} target, {self.nontargets} nontarget, {len(self.ids)} utterances)"

    @property
    def targets(self) -> int:
        return int(self.target.sum())

    @property
    def nontargets(self) -> int:
        return len(self) - self.targets

    @cached_property
    def enrolment_speaker(self) -> Indices:
        """Speaker index of each trial's enrolment utterance, (trials,): for bootstraps over speakers."""
        return self.speaker[self.enrolment]

    @cached_property
    def test_speaker(self) -> Indices:
        """Speaker index of each trial's test utterance, (trials,)."""
        return self.speaker[self.test]

    def utterances(self, corpus: Corpus) -> tuple[Utterance, ...]:
        """The utterances to embed, in the order of `ids`."""
        return tuple(corpus.by_id[id] for id in self.ids)

    def lines(self) -> Iterator[str]:
        """The trials in VoxCeleb's format."""
        for enrolment, test, target in zip(self.enrolment, self.test, self.target, strict=True):
            yield f"{int(target)} {self.ids[enrolment]} {self.ids[test]}"

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the trials as `write_trials` writes them."""
        digest = hashlib.sha256()
        for line in self.lines():
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def write_trials(path: Path | str, trials: Trials) -> None:
    """Write trials in VoxCeleb's format; `read_trials` reads the same trials back."""
    Path(path).write_text("".join(f"{line}\n" for line in trials.lines()), encoding="utf-8")


def read_trials(path: Path | str, corpus: Corpus) -> Trials:
    """Trials from a file, their utterances looked up in `corpus`, with or without an audio extension.

    Raises `BadInput` for a malformed line (by its number), utterances that the corpus lacks (the first, and
    how many), and labels that contradict the corpus' speakers.
    """
    path = Path(path)
    index = _index(corpus)
    labels, enrolment, test = [], [], []
    unknown: dict[str, None] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        label, *pair = _parsed(line, path, number)
        labels.append(LABELS[label])
        unknown |= {id: None for id in pair if id not in index and _bare(id) not in index}
        if not unknown:
            first, second = (index[id] if id in index else index[_bare(id)] for id in pair)
            enrolment.append(first)
            test.append(second)
    if not labels:
        raise BadInput(f"{path} holds no trials: write one '1 enrolment test' a line")
    if unknown:
        raise BadInput(
            f"{path} names utterances that corpus {corpus.name} lacks, {len(unknown)} of them, "
            f"{next(iter(unknown))} first: give the corpus that the trials were made for"
        )
    return _trials(corpus, np.array(enrolment), np.array(test), np.array(labels), str(path))


def generate_trials(corpus: Corpus, seed: int = 0, same_gender: bool = False, nontarget_per_target: int = 1) -> Trials:
    """Every same-speaker pair, and `nontarget_per_target` times as many different-speaker pairs.

    Different-speaker pairs are drawn with `seed`, uniformly and without repetition; where fewer exist, all
    are taken. `same_gender` draws them within a gender: the harder test. Raises `BadInput` for fewer than two
    speakers, no speaker with two utterances, genders that are needed but unknown, and no different-speaker
    pair.

    Utterances are sorted by gender and speaker, so that the partners of each are a contiguous range: pairs
    are numbered without being listed, and a hundred thousand utterances pose no problem.
    """
    if nontarget_per_target < 1:
        raise BadInput(f"nontargets per target must be 1 or more, not {nontarget_per_target}")
    speakers = np.array([u.speaker for u in corpus.utterances])
    genders = np.array([u.gender or "" for u in corpus.utterances] if same_gender else [""] * len(corpus))
    if len(corpus.speakers) < 2:
        raise BadInput(f"corpus {corpus.name} has one speaker only: trials need at least two")
    if same_gender and (genders == "").any():
        lacking = first_three([u.id for u in corpus.utterances if u.gender is None])
        raise BadInput(f"corpus {corpus.name} does not say the gender of {lacking}: same-gender trials need it")

    order = np.lexsort((speakers, genders))  # stable: corpus order within a speaker
    speaker_end = _run_ends(np.char.add(np.char.add(genders, "\n"), speakers)[order])
    gender_end = _run_ends(genders[order])
    position = np.arange(len(order))

    same, different = speaker_end - position - 1, gender_end - speaker_end
    if not same.any():
        raise BadInput(f"corpus {corpus.name} has one utterance per speaker: same-speaker trials need two of one")
    targets = np.arange(same.sum())
    wanted = min(nontarget_per_target * len(targets), int(different.sum()))
    nontargets = np.random.default_rng(seed).choice(int(different.sum()), wanted, replace=False, shuffle=False)

    pairs = np.concatenate([_pairs(targets, same, position + 1), _pairs(nontargets, different, speaker_end)], axis=1)
    enrolment, test = np.sort(order[pairs], axis=0)
    target = np.arange(len(test)) < len(targets)
    listed = np.lexsort((test, enrolment))
    source = f"generated, seed {seed}" + (", same gender" if same_gender else "")
    return _trials(corpus, enrolment[listed], test[listed], target[listed], source)


def _run_ends(labels: NDArray[np.str_]) -> Indices:
    """For each element, the index after the last element of the run of equal labels that it is in."""
    ends = np.flatnonzero(np.append(labels[1:] != labels[:-1], True)) + 1
    return ends[np.searchsorted(ends, np.arange(len(labels)), side="right")]


def _pairs(ranks: Indices, partners: Indices, first_partner: Indices) -> Indices:
    """Pairs (2, ranks) by number, where element i has `partners[i]` partners from `first_partner[i]` on."""
    upto = np.cumsum(partners)
    element = np.searchsorted(upto, ranks, side="right")
    offset = ranks - (upto[element] - partners[element])
    return np.stack([element, first_partner[element] + offset])


def _trials(corpus: Corpus, enrolment: Indices, test: Indices, target: NDArray[np.bool_], source: str) -> Trials:
    """Trials from indices into the corpus, cut down to the utterances in use."""
    used, compact = np.unique(np.concatenate([enrolment, test]), return_inverse=True)
    utterances = [corpus.utterances[i] for i in used]
    number = {name: i for i, name in enumerate(dict.fromkeys(u.speaker for u in utterances))}
    speaker = np.array([number[u.speaker] for u in utterances], dtype=np.int64)
    enrolment, test = compact[: len(target)].astype(np.int64), compact[len(target) :].astype(np.int64)
    ids = tuple(u.id for u in utterances)

    wrong = np.flatnonzero((speaker[enrolment] == speaker[test]) != target)
    if wrong.size:
        pair = f"{ids[enrolment[wrong[0]]]} and {ids[test[wrong[0]]]}"
        raise BadInput(
            f"{source} labels {wrong.size} trials against the speakers of corpus {corpus.name}, "
            f"{pair} first: check the labels and the corpus' speaker list"
        )
    return Trials(ids, enrolment, test, target, speaker, tuple(number), source)


def _index(corpus: Corpus) -> dict[str, int]:
    """Positions of utterances by id, and by id without extension where only one utterance has that."""
    bare: dict[str, int] = {}
    shared = set()
    for i, utterance in enumerate(corpus.utterances):
        name = _bare(utterance.id)
        if name in bare:
            shared.add(name)
        bare[name] = i
    return {name: i for name, i in bare.items() if name not in shared} | {
        u.id: i for i, u in enumerate(corpus.utterances)
    }


def _bare(id: str) -> str:
    """An id without its audio extension; other dots belong to the id."""
    return id[: id.rindex(".")] if id.lower().endswith(AUDIO_SUFFIXES) else id


def _parsed(line: str, path: Path, number: int) -> tuple[str, str, str]:
    fields = line.split()
    if len(fields) == 3 and fields[0] in LABELS:
        return fields[0], fields[1], fields[2]
    if len(fields) == 3 and fields[2] in LABELS:
        return fields[2], fields[0], fields[1]
    raise BadInput(f"{path} is malformed in line {number} ({line.strip()[:60]!r}): write '1 enrolment test'")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: name a file of trials") from error
    except (UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path} is not a readable text file: name a file of trials") from error
