"""The voice that attacks on waveforms are tried on."""

import pytest
import torch

from wrongkey.evaluation.corpora import load_audio, open_corpus


@pytest.fixture(scope="session")
def voice() -> list[torch.Tensor]:
    """Some ten seconds of one of the bundled voices: waveforms `(samples,)`, float64."""
    corpus = open_corpus("bundled")
    spoken = [one for one in corpus.utterances if one.speaker == corpus.speakers[0]]
    return [torch.from_numpy(load_audio(one)).double() for one in spoken[:3]]
