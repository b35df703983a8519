"""What is reconstructed from encrypted spectrograms: the correct key gives plain speech, Flipping hides nothing."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from wrongkey.attacks.analyses.phase.cases import block_energies, encrypted_cases
from wrongkey.attacks.analyses.phase.gabor import Lattice, TorchGabor
from wrongkey.attacks.analyses.phase.reconstruction import PhaseReconstruction
from wrongkey.attacks.analyses.phase.scores import spectral_convergence
from wrongkey.attacks.analyses.phase.spectrograms import loudest, on_scale, read_as_magnitude
from wrongkey.attacks.analyses.speech import COLUMNS
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.key_cut import KeyCut

CORPUS = open_corpus("bundled")
LATTICE = Lattice()


@pytest.fixture(scope="module")
def magnitude() -> torch.Tensor:
    signal = torch.randn(9000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.1
    return TorchGabor(LATTICE).analyse(signal).abs()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("run")
    found = PhaseReconstruction(corpus=CORPUS, block_sizes=[5], utterances=1, methods=["pghi"]).run(out).table
    assert (out / "media/phase" / f"{found.utterance[0]}-rom-5-encrypted-pghi.wav").is_file()
    assert {stat.S_IMODE(file.stat().st_mode) for file in (out / "media/phase").iterdir()} == {0o600}
    with np.load(out / "media/phase" / f"{found.utterance[0]}-rom-5-encrypted-pghi.npz") as arrays:
        assert arrays["given"].shape == arrays["reconstructed"].shape == (257, arrays["given"].shape[1])
        assert arrays["given"].max() == 0 and arrays["given"].min() >= -80
    return found


def value(table: pd.DataFrame, scheme: str, condition: str, metric: str) -> float:
    chosen = table[(table.scheme == scheme) & (table.condition == condition) & (table.metric == metric)]
    assert len(chosen) == 1
    return float(chosen.value.iloc[0])


def test_rows(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    assert set(table.experiment) == {"phase magnitude"} and set(table.blocks) == {"tiles"}
    assert set(table.condition) == {"plain", "correct", "incorrect", "encrypted", "energies"}
    assert np.isfinite(table.value).all()


@pytest.mark.parametrize("scheme", ["shuffling", "flipping", "rom"])
def test_the_correct_key_gives_plain_speech(table: pd.DataFrame, scheme: str) -> None:
    assert value(table, scheme, "correct", "deviation") < 1e-12
    assert value(table, scheme, "correct", "stoi") == value(table, "", "plain", "stoi") > 0.9


def test_flipping_magnitudes_hides_nothing(table: pd.DataFrame) -> None:
    assert value(table, "flipping", "encrypted", "stoi") == value(table, "", "plain", "stoi")


@pytest.mark.parametrize("scheme", ["shuffling", "rom"])
def test_tiles_of_other_schemes_are_not_reconstructed(table: pd.DataFrame, scheme: str) -> None:
    plain = value(table, "", "plain", "spectral_convergence")
    for condition in ("encrypted", "incorrect"):
        assert value(table, scheme, condition, "spectral_convergence") > plain + 10


def test_block_energies_are_those_of_any_ciphertext(magnitude: torch.Tensor) -> None:
    encrypted = encrypt_query(magnitude, correct_key("rom", 9, 0), blocks="tiles")
    # whole tiles only: padded ones are cut
    rows, columns = magnitude.shape[0] // 3 * 3, magnitude.shape[1] // 3 * 3
    plain, other = (block_energies(m.abs(), KeyCut("tiles", 3))[:rows, :columns] for m in (magnitude, encrypted))
    torch.testing.assert_close(plain, other)
    assert plain[0, 0] == plain[2, 2] != plain[3, 0]


def test_an_inexact_key_is_reconstructed_on_its_own(magnitude: torch.Tensor) -> None:
    cases, deviations = encrypted_cases(magnitude, ["rom"], [KeyCut("frames", 3)], 0, "log", LATTICE)
    assert [case.condition for case in cases] == ["plain", "encrypted", "incorrect"]
    assert deviations[0][1] < 1e-12


def test_scales_are_read_back(magnitude: torch.Tensor) -> None:
    assert torch.equal(read_as_magnitude(-on_scale(magnitude, "magnitude"), "magnitude", LATTICE), magnitude)
    read = read_as_magnitude(on_scale(magnitude, "log"), "log", LATTICE)
    torch.testing.assert_close(read, magnitude.maximum(1e-4 * magnitude.max()))
    with pytest.raises(BadInput, match="sone"):
        on_scale(magnitude, "sone")  # type: ignore[arg-type]


def test_encrypted_logarithms_are_read_within_full_scale() -> None:
    wild = torch.full((257, 30), 9.0, dtype=torch.float64)
    assert read_as_magnitude(wild, "log", LATTICE).max() == pytest.approx(loudest(LATTICE))
    full = TorchGabor(LATTICE).analyse(torch.ones(8000, dtype=torch.float64)).abs()
    assert full.max() == pytest.approx(loudest(LATTICE), rel=1e-6)


def test_silence_scores_zero_decibel(magnitude: torch.Tensor) -> None:
    silence = torch.zeros(9000, dtype=torch.float64)
    assert spectral_convergence(silence, magnitude, TorchGabor(LATTICE)) == pytest.approx(0)


def test_listeners() -> None:
    """A speaker model and a recogniser: pooled rows, and the correct key's are the plain ones."""
    some = CORPUS.select(3, 3)
    analysis = PhaseReconstruction(
        corpus=some,
        schemes=["rom"],
        block_sizes=[3],
        utterances=4,
        speaker_model="asv-raw10",
        recogniser="asr-words",
        methods=["pghi"],
        transcribed=1,
    )
    found = analysis.run().table
    pooled = found[found.utterance == "all"]
    assert set(pooled.metric) == {"wer", "eer"}
    for metric in ("wer", "eer"):
        assert value(pooled, "rom", "correct", metric) == value(pooled, "", "plain", metric)
    words = found[(found.metric == "words") & (found.condition == "plain")]
    assert len(words) == 1
    errors = found[(found.metric == "errors") & (found.condition == "encrypted")]
    assert value(pooled, "rom", "encrypted", "wer") == pytest.approx(100 * errors.value.iloc[0] / words.value.iloc[0])


def test_speech_without_spaces_is_heard_in_characters() -> None:
    some = CORPUS.only([CORPUS.utterances[0].id])
    some = replace(some, utterances=(replace(some.utterances[0], text="今天天气很好"),))
    asked: dict[str, Any] = {"schemes": ["flipping"], "block_sizes": [3], "utterances": 1, "methods": ["pghi"]}
    found = PhaseReconstruction(corpus=some, recogniser="asr-words", **asked).run().table
    assert {"cer", "characters"} <= set(found.metric) and not {"wer", "words"} & set(found.metric)
    assert set(found[found.metric == "characters"].value) == {6.0} and (found[found.metric == "cer"].value >= 100).all()


@pytest.mark.parametrize(
    "wrong, word",
    [({"methods": ("prayer",)}, "prayer"), ({"blocks": "samples"}, "samples"), ({"speaker_model": "asr-words"}, "asv")],
)
def test_bad_input(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        PhaseReconstruction(corpus=CORPUS, schemes=["rom"], block_sizes=[3], utterances=1, **wrong).run()
