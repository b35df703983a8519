"""Sound files, corpora, trial lists and what else speech comes with, as kinds for `benchmarks.fuzz`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.fuzz_kind import Kind
from wrongkey.evaluation.corpora import duration, load_audio, open_corpus
from wrongkey.evaluation.tasks.enrolment import ENROLMENT, LISTS
from wrongkey.evaluation.tasks.trials import read_trials

RATE = 16_000


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise with a slow envelope, `(samples,)`, as a stand-in for speech."""
    rng = np.random.default_rng(seed)
    samples = np.arange(int(seconds * RATE))
    return 0.3 * np.sin(samples / 900) * rng.standard_normal(len(samples)).clip(-3, 3) / 3


def audio(name: str, kind: str | None = None, subtype: str | None = None, rate: int = RATE) -> Kind:
    """A sound file of a container and an encoding; `rate` is the one that the format knows, if it knows one alone."""
    samples = speech(0.5 * rate / RATE)

    def make(folder: Path) -> Path:
        soundfile.write(folder / name, samples, rate, subtype, format=kind)
        return folder / name

    return Kind(make, use_audio, decoded=8 * RATE // 2)


def use_audio(file: Path) -> None:
    """Read a sound file and its duration, which must agree."""
    samples, seconds = load_audio(file, RATE, "mix"), duration(file)
    if abs(len(samples) - seconds * RATE) > 2:
        raise AssertionError(f"{len(samples)} samples were read and {seconds} s announced")


def folder_of_speakers(folder: Path) -> Path:
    """Write two speakers with two recordings each."""
    for speaker in ("anna", "bert"):
        (folder / speaker).mkdir()
        for number in range(2):
            soundfile.write(folder / speaker / f"{number}.wav", speech(0.05, number), RATE)
    return folder


def kaldi(damaged: str) -> Kind:
    """A Kaldi folder of which one list is damaged."""

    def make(folder: Path) -> Path:
        folder_of_speakers(folder)
        ids = [f"{speaker}-{number}" for speaker in ("anna", "bert") for number in range(2)]
        lists = {
            "wav.scp": [f"{id} {id.replace('-', '/')}.wav" for id in ids],
            "utt2spk": [f"{id} {id.partition('-')[0]}" for id in ids],
            "text": [f"{id} HELLO WORLD" for id in ids],
            "spk2gender": ["anna f", "bert m"],
            "utt2gender": ["anna-0 f", "anna-1 female", "bert-0 m", "bert-1 male"],
            "utt2session": ["anna-0 monday", "anna-1 tuesday", "bert-0 1", "bert-1 2"],
            "segments": [f"{id} {id} 0.00 0.04" for id in ids],
        }
        for name, lines in lists.items():
            (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return folder / damaged

    return Kind(make, lambda file: use_corpus(f"kaldi:{file.parent}"))


def listed(layout: str, name: str, lines: Sequence[str]) -> Kind:
    """A corpus that is a file of lines."""

    def make(folder: Path) -> Path:
        folder_of_speakers(folder)
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return folder / name

    return Kind(make, lambda file: use_corpus(f"{layout}:{file}"))


def use_corpus(spec: str) -> None:
    """Open a corpus and hash it."""
    corpus = open_corpus(spec)
    corpus.digest()
    json.dumps([utterance.id for utterance in corpus.utterances], ensure_ascii=False).encode()


def beside(
    name: str,
    content: str,
    recordings: Sequence[str],
    layout: str,
    seconds: float = 0.05,
    also: Sequence[tuple[str, str]] = (),
) -> Kind:
    """A list in the folder of a corpus, `name` with its path there, beside recordings and another list."""

    def make(folder: Path) -> Path:
        for number, recording in enumerate(recordings):
            (folder / recording).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / recording, speech(seconds, number), RATE)
        for listed, lines in (*also, (name, content)):
            (folder / listed).parent.mkdir(parents=True, exist_ok=True)
            (folder / listed).write_text(lines)
        return folder / name

    up = len(Path(name).parents) - 1
    return Kind(make, lambda file: use_corpus(f"{layout}:{file.parents[up]}"))


def enrolled(name: str, lines: Sequence[str]) -> Kind:
    """A list of who is enrolled by which utterances, beside trials that name speakers."""

    def make(folder: Path) -> Path:
        for speaker in ("anna", "bert"):
            (folder / "corpus" / speaker).mkdir(parents=True)
            for number in range(3):
                soundfile.write(folder / "corpus" / speaker / f"{number}.wav", speech(0.05, number), RATE)
        (folder / "trials.txt").write_text("1 anna anna/2\n0 anna bert/2\n1 bert bert/2\n0 bert anna/2\n")
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return folder / name

    def use(file: Path) -> None:
        read = read_trials(file.parent / "trials.txt", open_corpus(f"folder:{file.parent / 'corpus'}"))
        for number, model in enumerate(read.models, start=len(read.ids)):
            if set(read.test[read.enrolment == number]) & set(model.utterances):
                raise AssertionError("an utterance enrols and is tested")

    return Kind(make, use)


def trials(lines: Sequence[str]) -> Kind:
    """A trial list beside its corpus."""

    def make(folder: Path) -> Path:
        folder_of_speakers(folder)
        (folder / "trials.txt").write_text("".join(f"{line}\n" for line in lines))
        return folder / "trials.txt"

    return Kind(make, use_trials)


def use_trials(file: Path) -> None:
    """Read a trial list; written and read again it must be the same."""
    corpus = open_corpus(f"folder:{file.parent}")
    read = read_trials(file, corpus)
    again = file.with_name("again.txt")
    again.write_text("".join(f"{line}\n" for line in read.lines()), encoding="utf-8")
    if read.models:
        enrolment = "".join(f"{line}\n" for line in read.enrolment_lines())
        again.with_name(ENROLMENT).write_text(enrolment, encoding="utf-8")
    if read_trials(again, corpus).digest() != read.digest():
        raise AssertionError("trials differ after they were written and read")


def only_list(folder: Path) -> Path:
    """Write a list of utterances and its corpus."""
    folder_of_speakers(folder)
    (folder / "only.txt").write_text("anna/0\nbert/1\n")
    return folder / "only.txt"


def use_only(file: Path) -> None:
    """Read a list of utterances."""
    open_corpus(f"folder:{file.parent}").only_listed(file)


KALDI = ("wav.scp", "utt2spk", "text", "spk2gender", "segments", "utt2gender", "utt2session")
JSON_LINE = '{{"audio_filepath": "{0}/{1}.wav", "text": "hello", "speaker": "{0}", "offset": 0.01, "duration": 0.02}}'
KINDS: dict[str, Kind] = {
    "wav": audio("a.wav"),
    "wav 24 bit": audio("a.wav", subtype="PCM_24"),
    "wav float": audio("a.wav", subtype="FLOAT"),
    "wav GSM": audio("a.wav", subtype="GSM610"),
    "wav ADPCM": audio("a.wav", subtype="IMA_ADPCM"),
    "w64": audio("a.w64"),
    "rf64": audio("a.wav", "RF64"),
    "aiff": audio("a.aiff"),
    "au": audio("a.au"),
    "caf": audio("a.caf"),
    "flac": audio("a.flac"),
    "ogg vorbis": audio("a.ogg", subtype="VORBIS"),
    "ogg opus": audio("a.opus", "OGG", "OPUS"),
    "mp3": audio("a.mp3"),
    "nist": audio("a.sph", "NIST"),
    "nist ulaw": audio("a.sph", "NIST", "ULAW"),
    "voc": audio("a.voc"),
    "avr": audio("a.avr"),
    "ircam": audio("a.sf", "IRCAM"),
    "paf": audio("a.paf"),
    "paf 24 bit": audio("a.paf", subtype="PCM_24"),
    "pvf": audio("a.pvf"),
    "svx": audio("a.svx"),
    "wve": audio("a.wve", subtype="ALAW", rate=8_000),
    "gsm": audio("a.gsm", "RAW", "GSM610", rate=8_000),
    "vox": audio("a.vox", "RAW", "VOX_ADPCM", rate=8_000),
    **{f"kaldi {name}": kaldi(name) for name in KALDI},
    "tsv": listed("tsv", "list.tsv", ["id\tpath\tsentence\tclient_id\tgender", "0\tanna/0.wav\thi\tanna\tf",
                                      "1\tbert/1.wav\tyes\tbert\tmale"]),
    "jsonl": listed("jsonl", "list.jsonl", [JSON_LINE.format("anna", 0), JSON_LINE.format("bert", 1)]),
    "dcase": listed("dcase", "list.csv", ["filename\tscene_label", "anna/0.wav\tpark", "bert/1.wav\tbus"]),
    "trials": trials(["1 anna/0 anna/1", "0 anna/0 bert/1", "1 bert/0.wav bert/1.wav", "0 bert/0 anna/1"]),
    "trials Kaldi": trials(["anna/0 anna/1 target", "anna/0 bert/1 nontarget", "bert/0 bert/1 target"]),
    "trials speakers": trials(["anna anna/1 target", "anna bert/1 nontarget", "bert bert/1 target"]),
    "trials tabs": trials(["target\tanna/0\tanna/1", "nontarget\tanna/0\tbert/1", "1\tbert/0\tbert/1"]),
    "only": Kind(only_list, use_only),
    **{f"enrolment {name}": enrolled(name, lines) for name, lines in {
        ENROLMENT: ["anna\tanna/0\tanna/1", "bert\tbert/0\tbert/1"],
        LISTS[0]: ["anna/0", "anna/1", "bert/0", "bert/1"],
        LISTS[1]: ["anna anna/0.wav", "bert bert/0.wav"],
        LISTS[2]: ["anna anna/0.wav anna/1.wav", "bert bert/0.wav"],
        LISTS[3]: ["anna anna/0 anna/1", "bert bert/0 bert/1"],
    }.items()},
    "esc50.csv": beside(
        "meta/esc50.csv", "filename,fold,target,category,esc10,src_file,take\n1-1-A-0.wav,1,0,dog,True,1,A\n"
        "2-1-A-9.wav,2,9,crow,False,2,A\n", ["audio/1-1-A-0.wav", "audio/2-1-A-9.wav"], "esc50"),
    "sins labels": beside(
        "living_labels.csv", "Class;Start time;Stop time\ncalling;2017-01-30 09:59:00.000;2017-01-30 10:00:05.000\n"
        "dont use;2017-01-30 10:00:05.020;2017-01-30 10:00:09.000\n", ["Node1_20170130_100000_500_audio.wav"], "sins",
        seconds=8.5),
    "sins meta.txt": beside(
        "meta.txt", "audio/DevNode1_ex1_1.wav\tsocial_activity\tex1\naudio/DevNode1_ex1_2.wav\tcooking\tex1\n",
        ["audio/DevNode1_ex1_1.wav", "audio/DevNode1_ex1_2.wav"], "sins"),
    "voxceleb meta": beside(
        "vox1_meta.csv", "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\nid10001\tA._J\tm\tIreland\tdev\n",
        ["id10001/1zcIwhmdeo4/00001.wav", "id10001/7gWzIy6yIIk/00001.wav"], "voxceleb1"),
    "librispeech speakers": beside(
        "SPEAKERS.TXT", ";ID  |SEX| SUBSET |MINUTES| NAME\n61   | M | test-clean |  8.08 | Paul-Gabriel Wiener\n",
        ["test-clean/61/70968/61-70968-0000.flac", "test-clean/61/70968/61-70968-0001.flac"], "librispeech",
        also=[("test-clean/61/70968/61-70968.trans.txt", "61-70968-0000 HE BEGAN\n")]),
    "librispeech text": beside(
        "test-clean/61/70968/61-70968.trans.txt", "61-70968-0000 HE BEGAN\n61-70968-0001 GIVE NOT\n",
        ["test-clean/61/70968/61-70968-0000.flac", "test-clean/61/70968/61-70968-0001.flac"], "librispeech"),
}  # fmt: skip
