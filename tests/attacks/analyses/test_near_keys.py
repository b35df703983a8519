"""Decryption with near keys: SNR without audio is that of audio, and the curve falls as it must."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from wrongkey.attacks.analyses.folder import analyse, queries_of
from wrongkey.attacks.analyses.key_measures import speech_moments
from wrongkey.attacks.analyses.near_keys import (
    CORRECT_KEY,
    INCORRECT,
    INCORRECT_KEY,
    SIGN,
    STEP,
    TRANSPOSITION,
    Decryption,
    decryption_snr,
    near_keys,
    sign_flips,
    signal_power,
    stoi_rows,
    transpositions,
)
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.keys import correct_key, decrypt_query, draw_keys, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two utterances of each of six voices."""
    used = open_corpus("bundled").select(per_speaker=2, speakers=6).utterances
    listed = tmp_path_factory.mktemp("lists") / "only.txt"
    listed.write_text("".join(f"{utterance.id}\n" for utterance in used))
    return SweepConfig(model="tests.toys:raw3", corpus="bundled", only=str(listed), replicates=0, device="cpu")


@pytest.mark.parametrize(("blocks", "shape"), [("samples", (300,)), ("tiles", (6, 12)), ("frames", (3, 40))])
def test_snr_without_audio_is_that_of_decrypted_speech(blocks, shape):
    size = 9 if blocks == "tiles" else 3
    generator = torch.Generator().manual_seed(0)
    blocks = Blocks.named(blocks)
    queries = [torch.randn(shape, dtype=torch.float64, generator=generator).cumsum(-1) + 3 for _ in range(2)]
    correct = correct_key("rom", size, 0)
    keys = np.concatenate([correct[None], -correct[None], draw_keys("rom", size, 0, 0, 3)])
    power = np.array([signal_power(query, blocks) for query in queries])
    found = decryption_snr(keys @ correct.T, speech_moments(queries, KeyCut(blocks, 3)), power, blocks)
    for u, query in enumerate(queries):
        encrypted = encrypt_query(query, correct, blocks=blocks)
        for k, key in enumerate(keys):
            expected = snr(query, decrypt_query(encrypted, key, blocks=blocks), blocks)
            assert found[k, u] == pytest.approx(expected, abs=1e-6) or min(found[k, u], expected) > 140


def test_near_keys_are_what_their_names_say(config):
    experiment = Experiment(config)
    near = near_keys(experiment, [0.05, 0.5], draws=3)
    kinds = np.array(near.kind)
    relative = near.keys @ experiment.correct.T
    np.testing.assert_allclose(near.keys @ near.keys.mT, np.broadcast_to(np.eye(3), near.keys.shape), atol=1e-9)
    assert [int((kinds == k).sum()) for k in (CORRECT_KEY, STEP, TRANSPOSITION, SIGN, INCORRECT_KEY)] == [
        *(1, 6, 3, 3),
        INCORRECT,
    ]
    np.testing.assert_allclose(relative[kinds == CORRECT_KEY][0], np.eye(3), atol=1e-12)
    error = np.linalg.norm(relative - np.eye(3), axis=(1, 2)) / 3**0.5
    np.testing.assert_allclose(error[near.step == 0.05], 0.05, rtol=0.01)
    np.testing.assert_allclose(error[(kinds == TRANSPOSITION) | (kinds == SIGN)], 2 / 3**0.5)
    np.testing.assert_array_equal(near.keys[kinds == INCORRECT_KEY], experiment.incorrect.batch(0, INCORRECT))


def test_a_transposition_swaps_two_and_a_flip_turns_one():
    for matrix in transpositions(5, 6, seed=0):
        assert (np.diag(matrix) == 0).sum() == 2 and (matrix @ matrix == np.eye(5)).all()
    for matrix in sign_flips(5, 6, seed=0):
        assert sorted(np.diag(matrix)) == [-1, 1, 1, 1, 1]


@pytest.fixture(scope="module")
def analysed(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "near"
    return analyse(Decryption(config, draws=2, steps=(0.01, 0.3)), out, command="wrongkey analyse decryption").path


def test_decryption_gets_worse_with_distance(analysed):
    about = json.loads((analysed / "analyses" / "decryption.json").read_text())
    summary = {(e["kind"], e["step"], e["metric"]): e["median"] for e in about["summary"]}
    levels = [summary[key] for key in ((CORRECT_KEY, None, "snr"), (STEP, 0.01, "snr"), (STEP, 0.3, "snr"))]
    assert levels[0] > 130 and levels[1] == pytest.approx(40, abs=3) and levels[2] == pytest.approx(10, abs=3)
    assert summary[CORRECT_KEY, None, "eer"] == pytest.approx(about["plain"], abs=1e-9)


def test_intelligibility_falls_with_distance_and_is_left_out_of_short_speech(config):
    experiment = Experiment(replace(config, model="tests.toys:whole_utterances"))
    rows = stoi_rows(experiment, near_keys(experiment, [0.05, 0.5], draws=1))
    level = pd.DataFrame(rows).groupby(["kind", "step"], dropna=False).value.median()
    assert level[CORRECT_KEY].item() == pytest.approx(1, abs=1e-6)
    assert 1 > level[STEP, 0.05] > level[STEP, 0.5] > 0
    short = Experiment(config)  # its model reads 0.3 s
    assert stoi_rows(short, near_keys(short, [0.05], draws=1)) == []


def test_rows_and_pictures_are_there(analysed, config):
    rows = pd.read_parquet(analysed / "analyses" / "decryption.parquet")
    keys = rows.draw.nunique()
    assert keys == 1 + 4 + 2 + 2 + INCORRECT
    assert (rows.metric == "eer").sum() == (rows.metric == "key_error").sum() == keys
    assert rows[rows.metric == "snr"].utterance.nunique() == len(queries_of(Experiment(config)))
    pictures = pd.read_parquet(analysed / "analyses" / "decryption-example.parquet")
    sizes = pictures.groupby(["picture", "step"], dropna=False, observed=True).size()
    assert len(sizes) == 8 and sizes.nunique() == 1
    value = {name: group.value.to_numpy() for name, group in pictures.groupby("picture", observed=True)}
    np.testing.assert_allclose(value["plain"], value[CORRECT_KEY], atol=1)
    assert np.abs(value["plain"] - value["encrypted"]).mean() > 3


def test_bad_input_is_refused(config):
    with pytest.raises(BadInput, match="no correct key"):
        Decryption(SweepConfig(model="m", corpus="c", variant="waveform", block=3))
    with pytest.raises(BadInput, match="--draws"):
        Decryption(config, draws=0)
