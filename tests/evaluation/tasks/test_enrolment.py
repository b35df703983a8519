"""Speakers that several utterances enrol: the trials of Kaldi, VoicePrivacy and CN-Celeb, and their scores."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.tasks.trial_files import write_trials
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Corpus, Utterance, open_corpus
from wrongkey.evaluation.tasks.asv import SpeakerVerification
from wrongkey.evaluation.tasks.trials import Trials, read_trials

SOUND = open_corpus("bundled").utterances[0].path


def people(root: Path, *names: str, each: int = 4) -> Corpus:
    """`each` utterances of everybody, `ann-u0` to `ann-u3`."""
    utterances = tuple(Utterance(f"{name}-u{i}", name, SOUND) for name in names for i in range(each))
    return Corpus("people", utterances, root)


def lines(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def enrolled(trials: Trials) -> dict[str, list[str]]:
    return {model.name: [trials.ids[i] for i in model.utterances] for model in trials.models}


KALDI = ("ann ann-u2 target", "ann bob-u3 nontarget", "bob bob-u3 target", "bob ann-u2 nontarget")


@pytest.mark.parametrize(
    "rows",
    [
        KALDI,
        tuple(" ".join(row.split()[i] for i in (1, 0, 2)) for row in KALDI),
        tuple(row.replace("nontarget", "0").replace("target", "1") for row in KALDI),
        tuple("{2} {0} {1}".format(*row.split()) for row in KALDI),
    ],
    ids=["Kaldi", "test first", "digits behind", "label in front"],
)
def test_a_speaker_is_enrolled_by_what_no_trial_tests(tmp_path: Path, rows: tuple[str, ...]) -> None:
    corpus = people(tmp_path, "ann", "bob")
    trials = read_trials(lines(tmp_path / "trials", *rows), corpus)
    assert enrolled(trials) == {"ann": ["ann-u0", "ann-u1", "ann-u3"], "bob": ["bob-u0", "bob-u1", "bob-u2"]}
    assert list(trials.lines()) == ["1 ann ann-u2", "0 ann bob-u3", "1 bob bob-u3", "0 bob ann-u2"]
    who = np.array(trials.speakers)
    assert who[trials.enrolment_speaker].tolist() == ["ann", "ann", "bob", "bob"]
    assert who[trials.test_speaker].tolist() == ["ann", "bob", "bob", "ann"]
    assert [u.id for u in trials.utterances(corpus)] == list(trials.ids)


@pytest.mark.parametrize("beside", ["trials", "corpus"])
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("enrolls", ("ann-u0", "ann-u1", "bob-u1", "bob-u0", "eve-u0")),
        ("enrolls", ("ann-u0 ann", "ann-u1 ann", "bob-u1 bob", "bob-u0 bob")),
        ("enroll.map", ("ann data\\ann-u1.wav ann-u0", "bob ./bob-u0.wav bob-u1.wav", "eve gone-u0")),
        ("enroll.lst", ("ann enroll/ann-u0.wav", "ann enroll/ann-u1.wav", "bob bob-u0", "bob bob-u1")),
    ],
)
def test_lists_say_who_is_enrolled_by_what(tmp_path: Path, beside: str, name: str, rows: tuple[str, ...]) -> None:
    corpus = people(tmp_path / "corpus", "ann", "bob", "eve")
    lines(tmp_path / beside / name, *rows)
    trials = read_trials(lines(tmp_path / "trials" / "t.txt", *KALDI), corpus)
    assert enrolled(trials) == {"ann": ["ann-u0", "ann-u1"], "bob": ["bob-u0", "bob-u1"]}
    assert "eve-u0" not in trials.ids and "ann-u3" not in trials.ids


def test_models_of_sre_and_cn_celeb_need_not_be_speakers(tmp_path: Path) -> None:
    corpus = people(tmp_path / "corpus", "ann", "bob")
    rows = ("ann-enroll test/ann-u2.wav 1", "ann-enroll test/bob-u2.wav 0", "ann-2 ann-u2 1")
    path = lines(tmp_path / "lists" / "trials.lst", *rows)
    with pytest.raises(BadInput, match=r"lacks, 2 of them, ann-enroll first .*enrolls, .* beside the trials"):
        read_trials(path, corpus)
    lines(tmp_path / "lists" / "enroll.lst", "ann-enroll enroll/gone.wav", "ann-2 ann-u3")
    lines(tmp_path / "lists" / "enroll.map", "ann-enroll ann-u0 ann-u1", "ann-2 ann-u3")
    trials = read_trials(path, corpus)
    assert enrolled(trials) == {"ann-enroll": ["ann-u0", "ann-u1"], "ann-2": ["ann-u3"]}
    lines(tmp_path / "lists" / "enroll.map", "ann-enroll ann-u0 bob-u1", "ann-2 ann-u3")
    with pytest.raises(BadInput, match=r"enrols by utterances that corpus people lacks, enroll/gone\.wav"):
        read_trials(path, corpus)
    (tmp_path / "lists" / "enroll.lst").unlink()
    with pytest.raises(BadInput, match="enrols ann-enroll by utterances of several speakers"):
        read_trials(path, corpus)


def test_spk2utt_counts_beside_the_trials_and_not_in_the_corpus(tmp_path: Path) -> None:
    corpus = people(tmp_path / "corpus", "ann", "bob")
    for place in ("corpus", "sre"):
        lines(tmp_path / place / "trials", *KALDI)
        lines(tmp_path / place / "spk2utt", "ann ann-u0", "bob bob-u0")
    assert enrolled(read_trials(tmp_path / "sre" / "trials", corpus)) == {"ann": ["ann-u0"], "bob": ["bob-u0"]}
    assert len(enrolled(read_trials(tmp_path / "corpus" / "trials", corpus))["ann"]) == 3


def test_utterances_win_over_lists_that_do_not_concern_them(tmp_path: Path) -> None:
    corpus = people(tmp_path, "ann", "bob")
    lines(tmp_path / "enrolls", "elsewhere-u0")
    trials = read_trials(lines(tmp_path / "t", "1 wav/ann-u0.wav ann-u1", "0 wav/ann-u0.wav bob-u1"), corpus)
    assert trials.models == () and list(trials.lines()) == ["1 ann-u0 ann-u1", "0 ann-u0 bob-u1"]


@pytest.mark.parametrize(
    ("rows", "listed", "said"),
    [
        ([f"ann ann-u{i} target" for i in range(4)] + ["ann bob-u0 nontarget"], [], "enrols speaker ann and tests all"),
        (KALDI, ["ann-u0", "ann-u9"], r"enrolls enrols by utterances that corpus people lacks, ann-u9 \(ids there"),
        (KALDI, ["ann-u0"], "enrolls enrols others and not bob"),
        (KALDI, ["ann-u2", "bob-u0"], "tests ann-u2, which is among the utterances that enrol ann"),
        (("ann ann-u2 nontarget", "bob bob-u3 target"), [], "labels 1 trials against .*ann and ann-u2 first"),
    ],
)
def test_enrolments_that_make_no_sense(tmp_path: Path, rows: list[str], listed: list[str], said: str) -> None:
    if listed:
        lines(tmp_path / "enrolls", *listed)
    with pytest.raises(BadInput, match=said):
        read_trials(lines(tmp_path / "t", *rows), people(tmp_path, "ann", "bob"))


@pytest.mark.parametrize("names", [("ann", "bob"), ("Ann Lee", "Bob")])
def test_written_enrolments_read_back(tmp_path: Path, names: tuple[str, str]) -> None:
    corpus = people(tmp_path / "corpus", *names)
    one, two = names
    rows = (f"1\t{one}\t{one}-u2", f"0\t{one}\t{two}-u2", f"1\t{two}\t{two}-u2")
    lines(tmp_path / "corpus" / "enrolls", f"{one}-u1", f"{one}-u0", f"{two}-u3")
    trials = read_trials(lines(tmp_path / "t", *rows), corpus)
    (tmp_path / "run").mkdir()
    write_trials(tmp_path / "run" / "trials.txt", trials)
    lines(tmp_path / "corpus" / "enrolls", *(f"{name}-u3" for name in names))
    again = read_trials(tmp_path / "run" / "trials.txt", corpus)
    assert enrolled(again) == enrolled(trials) == {one: [f"{one}-u0", f"{one}-u1"], two: [f"{two}-u3"]}
    assert again.digest() == trials.digest()
    other = read_trials(tmp_path / "t", corpus)
    assert list(other.lines()) == list(trials.lines()) and other.digest() != trials.digest()


def test_a_model_may_have_the_name_of_an_utterance(tmp_path: Path) -> None:
    corpus = people(tmp_path, "ann", "bob")
    lines(tmp_path / "enrolment.txt", "ann-u0\tann-u1\tann-u3")
    trials = read_trials(lines(tmp_path / "t", "1 ann-u0 ann-u2", "0 ann-u0 bob-u0"), corpus)
    assert enrolled(trials) == {"ann-u0": ["ann-u1", "ann-u3"]}


def test_scores_are_cosines_with_the_mean_of_unit_embeddings(tmp_path: Path) -> None:
    corpus = people(tmp_path, "ann", "bob")
    lines(tmp_path / "enrolls", "ann-u0", "ann-u1", "bob-u0")
    rows = ("1 ann ann-u2", "0 ann bob-u1", "1 bob bob-u1", "0 bob-u2 ann-u2")
    trials = read_trials(lines(tmp_path / "t", *rows), corpus)
    both, plain = torch.randn(3, len(trials.ids), 5, generator=torch.Generator().manual_seed(0)).double().split([2, 1])
    measured = SpeakerVerification(trials, replicates=10)
    at = {id: i for i, id in enumerate(trials.ids)}

    def unit(vector: np.ndarray) -> np.ndarray:
        return vector / np.linalg.norm(vector)

    for enrolment in (both, plain.expand_as(both)):
        scores = measured.cosines(enrolment, both)
        for key in range(2):
            e, t = enrolment[key].numpy(), both[key].numpy()
            ann = unit(e[at["ann-u0"]]) + unit(e[at["ann-u1"]])
            expected = [
                unit(ann) @ unit(t[at["ann-u2"]]),
                unit(ann) @ unit(t[at["bob-u1"]]),
                unit(e[at["bob-u0"]]) @ unit(t[at["bob-u1"]]),
                unit(e[at["bob-u2"]]) @ unit(t[at["ann-u2"]]),
            ]
            np.testing.assert_allclose(scores[key].numpy(), expected, atol=1e-12)
    rows_of_keys = measured.measure(measured.cosines(both, both))
    assert {"eer", "min_dcf"} < {row["metric"] for row in rows_of_keys} and all(row["n"] == 4 for row in rows_of_keys)


def test_a_run_writes_lists_that_make_the_same_run_again(tmp_path: Path) -> None:
    corpus = open_corpus("bundled").select(per_speaker=3, speakers=3)
    tested = [corpus.utterances[i] for i in (0, 3, 6)]
    rows = [f"{s} {u.id} {'target' if s == u.speaker else 'nontarget'}" for s in corpus.speakers for u in tested]

    def task(trials: Path) -> SpeakerVerification:
        return SpeakerVerification.of(SweepConfig(model="any", corpus="bundled", trials=str(trials)), corpus)

    first = task(lines(tmp_path / "trials", *rows))
    assert sorted(first.files()) == ["enrolment.txt", "trials.txt"]
    for name, text in first.files().items():
        (tmp_path / name).write_text(text)
    again = task(tmp_path / "trials.txt")
    assert again.identity() == first.identity() and again.files() == first.files()
    assert first.about()["trials"]["models"] == 3 and "9 trials of 3 enrolled speakers" in first.summary()
    singles = task(
        lines(tmp_path / "singles", "1 {0} {1}\n0 {0} {2}".format(*(corpus.utterances[i].id for i in (0, 1, 3))))
    )
    assert list(singles.files()) == ["trials.txt"] and "models" not in singles.about()["trials"]


def test_a_corpus_brings_its_trials_under_kaldis_name(tmp_path: Path) -> None:
    lines(tmp_path / "trials", *KALDI)
    config = SweepConfig(model="any", corpus="any", trials="corpus")
    assert len(SpeakerVerification.of(config, people(tmp_path, "ann", "bob")).trials.models) == 2
