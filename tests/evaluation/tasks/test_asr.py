import math
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.metrics.bootstrap import pooled_percent, utterance_weights
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.tasks.asr import COUNTS, SpeechRecognition, edits
from wrongkey.evaluation.tasks.characters import characters
from wrongkey.evaluation.tasks.text import normaliser

WORDS = st.lists(st.sampled_from("A B C ONE TWO É".split()), max_size=12)
TEXTS = ("the cat sat", "on", "A B C D E F")


def utterances(*texts: str | None) -> list[Utterance]:
    return [Utterance(f"u{i}", "s", Path("u.wav"), text=text) for i, text in enumerate(texts)]


def recognition(replicates: int = 50, normalise: str = "basic", seed: int = 0) -> SpeechRecognition:
    return SpeechRecognition.of(utterances(*TEXTS), normalise, replicates, seed)


def heard(*texts: str, runaway: bool = False) -> list[Hypothesis]:
    return [Hypothesis(text, runaway) for text in texts]


@given(st.lists(WORDS, min_size=1, max_size=12), WORDS)
def test_edits_are_those_of_jiwer(reference: list[str], hypothesis: list[str]) -> None:
    reference = [word for words in reference for word in words] or ["A"]
    output = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    assert edits(reference, hypothesis) == (
        output.substitutions,
        output.deletions,
        output.insertions,
        output.hits,
    )


def test_counts_per_utterance() -> None:
    task = recognition()
    scores = task.scores([heard("The cat, sat!", "", "b c x y z a b c"), heard("dog sat", "on", "a", runaway=True)])
    assert scores.shape == (2, 3, len(COUNTS)) and scores.dtype == torch.int64
    assert scores[1].tolist() == [[1, 1, 0, 1, 1, 7], [0, 0, 0, 1, 1, 0], [0, 5, 0, 1, 1, 10]]
    assert scores[0, 0].tolist() == [0, 0, 0, 3, 0, 0] and scores[0, 1].tolist() == [0, 1, 0, 0, 0, 2]
    assert (scores[..., [0, 1, 3]].sum(-1) == task.words).all()  # S + D + H are the reference's words


def test_wer_is_pooled_as_jiwer_pools_it_and_may_exceed_a_hundred() -> None:
    task = recognition()
    mute, babble = heard("", "", ""), heard("the cat", "x y z on x y z " * 5, "Z Y X")
    rows = [row for row in task.measure(task.scores([mute, babble])) if row["metric"] == "wer"]
    assert [row["position"] for row in rows] == [0, 1] and {row["n"] for row in rows} == {10}
    assert rows[0]["value"] == 100
    expected = 100 * jiwer.wer([text.upper() for text in TEXTS], [h.text.upper() for h in babble])
    assert rows[1]["value"] == pytest.approx(expected) and expected > 100
    assert rows[1]["ci_high"] > 100


@given(st.lists(st.tuples(st.text("AB É国"), st.text("AB É国")), min_size=1, max_size=5))
def test_cer_is_pooled_as_jiwer_pools_it(pairs: list[tuple[str, str]]) -> None:
    pairs = [(f"A{said}", text) for said, text in pairs]
    task = SpeechRecognition.of(utterances(*(said for said, _ in pairs)), "basic", 0, 0)
    (row,) = (r for r in task.measure(task.scores([heard(*(t for _, t in pairs))])) if r["metric"] == "cer")
    said, texts = ([characters(normaliser("basic")(text)) for text in side] for side in zip(*pairs, strict=True))
    assert row["value"] == pytest.approx(100 * jiwer.cer(said, texts)) and row["n"] == sum(map(len, said))


def test_cer_counts_spaces_may_exceed_a_hundred_and_has_an_interval() -> None:
    task = recognition()
    key = heard("the cats at", "on and on", "X" * 100)
    row = next(row for row in task.measure(task.scores([key])) if row["metric"] == "cer")
    said, text = [reference.upper() for reference in TEXTS], [h.text.upper() for h in key]
    assert row["value"] == pytest.approx(100 * jiwer.cer(said, text)) and row["value"] > 100 and row["n"] == 24
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_the_character_error_rate_speaks_where_spaces_do_not_mark_words() -> None:
    chinese = SpeechRecognition.of(utterances("今天天气很好。", "我们 去 公园", "hello"), "basic", 0, 0)
    assert chinese.metric == "cer" and recognition().metric == "wer"
    assert chinese.cautions() == [
        "2 of 3 transcripts are written without spaces between words: WER counts a whole sentence as one word, or what "
        "spaces happen to cut; read CER"
    ]
    scores = chinese.scores([heard("今天天气不好", "我们去公园", "hello")])
    rows = {row["metric"]: row["value"] for row in chinese.measure(scores)}
    assert rows["cer"] == pytest.approx(100 / 16) and rows["wer"] > 50
    mixed = SpeechRecognition.of(utterances("今天天气很好", "one two", "three"), "basic", 0, 0)
    assert mixed.metric == "wer" and mixed.cautions()[0].startswith("1 of 3 transcripts")
    glued = SpeechRecognition.of(utterances("thequickbrownfoxjumpsover", "thelazydogandsleepsallday"), "basic", 0, 0)
    assert glued.metric == "cer" and "25 characters on average" in glued.cautions()[0]


@pytest.mark.parametrize(
    ("normalise", "said"),
    [("basic", "they are not counted as words"), ("none", "they are counted as words by --text none")],
)
def test_tags_are_told(normalise: str, said: str) -> None:
    task = SpeechRecognition.of(utterances("a <PERIOD>", "b", "[noise] c"), normalise, 0, 0)
    assert task.cautions() == [f"2 of 3 transcripts hold tags such as <PERIOD>: {said}"]
    assert recognition().cautions() == []
    with pytest.raises(BadInput, match=r"1 of 2 transcripts are empty after normalisation 'basic' \(u1\)"):
        SpeechRecognition.of(utterances("a", "<MUSIC>"), "basic", 0, 0)


def test_runaways_are_counted_beside() -> None:
    task = recognition()
    key = [Hypothesis(text, i == 1) for i, text in enumerate(TEXTS)]
    rows = {row["metric"]: row for row in task.measure(task.scores([key]))}
    assert rows["wer"]["value"] == 0 and rows["runaway"]["value"] == pytest.approx(100 / 3)
    assert rows["runaway"]["n"] == 3


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_the_match_error_rate_is_that_of_jiwer(pairs: list[tuple[list[str], list[str]]]) -> None:
    said = [" ".join(["A", *words]) for words, _ in pairs]
    texts = [" ".join(words) for _, words in pairs]
    task = SpeechRecognition.of(utterances(*said), "none", 0, 0)
    (row,) = (row for row in task.measure(task.scores([heard(*texts)])) if row["metric"] == "mer")
    assert row["value"] == pytest.approx(100 * jiwer.mer(said, texts)) and row["value"] <= 100
    output = jiwer.process_words(said, texts)
    assert row["n"] == output.hits + output.substitutions + output.deletions + output.insertions


def test_silence_and_invention_are_told_apart() -> None:
    task = recognition()
    silent, inventing = heard("", "", ""), heard("the cat sat on a wall all day", "off", "A B C D E F and so on")
    rows = {(row["position"], row["metric"]): row for row in task.measure(task.scores([silent, inventing]))}
    assert [rows[key, "empty"]["value"] for key in (0, 1)] == [100, 0]
    assert [rows[key, "hallucinated"]["value"] for key in (0, 1)] == pytest.approx([0, 100 / 3])  # 5 beyond 3 words
    assert rows[0, "mer"]["value"] == 100 == rows[0, "wer"]["value"]
    assert rows[0, "empty"]["n"] == rows[1, "hallucinated"]["n"] == 3
    mer = rows[1, "mer"]
    assert mer["n"] == 10 + 8 and mer["value"] == pytest.approx(100 * 9 / 18) and mer["ci_low"] < mer["ci_high"] <= 100


def test_hallucinations_are_counted_in_characters_where_these_speak() -> None:
    task = SpeechRecognition.of(utterances("今天天气很好", "我们去公园"), "basic", 0, 0)
    key = heard("今天天气很好谢谢大家", "谢谢大家收看我们下期节目再见了朋友们")
    (row,) = (row for row in task.measure(task.scores([key])) if row["metric"] == "hallucinated")
    assert row["value"] == 50  # 4 characters more than 6 are no hallucination by this measure, 13 more than 5 are


def test_the_interval_is_a_bootstrap_over_utterances() -> None:
    texts = [f"A B C{' D' * (i % 3)}" for i in range(60)]
    task = SpeechRecognition.of(utterances(*texts), "none", 400, seed=3)
    keys = [heard(*(text if (i * k) % 4 else "X" for i, text in enumerate(texts))) for k in (1, 2)]
    scores = task.scores(keys)
    rows = [row for row in task.measure(scores) if row["metric"] == "wer"]
    errors, words = scores[..., :3].sum(-1).numpy(), np.array([len(text.split()) for text in texts])
    rng = np.random.default_rng(7)  # an independent draw, written as a loop
    for key, row in enumerate(rows):
        picks = [rng.integers(60, size=60) for _ in range(4000)]
        rates = [100 * errors[key, pick].sum() / words[pick].sum() for pick in picks]
        assert [row["ci_low"], row["ci_high"]] == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=2.5)
        assert row["ci_low"] < row["value"] < row["ci_high"]
    again = SpeechRecognition.of(utterances(*texts), "none", 400, seed=3).measure(scores)
    other = SpeechRecognition.of(utterances(*texts), "none", 400, seed=4).measure(scores)
    assert again == task.measure(scores) != other
    assert task.measure(scores[1:])[0]["ci_low"] == rows[1]["ci_low"]  # keys asked together answer as alone


def test_pooled_intervals_are_those_of_a_loop_over_draws() -> None:
    errors, words = np.array([[0, 3, 1, 9, 2], [1, 0, 0, 0, 4]]), np.array([4, 5, 1, 3, 7])
    weights = utterance_weights(5, 200, seed=1)
    assert weights.shape == (200, 5) and (weights.sum(1) == 5).all() and len(weights.unique(dim=0)) > 50
    value, low, high = pooled_percent(torch.tensor(errors), torch.tensor(words), weights)
    for key in range(2):
        rates = []
        for counts in weights.numpy().astype(int):
            drawn = [utterance for utterance, count in enumerate(counts) for _ in range(count)]
            rates.append(100 * sum(errors[key, u] for u in drawn) / sum(words[u] for u in drawn))
        assert [low[key], high[key]] == pytest.approx(np.quantile(rates, [0.025, 0.975]))
        assert value[key] == pytest.approx(100 * errors[key].sum() / words.sum())
    assert high[0] > 100  # never clipped


def test_intervals_can_be_off() -> None:
    task = recognition(replicates=0)
    assert all(math.isnan(row["ci_low"]) for row in task.measure(task.scores([heard(*TEXTS)])))


def test_one_utterance_has_no_interval() -> None:
    task = SpeechRecognition.of(utterances("one"), "basic", 10, 0)
    with pytest.raises(BadInput, match="too few to resample"):
        task.measure(task.scores([heard("one")]))


def test_transcripts_that_are_missing_or_empty_are_named() -> None:
    some = utterances("A", None, "B", None, None, None)
    with pytest.raises(BadInput, match=r"4 of 6 utterances have no transcript \(u1, u3, u4 and 1 more\)"):
        SpeechRecognition.of(some, "basic", 10, 0)
    with pytest.raises(BadInput, match=r"2 of 3 transcripts are empty after normalisation 'basic' \(u1, u2\)"):
        SpeechRecognition.of(utterances("A", "...", ""), "basic", 10, 0)
    assert SpeechRecognition.of(utterances("A", "..."), "none", 10, 0).words.tolist() == [1, 1]


def test_outputs_hold_enough_to_score_again() -> None:
    task = recognition()
    hypotheses = [heard("The cat sat.", "off", "A B C D E F"), heard("", "on", "A", runaway=True)]
    scores = task.scores(hypotheses)
    table = task.outputs(hypotheses, scores, start=7)
    assert list(table.columns) == ["key_index", "utterance", "reference", "hypothesis", *COUNTS, "characters"]
    assert table.character_errors.tolist() == [0, 2, 0, 11, 0, 10] and table.characters.tolist() == [11, 2, 11] * 2
    assert table.key_index.tolist() == [7] * 3 + [8] * 3 and table.utterance.tolist() == ["u0", "u1", "u2"] * 2
    assert table.hypothesis[0] == "The cat sat." and table.reference[0] == "THE CAT SAT"
    assert table.substitutions.tolist() == [0, 1, 0, 0, 0, 0] and table.runaway.tolist() == [False] * 3 + [True] * 3
    texts = [list(part.hypothesis) for _, part in table.groupby("key_index")]
    assert torch.equal(task.scores([heard(*texts[0]), heard(*texts[1], runaway=True)]), scores)
