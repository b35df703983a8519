import hashlib
import unicodedata
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.evaluation.tasks.trial_files import write_trials
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import BUNDLED_TRIALS, Corpus, Utterance, open_corpus
from wrongkey.evaluation.tasks.sessions import session_facts
from wrongkey.evaluation.tasks.trials import Trials, generate_trials, read_trials

SILENCE = open_corpus("bundled").utterances[0].path


def corpus_of(speakers: str, genders: dict[str, str] | None = None, suffix: str = "") -> Corpus:
    """One utterance per letter, spoken by the speaker of that letter."""
    utterances = tuple(
        Utterance(f"u{i}{suffix}", s, SILENCE, (genders or {}).get(s))  # type: ignore[arg-type]
        for i, s in enumerate(speakers)
    )
    return Corpus("letters", utterances, SILENCE.parent)


def pairs(trials: Trials, target: bool) -> set[tuple[str, str]]:
    chosen = trials.target == target
    listed = [
        (trials.ids[e], trials.ids[t]) for e, t in zip(trials.enrolment[chosen], trials.test[chosen], strict=True)
    ]
    assert len(listed) == len(set(listed))
    return set(listed)


def all_pairs(corpus: Corpus, target: bool, same_gender: bool) -> set[tuple[str, str]]:
    """The oracle: an explicit loop over all pairs."""
    return {
        (a.id, b.id)
        for a, b in combinations(corpus.utterances, 2)
        if (a.speaker == b.speaker) == target and (target or not same_gender or a.gender == b.gender)
    }


@given(
    speakers=st.text("abcdef", min_size=2, max_size=14),
    seed=st.integers(0, 2**32),
    same_gender=st.booleans(),
    ratio=st.integers(1, 20),
)
def test_generated_trials(speakers: str, seed: int, same_gender: bool, ratio: int) -> None:
    corpus = corpus_of(speakers, dict(zip("abcdef", "mffmmf", strict=True)))
    targets = all_pairs(corpus, True, same_gender)
    nontargets = all_pairs(corpus, False, same_gender)
    assume(targets and nontargets)
    trials = generate_trials(corpus, seed, same_gender, ratio)
    assert pairs(trials, True) == targets
    drawn = pairs(trials, False)
    assert drawn <= nontargets and len(drawn) == min(ratio * len(targets), len(nontargets))
    by_id = corpus.by_id
    for column, speaker in ((trials.enrolment, trials.enrolment_speaker), (trials.test, trials.test_speaker)):
        said = [by_id[trials.ids[i]].speaker for i in column]
        assert said == [trials.speakers[i] for i in speaker]
    assert trials.enrolment.dtype == trials.test.dtype == trials.speaker.dtype == np.int64
    used = {id for pair in targets | drawn for id in pair}
    assert trials.ids == tuple(u.id for u in corpus.utterances if u.id in used)


def test_seed_decides_the_draw() -> None:
    corpus = corpus_of("aaaabbbbccccdddd")
    first, again, other = (generate_trials(corpus, seed) for seed in (1, 1, 2))
    assert first.digest() == again.digest() != other.digest()


def test_nontargets_are_drawn_uniformly() -> None:
    """96 possible pairs, 24 drawn, 400 seeds: each is drawn 100 times on average; 5 deviations are 43."""
    corpus = corpus_of("aaaabbbbccccdddd")
    counts = dict.fromkeys(all_pairs(corpus, False, False), 0)
    for seed in range(400):
        for pair in pairs(generate_trials(corpus, seed), False):
            counts[pair] += 1
    assert len(counts) == 96 and all(57 < count < 143 for count in counts.values())


def test_five_thousand_utterances() -> None:
    names = np.repeat([f"s{i}" for i in range(250)], 20)
    corpus = Corpus("large", tuple(Utterance(str(i), s, SILENCE) for i, s in enumerate(names)), SILENCE.parent)
    trials = generate_trials(corpus, nontarget_per_target=5)
    assert (trials.targets, trials.nontargets) == (250 * 190, 5 * 250 * 190)
    assert ((trials.enrolment_speaker == trials.test_speaker) == trials.target).all()


@pytest.mark.parametrize(
    ("speakers", "genders", "options", "said"),
    [
        ("aaa", {}, {}, "one speaker only"),
        ("abc", {}, {}, "one utterance per speaker"),
        ("aabb", {"a": "m"}, {"same_gender": True}, "gender of u2, u3"),
        ("aabb", {"a": "m", "b": "f"}, {"same_gender": True}, "0 different-speaker"),
        ("aabb", {}, {"nontarget_per_target": 0}, "1 or more"),
    ],
)
def test_trials_that_cannot_be_generated(
    speakers: str, genders: dict[str, str], options: dict[str, int], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        generate_trials(corpus_of(speakers, genders), **options)  # type: ignore[arg-type]


@given(speakers=st.text("abc", min_size=4, max_size=12), seed=st.integers(0, 99))
def test_written_trials_read_back(tmp_path_factory: pytest.TempPathFactory, speakers: str, seed: int) -> None:
    corpus = corpus_of(speakers)
    assume(all_pairs(corpus, True, False) and all_pairs(corpus, False, False))
    trials, path = generate_trials(corpus, seed), tmp_path_factory.mktemp("trials") / "trials.txt"
    write_trials(path, trials)
    again = read_trials(path, corpus)
    assert again.ids == trials.ids and again.speakers == trials.speakers and again.source == str(path)
    for name in ("enrolment", "test", "target", "speaker"):
        np.testing.assert_array_equal(getattr(again, name), getattr(trials, name))
    assert again.digest() == trials.digest()


@pytest.mark.parametrize(
    "text",
    [
        "1 u0 u1\n0 u0 u2\n",
        "target u0 u1\nnontarget u0 u2\n",
        "u0 u1 target\nu0 u2 nontarget\n",
        "\n1  u0.wav\tu1.wav\r\n\n0 u0 u2.flac",
    ],
)
@pytest.mark.parametrize("suffix", ["", ".wav"])
def test_formats(tmp_path: Path, text: str, suffix: str) -> None:
    (tmp_path / "t").write_text(text)
    trials = read_trials(tmp_path / "t", corpus_of("aab", suffix=suffix))
    assert list(trials.lines()) == [f"1 u0{suffix} u1{suffix}", f"0 u0{suffix} u2{suffix}"]


def test_exact_ids_win_and_ambiguous_ones_are_unknown(tmp_path: Path) -> None:
    three = corpus_of("aab").utterances
    ids = ("x.wav", "x.flac", "y.1")
    corpus = Corpus("c", tuple(replace(u, id=id) for u, id in zip(three, ids, strict=True)), SILENCE.parent)
    (tmp_path / "t").write_text("1 x.wav x.flac\n0 x.flac y.1\n")
    assert read_trials(tmp_path / "t", corpus).ids == ids
    (tmp_path / "t").write_text("1 x x.flac\n0 x.flac y.1\n")
    with pytest.raises(BadInput, match="1 of them, x first"):
        read_trials(tmp_path / "t", corpus)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no trials"),
        ("1 u0 u1\n1 u0\n", r"line 2 \('1 u0'\)"),
        ("1 u0 u1\n\n2 u0 u2\n", "line 3"),
        ("1 u0 u1 u2\n", "line 1"),
        ("1 u0 v\n0 w u2\n0 u1 v\n", "2 of them, v first"),
        ("1 u0 u1\n", "0 different-speaker"),
        ("0 u0 u2\n", "0 same-speaker"),
        ("1 u0 u1\n1 u0 u2\n0 u1 u2\n", "labels 1 trials against .*u0 and u2"),
    ],
)
def test_faulty_files_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        read_trials(tmp_path / "t.txt", corpus_of("aab"))
    assert "t.txt" in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "t"):
        with pytest.raises(BadInput, match=str(path)):
            read_trials(path, corpus_of("aab"))


def test_utterances_are_those_to_embed() -> None:
    corpus = open_corpus("bundled")
    trials = read_trials(BUNDLED_TRIALS, corpus)
    assert [u.id for u in trials.utterances(corpus)] == list(trials.ids)
    assert len(trials.speakers) == 28


def named(*ids: str) -> Corpus:
    """Utterances with these ids; the speaker is what stands before the first slash."""
    return Corpus("named", tuple(Utterance(id, id.split("/")[0], SILENCE) for id in ids), SILENCE.parent)


VOX = named(*(f"id1000{s}/v{v}/00001.wav" for s in (1, 2) for v in (0, 1)))
PAIRS = (
    "1 {0}id10001{1}v0{1}00001{2} {0}id10001{1}v1{1}00001{2}",
    "0 {0}id10001{1}v0{1}00001{2} {0}id10002{1}v1{1}00001{2}",
)


@pytest.mark.parametrize("front", ["", "./", "wav/", "/data/vox1/wav/", "C:\\vox1\\"])
@pytest.mark.parametrize("slash", ["/", "\\"])
@pytest.mark.parametrize("ending", [".wav", "", ".flac", ".WAV", ".m4a"])
def test_lists_of_other_tools_and_systems(tmp_path: Path, front: str, slash: str, ending: str) -> None:
    (tmp_path / "t").write_text("\n".join(pair.format(front, slash, ending) for pair in PAIRS))
    assert list(read_trials(tmp_path / "t", VOX).lines()) == [pair.format("", "/", ".wav") for pair in PAIRS]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 00001 x\n", "2 of them, 00001 first .00001 could be id10001/v0/00001.wav or id10001/v1/00001.wav.: give"),
        ("1 ID10001/v0/00001 x\n", "only upper and lower case differ from id10001/v0/00001.wav"),
        (
            "1 id99999/v0/00001 x\n",
            "2 of them, id99999/v0/00001 first .ids there look like id10001/v0/00001.wav.: give",
        ),
    ],
)
def test_what_is_unknown_is_explained(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(BadInput, match=said):
        read_trials(tmp_path / "t", VOX)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_are_the_same(tmp_path: Path, forms: tuple[Literal["NFC", "NFD"], ...]) -> None:
    rows = "1 José/u0 José/u1\n0 José/u0 ann/u0\n"
    there, listed = (unicodedata.normalize(form, rows) for form in forms)
    (tmp_path / "t").write_text(listed, encoding="utf-8")
    corpus = named(*dict.fromkeys(word for word in there.split() if "/" in word))
    assert "".join(f"{line}\n" for line in read_trials(tmp_path / "t", corpus).lines()) == there


def test_names_with_spaces_read_back_and_keep_their_digest(tmp_path: Path) -> None:
    corpus = named("John Smith/u 0", "John Smith/u1", "ann/u0", "ann/u1 ", " eve/x\u00a0y", " eve/z")
    trials = generate_trials(corpus, 0)
    write_trials(tmp_path / "t", trials)
    assert (tmp_path / "t").read_text().startswith("1\tJohn Smith/u 0\tJohn Smith/u1\n")
    again = read_trials(tmp_path / "t", corpus)
    assert list(again.fields()) == list(trials.fields()) and again.digest() == trials.digest()
    spaced = "".join(f"{' '.join(row)}\n" for row in trials.fields())
    assert trials.digest() == hashlib.sha256(spaced.encode()).hexdigest()


def test_names_with_spaces_between_spaces(tmp_path: Path) -> None:
    corpus = named("John Smith/u0", "John Smith/u1", "ann/u0", "ann/u0 b", "b c")
    (tmp_path / "t").write_text("1 John Smith/u0 John Smith/u1\nann/u0 John Smith/u1 nontarget\n")
    assert [row[1:] for row in read_trials(tmp_path / "t", corpus).fields()] == [
        ("John Smith/u0", "John Smith/u1"),
        ("ann/u0", "John Smith/u1"),
    ]
    (tmp_path / "t").write_text("1 ann/u0 b c\n")  # "ann/u0" and "b c"; "ann/u0 b" and "c" is no other way
    with pytest.raises(BadInput, match="1 same-speaker and 0 different-speaker"):
        read_trials(tmp_path / "t", corpus)
    (tmp_path / "t").write_text("1 ann/u0 b John Smith/u0 x\n")
    with pytest.raises(BadInput, match="malformed in line 1"):
        read_trials(tmp_path / "t", corpus)


def test_labels_that_could_be_names(tmp_path: Path) -> None:
    utterances = tuple(Utterance(id, id[0], SILENCE) for id in ("0", "0-u1", "0-u2", "1", "1-u1", "1-u2"))
    corpus = Corpus("numbers", utterances, SILENCE.parent)
    for text, found in [
        ("1 0 0-u1\n0 0 1\n", [("1", "0", "0-u1"), ("0", "0", "1")]),
        ("0 0-u1 target\n1 0-u1 nontarget\n", [("1", "0", "0-u1"), ("0", "1", "0-u1")]),
        ("1 1 1-u2\n0 0 1\n", [("1", "1", "1-u2"), ("0", "0", "1")]),
    ]:
        (tmp_path / "t").write_text(text)
        assert list(read_trials(tmp_path / "t", corpus).fields()) == found
    few = Corpus("few", tuple(u for u in utterances if "-" in u.id), SILENCE.parent)
    (tmp_path / "t").write_text("0 0-u2 1\n0 1-u2 0\n1 1-u2 1\n")
    trials = read_trials(tmp_path / "t", few)
    assert list(trials.fields()) == [("1", "0", "0-u2"), ("0", "0", "1-u2"), ("1", "1", "1-u2")]
    assert [few.utterances[0].id in trials.ids, len(trials.models)] == [True, 2]


def test_trials_from_powershell_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t").write_text("1 u0 u1\r\n0 u0 u2\r\n", encoding="utf-16", newline="")
    assert list(read_trials("~/t", corpus_of("aab")).lines()) == ["1 u0 u1", "0 u0 u2"]


@given(
    speech=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), min_size=2, max_size=14),
    seed=st.integers(0, 2**32),
    same_gender=st.booleans(),
)
def test_session_disjoint_trials(speech: list[tuple[str, str]], seed: int, same_gender: bool) -> None:
    """Same-speaker pairs are those of two sessions; two speakers may share a session, as in a conversation."""
    corpus = corpus_of("".join(who for who, _ in speech), dict(zip("abcd", "mffm", strict=True)))
    used = tuple(replace(u, session=when) for u, (_, when) in zip(corpus.utterances, speech, strict=True))
    corpus = replace(corpus, utterances=used)
    session = {u.id: u.session for u in used}
    targets = {(a, b) for a, b in all_pairs(corpus, True, same_gender) if session[a] != session[b]}
    nontargets = all_pairs(corpus, False, same_gender)
    assume(targets and nontargets)
    trials = generate_trials(corpus, seed, same_gender, sessions="disjoint")
    assert pairs(trials, True) == targets
    drawn = pairs(trials, False)
    assert drawn <= nontargets and len(drawn) == min(len(targets), len(nontargets))
    assert trials.source.endswith("disjoint sessions")
    assert session_facts(trials, corpus) == {"sessions": "across", "within_session": 0}


def test_sessions_make_no_difference_where_they_are_not_asked_for() -> None:
    corpus = corpus_of("aabbbcca")
    known = replace(corpus, utterances=tuple(replace(u, session=u.id[-1]) for u in corpus.utterances))
    assert generate_trials(known, 5).digest() == generate_trials(corpus, 5).digest()
    assert known.digest() == corpus.digest()  # a run that was made before sessions were read stays the same


@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        (["1", "1", "2", "2"], "one session per speaker"),
        (["1", "2", None, "2"], "does not say the session of u2"),
        (None, "does not say the session of u0, u1, u2 and 1 more"),
    ],
)
def test_session_disjoint_trials_that_cannot_be_made(sessions: list[str | None] | None, said: str) -> None:
    corpus = corpus_of("aabb")
    used = tuple(replace(u, session=s) for u, s in zip(corpus.utterances, sessions or [None] * 4, strict=True))
    with pytest.raises(BadInput, match=said):
        generate_trials(replace(corpus, utterances=used), sessions="disjoint")
    with pytest.raises(BadInput, match="--sessions apart"):
        generate_trials(corpus, sessions="apart")


@pytest.mark.parametrize(
    ("sessions", "facts"),
    [
        ("1111", ("within", 2)),
        ("1211", ("mixed", 1)),
        ("1212", ("across", 0)),
        ("1?11", ("unknown", 1)),
        ("????", ("unknown", 0)),
    ],
)
def test_a_manifest_says_whether_trials_cross_sessions(sessions: str, facts: tuple[str, int]) -> None:
    corpus = corpus_of("aabb")
    used = tuple(replace(u, session=None if s == "?" else s) for u, s in zip(corpus.utterances, sessions, strict=True))
    corpus = replace(corpus, utterances=used)
    assert tuple(session_facts(generate_trials(corpus), corpus).values()) == facts


def test_a_speaker_enrolled_in_the_tested_session_lies_within_it(tmp_path: Path) -> None:
    corpus = corpus_of("aaaabb")
    used = tuple(replace(u, session=s) for u, s in zip(corpus.utterances, "121323", strict=True))
    corpus = replace(corpus, utterances=used)
    (tmp_path / "enrolment.txt").write_text("A\tu0\tu1\n")
    (tmp_path / "trials.txt").write_text("1 A u2\n1 A u3\n0 A u4\n")
    trials = read_trials(tmp_path / "trials.txt", corpus)
    assert session_facts(trials, corpus) == {"sessions": "mixed", "within_session": 1}
