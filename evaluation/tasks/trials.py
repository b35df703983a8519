"""Verification trials: pairs of an enrolment and a test utterance, by one speaker (target) or by two (nontarget).

File formats: one trial a line, as published with VoxCeleb, `1 enrolment test` for a target, `0 enrolment test` for a
nontarget. `target` and `nontarget` may replace 1 and 0, also at the end of the line, as in Kaldi. Fields are separated
by tabs where a line has two (names may then have spaces), else by white space. The enrolment is an utterance, or a
speaker or model that several utterances enrol (`wrongkey.evaluation.tasks.enrolment`), as in the trials of Kaldi's SRE
recipes, VoicePrivacy and CN-Celeb.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SESSIONS
from wrongkey.evaluation.corpora.corpus import Corpus, Utterance, first_three
from wrongkey.evaluation.corpora.files import expanded
from wrongkey.evaluation.corpora.ids import Names
from wrongkey.evaluation.corpora.text_files import read_lines
from wrongkey.evaluation.tasks.enrolment import LISTS, Model, resolve_enrolment

Indices = NDArray[np.int64]

LABELS = {"1": True, "0": False, "target": True, "nontarget": False}


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials over the utterances that some trial uses.

    Parameters
    ----------
    ids : tuple of str
        These utterances, in corpus order.
    enrolment, test : ndarray of int64
        `(trials,)` indices into `ids`. An enrolment of `len(ids) + m` is the model `models[m]`.
    target : ndarray of bool
        `(trials,)`: which trials are same-speaker.
    speaker : ndarray of int64
        `(ids,)` index of each utterance's speaker into `speakers`.
    speakers : tuple of str
        Names of the speakers.
    source : str
        Where the trials come from.
    models : tuple of Model
        Speakers or models that several utterances enrol, each by utterances of one speaker.

    Raises
    ------
    BadInput
        Without a target or a nontarget: no error rate exists then.
    """

    ids: tuple[str, ...]
    enrolment: Indices
    test: Indices
    target: NDArray[np.bool_]
    speaker: Indices
    speakers: tuple[str, ...]
    source: str
    models: tuple[Model, ...] = ()

    def __post_init__(self) -> None:
        if self.target.all() or not self.target.any():
            raise BadInput(
                f"{self.source} has {self.targets} same-speaker and {self.nontargets} different-speaker "
                "trials: error rates need at least one of each."
            )

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return f"Trials({self.targets} target, {self.nontargets} nontarget, {len(self.ids)} utterances)"

    @property
    def targets(self) -> int:
        """Return the number of same-speaker trials."""
        return int(self.target.sum())

    @property
    def nontargets(self) -> int:
        """Return the number of different-speaker trials."""
        return len(self) - self.targets

    @cached_property
    def enrolment_speaker(self) -> Indices:
        """Speaker index of each trial's enrolment, `(trials,)`, for bootstraps over speakers."""
        of_models = [self.speaker[model.utterances[0]] for model in self.models]
        return np.concatenate([self.speaker, np.array(of_models, dtype=np.int64)])[self.enrolment]

    @cached_property
    def test_speaker(self) -> Indices:
        """Speaker index of each trial's test utterance, `(trials,)`."""
        return self.speaker[self.test]

    def utterances(self, corpus: Corpus) -> tuple[Utterance, ...]:
        """Return the utterances to embed, in the order of `ids`."""
        return tuple(corpus.by_id[id] for id in self.ids)

    def fields(self, chosen: slice | Indices = slice(None)) -> Iterator[tuple[str, str, str]]:
        """Yield label (1 or 0), enrolment and test of trials, as they are written."""
        names = (*self.ids, *(model.name for model in self.models))
        rows = zip(self.target[chosen], self.enrolment[chosen], self.test[chosen], strict=True)
        for target, enrolment, test in rows:
            yield str(int(target)), names[enrolment], names[test]

    def lines(self) -> Iterator[str]:
        """Yield the trials in VoxCeleb's format, with tabs between the fields where a name has white space in it."""
        spaced = any(name.split() != [name] for name in (*self.ids, *(model.name for model in self.models)))
        return map(("\t" if spaced else " ").join, self.fields())

    def enrolment_lines(self) -> Iterator[str]:
        """Yield a line for each model, its name and utterances with tabs between them; `read_trials` reads them."""
        for model in self.models:
            yield "\t".join((model.name, *(self.ids[i] for i in model.utterances)))

    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of the trials, with spaces between the fields, and of their enrolments."""
        digest = hashlib.sha256()
        for line in chain(map(" ".join, self.fields()), self.enrolment_lines()):
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def read_trials(path: Path | str, corpus: Corpus) -> Trials:
    """Return the trials that a file lists.

    One side may name speakers or models. That side is the enrolment, whichever comes first in the lines, and
    `wrongkey.evaluation.tasks.enrolment` says by which utterances.

    Parameters
    ----------
    path : Path or str
        The list; `~` is the home folder.
    corpus : Corpus
        Where utterances are looked up, as `wrongkey.evaluation.corpora.ids.Names` says.

    Returns
    -------
    Trials

    Raises
    ------
    BadInput
        For a malformed line (by its number), utterances that the corpus lacks (the first, and how many), enrolments
        that cannot be found, and labels that contradict the corpus' speakers.
    """
    path = expanded(path)
    names = Names([utterance.id for utterance in corpus.utterances])
    labels, enrolled, tested = _columns(path, names)
    if not _all_found(names, tested) and _all_found(names, enrolled):
        enrolled, tested = tested, enrolled
    test = {name: names.find(name) for name in dict.fromkeys(tested)}
    positions = {position for position in test.values() if position is not None}
    enrolment, models = resolve_enrolment(list(dict.fromkeys(enrolled)), path, corpus, names, positions)
    unknown: dict[str, None] = {}
    for first, second in zip(enrolled, tested, strict=True):
        if enrolment[first] is None:
            unknown[first] = None
        if test[second] is None:
            unknown[second] = None
    if unknown:
        first = next(iter(unknown))
        advice = "give the corpus that the trials were made for, and its ids"
        if not any(name in test for name in unknown):
            advice += f", or lay the list of what enrols them ({', '.join(LISTS)}) beside the trials"
        raise BadInput(
            f"{path} names utterances that corpus {corpus.name} lacks, {len(unknown)} of them, {first} first"
            f"{names.why(first)}: {advice}."
        )
    return _trials(
        corpus,
        np.array([enrolment[name] for name in enrolled]),
        np.array([test[name] for name in tested]),
        np.array(labels),
        str(path),
        models,
    )


def generate_trials(
    corpus: Corpus, seed: int = 0, same_gender: bool = False, nontarget_per_target: int = 1, sessions: str = "any"
) -> Trials:
    """Return every same-speaker pair, and `nontarget_per_target` times as many different-speaker pairs.

    Utterances are sorted by gender, speaker and session, so that the partners of each are a contiguous range. Pairs are
    then numbered without being listed, which allows for a hundred thousand utterances.

    Parameters
    ----------
    corpus : Corpus
        The utterances.
    seed : int
        Of the draw of different-speaker pairs: uniform, without repetition.
    same_gender : bool
        Whether different-speaker pairs are drawn within a gender, the harder test.
    nontarget_per_target : int
        Different-speaker pairs for each same-speaker pair; where fewer exist, all are taken.
    sessions : {"any", "disjoint"}
        "disjoint" takes only the same-speaker pairs of two sessions, so that no pair shares microphone and room
        because it was recorded on one occasion.

    Returns
    -------
    Trials

    Raises
    ------
    BadInput
        For fewer than two speakers, no speaker with two utterances (or sessions), genders or sessions that are needed
        but unknown, and no different-speaker pair.

    Examples
    --------
    >>> from wrongkey.evaluation.corpora import open_corpus
    >>> generate_trials(open_corpus("bundled").select(per_speaker=2))
    Trials(28 target, 28 nontarget, 56 utterances)
    """
    disjoint = sessions == "disjoint"
    _check_pairs_exist(corpus, same_gender, nontarget_per_target, sessions)
    speakers = np.array([u.speaker for u in corpus.utterances])
    genders = np.array([u.gender or "" for u in corpus.utterances] if same_gender else [""] * len(corpus))
    occasions = np.array([u.session or "" for u in corpus.utterances] if disjoint else [""] * len(corpus))

    order = np.lexsort((occasions, speakers, genders))  # stable: corpus order within a speaker, or their session
    people = np.char.add(np.char.add(genders, "\n"), speakers)
    speaker_end = _run_ends(people[order])
    gender_end = _run_ends(genders[order])
    if disjoint:
        first_partner = _run_ends(np.char.add(np.char.add(people, "\n"), occasions)[order])  # of the next session
    else:
        first_partner = np.arange(len(order)) + 1  # the next utterance

    same, different = speaker_end - first_partner, gender_end - speaker_end  # numbers of partners
    if not same.any():
        raise BadInput(_why_no_target(corpus, disjoint))
    targets = np.arange(same.sum())
    wanted = min(nontarget_per_target * len(targets), int(different.sum()))
    nontargets = np.random.default_rng(seed).choice(int(different.sum()), wanted, replace=False, shuffle=False)

    pairs = np.concatenate([_pairs(targets, same, first_partner), _pairs(nontargets, different, speaker_end)], axis=1)
    enrolment, test = np.sort(order[pairs], axis=0)
    target = np.arange(len(test)) < len(targets)
    listed = np.lexsort((test, enrolment))
    source = f"generated, seed {seed}" + (", same gender" if same_gender else "")
    source += ", disjoint sessions" if disjoint else ""
    return _trials(corpus, enrolment[listed], test[listed], target[listed], source)


def _check_pairs_exist(corpus: Corpus, same_gender: bool, nontarget_per_target: int, sessions: str) -> None:
    """Refuse a corpus that does not say what the pairs need, and settings that make no sense."""
    if nontarget_per_target < 1:
        raise BadInput(f"Nontargets per target must be 1 or more, not {nontarget_per_target}.")
    if len(corpus.speakers) < 2:
        raise BadInput(f"Corpus {corpus.name} has one speaker only: trials need at least two.")
    no_gender = [u.id for u in corpus.utterances if not u.gender]
    if same_gender and no_gender:
        raise BadInput(
            f"Corpus {corpus.name} does not say the gender of {first_three(no_gender)}: same-gender trials need it."
        )
    if sessions not in SESSIONS:
        raise BadInput(f"--sessions {sessions} is unknown: choose {' or '.join(SESSIONS)}.")
    no_session = [u.id for u in corpus.utterances if u.session is None]
    if sessions == "disjoint" and no_session:
        raise BadInput(
            f"Corpus {corpus.name} does not say the session of {first_three(no_session)}: session-disjoint trials "
            "need it (docs/corpora.md says where it is read), or leave --sessions disjoint out."
        )


def _why_no_target(corpus: Corpus, disjoint: bool) -> str:
    if disjoint:
        return (
            f"Corpus {corpus.name} has one session per speaker: session-disjoint trials need two of one, so give "
            "more utterances (--per-speaker takes the first ones, often of one session)."
        )
    return f"Corpus {corpus.name} has one utterance per speaker: same-speaker trials need two of one."


def _run_ends(labels: NDArray[np.str_]) -> Indices:
    """For each element, the index after the last element of the run of equal labels that it is in."""
    ends = np.flatnonzero(np.append(labels[1:] != labels[:-1], True)) + 1
    return ends[np.searchsorted(ends, np.arange(len(labels)), side="right")]


def _pairs(ranks: Indices, partners: Indices, first_partner: Indices) -> Indices:
    """Pairs (2, ranks) by number, where element i has `partners[i]` partners from `first_partner[i]` on."""
    ends = np.cumsum(partners)  # of the numbers of each element's pairs
    element = np.searchsorted(ends, ranks, side="right")
    offset = ranks - (ends[element] - partners[element])
    return np.stack([element, first_partner[element] + offset])


def _trials(
    corpus: Corpus,
    enrolment: Indices,
    test: Indices,
    target: NDArray[np.bool_],
    source: str,
    models: Sequence[Model] = (),
) -> Trials:
    """Trials from indices into the corpus (behind them, models), cut down to the utterances in use."""
    single = enrolment < len(corpus)
    used = np.unique(np.concatenate([enrolment[single], test, *(np.array(model.utterances) for model in models)]))

    def compact(positions: Indices) -> Indices:
        return np.searchsorted(used, positions).astype(np.int64)

    utterances = [corpus.utterances[i] for i in used]
    number = {name: i for i, name in enumerate(dict.fromkeys(u.speaker for u in utterances))}
    trials = Trials(
        ids=tuple(u.id for u in utterances),
        enrolment=np.where(single, compact(enrolment), len(used) + enrolment - len(corpus)),
        test=compact(test),
        target=target,
        speaker=np.array([number[u.speaker] for u in utterances], dtype=np.int64),
        speakers=tuple(number),
        source=source,
        models=tuple(Model(model.name, tuple(compact(np.array(model.utterances)).tolist())) for model in models),
    )
    _refuse_tested_enrolments(trials)
    wrong = np.flatnonzero((trials.enrolment_speaker == trials.test_speaker) != target)
    if wrong.size:
        _, enrolled, tested = next(trials.fields(wrong[:1]))
        raise BadInput(
            f"{source} labels {wrong.size} trials against the speakers of corpus {corpus.name}, "
            f"{enrolled} and {tested} first: check the labels and the corpus' speaker list."
        )
    return trials


def _refuse_tested_enrolments(trials: Trials) -> None:
    """Refuse trials whose tested utterance enrols the model: such a target is too easy."""
    for number, model in enumerate(trials.models):
        tested = trials.test[trials.enrolment == len(trials.ids) + number]
        both = np.intersect1d(tested, model.utterances)
        if both.size:
            raise BadInput(
                f"{trials.source} tests {trials.ids[both[0]]}, which is among the utterances that enrol {model.name}: "
                "remove it from the list of enrolments, or the trial."
            )


def _all_found(names: Names, column: Sequence[str]) -> bool:
    return all(names.find(name) is not None for name in dict.fromkeys(column))


def _columns(path: Path, names: Names) -> tuple[list[bool], list[str], list[str]]:
    """Labels, first and second names of the trials in a file."""
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            row = line.split("\t") if line.count("\t") == 2 else _joined(line.split(), names)
            row = [word.strip() if word.strip() in LABELS else word for word in row]
            if len(row) != 3 or not (row[0] in LABELS or row[2] in LABELS):
                raise BadInput(
                    f"{path} is malformed in line {number} ({line.strip()[:60]!r}): write '1 enrolment test'."
                )
            rows.append(row)
    if not rows:
        raise BadInput(f"{path} holds no trials: write one '1 enrolment test' a line.")
    last = _label_is_last(rows, names)
    rows = [[row[2], *row[:2]] if last or row[0] not in LABELS else row for row in rows]
    return [LABELS[row[0]] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


def _joined(words: list[str], names: Names) -> list[str]:
    """Fields of a line whose names have spaces and no tabs between them, where that can be read in one way only."""
    if len(words) < 4 or not (words[0] in LABELS or words[-1] in LABELS):
        return words
    label, rest = (words[0], words[1:]) if words[0] in LABELS else (words[-1], words[:-1])
    ways = [[label, " ".join(rest[:n]), " ".join(rest[n:])] for n in range(1, len(rest))]
    known = [way for way in ways if names.exactly(way[1]) is not None and names.exactly(way[2]) is not None]
    return known[0] if len(known) == 1 else words


def _label_is_last(rows: Sequence[Sequence[str]], names: Names) -> bool:
    """Whether all lines end with their label.

    Where all lines could also begin with it, as in `0 0-u2 target`, a label that is an utterance's name is that.
    """
    first, last = ([row[side] for row in rows] for side in (0, 2))
    if not all(word in LABELS for word in last):
        return False
    if not all(word in LABELS for word in first):
        return True
    return any(names.exactly(word) is None for word in set(last))
