import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.tasks.asc import SceneClassification

CLASSES = ("dog", "rain", "sea")


def utterances(*labels: str | None) -> list[Utterance]:
    return [Utterance(f"u{i}", "", Path("u.wav"), label=label) for i, label in enumerate(labels)]


def scenes(count: int = 40, replicates: int = 300, seed: int = 0) -> SceneClassification:
    labels = np.random.default_rng(1).choice(CLASSES, count)
    return SceneClassification.of(utterances(*labels), CLASSES, replicates, seed)


def test_accuracy_is_that_of_scikit_learn() -> None:
    task = scenes()
    logits = torch.randn(5, 40, 3, generator=torch.Generator().manual_seed(0))
    predictions = task.scores(logits)
    assert predictions.shape == (5, 40) and torch.equal(predictions, logits.argmax(-1))
    rows = task.measure(predictions)
    assert [row["position"] for row in rows] == list(range(5))
    assert {(row["metric"], row["n"]) for row in rows} == {("accuracy", 40)}
    expected = [100 * accuracy_score(task.labels, key) for key in predictions]
    assert [row["value"] for row in rows] == pytest.approx(expected)


def test_the_interval_is_that_of_a_share() -> None:
    task = scenes(count=400, replicates=1000)
    predictions = task.labels.clone()[None]
    predictions[0, :100] = (predictions[0, :100] + 1) % 3  # 75 % right
    (row,) = task.measure(predictions)
    half = 1.96 * 100 * math.sqrt(0.75 * 0.25 / 400)
    assert row["value"] == 75
    assert [row["ci_low"], row["ci_high"]] == pytest.approx([75 - half, 75 + half], abs=0.7)
    assert task.measure(predictions) == [row]
    assert scenes(count=400, replicates=1000, seed=1).measure(predictions) != [row]
    assert math.isnan(scenes(count=400, replicates=0).measure(predictions)[0]["ci_low"])


def test_labels_that_are_missing_or_unknown_are_named() -> None:
    with pytest.raises(BadInput, match=r"2 of 3 utterances have no label \(u1, u2\)"):
        SceneClassification.of(utterances("dog", None, None), CLASSES, 0, 0)
    with pytest.raises(BadInput, match=r"does not know the labels cat, fire: its classes are dog, rain, sea\.$"):
        SceneClassification.of(utterances("dog", "fire", "cat", "fire"), CLASSES, 0, 0)


def test_classes_that_no_utterance_has_are_allowed() -> None:
    assert SceneClassification.of(utterances("sea", "dog"), CLASSES, 0, 0).labels.tolist() == [2, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_must_be_finite(bad: float) -> None:
    logits = torch.zeros(2, 40, 3)
    logits[1, 3, 2] = bad
    with pytest.raises(BadInput, match="NaN or infinity"):
        scenes().scores(logits)


def test_logits_must_be_as_many_as_the_classes() -> None:
    with pytest.raises(BadInput, match="4 logits for 3 classes"):
        scenes().scores(torch.zeros(2, 40, 4))


def test_outputs_name_both_classes() -> None:
    task = SceneClassification.of(utterances("sea", "dog"), CLASSES, 0, 0)
    table = task.outputs(torch.empty(0), torch.tensor([[2, 1], [0, 0]]), start=5)
    assert table.to_dict("list") == {
        "key_index": [5, 5, 6, 6],
        "utterance": ["u0", "u1", "u0", "u1"],
        "label": ["sea", "dog", "sea", "dog"],
        "prediction": ["sea", "rain", "dog", "dog"],
    }
