"""Utterances that stand for all of a corpus."""

import numpy as np
import pytest
import soundfile
import torch

from wrongkey.evaluation.corpora import Utterance
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.planning.sample import sample_of

RATE = 8_000


@pytest.fixture
def utterances(tmp_path):
    """Nine utterances of 0.1 to 0.9 s, in no order."""
    tenths = [3, 9, 1, 5, 2, 8, 4, 7, 6]
    for number in tenths:
        soundfile.write(tmp_path / f"{number}.wav", np.full(number * RATE // 10, 0.1), RATE)
    return [Utterance(str(number), "a", tmp_path / f"{number}.wav") for number in tenths]


def test_each_utterance_stands_for_those_of_its_length(utterances):
    sample = sample_of(utterances, 3)
    assert [utterances[number].id for number in sample.numbers] == ["5", "2", "8"]  # the middle of each third
    standing = [utterances[sample.numbers[place]].id for place in sample.stands_for]
    assert standing == ["2", "8", "2", "5", "2", "8", "5", "8", "5"]
    assert sample.factor == 3 and sample.seconds == pytest.approx(4.5)


def test_few_utterances_are_all_measured(utterances):
    sample = sample_of(utterances, 20)
    assert sample.numbers == list(range(9)) and list(sample.stands_for) == list(range(9)) and sample.factor == 1


def test_answers_of_the_sample_stand_for_all(utterances):
    sample = sample_of(utterances, 3)
    answers = torch.tensor([[[5.0], [2.0], [8.0]]])  # of one key
    assert torch.as_tensor(sample.of_all(answers)).flatten().tolist() == [2, 8, 2, 5, 2, 8, 5, 8, 5]
    heard = [Hypothesis("five"), Hypothesis("two"), Hypothesis("eight")]
    assert list(sample.of_all([heard])[0][:2]) == heard[1:]
