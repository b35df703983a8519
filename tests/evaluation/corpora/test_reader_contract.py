"""What every reader of corpora keeps to."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import layouts, load_audio, open_corpus


def audio(path: Path, seconds: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, round(16_000 * seconds)), 16_000)
    return path


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def kaldi(folder: Path) -> Path:
    audio(folder / "a.wav")
    audio(folder / "b.wav")
    text(folder / "utt2spk", "a ann", "b bob")
    text(folder / "wav.scp", "a a.wav", "b b.wav")
    return folder


def librispeech(folder: Path) -> Path:
    for number in (0, 1):
        audio(folder / "14" / "208" / f"14-208-000{number}.flac")
    text(folder / "14" / "208" / "14-208.trans.txt", "14-208-0000 HELLO", "14-208-0001 THERE")
    return folder


def voxceleb1(folder: Path) -> Path:
    audio(folder / "id10270" / "5r0dWxy17C8" / "00001.wav")
    audio(folder / "id10271" / "1gtz-CUIygI" / "00001.wav")
    return folder


def speech_commands(folder: Path) -> Path:
    for word in ("yes", "no"):
        audio(folder / word / "0a7c2a8d_nohash_0.wav")
    return folder


def speakers(folder: Path) -> Path:
    audio(folder / "ann" / "1.wav")
    audio(folder / "bob" / "1.wav")
    return folder


def tsv(folder: Path) -> Path:
    audio(folder / "a.wav")
    audio(folder / "b.wav")
    return text(folder / "list.tsv", "path\tsentence", "a.wav\tYes.", "b.wav\tNo.")


def jsonl(folder: Path) -> Path:
    rows = [json.dumps({"path": audio(folder / f"{name}.wav").name, "text": "yes"}) for name in "ab"]
    return text(folder / "list.jsonl", *rows)


def esc(folder: Path) -> Path:
    rows = ["filename,fold,target,category,esc10"]
    for name, category in (("a", "dog"), ("b", "rain")):
        audio(folder / "audio" / f"{name}.wav")
        rows.append(f"{name}.wav,1,0,{category},True")
    text(folder / "esc50.csv", *rows)
    return folder


def sins(folder: Path) -> Path:
    audio(folder / "Calling" / "a.wav", seconds=4.0)
    audio(folder / "Working" / "b.wav", seconds=4.0)
    return folder


def dcase(folder: Path) -> Path:
    audio(folder / "a.wav")
    audio(folder / "b.wav")
    return text(folder / "meta.csv", "filename\tscene_label", "a.wav\tpark", "b.wav\tbus")


# layout -> what makes a corpus of two recordings in a folder, and returns the place to be named
CORPORA = {
    "kaldi": kaldi,
    "librispeech": librispeech,
    "voxceleb1": voxceleb1,
    "speechcommands": speech_commands,
    "folder": speakers,
    "tsv": tsv,
    "jsonl": jsonl,
    "esc50": esc,
    "esc10": esc,
    "sins": sins,
    "dcase": dcase,
    "classes": speakers,
}


def test_every_layout_is_here():
    assert CORPORA.keys() == layouts.READERS.keys()


@pytest.mark.parametrize("layout", CORPORA)
def test_a_small_corpus_opens(layout, tmp_path):
    corpus = open_corpus(f"{layout}:{CORPORA[layout](tmp_path / 'set')}")
    assert len({utterance.id for utterance in corpus.utterances}) == len(corpus) == 2
    assert all(len(load_audio(utterance)) >= 8_000 for utterance in corpus.utterances)
    assert corpus.name and all(utterance.id.isprintable() for utterance in corpus.utterances)


@pytest.mark.parametrize("layout", CORPORA)
def test_a_recording_that_is_gone_is_named_or_left_out(layout, tmp_path):
    place = CORPORA[layout](tmp_path / "set")
    gone = next(path for path in sorted(place.parent.rglob("*")) if path.suffix in (".wav", ".flac"))
    gone.unlink()
    try:
        assert gone not in [utterance.path for utterance in open_corpus(f"{layout}:{place}").utterances]
    except BadInput as refusal:
        assert gone.name in str(refusal) or gone.stem in str(refusal)


@pytest.mark.parametrize("layout", layouts.READERS)
def test_an_empty_place_and_an_absent_one_are_refused_by_name(layout, tmp_path):
    kind = "file" if "FILE" in layouts.SPECS[layout] else "folder"
    empty = text(tmp_path / "empty") if kind == "file" else tmp_path
    with pytest.raises(BadInput) as refusal:
        open_corpus(f"{layout}:{empty}")
    assert str(empty) in str(refusal.value) and "\n" not in str(refusal.value)
    with pytest.raises(BadInput, match=f"absent is not a {kind}"):
        open_corpus(f"{layout}:{tmp_path / 'absent'}")
    with pytest.raises(BadInput, match=f"is not a {kind}"):
        open_corpus(f"{layout}:{'x' * 300}")


@pytest.mark.parametrize("spec", ["", *(f"{layout}:" for layout in layouts.READERS)])
def test_a_layout_without_a_place_does_not_read_the_working_directory(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(kaldi(tmp_path / "set"))
    assert len(open_corpus("kaldi:.")) == 2
    given = layouts.SPECS[spec[:-1] or "folder"]
    with pytest.raises(BadInput, match=f"Corpus '{spec}' names no folder or file: give {given}"):
        open_corpus(spec)
