"""Sweeps whose keys are seeds: the engine against the explicit way, resume, and what a run folder says of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.derived_keys import DerivedEngine, EncryptedPerUtterance, query_rate
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.models.modules import move
from wrongkey.evaluation.run_folder.media import read_clips
from wrongkey.evaluation.sweep import sweep
from wrongkey.keys import SeedKey, encrypt_query
from wrongkey.keys.derived import public_nonce

SHARED: dict[str, Any] = {"replicates": 0, "device": "cpu", "keys": 4, "recordings": "synthetic"}
SCHEMES = ("rom+schedule=0.05", "flipping+schedule=0.1+nonce", "shuffling+nonce")
WAVEFORMS: dict[str, dict[str, Any]] = {
    "raw3": {},
    "segmented": {},
    "whole_utterances": {},
    "overlapping": {"block": 15},
}
SPECTROGRAMS: dict[str, dict[str, Any]] = {
    "whisper_like": {"task": "asr", "blocks": "frames", "block": 7},
    "subsampled": {"task": "asr"},
    "overlapping_tiles": {"task": "asr", "block": 4},
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    """A few utterances with transcripts."""
    folder = tmp_path_factory.mktemp("corpus")
    rng, lists = np.random.default_rng(0), {"wav.scp": "", "utt2spk": "", "text": ""}
    for number in range(8):
        path, speaker = folder / f"{number}.wav", f"s{number % 4}"
        soundfile.write(path, rng.normal(0, 0.1, 6_000 + 1_111 * (number // 2)), 16_000)
        for name, value in {"wav.scp": path, "utt2spk": speaker, "text": "ONE TWO"}.items():
            lists[name] += f"{speaker}-{number} {value}\n"
    for name, lines in lists.items():
        (folder / name).write_text("".join(sorted(lines.splitlines(keepends=True))))
    return str(folder)


def config(corpus: str, model: str, scheme: str, **settings) -> SweepConfig:
    return SweepConfig(f"tests.toys:{model}", corpus, scheme=scheme, **SHARED | settings)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("model", WAVEFORMS)
def test_relative_keys_equal_explicit_encryption(model, scheme, corpus):
    experiment = Experiment(config(corpus, model, scheme, precision="float64", **WAVEFORMS[model]))
    keys = experiment.incorrect.batch(0, 2)
    expected = torch.cat([of_type(torch.Tensor, experiment.explicit(key)) for key in keys])
    answers = of_type(torch.Tensor, experiment.answers(keys))
    torch.testing.assert_close(answers, expected, rtol=1e-7, atol=1e-8)
    plain = of_type(torch.Tensor, experiment.plain())
    torch.testing.assert_close(
        of_type(torch.Tensor, experiment.explicit(experiment.correct)), plain, rtol=1e-7, atol=1e-8
    )
    assert (answers - plain).abs().amax(-1).median() > 1e-3
    torch.testing.assert_close(experiment.engine.answers(keys, rows=3), answers, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("scheme", SCHEMES[:2])
@pytest.mark.parametrize("model", SPECTROGRAMS)
def test_spectrograms_too(model, scheme, corpus):
    experiment = Experiment(config(corpus, model, scheme, precision="float64", **SPECTROGRAMS[model]))
    engine, keys = experiment.check_engine, experiment.incorrect.batch(0, 1)
    assert experiment.encrypted is not None
    torch.testing.assert_close(
        engine.answers(keys), engine.explicit(experiment.encrypted, keys[0]), rtol=1e-6, atol=1e-7
    )
    own = engine.explicit(experiment.encrypted, experiment.correct)
    torch.testing.assert_close(own, engine.plain(), rtol=1e-6, atol=1e-7)


def test_a_nonce_gives_each_utterance_a_key_of_its_own(corpus):
    """The encrypted blocks, one by one, are those of the key that the owner's seed gives at the public nonce."""
    experiment = Experiment(config(corpus, "raw3", "rom+nonce"))
    assert experiment.keys is not None
    key = SeedKey.of("rom+nonce", 3, 1, experiment.correct)
    group = experiment.engine.queries.groups[0]
    sent = experiment.keys.encrypted(group.segments, group.utterance, experiment.correct)
    for row, number in enumerate(group.utterance.tolist()):
        expected = encrypt_query(group.segments[row], key.at(public_nonce(0, number)))
        torch.testing.assert_close(sent[row], expected)


def test_an_unencrypted_query_meets_the_inverse_of_the_model_key(corpus):
    experiment = Experiment(config(corpus, "raw3", "rom+nonce", precision="float64"))
    encrypted = of_type(EncryptedPerUtterance, experiment.encrypted)
    answers = of_type(torch.Tensor, experiment.plain_query())
    model: Any = encrypted.for_utterance(1, 4_800)
    move(model, None, torch.float64)
    queries = experiment.engine.queries.among([1]).groups[0].segments
    torch.testing.assert_close(answers[0, 1], model.embed(queries)[0], rtol=1e-6, atol=1e-7)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Path:
    return sweep(
        config(corpus, "raw3", "rom+schedule=0.1+nonce"), tmp_path_factory.mktemp("runs") / "run", workers=1
    ).path


def scores(folder: Path) -> pd.DataFrame:
    table = pd.concat(pd.read_parquet(file) for file in sorted((folder / "scores").glob("*.parquet")))
    return table.sort_values(["condition", "metric", "key_index"], ignore_index=True)


def test_a_sweep_passes_its_checks_and_says_its_scheme(run):
    manifest = json.loads((run / "manifest.json").read_text())
    assert all(check["passed"] for check in manifest["self_checks"]) and len(manifest["self_checks"]) > 8
    assert manifest["config"]["scheme"] == "rom+schedule=0.1+nonce" and not manifest["enumerated"]
    table = scores(run).query("metric == 'eer'").set_index("condition").value
    assert table["correct"] == table["plain"] and (table["incorrect"] != table["plain"]).any()


def test_no_file_of_a_run_holds_a_seed(run, corpus):
    experiment = Experiment(config(corpus, "raw3", "rom+schedule=0.1+nonce"))
    for seed in [experiment.correct, *experiment.incorrect.batch(0, 4)]:
        for file in run.rglob("*"):
            content = file.read_bytes() if file.is_file() else b""
            assert seed.tobytes() not in content and seed.tobytes().hex().encode() not in content
            assert not any(str(word).encode() in content for word in seed.tolist())


def test_a_run_that_was_begun_is_extended_with_the_same_scores(run, tmp_path, corpus):
    asked = corpus, "raw3", "rom+schedule=0.1+nonce"
    sweep(config(*asked, keys=2), tmp_path / "run", workers=1)
    sweep(config(*asked), tmp_path / "run", workers=1)
    pd.testing.assert_frame_equal(scores(tmp_path / "run"), scores(run))


def test_another_schedule_is_another_experiment(run, corpus):
    with pytest.raises(BadInput, match="scheme"):
        sweep(config(corpus, "raw3", "rom+schedule=0.2+nonce"), run, workers=1)


def test_the_clips_of_a_sweep_are_heard_under_its_keys(run):
    (row,) = read_clips(run)
    assert [clip.role for clip in row.clips][:3] == ["original", "encrypted", "wrong key"]
    assert all(present(clip.snr) < 10 for clip in row.clips[1:])


def test_waveforms_under_seeds_into_the_plain_model(tmp_path, corpus):
    settings = config(corpus, "raw3", "flipping+schedule=0.1+nonce", variant="waveform", block=5, keys=2)
    experiment = Experiment(settings)
    assert experiment.keys is not None and experiment.keys.rate == 16_000
    folder = sweep(settings, tmp_path / "run", workers=1).path
    assert set(scores(folder).condition) == {"plain", "incorrect"}
    answers = of_type(torch.Tensor, experiment.answers(experiment.incorrect.batch(0, 1)))
    plain = of_type(torch.Tensor, experiment.plain())
    assert (answers - plain).abs().amax(-1).min() > 1e-4


def test_a_recurrent_layer_follows_nonces_but_no_schedule(corpus):
    settings = {"task": "asr", "precision": "float64"}
    experiment = Experiment(config(corpus, "recurrent", "rom+nonce", **settings))
    assert experiment.encrypted is not None
    engine = experiment.check_engine
    own = engine.explicit(experiment.encrypted, experiment.correct)
    torch.testing.assert_close(own, engine.plain(), rtol=1e-6, atol=1e-7)
    with pytest.raises(BadInput, match="LSTM carries its state from one key to the next"):
        Experiment(config(corpus, "recurrent", "rom+schedule=0.1", **settings))


def test_a_slot_shorter_than_a_block_is_refused(corpus):
    with pytest.raises(BadInput, match="within a block"):
        Experiment(config(corpus, "raw3", "rom+schedule=0.0001"))


class FrontEnd:
    """A front end of frames, of a length at the ends of its own, and one that fills half a minute."""

    name, sample_rate = "front", 16_000

    def __init__(self, fixed: bool) -> None:
        self.fixed = fixed

    def front_end(self, waveform: torch.Tensor) -> torch.Tensor:
        return torch.zeros(80, 3_000 if self.fixed else len(waveform) // 160 - 2)


@pytest.mark.parametrize("fixed", [True, False])
def test_the_rate_of_queries_is_measured(fixed):
    assert query_rate(FrontEnd(fixed)) == 100.0  # type: ignore[arg-type]


def test_engines_of_the_same_model_keep_the_keys(corpus):
    experiment = Experiment(config(corpus, "raw3", "rom+nonce"))
    assert isinstance(experiment.check_engine, DerivedEngine)
    assert experiment.check_engine.keys is experiment.keys
