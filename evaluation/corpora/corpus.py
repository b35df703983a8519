"""A corpus: utterances with speakers, transcripts or labels, and a digest by which other data are noticed."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.ids import Names, is_writable
from wrongkey.evaluation.corpora.text_files import read_lines

Gender = Literal["m", "f"]
Recordings = Literal["real", "synthetic", "unknown"]


@dataclass(frozen=True)
class Utterance:
    """One utterance: a whole audio file, or the piece of it between `start` and `end`.

    Parameters
    ----------
    id : str
        Its name in lists.
    speaker : str
        May be empty where there is a transcript or a label.
    path : Path
        The audio file.
    gender : {"f", "m"}, optional
        Of the speaker.
    text : str, optional
        The transcript.
    start, end : float, optional
        Seconds from the beginning of the file; None for its beginning and its end.
    label : str, optional
        The class of scene or event.
    session : str, optional
        The occasion of the recording (a video, a visit), where it is known: utterances of one speaker and one session
        share microphone, room and day.
    """

    id: str
    speaker: str
    path: Path
    gender: Gender | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    label: str | None = None
    session: str | None = None


@dataclass(frozen=True)
class Corpus:
    """A named list of utterances.

    Parameters
    ----------
    name : str
        What reports call the corpus.
    utterances : tuple of Utterance
        In list order.
    root : Path
        The folder from which they were read.
    recordings : {"real", "synthetic", "unknown"}
        Whether people spoke or a synthesiser; reports repeat it.
    cautions : tuple of str
        Sentences about what lies in the folder and is not among the utterances.

    Raises
    ------
    BadInput
        For an empty corpus, a repeated id, an utterance that has neither speaker nor transcript nor label, ids and
        speakers that no line of a text file can hold, and audio files that do not exist.
    """

    name: str
    utterances: tuple[Utterance, ...]
    root: Path
    recordings: Recordings = "unknown"
    cautions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.utterances:
            raise BadInput(f"Corpus {self.name} in {self.root} holds no utterances: give a folder that holds audio.")
        if self.recordings not in ("real", "synthetic", "unknown"):
            raise BadInput(f"Recordings must be real, synthetic or unknown, not {self.recordings!r}.")
        repeated = [id for id, count in Counter(u.id for u in self.utterances).items() if count > 1]
        if repeated:
            raise BadInput(f"{self.root} lists the same utterance id more than once: {first_three(repeated)}.")
        silent = [u.id for u in self.utterances if not u.speaker and u.text is None and u.label is None]
        if silent:
            raise BadInput(
                f"{self.root} has utterances without a speaker, a transcript or a label: {first_three(silent)}."
            )
        unwritable = [repr(name) for u in self.utterances for name in (u.id, u.speaker) if not is_writable(name)]
        if unwritable:
            raise BadInput(
                f"{self.root} has names with line breaks, tabs or other control characters, {first_three(unwritable)}: "
                "rename them."
            )
        files = dict.fromkeys(u.path for u in self.utterances)
        missing = [str(path) for path in files if not os.path.isfile(path)]
        if missing:
            raise BadInput(f"{self.root} lists audio files that do not exist: {first_three(missing)}.")

    def __len__(self) -> int:
        return len(self.utterances)

    def __repr__(self) -> str:
        who = f"{len(self.speakers)} speakers" if self.speakers or not self.classes else f"{len(self.classes)} classes"
        return f"Corpus({self.name!r}, {who}, {len(self)} utterances, {self.recordings})"

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Speakers in the order in which they first appear, without those that are not named."""
        return tuple(dict.fromkeys(u.speaker for u in self.utterances if u.speaker))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Labels in alphabetical order."""
        return tuple(sorted({u.label for u in self.utterances if u.label is not None}))

    @cached_property
    def by_id(self) -> dict[str, Utterance]:
        """Return the utterances by their ids."""
        return {u.id: u for u in self.utterances}

    def select(self, per_speaker: int | None = None, speakers: int | Collection[str] | None = None) -> "Corpus":
        """Return the first `per_speaker` utterances of each speaker, in list order.

        Parameters
        ----------
        per_speaker : int, optional
            None for all utterances.
        speakers : int or collection of str, optional
            The first speakers, that number of them, or those named; None for all.

        Raises
        ------
        BadInput
            For numbers below one, for unknown names, and where an utterance has no speaker.
        """
        if per_speaker is None and speakers is None:
            return self
        nobody = [u.id for u in self.utterances if not u.speaker]
        if nobody:
            raise BadInput(
                f"Corpus {self.name} does not say who speaks in {first_three(nobody)}: choose utterances by their ids."
            )
        chosen = set(self._chosen(speakers))
        if per_speaker is not None and per_speaker < 1:
            raise BadInput(f"Utterances per speaker must be 1 or more, not {per_speaker}.")
        taken: Counter[str] = Counter()
        kept = []
        for utterance in self.utterances:
            if utterance.speaker in chosen and (per_speaker is None or taken[utterance.speaker] < per_speaker):
                taken[utterance.speaker] += 1
                kept.append(utterance)
        return replace(self, utterances=tuple(kept))

    def only(self, ids: Collection[str]) -> "Corpus":
        """The utterances with these ids, in the corpus' order.

        Ids are matched as `wrongkey.evaluation.corpora.ids.Names` says. Raises `BadInput` for ids that the corpus does
        not have, or that could be several.
        """
        if not ids:
            raise BadInput(f"No utterance of corpus {self.name} is named: give some of its ids.")
        names = Names([u.id for u in self.utterances])
        found = {id: names.find(id) for id in ids}
        unknown = [id for id, position in found.items() if position is None]
        if unknown:
            raise BadInput(
                f"Corpus {self.name} has no such utterances: {first_three(unknown)}{names.why(unknown[0])}: "
                "give its ids."
            )
        wanted = set(found.values())
        return replace(self, utterances=tuple(u for i, u in enumerate(self.utterances) if i in wanted))

    def only_listed(self, path: Path) -> "Corpus":
        """The utterances whose ids a text file lists, one a line; raises `BadInput` as `only` and `read_lines`."""
        ids = list(dict.fromkeys(line for line in read_lines(Path(os.path.expanduser(path))) if line.strip()))
        try:
            return self.only(ids)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error

    def _chosen(self, speakers: int | Collection[str] | None) -> Collection[str]:
        if speakers is None:
            return self.speakers
        if isinstance(speakers, int):
            if speakers < 1:
                raise BadInput(f"The number of speakers must be 1 or more, not {speakers}.")
            return self.speakers[:speakers]
        wanted = [speakers] if isinstance(speakers, str) else list(speakers)
        unknown = [name for name in wanted if name not in self.speakers]
        if unknown or not wanted:
            raise BadInput(f"Corpus {self.name} has no such speakers: {first_three(unknown)}.")
        return wanted

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the manifest, in list order.

        It covers ids, speakers, transcripts, segment times, labels and the bytes of the audio files, and no path:
        the same corpus in another folder has the same digest, a re-encoded one has not. Sessions are not covered: they
        say which trials are made, and trials have a digest of their own.
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        contents = {path: _file_digest(path) for path in dict.fromkeys(u.path for u in self.utterances)}
        manifest = hashlib.sha256()
        for u in self.utterances:
            entry = [u.id, u.speaker, u.text, u.start, u.end, contents[u.path]]
            entry += [] if u.label is None else [u.label]
            manifest.update(json.dumps(entry, ensure_ascii=True).encode() + b"\n")
        return manifest.hexdigest()


def first_three(names: Sequence[str]) -> str:
    """'a, b, c and 7 more': what an error names when it could name hundreds."""
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")


def gender_of(word: str | None) -> Gender | None:
    """'F', 'female' and Common Voice's 'female_feminine' are "f"; words that say neither are `None`."""
    initial = (word or "").lower().partition("_")[0]
    if initial in ("m", "male"):
        return "m"
    return "f" if initial in ("f", "female") else None


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check that it exists and is yours.") from error
