"""Sessions: whether same-speaker trials compare a voice within one recording session or across two.

Two utterances of one session share microphone, room, distance and day, which a comparison of speakers may hear in place
of the voice. Error rates within sessions are lower than those across sessions, and nothing in them says by how much. A
corpus knows its sessions (`Utterance.session`) or does not.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from wrongkey.evaluation.corpora.corpus import Corpus
from wrongkey.evaluation.tasks.trials import Trials

Sessions = Literal["within", "across", "mixed", "unknown"]


def session_facts(trials: Trials, corpus: Corpus) -> dict[str, Any]:
    """What a manifest says of the sessions of same-speaker trials.

    `sessions`: "within" or "across" where all of them are, "mixed" where some are of each kind, "unknown" where the
    corpus does not know the session of an utterance of one of them. `within_session`: the number of those known to lie
    within one session. A speaker enrolled by several utterances lies within a session if one of them is of it.
    """
    kinds = Counter(_kinds(trials, corpus))
    known: Sessions = "mixed" if len(kinds) > 1 else next(iter(kinds))
    return {"sessions": "unknown" if kinds["unknown"] else known, "within_session": kinds["within"]}


def _kinds(trials: Trials, corpus: Corpus) -> list[Sessions]:
    """Of each same-speaker trial."""
    sessions = [corpus.by_id[id].session for id in trials.ids]
    enrolling = [(i,) for i in range(len(trials.ids))] + [model.utterances for model in trials.models]
    return [
        _kind([sessions[i] for i in enrolling[enrolment]], sessions[test])
        for enrolment, test in zip(trials.enrolment[trials.target], trials.test[trials.target], strict=True)
    ]


def _kind(enrolled: list[str | None], tested: str | None) -> Sessions:
    if tested is not None and tested in enrolled:
        return "within"
    return "unknown" if tested is None or None in enrolled else "across"
