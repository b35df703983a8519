"""Readers: how speech corpora lie on disk, and `open_corpus`, which picks the reader.

| spec | layout |
|---|---|
| `bundled` | the synthetic speech that comes with wrongkey |
| `bundled-words` | its sequences of command words, for `asr-words` |
| `kaldi:DIR` | `wav.scp`, `utt2spk`; optional `text`, `spk2gender`, `utt2gender`, `utt2session`, `segments` |
| `librispeech:DIR` | `SUBSET/speaker/chapter/*.flac` and `*.trans.txt`; DIR is the subset or above it |
| `voxceleb1:DIR` | `id1xxxx/video/xxxxx.wav`, also under `wav/`; ids are paths, as in the published trials |
| `speechcommands:DIR` | `word/0a7c2a8d_nohash_0.wav`: speaker `0a7c2a8d`, text `WORD` |
| `folder:DIR` | `speaker/utterance.wav`, also `speaker/session/utterance.wav`; any format of libsndfile |
| `tsv:FILE`, `jsonl:FILE` | lists of recordings with transcripts (CommonVoice, NeMo) |
| `esc50:DIR`, `esc10:DIR` | `esc50.csv` and `audio/`; `#fold=1,2` behind DIR chooses folds |
| `sins:DIR`, `dcase:FILE.csv`, `classes:DIR` | acoustic scenes: SINS, lists of DCASE, a folder per class |
| `DIR`, `FILE` | whichever of these it looks like; never `esc10` or `classes`, which look like another |
| a name | a corpus, or what makes one, that a package registers in the entry-point group `wrongkey.corpora` |
| `package.module:name` | a `Corpus` of a user's, or a function without arguments that returns one |
"""

import os
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.corpus import Corpus, Gender, Recordings, Utterance, first_three, gender_of
from wrongkey.evaluation.corpora.files import (
    AudioFiles,
    audio_by_folder,
    expanded,
    file_named,
    files_below,
    folder_named,
    folders_in,
    is_leftover,
    left_out,
    located,
)
from wrongkey.evaluation.corpora.formats import READABLE, UNREADABLE
from wrongkey.evaluation.corpora.ids import as_text, composed, id_of, in_one_form
from wrongkey.evaluation.corpora.scenes import (
    esc_table,
    is_sins,
    read_classes,
    read_dcase,
    read_esc10,
    read_esc50,
    read_sins,
)
from wrongkey.evaluation.corpora.text_files import read_lines
from wrongkey.evaluation.corpora.transcribed import read_jsonl, read_tsv
from wrongkey.plugins import Registry

BUNDLED = Path(__file__).parent / "bundled"
BUNDLED_TRIALS = BUNDLED / "trials.txt"


def open_corpus(spec: str | Path, recordings: Recordings | None = None) -> Corpus:
    """Return the corpus that `spec` names, every audio file of which exists.

    Speakers and labels that differ in their Unicode form only are made one.

    Parameters
    ----------
    spec : str or Path
        What the table of this module lists.
    recordings : {"real", "synthetic", "unknown"}, optional
        What the recordings are, where the layout does not tell: a plain folder or Kaldi lists say "unknown".

    Returns
    -------
    Corpus

    Raises
    ------
    BadInput
        With one sentence, for whatever is missing, repeated or malformed.

    Examples
    --------
    >>> corpus = open_corpus("bundled")
    >>> corpus.recordings, corpus.speakers[0]
    ('synthetic', 'af_alloy')
    """
    corpus = _unified(_open(str(spec)))
    return corpus if recordings is None else replace(corpus, recordings=recordings)


def _unified(corpus: Corpus) -> Corpus:
    """The corpus with each speaker and label in the form in which it appears first."""
    forms = in_one_form([*corpus.speakers, *dict.fromkeys(u.label for u in corpus.utterances if u.label)])
    if all(name == form for name, form in forms.items()):
        return corpus
    utterances = tuple(
        replace(u, speaker=forms.get(u.speaker, u.speaker), label=u.label and forms[u.label]) for u in corpus.utterances
    )
    return replace(corpus, utterances=utterances)


def _open(spec: str) -> Corpus:
    layout, colon, place = spec.partition(":")
    if not spec or (layout in READERS and colon and not place):  # Path("") is the working directory
        raise BadInput(
            f"Corpus {spec!r} names no folder or file: give {SPECS[layout or 'folder']}, "
            "and . as DIR for the working directory."
        )
    if colon and layout in READERS:
        return READERS[layout](place)
    path = expanded(spec)
    if spec not in REGISTRY.builtin:
        if os.path.isdir(path):
            return READERS[recognise(path)](spec)
        if os.path.isfile(path) and path.suffix.lower() in BY_SUFFIX:
            return READERS[BY_SUFFIX[path.suffix.lower()]](spec)
    return REGISTRY.open(spec)


def read_bundled() -> Corpus:
    """Return the synthetic speech that comes with wrongkey."""
    return replace(read_kaldi(BUNDLED), name="bundled", recordings="synthetic")


def read_bundled_words() -> Corpus:
    """Return the command words of the bundled speech."""
    bundled = read_bundled()
    words = [utterance.id for utterance in bundled.utterances if "-words" in utterance.id]
    return replace(bundled.only(words), name="bundled-words")


def recognise(folder: Path) -> str:
    """Return the name of the layout that `folder` has; raises `BadInput` saying what was looked for."""
    if (folder / "wav.scp").is_file():
        return "kaldi"
    if _chapters(folder):
        return "librispeech"
    if _voxceleb_home(folder):
        return "voxceleb1"
    if _commands(folder)[0]:
        return "speechcommands"
    if esc_table(folder):
        return "esc50"
    if is_sins(folder):
        return "sins"
    if any(_is_audio(path) for speaker in folders_in(folder) for path in files_below(speaker, depth=0)):
        return "folder"
    raise BadInput(
        f"{folder} has no layout that wrongkey knows: it looked for wav.scp (Kaldi), "
        "speaker/chapter/*.trans.txt (LibriSpeech), id1xxxx/video/*.wav (VoxCeleb1), "
        "word/xxxxxxxx_nohash_0.wav (Speech Commands), esc50.csv (ESC-50), living_labels.csv (SINS), "
        "and speaker/utterance.wav; where a folder for each speaker has further folders, say folder:DIR."
    )


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in (*READABLE, *UNREADABLE)


# Kaldi data folders


def read_kaldi(folder: Path) -> Corpus:
    """Read a Kaldi data folder, in the order of `segments` where there is one, else of `wav.scp`.

    Relative paths in `wav.scp` start at the folder, at its parent, or at the working directory: at the first of these
    where any listed file exists. Ids match where they differ in their Unicode form only. `utt2session`
    names the recording session of utterances, as `utt2spk` their speaker.
    """
    recordings, root = _wav_scp(folder)
    segments = folder / "segments"
    pieces = _segments(segments, recordings) or {id: (path, None, None) for id, path in recordings.items()}
    speakers = _keyed_as(pieces, _table(folder / "utt2spk"))
    texts = _keyed_as(pieces, _table(folder / "text", optional=True, values="may be empty"))
    genders = _keyed_as(pieces, _table(folder / "utt2gender", optional=True))
    sessions = _keyed_as(pieces, _table(folder / "utt2session", optional=True))
    by_speaker = _keyed_as(set(speakers.values()), _table(folder / "spk2gender", optional=True))
    _complete(folder / "utt2spk", pieces.keys() - speakers.keys())
    _complete(segments if segments.exists() else folder / "wav.scp", speakers.keys() - pieces.keys())

    def gender(id: str) -> Gender | None:
        return gender_of(genders.get(id) or by_speaker.get(speakers[id]))

    utterances = tuple(
        Utterance(id, speakers[id], path, gender(id), texts.get(id), start, end, session=sessions.get(id))
        for id, (path, start, end) in pieces.items()
    )
    folder = folder.resolve()
    name = f"{folder.parent.name}-{folder.name}" if root == folder.parent else folder.name
    return Corpus(as_text(name), utterances, folder)


def _complete(path: Path, lacking: set[str]) -> None:
    if lacking:
        raise BadInput(f"{path} lacks utterances that the other lists have: {first_three(sorted(lacking))}.")


def _keyed_as(names: Collection[str], table: dict[str, str]) -> dict[str, str]:
    """The table with its keys in the Unicode form in which `names` has them; a second form of one key stays."""
    forms = {composed(name): name for name in names if name not in table}
    return {key if key in names else forms.pop(composed(key), key): value for key, value in table.items()}


def _wav_scp(folder: Path) -> tuple[dict[str, Path], Path]:
    """Recording ids with their files, and the folder at which relative paths start."""
    listed = _table(folder / "wav.scp")
    for id, place in listed.items():
        if place.endswith("|"):
            raise BadInput(f"{folder / 'wav.scp'} reads {id} from a command ({place}): write the audio to files first.")
    root, files = located([*listed.values()], (folder.resolve(), folder.resolve().parent, Path.cwd()))
    return dict(zip(listed, files, strict=True)), root


Piece = tuple[Path, float | None, float | None]


def _segments(path: Path, recordings: dict[str, Path]) -> dict[str, Piece]:
    """Utterance ids with file, start and end in seconds; an end of −1 is the end of the file, as in Kaldi."""
    pieces: dict[str, Piece] = {}
    forms = {composed(id): id for id in recordings}
    for id, rest in _table(path, optional=True).items():
        try:
            recording, first, last = rest.split()
            start, end = float(first), float(last)
        except ValueError as error:
            raise BadInput(f"{path} has a malformed line for {id}: write 'id recording start end'.") from error
        if recording not in recordings:
            recording = forms.get(composed(recording), recording)
        if recording not in recordings:
            raise BadInput(f"{path} cuts {id} from {recording}, which wav.scp does not list: add it there.")
        if not (0 <= start < end < float("inf") or (start >= 0 and end == -1)):
            raise BadInput(f"{path} cuts {id} from {first} s to {last} s: the end must come after the start.")
        pieces[id] = (recordings[recording], start, None if end == -1 else end)
    return pieces


def _table(path: Path, optional: bool = False, values: str = "are needed") -> dict[str, str]:
    """A list of lines 'key value', the value up to the end of the line."""
    if optional and not path.exists():
        return {}
    rows: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        key, value = (*line.split(maxsplit=1), "")[:2] if line.strip() else ("", "")
        if not key:
            continue
        if not value and values == "are needed":
            raise BadInput(f"{path} has nothing after {key!r} in line {number}: write 'id value' there.")
        if key in rows:
            raise BadInput(f"{path} lists {key} twice, again in line {number}: remove one of them.")
        rows[key] = value.strip()
    if not rows:
        raise BadInput(f"{path} is empty: it must list one entry a line.")
    return rows


# LibriSpeech

TRANSCRIPTS = ".trans.txt"


def read_librispeech(folder: Path) -> Corpus:
    """Read LibriSpeech as unpacked: one subset, or all in the folder (`LibriSpeech/` itself, or above it)."""
    chapters = _chapters(folder)
    if not chapters:
        raise BadInput(f"{folder} is not LibriSpeech: it has no [SUBSET/]speaker/chapter/*.trans.txt.")
    genders = _librispeech_genders(folder, chapters)
    utterances: list[Utterance] = []
    cautions: list[str] = []
    for chapter in chapters:
        texts: dict[str, str] = {}
        lying = files_below(chapter, depth=0)
        for transcripts in (path for path in lying if path.name.endswith(TRANSCRIPTS)):
            texts |= _table(transcripts, values="may be empty")
        audio = AudioFiles.among(lying, folder, preferred=".flac")
        cautions += audio.cautions()
        files = {as_text(path.stem): path for path in audio.kept}
        speaker = as_text(chapter.parent.name)
        utterances += [
            Utterance(id, speaker, files.get(id, chapter / f"{id}.flac"), genders.get(speaker), texts.get(id))
            for id in dict.fromkeys([*texts, *files])
        ]
    subsets = sorted({as_text(chapter.parent.parent.resolve().name) for chapter in chapters})
    return Corpus("-".join(["librispeech", *subsets]), tuple(utterances), folder, "real", tuple(cautions))


def _chapters(folder: Path) -> list[Path]:
    """Chapter folders, with transcripts or beside such with audio only, speakers and chapters in numerical order."""
    for depth in ("*/*", "*/*/*", "*/*/*/*"):
        found = [path.parent for path in folder.glob(f"{depth}/*{TRANSCRIPTS}") if _is_visible(path, folder)]
        subsets = dict.fromkeys(chapter.parent.parent for chapter in found)
        if subsets:
            beside = (c for subset in subsets for speaker in folders_in(subset) for c in folders_in(speaker))
            chapters = {*found, *(c for c in beside if any(map(_is_audio, files_below(c, depth=0))))}
            return sorted(chapters, key=lambda path: [_number_first(part) for part in path.parts])
    return []


def _is_visible(path: Path, folder: Path) -> bool:
    return not any(is_leftover(part) for part in path.relative_to(folder).parts)


def _number_first(part: str) -> tuple[int, str]:
    return (int(part), "") if part.isdecimal() else (-1, part)


def _librispeech_genders(folder: Path, chapters: list[Path]) -> dict[str, Gender | None]:
    """Speakers' genders from SPEAKERS.TXT (`14 | F | train-clean-360 | …`), which lies above the subsets."""
    above = dict.fromkeys((chapters[0].parents[2], chapters[0].parents[1], folder))
    for path in (place / "SPEAKERS.TXT" for place in above):
        if path.is_file():
            rows = (line.split("|") for line in read_lines(path) if line.strip() and not line.startswith(";"))
            return {row[0].strip(): gender_of(row[1].strip()) for row in rows if len(row) > 1}
    return {}


# VoxCeleb1


def read_voxceleb1(folder: Path) -> Corpus:
    """Read VoxCeleb1 as unpacked.

    `id10270/5r0dWxy17C8/00001.wav` is file and utterance, `id10270` the speaker, and the video `5r0dWxy17C8` the
    session. The files may be there in another format that libsndfile reads; VoxCeleb2's `.m4a` must be converted first.
    """
    home = _voxceleb_home(folder)
    if home is None:
        raise BadInput(f"{folder} is not VoxCeleb1: it has no id1xxxx/video/*.wav, nor wav/ above them.")
    genders = _voxceleb_genders(dict.fromkeys((folder, home, home.parent)))
    found = AudioFiles.among([path for speaker in _id_folders(home) for path in files_below(speaker)], home)
    found.refuse_lost("speaker")
    utterances = []
    for path in sorted(found.kept):
        id = as_text(path.relative_to(home).as_posix())
        speaker, *video, _ = id.split("/")
        utterances.append(Utterance(id, speaker, path, genders.get(speaker), session="/".join(video) or None))
    spoken = {u.speaker for u in utterances}
    silent = [place for place in folders_in(home) if place.name.startswith("id") and place.name not in spoken]
    cautions = (*found.cautions(), *left_out(home, silent, "it is not an id and five digits with recordings"))
    return Corpus("voxceleb1", tuple(utterances), folder, "real", cautions)


def _voxceleb_home(folder: Path) -> Path | None:
    """The folder that speakers' folders lie in."""
    for home in (folder, *(folder / name for name in ("wav", "flac", "aac", "m4a"))):
        videos = (video for speaker in _id_folders(home) for video in folders_in(speaker))
        if any(_is_audio(path) for video in videos for path in files_below(video, depth=0)):
            return home
    return None


def _id_folders(home: Path) -> list[Path]:
    return [path for path in folders_in(home) if re.fullmatch(r"id\d{5}", path.name)] if os.path.isdir(home) else []


def _voxceleb_genders(places: dict[Path, None]) -> dict[str, Gender | None]:
    """Speakers' genders from vox1_meta.csv (tab-separated: VoxCeleb1 ID, VGGFace1 ID, Gender, …)."""
    for path in (place / "vox1_meta.csv" for place in places):
        if path.is_file():
            rows = [re.split(r"[\t,]", line.strip()) for line in read_lines(path) if line.strip()]
            header = [title.strip() for title in rows[0]] if rows else []
            if "Gender" not in header:
                raise BadInput(f"{path} has no column Gender: fetch the published vox1_meta.csv again.")
            column = header.index("Gender")
            return {row[0].strip(): gender_of(row[column].strip()) for row in rows[1:] if len(row) > column}
    return {}


# Speech Commands

COMMAND = re.compile(r"([0-9a-f]{8})_nohash_\d+")


def read_speech_commands(folder: Path) -> Corpus:
    """Read Speech Commands as unpacked, without its `_background_noise_`, `_silence_` and `_unknown_` folders."""
    files, others = _commands(folder)
    if not files:
        raise BadInput(f"{folder} is not Speech Commands: it has no word/xxxxxxxx_nohash_0.wav.")
    audio = AudioFiles.among(files, folder)
    utterances = tuple(
        Utterance(id_of(path, folder), path.stem[:8], path, text=as_text(path.parent.name).upper())
        for path in audio.kept
    )
    cautions = (*audio.cautions(), *left_out(folder, others, "its name is not xxxxxxxx_nohash_0"))
    return Corpus("speech-commands", utterances, folder, "real", cautions)


def _commands(folder: Path) -> tuple[list[Path], list[Path]]:
    """Recordings in the words' folders that have the corpus' names, and others."""
    words = [place for place in folders_in(folder) if not place.name.startswith("_")]
    files = [path for word in words for path in files_below(word, depth=0) if _is_audio(path)]
    named = [path for path in files if COMMAND.fullmatch(path.stem)]
    return named, [path for path in files if not COMMAND.fullmatch(path.stem)]


# speaker/utterance.wav


def read_folder(folder: Path) -> Corpus:
    """Read a folder per speaker, with recordings in it or in folders below it (sessions), in any libsndfile format.

    Ids are paths without their ending: `speaker/utterance`, `speaker/session/utterance`. The session of a recording
    that lies in the speaker's folder itself is unknown. Of a recording in two formats, one file is read.
    """
    files, cautions = audio_by_folder(folder, "speaker")
    if all(path.parent.parent != folder for path in files):
        first = files[0].relative_to(folder)
        cautions += (as_text(f"{folder}: {first} and all others lie deeper; {first.parts[0]} is taken for a speaker"),)
    utterances = []
    for path in files:
        speaker, *session = map(as_text, path.relative_to(folder).parts[:-1])
        utterances.append(Utterance(id_of(path, folder), speaker, path, session="/".join(session) or None))
    return Corpus(as_text(folder.resolve().name), tuple(utterances), folder, cautions=cautions)


# the table above


def _of_folder(reader: Callable[[Path], Corpus]) -> Callable[[str], Corpus]:
    return lambda place: reader(folder_named(place))


def _of_file(reader: Callable[[Path], Corpus]) -> Callable[[str], Corpus]:
    return lambda place: reader(file_named(place))


READERS: dict[str, Callable[[str], Corpus]] = {
    "kaldi": _of_folder(read_kaldi),
    "librispeech": _of_folder(read_librispeech),
    "voxceleb1": _of_folder(read_voxceleb1),
    "speechcommands": _of_folder(read_speech_commands),
    "folder": _of_folder(read_folder),
    "tsv": _of_file(read_tsv),
    "jsonl": _of_file(read_jsonl),
    "esc50": read_esc50,
    "esc10": read_esc10,
    "sins": _of_folder(read_sins),
    "dcase": _of_file(read_dcase),
    "classes": _of_folder(read_classes),
}
BY_SUFFIX = {".tsv": "tsv", ".jsonl": "jsonl", ".csv": "dcase"}  # the layouts that one file describes
SPECS = {name: f"{name}:{'FILE' if name in BY_SUFFIX.values() else 'DIR'}" for name in READERS}
REGISTRY = Registry(
    kind="corpus",
    group="wrongkey.corpora",
    builtin={"bundled": read_bundled, "bundled-words": read_bundled_words},
    is_one=lambda found: isinstance(found, Corpus),
    wanted="give a wrongkey.evaluation.Corpus, or a function without arguments that returns one",
    forms=("a folder", *SPECS.values()),
)
