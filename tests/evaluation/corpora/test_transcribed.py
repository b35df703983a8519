"""Lists of recordings with transcripts: Common Voice's and NeMo's."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus


@pytest.fixture
def clips(tmp_path):
    (tmp_path / "clips").mkdir()
    for name in ("a", "b"):
        soundfile.write(tmp_path / "clips" / f"{name}.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    return tmp_path


def test_common_voice(clips: Path):
    table = clips / "test.tsv"
    table.write_text("client_id\tpath\tsentence\tage\nann\ta.wav\tHello there.\t30\nbob\tb.wav\tYes\t\n")
    corpus = open_corpus(f"tsv:{table}")
    assert [(u.id, u.speaker, u.text) for u in corpus.utterances] == [("a", "ann", "Hello there."), ("b", "bob", "Yes")]
    table.write_text("path\tage\na.wav\t3\n")
    with pytest.raises(BadInput, match="no column text"):
        open_corpus(f"tsv:{table}")
    table.write_text("path\ttext\nmissing.wav\thello\n")
    with pytest.raises(BadInput, match=r"missing\.wav"):
        open_corpus(f"tsv:{table}")


@pytest.mark.skipif("MP3" not in soundfile.available_formats(), reason="libsndfile before 1.1 reads no MP3")
def test_common_voice_comes_as_mp3(clips: Path):
    soundfile.write(clips / "clips" / "c.mp3", np.random.default_rng(0).normal(0, 0.1, 32_000), 32_000, format="MP3")
    (clips / "test.tsv").write_text("path\tsentence\nc.mp3\tYes\n")
    (utterance,) = open_corpus(clips / "test.tsv").utterances
    assert (utterance.id, len(load_audio(utterance))) == ("c", 16_000)


def test_offsets_in_long_recordings_stay_apart(clips: Path):
    rows = [{"path": "clips/a.wav", "text": "x", "offset": offset} for offset in (36000.12, 36000.14)]
    (clips / "long.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [u.id for u in open_corpus(clips / "long.jsonl").utterances] == ["clips/a@36000.12", "clips/a@36000.14"]


def test_lists_may_name_the_session_of_a_recording(clips: Path):
    (clips / "own.tsv").write_text("path\ttext\tspeaker\tsession\nclips/a.wav\tx\tann\t2\nclips/b.wav\ty\tann\t\n")
    assert [u.session for u in open_corpus(clips / "own.tsv").utterances] == ["2", None]
    rows = [{"path": "clips/a.wav", "text": "x", "session": 2}, {"path": "clips/b.wav", "text": "y"}]
    (clips / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [u.session for u in open_corpus(clips / "own.jsonl").utterances] == ["2", None]


def test_a_table_may_name_ids_and_leave_speakers_out(clips: Path):
    table = clips / "clips" / "own.tsv"
    table.write_text('id\tpath\ttext\tgender\none\ta.wav\t"Quoted" words\tfemale_feminine\ntwo\tb.wav\t\t\n')
    corpus = open_corpus(table)
    assert [(u.id, u.speaker, u.gender, u.text) for u in corpus.utterances] == [
        ("one", "", "f", '"Quoted" words'),
        ("two", "", None, ""),
    ]
    assert (corpus.name, corpus.recordings, corpus.speakers) == ("clips-own", "unknown", ())


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "lacks the column path in its first line"),
        ("path\ttext\n", "empty below its first line"),
        ("path\ttext\na.wav\tone\nb.wav\n", "1 columns in line 3, not 2"),
        ("path\ttext\na.wav\tone\na.wav\tone\n", "more than once: a"),
    ],
)
def test_faults_of_a_table_are_named(clips: Path, lines: str, said: str):
    (clips / "test.tsv").write_text(lines)
    with pytest.raises(BadInput, match=said):
        open_corpus(f"tsv:{clips / 'test.tsv'}")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([1], "line 1 .*not an object"),
        ({"text": "one"}, "neither audio_filepath nor path"),
        ({"path": "clips/a.wav", "text": 3}, "text that is not a string"),
        ({"path": "clips/a.wav", "text": "one", "duration": 0}, "duration 0"),
        ({"path": "clips/a.wav", "text": "one", "offset": "1"}, "offset '1'"),
        ({"path": "clips/a.wav", "text": "one", "offset": float("nan")}, "offset nan"),
        ({"path": "clips/c.wav", "text": "one"}, r"do not exist: .*c\.wav"),
        ({"path": "clips/a.wav"}, "without a speaker, a transcript or a label"),
    ],
)
def test_faults_of_a_manifest_are_named(clips: Path, row: object, said: str):
    (clips / "test.jsonl").write_text(json.dumps(row))
    with pytest.raises(BadInput, match=said):
        open_corpus(clips / "test.jsonl")


def test_a_manifest_may_cut_one_file_often_and_name_it_in_full(clips: Path):
    path = str(clips / "clips" / "a.wav")
    rows = [{"audio_filepath": path, "text": "x", "offset": o, "duration": 0.25, "speaker": 7} for o in (0, 0.25, 0.5)]
    (clips / "cut.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = open_corpus(clips / "cut.jsonl")
    assert [(u.start, u.end) for u in corpus.utterances] == [(0, 0.25), (0.25, 0.5), (0.5, 0.75)]
    assert corpus.speakers == ("7",) and corpus.utterances[2].id.endswith("clips/a@0.5")


def test_nemo_manifests_cut_pieces(clips: Path):
    table = clips / "test.jsonl"
    row = {"audio_filepath": "clips/a.wav", "text": "one two", "offset": 0.25, "duration": 0.5}
    table.write_text(json.dumps(row) + "\n\n" + json.dumps({"path": "clips/b.wav", "text": "three"}) + "\n")
    first, second = open_corpus(f"jsonl:{table}").utterances
    assert (first.text, len(load_audio(first))) == ("one two", 8_000)
    assert (second.text, len(load_audio(second))) == ("three", 16_000)
    table.write_text("{oops\n")
    with pytest.raises(BadInput, match="malformed line 1"):
        open_corpus(f"jsonl:{table}")


def test_only_the_listed_utterances(clips: Path):
    table, chosen = clips / "test.tsv", clips / "chosen.txt"
    table.write_text("path\ttext\na.wav\tone\nb.wav\ttwo\n")
    chosen.write_text("b\n")
    assert [u.id for u in open_corpus(f"tsv:{table}").only_listed(chosen).utterances] == ["b"]
    chosen.write_text("b\nzzz\n")
    with pytest.raises(BadInput, match=r"chosen\.txt: Corpus .* has no such utterances: zzz"):
        open_corpus(f"tsv:{table}").only_listed(chosen)
    chosen.write_bytes(b"\xff\xfe\n")
    with pytest.raises(BadInput, match=r"chosen\.txt is not a readable UTF-8 text file"):
        open_corpus(f"tsv:{table}").only_listed(chosen)


def test_zero_is_a_name(clips: Path):
    rows = [
        {"path": "clips/a.wav", "text": "x", "id": 0, "speaker": 0, "offset": 0},
        {"path": "clips/b.wav", "text": "x", "id": 1, "speaker": "0", "offset": 0.25},
        {"path": "clips/b.wav", "text": "x", "speaker": 1.5, "offset": 0},
        {"path": "clips/a.wav", "text": "x", "id": None, "speaker": None},
    ]
    (clips / "n.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [(u.id, u.speaker, u.start) for u in open_corpus(clips / "n.jsonl").utterances]
    assert found == [("0", "0", 0.0), ("1", "0", 0.25), ("clips/b", "1.5", 0.0), ("clips/a", "", None)]
    (clips / "n.tsv").write_text("id\tpath\ttext\tspeaker\n0\tclips/a.wav\tx\t0\n1\tclips/b.wav\t0\t0\n")
    texts = [(u.id, u.speaker, u.text) for u in open_corpus(clips / "n.tsv").utterances]
    assert texts == [("0", "0", "x"), ("1", "0", "0")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"path": "clips/a.wav", "text": "x", "speaker": true}', "line 2 .*speaker true, which is not a string"),
        ('{"path": "clips/a.wav", "text": "x", "speaker": ["ann"]}', r'line 2 .*speaker \["ann"\]'),
        ('{"path": "clips/a.wav", "text": "x", "id": {}}', r"line 2 .*id \{\}"),
        ('{"path": "clips/a.wav", "text": "x", "id": NaN}', "line 2 .*id NaN"),
        ('{"path": "clips/a.wav", "text": "x", "gender": [1]}', "line 2 .*gender"),
        ('{"path": "clips/a.wav", "text": "x", "duration": NaN}', "line 2 .*duration nan"),
        ('{"path": "clips/a.wav", "text": "x", "offset": true}', "line 2 .*offset True"),
        ('{"path": "clips/a.wav", "text": "x", "offset": 1' + "0" * 400 + "}", "malformed line 2"),
        ('{"path": "clips/a.wav", "text": "x", "speaker": "a", "speaker": "b"}', "line 2 .*speaker twice"),
        ('{"path": "clips/a.wav", "text": "\\ud800"}', "malformed line 2"),
        ("[" * 100_000, "malformed line 2"),
    ],
)
def test_values_that_are_no_names_are_refused_by_line(clips: Path, line: str, said: str):
    (clips / "n.jsonl").write_text('{"path": "clips/b.wav", "text": "x"}\n' + line)
    with pytest.raises(BadInput, match=said):
        open_corpus(clips / "n.jsonl")


def test_a_column_is_there_once(clips: Path):
    table = clips / "twice.tsv"
    table.write_text("path\tage\ttext\tage\nclips/a.wav\t3\tx\t4\n")
    assert len(open_corpus(table)) == 1
    for name in ("path", "text", "client_id", "id"):
        table.write_text(f"path\ttext\tclient_id\tid\t{name}\nclips/a.wav\tx\tann\t1\t2\n")
        with pytest.raises(BadInput, match=f"has 2 columns {name}"):
            open_corpus(table)
    table.write_text("path\ttext\n\tx\n")
    with pytest.raises(BadInput, match="nothing in column path of line 2"):
        open_corpus(table)


def test_places_are_found_as_other_systems_write_them(clips: Path):
    composed, decomposed = "Am\u00e9lie", "Ame\u0301lie"
    (clips / "clips" / decomposed).mkdir()
    (clips / "clips" / "a.wav").rename(clips / "clips" / decomposed / "a.wav")
    (clips / "l.tsv").write_text(f"path\ttext\nclips\\{composed}\\a.wav\tx\nclips\\b.wav\tx\n", encoding="utf-16")
    corpus = open_corpus(clips / "l.tsv")
    assert [u.id for u in corpus.utterances] == [f"clips/{composed}/a", "clips/b"]
    row = {"audio_filepath": f"clips\\{composed}\\a.wav", "text": "x", "offset": 0.5}
    (clips / "l.jsonl").write_text(json.dumps(row))
    assert [(u.id, u.path.parent.name) for u in open_corpus(clips / "l.jsonl").utterances] == [
        (f"clips/{composed}/a@0.5", decomposed)
    ]
