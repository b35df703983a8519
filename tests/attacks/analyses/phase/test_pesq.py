"""PESQ of reconstructed speech, where the package is installed."""

import pytest
import torch

from tests.narrow import present
from wrongkey.attacks.analyses.phase.scores import pesq
from wrongkey.evaluation.corpora import load_audio, open_corpus

pytest.importorskip("pesq")


@pytest.mark.filterwarnings("ignore:invalid value")  # of the package, for silence
def test_pesq_falls_with_noise_and_has_no_value_for_silence():
    speech = torch.from_numpy(load_audio(open_corpus("bundled").utterances[0]))
    noise = 0.05 * torch.randn(len(speech), generator=torch.Generator().manual_seed(0))
    same, noisy = (present(pesq(speech, heard)) for heard in (speech, speech + noise))
    assert same == pytest.approx(4.64, abs=0.01)  # the end of the wide-band scale
    assert 1 <= noisy < 2.5
    silent = torch.zeros(16_000)
    assert torch.isnan(torch.tensor(pesq(silent, silent)))
