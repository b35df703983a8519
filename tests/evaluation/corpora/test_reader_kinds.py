"""What lies in people's folders: links, sessions, every format, leftovers of other systems, names in any form."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Utterance, open_corpus
from wrongkey.evaluation.corpora.text_files import read_lines
from wrongkey.evaluation.tasks.trials import generate_trials

TONE = 0.1 * np.sin(np.arange(1600) / 5)
NFC, NFD = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))


def audio(path: Path, kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, TONE, 16_000, format=kind)
    return path


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def ids(spec: str | Path) -> list[str]:
    return [u.id for u in open_corpus(spec).utterances]


# a folder for each speaker


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("aiff", "AIFF"),
        ("aif", "AIFF"),
        ("AIFC", "AIFF"),
        ("au", "AU"),
        ("caf", "CAF"),
        ("w64", "W64"),
        ("sph", "NIST"),
        ("voc", "VOC"),
        ("oga", "OGG"),
        ("WAV", "WAV"),
        ("mp3", "MP3"),
    ],
)
def test_a_folder_reads_every_format_of_libsndfile(tmp_path: Path, ending: str, kind: str) -> None:
    if kind not in soundfile.available_formats():
        pytest.skip(f"this libsndfile reads no {kind}")
    audio(tmp_path / "ann" / "a.wav")
    audio(tmp_path / "bob" / f"b.{ending}", kind)
    corpus = open_corpus(f"folder:{tmp_path}")
    assert [(u.id, u.speaker) for u in corpus.utterances] == [("ann/a", "ann"), ("bob/b", "bob")]
    assert corpus.cautions == ()


def test_sessions_belong_to_their_speaker(tmp_path: Path) -> None:
    for place in ("ann/u0", "ann/second/u0", "ann/second/deep/u1", "bob/u0"):
        audio(tmp_path / f"{place}.wav")
    corpus = open_corpus(tmp_path)
    assert [(u.id, u.speaker) for u in corpus.utterances] == [
        ("ann/second/deep/u1", "ann"),
        ("ann/second/u0", "ann"),
        ("ann/u0", "ann"),
        ("bob/u0", "bob"),
    ]
    assert corpus.cautions == ()


def test_a_folder_of_parts_is_no_speaker_unasked(tmp_path: Path) -> None:
    for place in ("train/ann/u0", "test/bob/u0"):
        audio(tmp_path / f"{place}.wav")
    with pytest.raises(BadInput, match="say folder:DIR"):
        open_corpus(tmp_path)
    corpus = open_corpus(f"folder:{tmp_path}")
    assert corpus.speakers == ("test", "train")
    (caution,) = corpus.cautions
    assert "test/bob/u0.wav and all others lie deeper; test is taken for a speaker" in caution


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    for place in ("ann/u0.wav", "ann/u0.flac", "bob/u0.flac", "stray.wav"):
        audio(tmp_path / place)
    for place in ("ann/u1.m4a", "ann/u2.AAC", "bob/u0.m4a", "ann/notes.txt"):
        text(tmp_path / place, "no audio")
    (tmp_path / "eve").mkdir()
    corpus = open_corpus(f"folder:{tmp_path}")
    assert [str(u.path.relative_to(tmp_path)) for u in corpus.utterances] == ["ann/u0.wav", "bob/u0.flac"]
    assert [caution.removeprefix(f"{tmp_path}: ") for caution in corpus.cautions] == [
        "1 is left out, ann/u0.flac: their recordings are read from files in another format",
        "2 are left out, ann/u1.m4a first: libsndfile does not read their formats: convert them to FLAC",
        "1 is left out, stray.wav: what lies beside the speaker folders belongs to no speaker",
        "1 is left out, eve: no recording lies in there",
    ]
    bare = Corpus(corpus.name, corpus.utterances, corpus.root)
    assert bare.digest() == corpus.digest(), "cautions are no part of the content"
    assert corpus.only(["ann/u0"]).cautions == corpus.cautions


@pytest.mark.parametrize(("layout", "kind"), [("folder", "speaker"), ("classes", "class"), ("voxceleb1", "speaker")])
def test_nobody_is_left_out_entirely(tmp_path: Path, layout: str, kind: str) -> None:
    audio(tmp_path / "id10001" / "v" / "u0.wav")
    text(tmp_path / "id10002" / "v" / "u0.m4a", "no audio")
    with pytest.raises(BadInput, match=rf"no recording of {kind} id10002 in a format .*id10002/v/u0\.m4a first"):
        open_corpus(f"{layout}:{tmp_path}")


def test_cautions_reach_terminal_and_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from wrongkey.cli import main
    from wrongkey.evaluation.config import SweepConfig
    from wrongkey.evaluation.sweep import sweep

    for place in ("ann/u0", "ann/u1", "bob/u0", "bob/u1", "stray"):
        audio(tmp_path / "set" / f"{place}.wav")
    spec = f"folder:{tmp_path / 'set'}"
    assert main(["corpora", "show", spec]) == 0
    (caution,) = open_corpus(spec).cautions
    assert f"caution: {caution}\n" in capsys.readouterr().err
    said: list[str] = []
    config = SweepConfig(model="tests.toys:raw3", corpus=spec, keys=1, replicates=0, device="cpu")
    run = sweep(config, tmp_path / "run", workers=1, report=said.append)
    assert f"caution: {caution}" in said
    assert json.loads((run.path / "manifest.json").read_text())["cautions"][0] == caution


# links


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    audio(tmp_path / "disk" / "ann" / "u0.wav")
    audio(tmp_path / "disk" / "more" / "deep" / "u1.wav")
    home = tmp_path / "set"
    (home / "bob").mkdir(parents=True)
    (home / "ann").symlink_to(tmp_path / "disk" / "ann")
    (home / "bob" / "session").symlink_to(tmp_path / "disk" / "more")
    (home / "bob" / "u2.wav").symlink_to(tmp_path / "disk" / "ann" / "u0.wav")
    found = ["ann/u0", "bob/session/deep/u1", "bob/u2"]
    assert ids(f"folder:{home}") == ids(f"classes:{home}") == found
    (home / "bob" / "loop").symlink_to(home)
    (home / "bob" / "self.wav").symlink_to(home / "bob" / "self.wav")
    with pytest.raises(BadInput, match=r"do not exist: .*self\.wav\.$"):
        open_corpus(f"folder:{home}")
    (home / "bob" / "self.wav").unlink()
    assert ids(f"folder:{home}") == ids(f"classes:{home}") == found


def test_links_in_every_layout(tmp_path: Path) -> None:
    audio(tmp_path / "disk" / "b" / "Node1_20170130_100000_500_audio.wav")
    for layout, place in {"voxceleb1": "id10001/v", "speechcommands": "yes", "librispeech": "84/1"}.items():
        home = tmp_path / layout
        (home / place).parent.mkdir(parents=True)
        name = "0a7c2a8d_nohash_0.wav" if layout == "speechcommands" else "84-1-0.flac"
        audio(tmp_path / "disk" / layout / name)
        text(tmp_path / "disk" / layout / "84-1.trans.txt", "84-1-0 HELLO")
        (home / place).symlink_to(tmp_path / "disk" / layout)
        assert len(open_corpus(f"{layout}:{home}")) == 1
    sins = tmp_path / "sins"
    sins.mkdir()
    (sins / "Cooking").symlink_to(tmp_path / "disk" / "b")
    assert [u.label for u in open_corpus(f"sins:{sins}").utterances] == ["Cooking"]


# leftovers


def test_leftovers_are_no_recordings(tmp_path: Path) -> None:
    names = {
        "voxceleb1": "id10001/v/u0.wav",
        "speechcommands": "yes/0a7c2a8d_nohash_0.wav",
        "librispeech": "84/1/84-1-0.flac",
        "folder": "ann/u0.wav",
        "classes": "bus/u0.wav",
        "sins": "Cooking/u0.wav",
    }
    for layout, name in names.items():
        path = audio(tmp_path / layout / name)
        if layout == "librispeech":
            text(path.with_name("84-1.trans.txt"), "84-1-0 HELLO")
            path.with_name("._84-1.trans.txt").write_bytes(b"\x00\x05\x16\x07 not text \xff")
        for other in (path.parent, tmp_path / layout / "__MACOSX" / Path(name).parent):
            text(other / f"._{path.name}", "not audio")
            text(other / ".DS_Store", "")
        text(path.with_name("Thumbs.db"), "")
        text(tmp_path / layout / ".Trashes" / "ann" / "u9.wav", "not audio")
        corpus = open_corpus(f"{layout}:{tmp_path / layout}")
        assert (len(corpus), corpus.cautions) == (1, ()), layout
        open_corpus(tmp_path / layout)


# published layouts in other formats


def test_voxceleb_in_another_format_keeps_its_ids(tmp_path: Path) -> None:
    for place in ("flac/id10001/v/00001.flac", "flac/id10001/00002.flac", "flac/id10002/v/00001.flac"):
        audio(tmp_path / place)
    corpus = open_corpus(f"voxceleb1:{tmp_path}")
    assert [u.id for u in corpus.utterances] == ["id10001/00002.flac", "id10001/v/00001.flac", "id10002/v/00001.flac"]
    assert [u.id for u in corpus.only(["id10002/v/00001.wav"]).utterances] == ["id10002/v/00001.flac"]
    (tmp_path / "flac" / "id10000").mkdir()
    assert "1 is left out, id10000" in open_corpus(f"voxceleb1:{tmp_path}").cautions[0]


def test_librispeech_without_a_transcript_or_as_wav(tmp_path: Path) -> None:
    for chapter in ("84/1", "84/2"):
        name = chapter.replace("/", "-")
        audio(tmp_path / chapter / f"{name}-0.wav")
    audio(tmp_path / "84" / "1" / "84-1-0.flac")
    text(tmp_path / "84" / "1" / "84-1.trans.txt", "84-1-0 HELLO")
    corpus = open_corpus(f"librispeech:{tmp_path}")
    assert [(u.id, u.path.suffix, u.text) for u in corpus.utterances] == [
        ("84-1-0", ".flac", "HELLO"),
        ("84-2-0", ".wav", None),
    ]
    assert "84/1/84-1-0.wav" in corpus.cautions[0]


# names


def test_ids_that_no_list_can_hold_are_refused(tmp_path: Path) -> None:
    path = audio(tmp_path / "a.wav")
    for id, speaker in (("a\nb", "s"), ("a\tb", "s"), ("a", "s\r"), ("a\x1b[2J", "s"), ("\ud800", "s")):
        with pytest.raises(BadInput, match="control characters") as caught:
            Corpus("odd", (Utterance(id, speaker, path),), tmp_path)
        assert str(caught.value).isprintable()
    assert len(Corpus("even", (Utterance("a b\u3000é\u200b", "Ann Lee", path),), tmp_path)) == 1


def test_names_that_are_not_utf8_are_written_readably(tmp_path: Path) -> None:
    home = os.fsencode(tmp_path) + b"/Caf\xe9"
    for place in (b"/Ren\xe9/u0", b"/Ren\xe9/u1", b"/ann/u0", b"/ann/u\xff1"):
        os.makedirs(os.path.dirname(home + place), exist_ok=True)
        with open(home + place + b".wav", "wb") as file:
            soundfile.write(file, TONE, 16_000, format="WAV")
    corpus = open_corpus(f"folder:{os.fsdecode(home)}")
    assert (corpus.name, corpus.speakers) == ("Caf\\xe9", ("Ren\\xe9", "ann"))
    assert [u.id for u in corpus.utterances] == ["Ren\\xe9/u0", "Ren\\xe9/u1", "ann/u0", "ann/u\\xff1"]
    assert all(os.path.isfile(u.path) for u in corpus.utterances)
    trials = generate_trials(corpus)
    assert len(trials.digest()) == len(corpus.digest()) == 64
    "".join(trials.lines()).encode()
    assert open_corpus(f"classes:{os.fsdecode(home)}").classes == ("Ren\\xe9", "ann")


def test_kaldi_lists_match_in_any_unicode_form(tmp_path: Path) -> None:
    audio(tmp_path / "audio" / f"{NFD}.wav")
    text(tmp_path / "wav.scp", f"{NFC}1 audio\\{NFC}.wav")
    text(tmp_path / "segments", f"{NFD}-a {NFD}1 0 0.05")
    text(tmp_path / "utt2spk", f"{NFC}-a {NFC}")
    text(tmp_path / "text", f"{NFC}-a HOLA")
    text(tmp_path / "spk2gender", f"{NFD} m")
    (utterance,) = open_corpus(tmp_path).utterances
    assert (utterance.id, utterance.speaker, utterance.gender, utterance.text) == (f"{NFD}-a", NFC, "m", "HOLA")
    assert utterance.path.name == f"{NFD}.wav"


def test_a_speaker_in_two_unicode_forms_is_one(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        audio(tmp_path / f"{name}.wav")
    text(tmp_path / "l.tsv", "path\ttext\tspeaker", f"a.wav\tx\t{NFD}", f"b.wav\tx\t{NFC}", "c.wav\tx\tann")
    assert open_corpus(tmp_path / "l.tsv").speakers == (NFD, "ann")


def test_only_lists_match_ids_as_people_write_them(tmp_path: Path) -> None:
    for place in (f"{NFD}/u 0", "ann/u0", "ann/s2/u1", "bob/u0"):
        audio(tmp_path / f"{place}.wav")
    corpus = open_corpus(f"folder:{tmp_path}")
    lines = [f"./{NFC}/u 0.wav", "ann\\s2\\u1.WAV", f"{tmp_path}/bob/u0.wav", "voices/ann/u0.flac"]
    listed = text(tmp_path / "only.txt", *lines)
    assert corpus.only_listed(listed).utterances == corpus.utterances
    for line, said in [
        ("u0", r"no such utterances: u0 \(u0 could be ann/u0 or bob/u0\)"),
        ("Ann/u0", r"only upper and lower case differ from ann/u0"),
        ("eve/u7", r"ids there look like Jos"),
    ]:
        with pytest.raises(BadInput, match=said):
            corpus.only_listed(text(listed, line))
    assert [u.id for u in corpus.only_listed(text(listed, "u1")).utterances] == ["ann/s2/u1"]


def test_two_names_in_other_folders_are_not_one_utterance(tmp_path: Path) -> None:
    path = audio(tmp_path / "a.wav")
    corpus = Corpus("flat", (Utterance("u0", "s", path), Utterance("u1", "s", path)), tmp_path)
    with pytest.raises(BadInput, match=r"no such utterances: bob/u0 \(ann/u0 and bob/u0 would both be u0\)"):
        corpus.only(["ann/u0", "bob/u0"])
    assert len(corpus.only(["wav/u0", "u0", "data/wav/u0.wav", "u1"])) == 2


def test_of_ids_that_differ_in_form_the_exact_one_is_meant(tmp_path: Path) -> None:
    path = audio(tmp_path / "a.wav")
    corpus = Corpus("forms", tuple(Utterance(id, "s", path) for id in (NFC, NFD, "x.wav", "x.flac")), tmp_path)
    for id in (NFC, NFD, "x.wav", "x.flac"):
        assert [u.id for u in corpus.only([id]).utterances] == [id]
    assert [u.id for u in corpus.only(["wav\\x.flac"]).utterances] == ["x.flac"]
    with pytest.raises(BadInput, match=r"x could be x\.wav or x\.flac"):
        corpus.only(["x"])


# text files and paths


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_files_of_every_system(tmp_path: Path, encoding: str, end: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "list").write_bytes((mark + end.join(["é one", "", "two\u2028\x85 x", ""])).encode(encoding))
    assert read_lines(tmp_path / "list") == ["é one", "", "two\u2028\x85 x", ""]


def test_other_encodings_are_named(tmp_path: Path) -> None:
    for content, said in [
        ("a\n\n\xe9 b".encode("latin-1"), r"not a readable UTF-8 text file \(byte 0xe9 in line 3\)"),
        ("a b\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
    ]:
        (tmp_path / "list").write_bytes(content)
        with pytest.raises(BadInput, match=said):
            read_lines(tmp_path / "list")
    with pytest.raises(BadInput, match="cannot be read as a text file"):
        read_lines(tmp_path)


def test_a_byte_order_mark_in_every_list(tmp_path: Path) -> None:
    for name in ("a", "b"):
        audio(tmp_path / f"{name}.wav")
    lists = {
        "wav.scp": "a a.wav\r\nb b.wav\r\n",
        "utt2spk": "a s\r\nb t\r\n",
        "text": "a HELLO\r\nb\r\n",
        "l.tsv": "path\ttext\r\na.wav\tx\r\n",
        "l.jsonl": '{"path": "a.wav", "text": "x"}\r\n',
        "l.csv": "filename,scene_label\r\na.wav,bus\r\n",
        "esc50.csv": "filename,fold,target,category,esc10\r\na.wav,1,0,dog,True\r\n",
        "meta.txt": "a.wav\tcooking\tex1\r\n",
    }
    for name, content in lists.items():
        (tmp_path / name).write_text(content, encoding="utf-8-sig", newline="")
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").symlink_to(tmp_path / "a.wav")
    assert [u.text for u in open_corpus(f"kaldi:{tmp_path}").utterances] == ["HELLO", ""]
    for spec in ("l.tsv", "l.jsonl", "l.csv"):
        assert ids(tmp_path / spec) == ["a"]
    for layout in ("esc50", "sins"):
        assert ids(f"{layout}:{tmp_path}") == ["a"]


def test_home_is_expanded_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", "set")
    audio(tmp_path / "set" / "ann" / "u0.wav")
    assert ids("~/set") == ids("folder:~/set") == ["ann/u0"]
    text(tmp_path / "l.jsonl", json.dumps({"path": "~/set/ann/u0.wav", "text": "x", "id": "one"}))
    text(tmp_path / "l.tsv", "path\ttext\tid", "~/set/ann/u0.wav\tx\tone")
    text(tmp_path / "k" / "wav.scp", "one ~/set/ann/u0.wav")
    text(tmp_path / "k" / "utt2spk", "one ann")
    text(tmp_path / "only.txt", "one")
    for spec in ("~/l.jsonl", "tsv:~/l.tsv", "~/k"):
        assert [u.id for u in open_corpus(spec).only_listed(Path("~/only.txt")).utterances] == ["one"]
    with pytest.raises(BadInput, match="not a folder"):
        open_corpus("folder:~/$PLACE")
    with pytest.raises(BadInput, match="not a folder"):
        open_corpus("folder:~nobody-of-that-name/set")
