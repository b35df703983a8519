"""A corpus: utterances with speakers, and a digest by which other data are noticed."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from keys.errors import BadInput

Gender = Literal["m", "f"]
Recordings = Literal["real", "synthetic", "unknown"]


@dataclass(frozen=True)
class Utterance:
    """One utterance: a whole audio file, or the piece of it between `start` and `end`.

    `start` and `end` are seconds from the beginning of the file (`None`: its beginning, its end); `text` is
    the transcript, `None` where the corpus has none.
    """

    id: str
    speaker: str
    path: Path
    gender: Gender | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    label: str | None = None


@dataclass(frozen=True)
class Corpus:
    """Utterances in list order, read from the folder `root`.

    `recordings` says whether people spoke ("real"), a synthesiser ("synthetic"), or that nobody said which
    ("unknown"): reports repeat it. Raises `BadInput` for an empty corpus, a repeated id, an utterance without
    speaker, and audio files that do not exist.
    """

    name: str
    utterances: tuple[Utterance, ...]
    root: Path
    recordings: Recordings = "unknown"

    def __post_init__(self) -> None:
        if not self.utterances:
            raise BadInput(f"corpus {self.name} in {self.root} holds no utterances: give a folder that holds audio")
        if self.recordings not in ("real", "synthetic", "unknown"):
            raise BadInput(f"recordings must be real, synthetic or unknown, not {self.recordings!r}")
        repeated = [id for id, count in Counter(u.id for u in self.utterances).items() if count > 1]
        if repeated:
            raise BadInput(f"{self.root} lists the same utterance id more than once: {first_three(repeated)}")
        silent = [u.id for u in self.utterances if not u.speaker]
        if silent:
            raise BadInput(f"{self.root} has utterances without a speaker: {first_three(silent)}")
        files = dict.fromkeys(u.path for u in self.utterances)
        missing = [str(path) for path in files if not path.is_file()]
        if missing:
            raise BadInput(f"{self.root} lists audio files that do not exist: {first_three(missing)}")

    def __len__(self) -> int:
        return len(self.utterances)

    def __repr__(self) -> str:
        return f"Corpus({self.name!r}, {len(self.speakers)} speakers, {len(self)} utterances, {self.recordings})"

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Speakers in the order in which they first appear."""
        return tuple(dict.fromkeys(u.speaker for u in self.utterances))

    @cached_property
    def by_id(self) -> dict[str, Utterance]:
        return {u.id: u for u in self.utterances}

    def select(self, per_speaker: int | None = None, speakers: int | Collection[str] | None = None) -> "Corpus":
        """The first `per_speaker` utterances of each speaker, in list order.

        `speakers` keeps the first so many speakers, or those named. Raises `BadInput` for numbers below one
        and for speakers that the corpus does not have.
        """
        chosen = set(self._chosen(speakers))
        if per_speaker is not None and per_speaker < 1:
            raise BadInput(f"utterances per speaker must be 1 or more, not {per_speaker}")
        taken: Counter[str] = Counter()
        kept = []
        for utterance in self.utterances:
            if utterance.speaker in chosen and (per_speaker is None or taken[utterance.speaker] < per_speaker):
                taken[utterance.speaker] += 1
                kept.append(utterance)
        return replace(self, utterances=tuple(kept))

    def _chosen(self, speakers: int | Collection[str] | None) -> Collection[str]:
        if speakers is None:
            return self.speakers
        if isinstance(speakers, int):
            if speakers < 1:
                raise BadInput(f"the number of speakers must be 1 or more, not {speakers}")
            return self.speakers[:speakers]
        wanted = [speakers] if isinstance(speakers, str) else list(speakers)
        unknown = [name for name in wanted if name not in self.speakers]
        if unknown or not wanted:
            raise BadInput(f"corpus {self.name} has no such speakers: {first_three(unknown)}")
        return wanted

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the manifest, in list order.

        It covers ids, speakers, transcripts, segment times and the bytes of the audio files, and no path: the
        same corpus in another folder has the same digest, a re-encoded one has not.
        """
        return self._digest

    @cached_property
    def _digest(self) -> str:
        contents = {path: _file_digest(path) for path in dict.fromkeys(u.path for u in self.utterances)}
        manifest = hashlib.sha256()
        for u in self.utterances:
            line = json.dumps([u.id, u.speaker, u.text, u.start, u.end, contents[u.path]], ensure_ascii=True)
            manifest.update(line.encode() + b"\n")
        return manifest.hexdigest()


def first_three(names: Sequence[str]) -> str:
    """'a, b, c and 7 more': what an error names when it could name hundreds."""
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): check that it exists and is yours") from error
