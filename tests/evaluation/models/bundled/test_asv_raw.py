"""The bundled raw-waveform speaker models and the script that trains them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.signal import lfilter
from torch import nn

from tests.narrow import present
from training import asv_raw as training
from training.augment import augmented, level, with_noise
from training.speech import SPEEDS, TrainingSpeech, at_speed, open_speech, save_speech
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.ge2e_network import Ge2eTeacher, slaney_mel_bank
from wrongkey.evaluation.models.bundled.asv_raw import (
    NAMES,
    SEGMENT,
    STEM,
    AsvRaw,
    FoldedSpeakerNet,
    RawSpeakerNet,
    load_asv_raw,
    weights_file,
)

KERNELS = sorted(STEM)


@pytest.fixture
def short_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training on 0.375 s instead of 1.7 s, for speed."""
    monkeypatch.setattr(training, "CROP", 6_000)
    torch.set_num_threads(1)


def network_with_statistics(kernel: int) -> RawSpeakerNet:
    """A random network in eval mode whose batch norms are far from the identity."""
    torch.manual_seed(kernel)
    network = RawSpeakerNet(kernel).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            present(module.running_mean).normal_()
            present(module.running_var).uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network


def tiny_speech(utterances: int = 6, samples: int = 30_000) -> TrainingSpeech:
    rng = np.random.default_rng(7)
    lengths = np.array([samples if i % 2 else 9_000 for i in range(utterances)])
    return TrainingSpeech(
        samples=rng.integers(-3000, 3000, lengths.sum()).astype(np.int16),
        start=np.cumsum(lengths) - lengths,
        length=lengths,
        speaker=np.array([f"so-{i % 3}" for i in range(utterances)]),
        teacher=rng.random((utterances, 256), dtype=np.float32),
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_first_layer_reads_whole_blocks(kernel: int) -> None:
    model = AsvRaw("model", RawSpeakerNet(kernel).eval())
    first = model.network.get_submodule(model.first_layer)
    assert isinstance(first, nn.Conv1d)
    assert first.kernel_size == first.stride == (kernel,)
    assert first.padding == (0,) and first.in_channels == 1 and first.out_channels >= max(16, kernel)
    assert SEGMENT % 30 == 0


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=5, deadline=None)
@given(batch=st.integers(1, 3), frames=st.integers(1, 12))
def test_embedding_shape(kernel: int, batch: int, frames: int) -> None:
    model = AsvRaw("model", RawSpeakerNet(kernel).eval())
    with torch.inference_mode():
        assert model.embed(torch.randn(batch, 300 * frames)).shape == (batch, 192)


@pytest.mark.parametrize("kernel", KERNELS)
def test_folded_equals_unfolded(kernel: int) -> None:
    network = network_with_statistics(kernel)
    queries = torch.randn(2, 3000)
    with torch.inference_mode():
        apart = network(queries)
        folded = FoldedSpeakerNet(network).eval()
        together = folded(queries)
    assert not any(isinstance(module, nn.BatchNorm1d) for module in folded.modules())
    first = folded.get_submodule("first.conv")
    assert isinstance(first, nn.Conv1d) and first.kernel_size == first.stride == (kernel,)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


def test_front_end_is_pre_emphasis_at_unit_level() -> None:
    waveform = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    query = AsvRaw("model", nn.Identity()).front_end(torch.from_numpy(waveform)).numpy()
    emphasised = lfilter([1, -0.97], [1], waveform)
    np.testing.assert_allclose(query, emphasised / np.sqrt(np.mean(emphasised**2)), rtol=1e-4, atol=1e-5)


def test_front_end_ignores_gain_and_bears_silence() -> None:
    model = AsvRaw("model", nn.Identity())
    waveform = 0.1 * torch.randn(4000)
    torch.testing.assert_close(model.front_end(0.01 * waveform), model.front_end(waveform))
    assert model.front_end(torch.zeros(4000)).eq(0).all()


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 3 * SEGMENT))
def test_segment_is_the_middle_or_the_query_repeated(samples: int) -> None:
    query = torch.arange(samples, dtype=torch.float32)
    (segment,) = AsvRaw("model", nn.Identity()).segments(query)
    assert segment.shape == (SEGMENT,)
    if samples < SEGMENT:
        assert torch.equal(segment, torch.arange(SEGMENT) % samples)
    else:
        start = int(segment[0])
        assert start % 30 == 0 and torch.equal(segment, query[start : start + SEGMENT])
        assert 0 <= (samples - SEGMENT) - 2 * start <= 60


def test_empty_query_is_refused() -> None:
    with pytest.raises(BadInput, match="without samples"):
        AsvRaw("model", nn.Identity()).segments(torch.zeros(0))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_bundled_weights(name: str) -> None:
    assert weights_file(name).stat().st_size <= 4 * 2**20
    folded, apart = load_asv_raw(name), load_asv_raw(name, folded=False)
    assert not folded.network.training and folded.name == name
    assert any(isinstance(module, nn.BatchNorm1d) for module in apart.network.modules())
    queries = torch.randn(2, SEGMENT)
    with torch.inference_mode():
        torch.testing.assert_close(folded.embed(queries), apart.embed(queries), rtol=1e-3, atol=1e-3)


def test_unfit_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="asv-raw4"):
        load_asv_raw("asv-raw4")
    with pytest.raises(BadInput, match="nowhere"):
        load_asv_raw("asv-raw3", path=tmp_path / "nowhere.safetensors")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"no weights at all")
    with pytest.raises(BadInput, match="garbage"):
        load_asv_raw("asv-raw3", path=garbage)
    recipe = training.Recipe(5)
    other = training.write_weights(RawSpeakerNet(5), recipe, tmp_path)
    with pytest.raises(BadInput, match="kernel 3"):
        load_asv_raw("asv-raw3", path=other)
    weights = load_file(other)
    weights["project.weight"] = weights["project.weight"][:, :7].contiguous()
    save_file(weights, other, {"kernel": "5"})
    with pytest.raises(BadInput, match="cannot be read as weights"):
        load_asv_raw("asv-raw5", path=other)


def test_written_weights_load_again(tmp_path: Path) -> None:
    network = network_with_statistics(10)
    path = training.write_weights(network, training.Recipe(10), tmp_path)
    queries = torch.randn(1, 3000)
    with torch.inference_mode():
        loaded = load_asv_raw("asv-raw10", folded=False, path=path).embed(queries)
        assert torch.equal(loaded, network(queries))


def test_resumed_training_equals_uninterrupted(tmp_path: Path, short_crops: None) -> None:
    recipe = training.Recipe(kernel=10, steps=4, batch=4)
    crops = training.Crops([tiny_speech()] * 2, np.ones((2, 80_000), dtype=np.float32))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    once = training.train(recipe, crops, whole).state_dict()
    halfway = training.train(recipe, crops, parts, stop_at=2).state_dict()
    again = training.train(recipe, crops, parts).state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["project.weight"], halfway["project.weight"])
    with pytest.raises(BadInput, match="another recipe"):
        training.train(replace(recipe, seed=1), crops, parts)
    (parts / "asv-raw10.checkpoint.pt").write_bytes(b"half a checkpoint")
    with pytest.raises(BadInput, match="remove it"):
        training.train(recipe, crops, parts)


def test_training_learns(short_crops: None) -> None:
    """A few steps on three speakers of noise with different teacher embeddings lower the loss on them."""
    crops = training.Crops([tiny_speech()], np.zeros((0, 80_000), dtype=np.float32))
    torch.manual_seed(0)
    student = training.Student(10, crops.classes, 256)
    optimiser = torch.optim.AdamW(student.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        speaker, teacher = student.losses(*crops.draw(0, 0, 6), margin=0.0)
        optimiser.zero_grad()
        (speaker + teacher).backward()
        optimiser.step()
        losses.append((speaker + teacher).item())
    assert losses[-1] < 0.5 * losses[0]


def test_margin_softmax_by_hand() -> None:
    torch.manual_seed(1)
    student = training.Student(10, classes=5, teacher_size=256)
    waves, classes = torch.randn(3, 3000), torch.tensor([4, 0, 2])
    with torch.autocast("cpu", torch.bfloat16):
        embeddings = student.network(waves).float().detach().double().numpy()
    prototypes = student.prototypes.detach().double().numpy()
    expected = []
    for embedding, own in zip(embeddings, classes.tolist(), strict=True):
        cosines = [p @ embedding / np.linalg.norm(p) / np.linalg.norm(embedding) for p in prototypes]
        cosines[own] = np.cos(np.arccos(cosines[own]) + 0.3)
        expected.append(np.log(np.sum(np.exp(30 * np.array(cosines)))) - 30 * cosines[own])
    speaker, _ = student.losses(waves, classes, torch.randn(3, 256), margin=0.3)
    assert speaker.item() == pytest.approx(np.mean(expected), rel=1e-3)


def test_crops_never_draw_held_out_speakers_and_repeat_exactly() -> None:
    crops = training.Crops([tiny_speech()] * 2, np.zeros((0, 80_000), dtype=np.float32), held_out=["so-1"])
    assert crops.speakers == ["so-0", "so-2"] and crops.classes == 4
    first, second, later = crops.draw(3, 5, 4), crops.draw(3, 5, 4), crops.draw(3, 6, 4)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], later[0])
    assert int(first[1].max()) < 4


def test_noise_has_the_ratio_asked_for() -> None:
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((4, 20_000)).astype(np.float32)
    noises = rng.standard_normal((3, 80_000)).astype(np.float32)
    noise = with_noise(rng, waves, noises, snr_db=(10, 10)) - waves
    np.testing.assert_allclose(20 * np.log10(level(waves) / level(noise)), 10, atol=0.01)


def test_augmentation_keeps_shape_and_input() -> None:
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((8, 27_000)).astype(np.float32)
    before = waves.copy()
    result = augmented(rng, waves, np.zeros((0, 80_000), dtype=np.float32))
    assert result.shape == waves.shape and result.dtype == np.float32 and np.isfinite(result).all()
    assert np.array_equal(waves, before)


@pytest.mark.parametrize("speed", SPEEDS)
def test_speed_moves_pitch(speed: tuple[int, int]) -> None:
    """A tone of 1 kHz comes out at 1 kHz times the pace, `down / up`."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    played = at_speed(tone, speed)
    peak = np.abs(np.fft.rfft(played)).argmax() * 16_000 / len(played)
    assert peak == pytest.approx(1000 * speed[1] / speed[0], abs=2)


def test_speech_cache_round_trip(tmp_path: Path) -> None:
    speech = tiny_speech()
    save_speech(speech, tmp_path / "speed0")
    stored = open_speech(tmp_path / "speed0")
    for name in TrainingSpeech.__dataclass_fields__:
        assert np.array_equal(getattr(stored, name), getattr(speech, name))
    assert [path.name for path in tmp_path.iterdir()] == ["speed0"]


def test_mel_filters_have_unit_area_and_meet() -> None:
    """Slaney's filters: area one over hertz, and between first and last peak one filter falls as the next rises."""
    fine = slaney_mel_bank(n_fft=16_000)
    np.testing.assert_allclose(fine.sum(axis=1), 1, rtol=1e-3)  # bins are one hertz apart
    bank = slaney_mel_bank()
    assert bank.shape == (40, 201) and (bank >= 0).all() and (bank.sum(axis=1) > 0).all()
    peaks = fine.argmax(axis=1)
    assert (np.diff(peaks) > 0).all()
    np.testing.assert_allclose(np.diff(peaks[peaks < 900]), np.diff(peaks)[0], atol=1)  # linear below 1 kHz


def test_teacher_embeddings_have_length_one() -> None:
    torch.manual_seed(0)
    embeddings = Ge2eTeacher().eval().embed_utterances([torch.randn(5_000), torch.randn(40_000)])
    assert embeddings.shape == (2, 256)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


def test_bad_paths_give_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [f"--{name}={tmp_path / name}" for name in ("speechocean", "speech-commands", "esc50")]
    assert training.main(["--kernel", "3", *folders, f"--out={tmp_path / 'out'}"]) == 2
    message = capsys.readouterr().err
    assert len(message.strip().splitlines()) == 1 and "esc50" in message
    (tmp_path / "file").write_text("in the way")
    assert training.main(["--kernel", "3", *folders, f"--out={tmp_path / 'file'}"]) == 2
    assert "give a folder" in capsys.readouterr().err
    assert training.main(["--kernel", "3", *folders, f"--out={tmp_path / 'out'}", "--steps=0"]) == 2
    assert "--steps" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(NAMES))
def test_card_states_the_measured_figures(name: str) -> None:
    """The card's numbers are those that training measured and wrote."""
    figures = json.loads(weights_file(name).with_suffix(".json").read_text())
    card = weights_file(name).with_suffix(".md").read_text()
    for key in ("eer_percent", "teacher_eer_percent", "held_out_eer_percent"):
        assert f"{figures[key]:.2f} %" in card
    for key in ("target_trials", "steps", "parameters"):
        assert f"{figures[key]:,}" in card
