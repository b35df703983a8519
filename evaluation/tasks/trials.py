"""Verification trials: pairs of an enrolment and a test utterance, by one speaker (target) or by two (nontarget).

File formats: one trial a line, as published with VoxCeleb, `1 enrolment test` for a target, `0 enrolment test` for a
nontarget. `target` and `nontarget` may stand for 1 and 0, also at the end of the line, as in Kaldi. Fields are
separated by tabs where a line has two (names may have spaces then), else by white space. The enrolment is an utterance,
or a speaker or model that several utterances enrol (`wrongkey.evaluation.tasks.enrolment`), as in the trials of Kaldi's
SRE recipes, VoicePrivacy and CN-Celeb.
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
from wrongkey.evaluation.tasks.enrolment import ENROLMENT, LISTS, Model, resolve_enrolment

Indices = NDArray[np.int64]

LABELS = {"1": True, "0": False, "target": True, "nontarget": False}


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials over the utterances `ids`: exactly those that some trial uses, in corpus order.

    `enrolment` and `test` are indices into `ids`, `target` says which trials are same-speaker; all three have
    shape (trials,). An enrolment of `len(ids) + m` is the model `models[m]`, whose utterances are indices into
    `ids` and by one speaker. `speaker` (ids,) is the index of each utterance's speaker into `speakers`. `source` says
    where the trials come from. Raises `BadInput` without a target or a nontarget: no error rate exists then.
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
        """Speaker index of each trial's enrolment, (trials,): for bootstraps over speakers."""
        of_models = [self.speaker[model.utterances[0]] for model in self.models]
        return np.concatenate([self.speaker, np.array(of_models, dtype=np.int64)])[self.enrolment]

    @cached_property
    def test_speaker(self) -> Indices:
        """Speaker index of each trial's test utterance, (trials,)."""
        return self.speaker[self.test]

    def utterances(self, corpus: Corpus) -> tuple[Utterance, ...]:
        """The utterances to embed, in the order of `ids`."""
        return tuple(corpus.by_id[id] for id in self.ids)

    def fields(self, chosen: slice | Indices = slice(None)) -> Iterator[tuple[str, str, str]]:
        """Label (1 or 0), enrolment and test of trials, as they are written."""
        names = (*self.ids, *(model.name for model in self.models))
        for row in zip(self.target[chosen], self.enrolment[chosen], self.test[chosen], strict=True):
            yield str(int(row[0])), names[row[1]], names[row[2]]

    def lines(self) -> Iterator[str]:
        """The trials in VoxCeleb's format, with tabs between the fields where a name has white space in it."""
        spaced = any(name.split() != [name] for name in (*self.ids, *(model.name for model in self.models)))
        return map(("\t" if spaced else " ").join, self.fields())

    def enrolment_lines(self) -> Iterator[str]:
        """A line for each model: its name and its utterances, with tabs between them; `read_trials` reads them back."""
        for model in self.models:
            yield "\t".join((model.name, *(self.ids[i] for i in model.utterances)))

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the trials with spaces between the fields, and of the enrolment of their models."""
        digest = hashlib.sha256()
        for line in chain(map(" ".join, self.fields()), self.enrolment_lines()):
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def write_trials(path: Path | str, trials: Trials) -> None:
    """Write trials in VoxCeleb's format, and `enrolment.txt` beside them where several utterances enrol a speaker.

    `read_trials` reads the same trials back.
    """
    path = Path(path)
    path.write_text("".join(f"{line}\n" for line in trials.lines()), encoding="utf-8")
    if trials.models:
        text = "".join(f"{line}\n" for line in trials.enrolment_lines())
        path.with_name(ENROLMENT).write_text(text, encoding="utf-8")


def read_trials(path: Path | str, corpus: Corpus) -> Trials:
    """Trials from a file, their utterances looked up in `corpus` as `wrongkey.evaluation.corpora.ids.Names` says.

    One side may name speakers or models: then it is the enrolment, whichever comes first in the lines, and
    `wrongkey.evaluation.tasks.enrolment` says by which utterances. Raises `BadInput` for a malformed line (by its
    number), utterances that the corpus lacks (the first, and how many), enrolments that cannot be found, and labels
    that contradict the corpus' speakers.
    """
    path = expanded(path)
    names = Names([utterance.id for utterance in corpus.utterances])
    labels, enrolled, tested = _columns(path, names)
    if not _all_found(names, tested) and _all_found(names, enrolled):
        enrolled, tested = tested, enrolled
    test = {name: names.find(name) for name in dict.fromkeys(tested)}
    positions = {position for position in test.values() if position is not None}
    enrolment, models = resolve_enrolment(list(dict.fromkeys(enrolled)), path, corpus, names, positions)
    unknown = dict.fromkeys(
        name
        for first, second in zip(enrolled, tested, strict=True)
        for name, found in ((first, enrolment[first]), (second, test[second]))
        if found is None
    )
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
    """Every same-speaker pair, and `nontarget_per_target` times as many different-speaker pairs.

    Different-speaker pairs are drawn with `seed`, uniformly and without repetition; where fewer exist, all
    are taken. `same_gender` draws them within a gender: the harder test. `sessions` "disjoint" takes only the
    same-speaker pairs of two sessions, so that no pair shares a microphone and a room because it was recorded at once.
    Raises `BadInput` for fewer than two speakers, no speaker with two utterances (or sessions), genders or sessions
    that are needed but unknown, and no different-speaker pair.

    Utterances are sorted by gender, speaker and session, so that the partners of each are a contiguous range: pairs
    are numbered without being listed, and a hundred thousand utterances pose no problem.
    """
    if nontarget_per_target < 1:
        raise BadInput(f"Nontargets per target must be 1 or more, not {nontarget_per_target}.")
    speakers = np.array([u.speaker for u in corpus.utterances])
    genders = np.array([u.gender or "" for u in corpus.utterances] if same_gender else [""] * len(corpus))
    if len(corpus.speakers) < 2:
        raise BadInput(f"Corpus {corpus.name} has one speaker only: trials need at least two.")
    if same_gender and (genders == "").any():
        lacking = first_three([u.id for u in corpus.utterances if u.gender is None])
        raise BadInput(f"Corpus {corpus.name} does not say the gender of {lacking}: same-gender trials need it.")
    if sessions not in SESSIONS:
        raise BadInput(f"--sessions {sessions} is unknown: choose {' or '.join(SESSIONS)}.")
    disjoint = sessions == "disjoint"
    if disjoint and (lacking_session := [u.id for u in corpus.utterances if u.session is None]):
        raise BadInput(
            f"Corpus {corpus.name} does not say the session of {first_three(lacking_session)}: session-disjoint trials "
            "need it (docs/corpora.md says where it is read), or leave --sessions disjoint out."
        )
    occasions = np.array([u.session or "" for u in corpus.utterances] if disjoint else [""] * len(corpus))

    order = np.lexsort((occasions, speakers, genders))  # stable: corpus order within a speaker, or his session
    people = np.char.add(np.char.add(genders, "\n"), speakers)
    speaker_end = _run_ends(people[order])
    gender_end = _run_ends(genders[order])
    position = np.arange(len(order))
    # The first partner in a pair of one speaker: the next utterance, or the first of his next session.
    other = _run_ends(np.char.add(np.char.add(people, "\n"), occasions)[order]) if disjoint else position + 1

    same, different = speaker_end - other, gender_end - speaker_end
    if not same.any():
        if disjoint:
            raise BadInput(
                f"Corpus {corpus.name} has one session per speaker: session-disjoint trials need two of one, so give "
                "more utterances (--per-speaker takes the first ones, often of one session)."
            )
        raise BadInput(f"Corpus {corpus.name} has one utterance per speaker: same-speaker trials need two of one.")
    targets = np.arange(same.sum())
    wanted = min(nontarget_per_target * len(targets), int(different.sum()))
    nontargets = np.random.default_rng(seed).choice(int(different.sum()), wanted, replace=False, shuffle=False)

    pairs = np.concatenate([_pairs(targets, same, other), _pairs(nontargets, different, speaker_end)], axis=1)
    enrolment, test = np.sort(order[pairs], axis=0)
    target = np.arange(len(test)) < len(targets)
    listed = np.lexsort((test, enrolment))
    source = f"generated, seed {seed}" + (", same gender" if same_gender else "")
    source += ", disjoint sessions" if disjoint else ""
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
    """A model that the tested utterance enrols knows it already: such a trial would be too easy a target."""
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
    """Whether all lines end with their label; where they could begin with it, too, as `0 0-u2 target`, the likelier."""
    first, last = ([row[side] for row in rows] for side in (0, 2))
    if not all(word in LABELS for word in last):
        return False
    if not all(word in LABELS for word in first):
        return True
    return any(names.exactly(word) is None for word in set(last))  # a label that is an utterance's name is that
