"""Readers of acoustic scenes and events: recordings with labels and without speakers.

SINS (Dekkers et al., "The SINS database for detection of daily activities in a home environment using an acoustic
sensor network", DCASE 2017) is read as the paper uses it: nine classes, Calling and Visit merged into Social Activity,
in clips of four seconds. The paper does not say which recordings are its test set: choose yours with a list of ids.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora.audio import duration
from wrongkey.evaluation.corpora.corpus import Corpus, Utterance, first_three
from wrongkey.evaluation.corpora.files import (
    AudioFiles,
    audio_by_folder,
    files_below,
    folder_named,
    is_leftover,
    left_out,
    listed_id,
    located,
    read_rows,
)
from wrongkey.evaluation.corpora.formats import without_suffix
from wrongkey.evaluation.corpora.ids import as_text, composed, id_of
from wrongkey.evaluation.corpora.text_files import read_lines

# a folder per class


def read_classes(folder: Path) -> Corpus:
    """A folder per class, its audio files at any depth below it; the id is the path without its ending."""
    files, cautions = audio_by_folder(folder, "class")
    utterances = tuple(
        Utterance(id_of(path, folder), "", path, label=as_text(path.relative_to(folder).parts[0])) for path in files
    )
    return Corpus(as_text(folder.resolve().name), utterances, folder, cautions=cautions)


# DCASE lists


def read_dcase(file: Path) -> Corpus:
    """A list as TAU Urban Acoustic Scenes has it: a header, then `filename<TAB>scene_label`.

    Other columns (`identifier`, `source_label`) are not read; a list whose header has no tab is separated by
    commas. Paths start at the list's folder or its parent (lists lie in `evaluation_setup/`), the first of them
    where any listed file exists. The id is the filename without its ending.
    """
    delimiter = "\t" if "\t" in read_lines(file)[0] else ","
    try:
        needed = ["filename", "scene_label"]
        rows = read_rows(file, needed, delimiter, filled=needed)
    except BadInput as error:
        raise BadInput(
            f"{error} (of TAU's lists, fold1_evaluate.csv has labels and fold1_test.csv has none)."
        ) from error
    folder = file.resolve().parent
    root, paths = located([row["filename"] for row in rows], (folder, folder.parent))
    utterances = tuple(
        Utterance(without_suffix(listed_id(row["filename"], path)), "", path, label=row["scene_label"])
        for row, path in zip(rows, paths, strict=True)
    )
    return Corpus(as_text(f"{root.name}-{file.stem}"), utterances, root)


# ESC-50


def read_esc50(place: str) -> Corpus:
    """ESC-50 (Piczak 2015), `DIR` or `DIR#fold=5` or `DIR#fold=1,2`: `esc50.csv` or `meta/esc50.csv`, and `audio/`.

    DIR may be the folder above `ESC-50-master`. The label is the `category`, the id the filename without its
    ending; audio that is not the listed `.wav` may be there in another format.
    """
    return _esc(place, "esc50", lambda row: True)


def read_esc10(place: str) -> Corpus:
    """The ten classes of ESC-50 whose column `esc10` is True; otherwise as `read_esc50`."""
    return _esc(place, "esc10", lambda row: row["esc10"].lower() == "true")


def _esc(place: str, name: str, belongs: Callable[[dict[str, str]], bool]) -> Corpus:
    above, chosen, choice = place.rpartition("#fold=") if "#fold=" in place else (place, "", "")
    home, table = _esc_home(folder_named(above))
    needed = ["filename", "fold", "category", "esc10"]
    rows = read_rows(table, needed, ",", filled=needed)
    if chosen:
        folds, wanted = sorted({row["fold"] for row in rows}), choice.split(",")
        unknown = [repr(fold) for fold in wanted if fold not in folds]
        if unknown:
            raise BadInput(f"{table} has no fold {first_three(unknown)}: choose from {', '.join(folds)}.")
        rows = [row for row in rows if row["fold"] in wanted]
        name = f"{name}-fold{'-'.join(sorted(set(wanted)))}"
    rows = [row for row in rows if belongs(row)]
    audio = home / "audio"
    lying = files_below(audio, depth=0) if audio.is_dir() else []
    in_any_format = {composed(path.stem): path for path in AudioFiles.among(lying, home).kept}
    utterances = []
    for row in rows:
        path = audio / row["filename"]
        if not path.is_file():
            path = in_any_format.get(composed(path.stem), path)
        utterances.append(Utterance(Path(row["filename"]).stem, "", path, label=row["category"]))
    return Corpus(name, tuple(utterances), home, "real")


def _esc_home(folder: Path) -> tuple[Path, Path]:
    """The folder that holds `audio/`, and the list of its clips."""
    table = esc_table(folder)
    if table is None:
        raise BadInput(f"{folder} is not ESC-50: it has no esc50.csv, nor meta/esc50.csv.")
    return (table.parent.parent if table.parent.name == "meta" else table.parent), table


def esc_table(folder: Path) -> Path | None:
    """`esc50.csv` of a folder that holds ESC-50, or None."""
    homes = [folder, *sorted(folder.glob("ESC-50*"))]
    tables = [home / place for home in homes for place in ("esc50.csv", "meta/esc50.csv")]
    return next((table for table in tables if table.is_file()), None)


# SINS

CLIP = 4.0  # seconds
ACTIVITIES = {  # the paper's names of the classes; keys are letters only
    "absence": "Absence",
    "cooking": "Cooking",
    "dishwashing": "Dishwashing",
    "eating": "Eating",
    "other": "Other",
    "vacuumcleaner": "Vacuumcleaner",
    "watchingtv": "Watching TV",
    "working": "Working",
    "calling": "Social Activity",
    "visit": "Social Activity",
    "socialactivity": "Social Activity",
}
# YYYYMMDD_HHMMSS_milliseconds, and the nodes that the authors' example_code/segment_wav.m pairs with these labels.
NODE_FILE = re.compile(r"Node[1-8]_(\d{8}_\d{6}_\d{3})_audio")
LABELS = "living_labels.csv"
Session = tuple[datetime, datetime, str]


def read_sins(folder: Path) -> Corpus:
    """SINS in clips of four seconds, from whichever of three layouts the folder has.

    1. As published: `Node1_YYYYMMDD_HHMMSS_FFF_audio.wav` at any depth (Zenodo's `audio/Node1/audio/`), and
       `living_labels.csv` (from `annotation/` of github.com/KULeuvenADVISE/SINS_database) up to three folders down.
       Nodes 1 to 8 are read: the labels are not meant for nodes 9 to 13. Clips lie wholly within one labelled
       activity and touch no other; a file's name says when it begins, and the sync files, which correct that by
       about half a second, are not read.
    2. DCASE 2018 task 5, its derivative: `meta.txt` (`audio/DevNode1_ex1_1.wav<TAB>label<TAB>session`), ten-second
       files.
    3. A folder per activity, its files at any depth below it.

    Activities are known by their letters (`watching tv`, `Watching_TV`); others (`dont use`) are left out. A
    recording of up to four seconds is one clip; of a longer one, what remains after the last whole clip is left
    out. Ids are paths without their ending, and `@seconds` where a file gives several clips. The microphones of a
    node are channels: mix them, or write one of them to files.
    """
    cautions: tuple[str, ...] = ()
    if (folder / "meta.txt").is_file():
        clips = _meta_clips(folder)
    else:
        audio = AudioFiles.among(files_below(folder), folder)
        labels = _label_list(folder)
        used = _node_files(audio.kept) if labels else _activity_files(audio.kept, folder)
        clips = _node_clips(used, folder, _sessions(labels)) if labels else _activity_clips(used, folder)
        unused = sorted(set(audio.kept) - set(used))
        reason = "they are not of nodes 1 to 8" if labels else "they lie in no folder of an activity that is used"
        cautions = (*audio.cautions(), *left_out(folder, unused, reason))
    utterances = tuple(clips)
    if not utterances:
        raise BadInput(
            f"{folder} is not SINS: it needs Node1_*_audio.wav (nodes 1 to 8) with {LABELS}, or meta.txt of DCASE 2018 "
            f"task 5, or a folder per activity ({', '.join(sorted(set(ACTIVITIES.values())))})."
        )
    return Corpus("sins", utterances, folder, "real", cautions)


def is_sins(folder: Path) -> bool:
    """Whether a folder is SINS as published, or its derivative of DCASE 2018."""
    derived = (folder / "meta.txt").is_file() and any(folder.glob("audio/*Node*_ex*.wav"))
    return derived or _label_list(folder) is not None


def _label_list(folder: Path) -> Path | None:
    """`living_labels.csv` at most three folders down (a search through all of SINS takes long), or None."""
    found = (path for depth in range(4) for path in sorted(folder.glob("*/" * depth + LABELS)))
    return next((path for path in found if not any(map(is_leftover, path.relative_to(folder).parts))), None)


def activity(name: str) -> str | None:
    """The paper's class of an activity, None for what it does not use."""
    return ACTIVITIES.get(re.sub("[^a-z]", "", name.lower()))


def _activity_files(files: Sequence[Path], folder: Path) -> list[Path]:
    inside = [path for path in files if path.parent != folder]
    return [path for path in inside if activity(path.relative_to(folder).parts[0])]


def _activity_clips(files: Sequence[Path], folder: Path) -> Iterator[Utterance]:
    for path in files:
        yield from _clips(path, id_of(path, folder), activity(path.relative_to(folder).parts[0]) or "")


def _meta_clips(folder: Path) -> Iterator[Utterance]:
    listed = []
    for number, line in enumerate(read_lines(folder / "meta.txt"), start=1):
        place, tab, rest = line.strip().partition("\t")
        if line.strip() and not tab:
            raise BadInput(f"{folder / 'meta.txt'} has no label in line {number}: write 'file<TAB>label<TAB>session'.")
        if label := activity(rest.partition("\t")[0]):
            listed.append((place, label))
    _, paths = located([place for place, _ in listed], (folder,))
    for (place, label), path in zip(listed, paths, strict=True):
        yield from _clips(path, as_text(Path(listed_id(place, path)).with_suffix("").as_posix()), label)


def _node_files(files: Sequence[Path]) -> list[Path]:
    return [path for path in files if NODE_FILE.fullmatch(path.stem)]


def _node_clips(files: Sequence[Path], folder: Path, sessions: Sequence[Session]) -> Iterator[Utterance]:
    for path in files:
        named = NODE_FILE.fullmatch(path.stem)
        assert named is not None
        begin = datetime.strptime(named[1], "%Y%m%d_%H%M%S_%f")
        end = begin + timedelta(seconds=duration(path))
        near = [session for session in sessions if session[0] < end and session[1] > begin]
        for clip in _clips(path, id_of(path, folder), ""):
            if label := _only_activity(begin, clip, near):
                yield label


def _clips(path: Path, id: str, label: str) -> Iterator[Utterance]:
    """A recording as clips of four seconds; one of up to that long as it is."""
    seconds = duration(path)
    if seconds <= CLIP:
        yield Utterance(id, "", path, label=label)
        return
    for number in range(int(seconds // CLIP)):
        start = number * CLIP
        yield Utterance(f"{id}@{start:g}", "", path, start=start, end=start + CLIP, label=label)


def _sessions(file: Path) -> list[Session]:
    """Begin, end and activity of every line `class;start;stop` behind the header."""
    sessions = []
    for number, line in enumerate(read_lines(file)[1:], start=2):
        if line.strip():
            try:
                name, start, stop = line.strip().split(";")
                sessions.append((_moment(start), _moment(stop), name))
            except ValueError as error:
                raise BadInput(f"{file} is malformed in line {number}: write 'class;start time;stop time'.") from error
    return sessions


def _moment(text: str) -> datetime:
    return datetime.strptime(text.strip(), "%Y-%m-%d %H:%M:%S.%f")


def _only_activity(begin: datetime, clip: Utterance, sessions: Sequence[Session]) -> Utterance | None:
    """The clip with the one activity that it touches and that all of it lies in; None without, or for an unused one.

    The published sessions overlap here and there (cooking and eating on 2017-02-01 at 22:29:23).
    """
    first = begin + timedelta(seconds=clip.start or 0.0)
    last = first + timedelta(seconds=CLIP if clip.end is None else clip.end - (clip.start or 0.0))
    touched = [session for session in sessions if session[0] < last and session[1] > first]
    if len(touched) != 1 or touched[0][0] > first or touched[0][1] < last:
        return None
    label = activity(touched[0][2])
    return replace(clip, label=label) if label else None
