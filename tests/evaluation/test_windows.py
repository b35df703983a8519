"""A model that is sent its first layer's windows: answers, sweeps, self-checks and what is refused."""

import copy
import json
import pickle
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests import toys
from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.experiment import Experiment, key_cut_of
from wrongkey.evaluation.models.protocol import SpeakerModel
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.sweep import sweep
from wrongkey.evaluation.windows import windowed, windows_of
from wrongkey.keys import SecretKey
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.windows import Windows

SCHEMES = ["shuffling+windows", "flipping+windows", "rom+windows"]


def padded() -> toys.Toy:
    """Windows with gaps that begin and end in zeros of padding; segments of whole utterances."""
    torch.manual_seed(0)
    return toys.Toy("toy-padded", nn.Conv1d(1, 6, 7, stride=3, padding=4, dilation=2), 6, segment=None)


def shared_weight() -> toys.Toy:
    toy = toys.overlapping()
    toy.network.append(nn.Conv1d(1, 6, 10))
    toy.network[-1].weight = toy.network[0].weight
    return toy


class EverySecond(toys.Toy):
    """Changes its query before the first layer reads it, by where a sample lies."""

    def embed(self, queries: torch.Tensor) -> torch.Tensor:
        return super().embed(queries * (torch.arange(queries.shape[-1]) % 2))


def every_second() -> EverySecond:
    torch.manual_seed(0)
    return EverySecond("toy-second", nn.Conv1d(1, 6, 10, stride=5), 6)


FEW: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 0, "device": "cpu"}
HERE = "tests.evaluation.test_windows"


@pytest.mark.parametrize("spec", ["tests.toys:overlapping", f"{HERE}:padded", "tests.toys:as_module", "asv-raw10"])
def test_a_windowed_model_answers_to_windows_as_the_model_to_speech(spec: str) -> None:
    model = cast(SpeakerModel, open_model(spec))
    sent = cast(SpeakerModel, windowed(model))
    cut = present(windows_of(sent))
    speech = torch.from_numpy(load_audio(open_corpus("bundled").utterances[0]))
    segments, windows = model.segments(model.front_end(speech)), sent.segments(sent.front_end(speech))
    assert (sent.blocks, sent.block_size) == ("samples", cut.kernel)
    assert windows.shape == (len(segments), cut.count(segments.shape[-1]) * present(sent.block_size))
    with torch.inference_mode():
        plain, found = model.embed(segments), sent.embed(windows)
    assert (found - plain).abs().max() < 1e-5 * plain.abs().max()
    assert windows_of(model) is None and (sent.name, sent.sample_rate) == (model.name, model.sample_rate)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_windowed_model_cuts_windows_itself(duplicate) -> None:
    sent: Any = windowed(open_model("tests.toys:overlapping"))
    other = duplicate(sent)
    query = torch.randn(5_000)
    assert torch.equal(other.segments(query), sent.segments(query))
    assert other.segments.plain.__self__ is other.model is not sent.model
    assert windows_of(other) == Windows(10, 5)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("spec", ["tests.toys:overlapping", f"{HERE}:padded"])
def test_the_correct_key_gives_the_plain_models_answers(spec: str, scheme: str) -> None:
    model = open_model(spec)
    key = SecretKey.from_seed(scheme, present(windows_of(windowed(model))).kernel, seed=0)
    waveform = torch.from_numpy(load_audio(open_corpus("bundled").utterances[0]))
    assert exactness(model, key, Blocks.SAMPLES, waveform).relative < 1e-5
    assert exactness(model, key, Blocks.SAMPLES, waveform, torch.float64).relative < 1e-7


def test_engine_and_explicit_path_agree_without_lifting() -> None:
    """In the query's own blocks: keys go into kernels, and no layer is lifted."""
    experiment = Experiment(SweepConfig(f"{HERE}:padded", scheme="rom+windows", precision="float64", **FEW))
    encrypted, plain = cast(Any, experiment.encrypted), of_type(torch.Tensor, experiment.plain())
    assert experiment.engine.layer is not None and type(encrypted.network[0]) is nn.Conv1d
    for key in (experiment.correct, *experiment.incorrect.batch(0, 2)):
        explicit = of_type(torch.Tensor, experiment.explicit(key))
        engine = of_type(torch.Tensor, experiment.answers(key[None]))
        assert (engine - explicit).abs().max() < 1e-9 * explicit.abs().max()
    assert (of_type(torch.Tensor, experiment.explicit(experiment.correct)) - plain).abs().max() < 1e-9
    assert (of_type(torch.Tensor, experiment.answers(experiment.incorrect.batch(0, 1))) - plain).abs().max() > 1e-3


def test_plain_scores_do_not_depend_on_windows() -> None:
    sent, lifted = (
        Experiment(SweepConfig("tests.toys:overlapping", scheme=scheme, block=10, **FEW))
        for scheme in ("rom+windows", "rom")
    )
    assert sent.cut == lifted.cut
    found, plain = (of_type(torch.Tensor, one.plain()) for one in (sent, lifted))
    assert (found - plain).abs().max() < 1e-4 * plain.abs().max()
    windows, segments = (one.engine.queries.groups[0].segments for one in (sent, lifted))
    assert windows.shape[-1] == (segments.shape[-1] - 10) // 5 * 10 + 10


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sweep_end_to_end(workers: int, tmp_path) -> None:
    said: list[str] = []
    config = SweepConfig("tests.toys:overlapping", scheme="rom+windows", keys=6, **FEW)
    folder = sweep(config, tmp_path / "run", workers=workers, report=said.append).path
    manifest = json.loads((folder / "manifest.json").read_text())
    checks = {check["name"]: check for check in manifest["self_checks"]}
    assert checks["windows"]["passed"] and 0 < checks["windows"]["limit"] <= 1e-4
    assert manifest["identity"]["scheme"] == "rom+windows" and manifest["identity"]["block_size"] == 10
    table = pd.concat(pd.read_parquet(file) for file in (folder / "scores").glob("*.parquet"))
    eer = table[table.metric == "eer"].set_index("condition").value
    assert eer["correct"] == eer["plain"] and len(eer["incorrect"]) == 6
    assert "0 of toy-overlap reads windows of 10 samples every 5: 2 times the data and the memory" in " ".join(said)


def test_windows_that_touch_are_said_to_be_blocks(tmp_path) -> None:
    said: list[str] = []
    config = SweepConfig("tests.toys:raw10", scheme="flipping+windows", keys=2, **FEW)
    sweep(config, tmp_path / "run", workers=1, report=said.append)
    assert any(line.endswith("windows do not overlap, and are blocks") for line in said)


def test_a_model_that_reads_its_query_otherwise_fails_the_check(tmp_path) -> None:
    config = SweepConfig(f"{HERE}:every_second", scheme="rom+windows", keys=2, **FEW)
    with pytest.raises(BadInput, match="self-check 'windows' failed for model toy-second"):
        sweep(config, tmp_path / "run", workers=1)


@pytest.mark.parametrize(
    ("spec", "settings", "reason"),
    [
        ("tests.toys:recurrent", {}, "Windows are for a Conv1d that reads samples, and this layer is of class LSTM"),
        ("tests.toys:subsampled", {}, "Windows are for a Conv1d that reads samples, and this layer is of class Conv2d"),
        ("tests.toys:whisper_like", {}, "and first of toy-whisper reads the bins of a spectrogram"),
        ("tests.toys:overlapping", {"blocks": "frames"}, "Windows are for a Conv1d that reads samples"),
        ("tests.toys:overlapping", {"block": 15}, "a block of 15 is not a multiple of its stride 10"),
        ("tests.toys:overlapping", {"variant": "waveform", "block": 10}, "leave the option windows out"),
        (f"{HERE}:shared_weight", {}, "its weight is shared with"),
    ],
)
def test_what_has_no_windows_is_refused(spec: str, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        Experiment(SweepConfig(spec, scheme="rom+windows", **FEW, **settings))


def test_keys_of_several_windows_are_lifted() -> None:
    """A block of two windows: neighbouring windows, which share samples, under one key of 20."""
    experiment = Experiment(SweepConfig("tests.toys:overlapping", scheme="rom+windows", block=20, **FEW))
    explicit, plain = (
        of_type(torch.Tensor, answers) for answers in (experiment.explicit(experiment.correct), experiment.plain())
    )
    assert key_cut_of(experiment.model, None, 20).size == 20
    assert (explicit - plain).abs().max() < 1e-4 * np.abs(explicit.numpy()).max()


def test_a_schedule_counts_the_seconds_of_speech_and_not_of_its_windows() -> None:
    experiment = Experiment(SweepConfig("tests.toys:overlapping", scheme="rom+windows+schedule=0.1", **FEW))
    assert present(experiment.keys).rate == pytest.approx(2 * 16_000)


def test_noise_goes_with_windows(tmp_path) -> None:
    config = SweepConfig("tests.toys:overlapping", scheme="rom+windows+noise=20", keys=1, **FEW)
    folder = sweep(config, tmp_path / "run", workers=1)
    assert not list((folder.path / "media").glob("*")), "overlapping windows are no speech to listen to"


@pytest.mark.parametrize("scheme", ["rom+nonce", "rom+turns=2+nonce"])
def test_of_a_seed_no_part_is_right(scheme) -> None:
    with pytest.raises(BadInput, match="leave --right out"):
        Experiment(SweepConfig("tests.toys:overlapping", scheme=scheme, block=10, right=1, **FEW))
