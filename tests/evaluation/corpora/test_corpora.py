import hashlib
import shutil
import sys
from collections import Counter
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey import plugins
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import BUNDLED_TRIALS, Corpus, Utterance, layouts, open_corpus
from wrongkey.evaluation.tasks.trials import read_trials

TONE = (0.1 * np.sin(np.arange(1600) / 5)).astype(np.float32)


def audio(path: Path, seconds: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.resize(TONE, round(16000 * seconds)), 16000)
    return path


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def kaldi(tmp_path: Path) -> Path:
    """Two speakers, three utterances, wav.scp relative to the data folder."""
    folder = tmp_path / "set"
    for name in "abc":
        audio(folder / f"audio/{name}.wav")
    write(folder / "wav.scp", "a audio/a.wav", "b audio/b.wav", "c\taudio/c.wav")
    write(folder / "utt2spk", "a ann", "b ann", "c bob")
    write(folder / "text", "a HELLO THERE", "b", "c GOOD  BYE")
    write(folder / "spk2gender", "ann f", "bob m")
    return folder


def test_bundled_corpus() -> None:
    corpus = open_corpus("bundled")
    assert (len(corpus.speakers), len(corpus), corpus.recordings) == (28, 224, "synthetic")
    assert set(Counter(u.speaker for u in corpus.utterances).values()) == {8}
    assert all(u.text and u.text == u.text.upper() for u in corpus.utterances)
    assert all(u.gender == u.speaker[1] for u in corpus.utterances)  # af, am, bf, bm


def test_bundled_trials_cover_four_utterances_a_voice() -> None:
    corpus = open_corpus("bundled")
    trials = read_trials(BUNDLED_TRIALS, corpus)
    assert (trials.targets, trials.nontargets, len(trials.ids)) == (168, 504, 112)
    assert {id.split("-")[1] for id in trials.ids} == {"sentence1", "sentence2", "words1", "words2"}
    gender = np.array([u.gender for u in trials.utterances(corpus)])
    assert (gender[trials.enrolment] == gender[trials.test]).all()
    pairs = {frozenset(pair) for pair in zip(trials.enrolment, trials.test, strict=True)}
    assert len(pairs) == 672 and all(len(pair) == 2 for pair in pairs)


def test_kaldi_folder(kaldi: Path) -> None:
    corpus = open_corpus(f"kaldi:{kaldi}")
    assert [(u.id, u.speaker, u.gender, u.text) for u in corpus.utterances] == [
        ("a", "ann", "f", "HELLO THERE"),
        ("b", "ann", "f", ""),
        ("c", "bob", "m", "GOOD  BYE"),
    ]
    assert corpus.name == "set" and corpus.recordings == "unknown"
    assert open_corpus(kaldi) == corpus
    assert open_corpus(kaldi, recordings="real").recordings == "real"


def test_kaldi_without_optional_lists(kaldi: Path) -> None:
    (kaldi / "text").unlink()
    (kaldi / "spk2gender").unlink()
    assert {(u.text, u.gender) for u in open_corpus(kaldi).utterances} == {(None, None)}
    write(kaldi / "utt2gender", "a F", "b female", "c M")
    assert [u.gender for u in open_corpus(kaldi).utterances] == ["f", "f", "m"]
    assert {u.session for u in open_corpus(kaldi).utterances} == {None}
    write(kaldi / "utt2session", "a monday", "c tuesday")
    assert [u.session for u in open_corpus(kaldi).utterances] == ["monday", None, "tuesday"]


def test_kaldi_paths_relative_to_parent(kaldi: Path) -> None:
    (kaldi / "audio").rename(kaldi.parent / "audio")
    corpus = open_corpus(kaldi)
    assert corpus.utterances[0].path == kaldi.parent.resolve() / "audio/a.wav"
    assert corpus.name == f"{kaldi.parent.name}-set"


def test_kaldi_paths_relative_to_working_directory(
    kaldi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (kaldi / "audio").rename(elsewhere / "audio")
    monkeypatch.chdir(elsewhere)
    assert open_corpus(kaldi).utterances[2].path.samefile(elsewhere / "audio/c.wav")


def test_kaldi_segments(kaldi: Path) -> None:
    write(kaldi / "segments", "x a 0.00 0.05", "y a 0.05 -1", "z c 0 0.1")
    write(kaldi / "utt2spk", "x ann", "y ann", "z bob")
    assert [(u.id, u.path.name, u.start, u.end) for u in open_corpus(kaldi).utterances] == [
        ("x", "a.wav", 0.0, 0.05),
        ("y", "a.wav", 0.05, None),
        ("z", "c.wav", 0.0, 0.1),
    ]


@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("wav.scp", ["a sox in.wav -t wav - |", "b audio/b.wav", "c audio/c.wav"], "command"),
        ("wav.scp", [], "is empty"),
        ("wav.scp", ["a", "b audio/b.wav"], "nothing after 'a' in line 1"),
        ("wav.scp", ["a audio/a.wav", "a audio/b.wav"], "lists a twice, again in line 2"),
        ("wav.scp", ["a audio/a.wav", "b audio/no.wav", "c audio/c.wav"], "do not exist: .*no.wav.$"),
        ("utt2spk", ["a ann", "b ann"], "utt2spk lacks utterances .*: c.$"),
        ("utt2spk", ["a ann", "b ann", "c bob", "d bob"], "wav.scp lacks utterances .*: d.$"),
        ("utt2spk", ["a ann", "b ann", "c"], "nothing after 'c'"),
        ("segments", ["x a 0.5"], "malformed line for x"),
        ("segments", ["x a one 2"], "malformed line for x"),
        ("segments", ["x a 0.05 0.01"], "end must come after"),
        ("segments", ["x a nan 0.01"], "end must come after"),
        ("segments", ["x q 0 0.01"], "cuts x from q"),
    ],
)
def test_kaldi_faults_are_named(kaldi: Path, name: str, lines: list[str], said: str) -> None:
    write(kaldi / name, *lines)
    with pytest.raises(BadInput, match=said):
        open_corpus(f"kaldi:{kaldi}")


@pytest.mark.parametrize("name", ["wav.scp", "utt2spk"])
def test_kaldi_needs_its_lists(kaldi: Path, name: str) -> None:
    (kaldi / name).unlink()
    with pytest.raises(BadInput, match=f"{name} does not exist"):
        open_corpus(f"kaldi:{kaldi}")


def test_kaldi_list_that_is_not_text(kaldi: Path) -> None:
    (kaldi / "utt2spk").write_bytes(b"a \xff\xfe\n")
    with pytest.raises(BadInput, match="not a readable UTF-8"):
        open_corpus(kaldi)


def test_missing_audio_is_counted(tmp_path: Path) -> None:
    absent = tuple(Utterance(str(i), "s", tmp_path / f"{i}.wav") for i in range(10))
    with pytest.raises(BadInput, match=r"0\.wav, .*1\.wav, .*2\.wav and 7 more"):
        Corpus("none", absent, tmp_path)


def test_corpus_refuses_repeated_ids_missing_speakers_and_nothing(tmp_path: Path) -> None:
    path = audio(tmp_path / "a.wav")
    for utterances, said in [
        ((), "holds no utterances"),
        ((Utterance("a", "s", path), Utterance("a", "t", path)), "more than once: a"),
        ((Utterance("a", "", path),), "without a speaker, a transcript or a label: a"),
    ]:
        with pytest.raises(BadInput, match=said):
            Corpus("faulty", utterances, tmp_path)


def test_librispeech(tmp_path: Path) -> None:
    root = tmp_path / "LibriSpeech"
    for speaker, chapter in [("1089", "7"), ("121", "9")]:
        home = root / "test-clean" / speaker / chapter
        for i in (1, 0):
            audio(home / f"{speaker}-{chapter}-000{i}.flac")
        lines = [f"{speaker}-{chapter}-000{i} WORDS OF {i}" for i in (0, 1)]
        write(home / f"{speaker}-{chapter}.trans.txt", *lines)
    write(root / "SPEAKERS.TXT", "; ID |SEX| SUBSET", "121  | F | test-clean | 8.1 | N", "1089 | M | test-clean")
    corpus = open_corpus(f"librispeech:{root}")
    assert [u.id for u in corpus.utterances] == ["121-9-0000", "121-9-0001", "1089-7-0000", "1089-7-0001"]
    assert [(u.speaker, u.gender, u.text) for u in corpus.utterances][::2] == [
        ("121", "f", "WORDS OF 0"),
        ("1089", "m", "WORDS OF 0"),
    ]
    assert (corpus.name, corpus.recordings) == ("librispeech-test-clean", "real")
    for same in (f"librispeech:{tmp_path}", root, root / "test-clean"):
        assert open_corpus(same).digest() == corpus.digest()
        assert [u.gender for u in open_corpus(same).utterances] == ["f", "f", "m", "m"]

    (root / "test-clean/121/9/121-9-0001.flac").unlink()
    with pytest.raises(BadInput, match=r"do not exist: .*121-9-0001\.flac"):
        open_corpus(f"librispeech:{root}")


@pytest.mark.parametrize("under", ["", "wav"])
def test_voxceleb1(tmp_path: Path, under: str) -> None:
    for id in ("id10270/5r0dWxy17C8/00001", "id10270/_video/00002", "id10001/x/00001"):
        audio(tmp_path / under / f"{id}.wav")
    header = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"
    write(tmp_path / "vox1_meta.csv", header, "id10001\tA\tm\tIreland\tdev", "id10270\tB\tf\tUSA\ttest")
    corpus = open_corpus(f"voxceleb1:{tmp_path}")
    assert [(u.id, u.speaker, u.gender) for u in corpus.utterances] == [
        ("id10001/x/00001.wav", "id10001", "m"),
        ("id10270/5r0dWxy17C8/00001.wav", "id10270", "f"),
        ("id10270/_video/00002.wav", "id10270", "f"),
    ]
    assert open_corpus(tmp_path).name == "voxceleb1"
    assert [u.session for u in corpus.utterances] == ["x", "5r0dWxy17C8", "_video"]


def test_speech_commands(tmp_path: Path) -> None:
    for file in ("yes/0a7c2a8d_nohash_0", "no/0a7c2a8d_nohash_1", "_background_noise_/hiss"):
        audio(tmp_path / f"{file}.wav")
    corpus = open_corpus(tmp_path)
    assert [(u.id, u.speaker, u.text) for u in corpus.utterances] == [
        ("no/0a7c2a8d_nohash_1", "0a7c2a8d", "NO"),
        ("yes/0a7c2a8d_nohash_0", "0a7c2a8d", "YES"),
    ]


def test_plain_folder(tmp_path: Path) -> None:
    for file in ("bob/2.flac", "bob/1.wav", "ann/x.ogg"):
        audio(tmp_path / file)
    write(tmp_path / "ann/notes.txt", "not audio")
    write(tmp_path / "ann/._x.ogg", "left by another system")
    corpus = open_corpus(tmp_path)
    assert [(u.id, u.speaker) for u in corpus.utterances] == [
        ("ann/x", "ann"),
        ("bob/1", "bob"),
        ("bob/2", "bob"),
    ]
    assert corpus.cautions == ()
    audio(tmp_path / "bob/monday/3.wav")
    assert [u.session for u in open_corpus(tmp_path).utterances] == [None, None, None, "monday"]


def test_unrecognised_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"wav\.scp.*trans\.txt.*id1xxxx.*speaker/utterance"):
        open_corpus(tmp_path)


def a_corpus() -> Corpus:
    return open_corpus("bundled").select(speakers=2)


def not_a_corpus() -> int:
    return 3


def needs(argument: int) -> Corpus:
    raise AssertionError(argument)


def fails() -> Corpus:
    raise RuntimeError("two\nlines")


def test_factories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "someones_corpora", sys.modules[__name__])
    assert len(open_corpus("someones_corpora:a_corpus")) == 16
    broken = tmp_path / "broken_corpora.py"
    broken.write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    for spec, said in [
        ("someones_corpora:not_a_corpus", "returned an object of type int: give a wrongkey.evaluation.Corpus"),
        ("someones_corpora:fails", r"fails' cannot be made \(RuntimeError: two lines\): mend its factory"),
        ("broken_corpora:make", r"'broken_corpora:make' cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("someones_corpora:needs", "cannot be called without arguments"),
        ("someones_corpora:absent", "cannot be imported"),
        ("absent_module:make", "cannot be imported"),
        ("nothing-like-that", "There is no corpus 'nothing-like-that': give bundled"),
    ]:
        with pytest.raises(BadInput, match=said):
            open_corpus(spec)


def test_registered_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "someones_corpora", sys.modules[__name__])
    registered = EntryPoints([EntryPoint("mine", "someones_corpora:a_corpus", layouts.REGISTRY.group)])
    monkeypatch.setattr(plugins, "entry_points", registered.select)
    assert open_corpus("mine").speakers == ("af_alloy", "af_aoede")


def test_select(kaldi: Path) -> None:
    corpus = open_corpus(kaldi)
    assert [u.id for u in corpus.select(per_speaker=1).utterances] == ["a", "c"]
    assert [u.id for u in corpus.select(speakers=1).utterances] == ["a", "b"]
    assert [u.id for u in corpus.select(speakers=["bob"]).utterances] == ["c"]
    assert corpus.select() == corpus
    with pytest.raises(BadInput, match="per speaker must be 1"):
        corpus.select(per_speaker=0)
    for speakers, said in [
        (0, "must be 1 or more"),
        (["eve"], "no such speakers: eve"),
        ([], "no such speakers"),
    ]:
        with pytest.raises(BadInput, match=said):
            corpus.select(speakers=speakers)  # type: ignore[arg-type]


def test_only_keeps_the_order_of_the_corpus(kaldi: Path) -> None:
    corpus = open_corpus(kaldi)
    assert [u.id for u in corpus.only(["c", "a", "c"]).utterances] == ["a", "c"]
    for ids, said in [
        (["a", "x", "y", "z", "q"], "no such utterances: x, y, z and 1 more"),
        ([], "No utterance of corpus set is named"),
    ]:
        with pytest.raises(BadInput, match=said):
            corpus.only(ids)


def test_only_listed_reads_ids_with_spaces(kaldi: Path) -> None:
    copy = replace(open_corpus(kaldi).utterances[0], id="a b")
    corpus = Corpus("two", (copy, open_corpus(kaldi).utterances[1]), kaldi)
    (kaldi / "ids.txt").write_bytes(b"\r\na b\r\n\r\n")
    assert corpus.only_listed(kaldi / "ids.txt").utterances == (copy,)
    write(kaldi / "ids.txt")
    with pytest.raises(BadInput, match=r"ids\.txt: No utterance of corpus two is named"):
        corpus.only_listed(kaldi / "ids.txt")
    with pytest.raises(BadInput, match=r"absent\.txt does not exist"):
        corpus.only_listed(kaldi / "absent.txt")


def test_labels_stand_for_speakers(tmp_path: Path) -> None:
    path = audio(tmp_path / "a.wav")
    corpus = Corpus("scenes", (Utterance("a", "", path, label="sea"), Utterance("b", "", path, label="bus")), tmp_path)
    assert (corpus.speakers, corpus.classes) == ((), ("bus", "sea")) and "2 classes" in repr(corpus)
    assert corpus.select() == corpus
    for choice in ({"per_speaker": 1}, {"speakers": 1}):
        with pytest.raises(BadInput, match="does not say who speaks in a, b"):
            corpus.select(**choice)


def test_a_label_changes_the_digest_and_none_leaves_it(tmp_path: Path) -> None:
    path = audio(tmp_path / "s/a.wav")
    digests = {
        Corpus("one", (Utterance("a", "s", path, label=label),), tmp_path).digest()
        for label in (None, "", "bus", "sea")
    }
    assert len(digests) == 4


def test_digest_follows_content_not_place(kaldi: Path, tmp_path: Path) -> None:
    before = open_corpus(kaldi).digest()
    copy = shutil.copytree(kaldi, tmp_path / "copy")
    assert open_corpus(copy).digest() == before
    audio(copy / "audio/b.wav", seconds=0.2)
    assert open_corpus(copy).digest() != before
    shutil.copy(kaldi / "audio/b.wav", copy / "audio/b.wav")
    assert open_corpus(copy).digest() == before
    for name, line in [("utt2spk", "b bob"), ("text", "b OTHER WORDS")]:
        kept = (copy / name).read_text()
        write(copy / name, *(line if row.split()[0] == "b" else row for row in kept.splitlines()))
        assert open_corpus(copy).digest() != before
        (copy / name).write_text(kept)


def test_digest_is_sha256_of_the_manifest(tmp_path: Path) -> None:
    path = audio(tmp_path / "s/a.wav")
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = f'["s/a", "s", null, null, null, "{content}"]\n'
    assert open_corpus(tmp_path).digest() == hashlib.sha256(manifest.encode()).hexdigest()
