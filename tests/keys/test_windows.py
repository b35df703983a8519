"""Overlapping windows: the rewritten layer answers to windows as the layer does to speech, under any key."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from wrongkey.errors import BadInput
from wrongkey.keys.key import SecretKey
from wrongkey.keys.key_cut import KeyCut
from wrongkey.keys.model import encrypt_model
from wrongkey.keys.query import encrypt_query
from wrongkey.keys.windows import Windows, windowed_layer, windowed_query

EXACT = {torch.float64: 1e-12, torch.float32: 1e-5}


@st.composite
def readings(draw, types=tuple(EXACT)):
    """A Conv1d whose windows overlap or touch, in any setting, and speech of at least a window."""
    dtype = draw(st.sampled_from(types))
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 2)) for _ in range(2))
    kernel = draw(st.integers(1, 7))
    stride, dilation = draw(st.integers(1, kernel)), draw(st.integers(1, 3))
    padding = draw(st.sampled_from([0, "valid", draw(st.integers(0, 5)), *(["same"] if stride == 1 else [])]))
    torch.manual_seed(draw(st.integers(0, 99)))
    layer = nn.Conv1d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=draw(st.booleans()), dtype=dtype)
    span = dilation * (kernel - 1) + 1
    return layer, torch.randn(2, inputs, span + draw(st.integers(0, 23)), dtype=dtype)


@settings(max_examples=200)
@given(readings())
def test_windows_read_by_the_windowed_layer_are_the_speech_read_by_the_layer(case) -> None:
    layer, speech = case
    sent, read = windowed_query(speech, layer), windowed_layer(layer)
    plain, found = layer(speech), read(sent)
    assert found.shape == plain.shape and found.dtype == plain.dtype
    assert (found - plain).abs().max() < EXACT[speech.dtype]
    assert KeyCut("samples", layer.kernel_size[0]).reads_whole(read)
    assert sent.shape[-1] == plain.shape[-1] * layer.kernel_size[0]


@settings(max_examples=100)
@given(readings(types=[torch.float64]), st.sampled_from(["shuffling", "flipping", "rom"]), st.integers(0, 99))
def test_the_correct_key_of_a_window_gives_the_plain_answers_and_another_does_not(case, scheme, seed) -> None:
    layer, speech = case
    sent, read, kernel = windowed_query(speech, layer), windowed_layer(layer), layer.kernel_size[0]
    key, other = (SecretKey.from_seed(scheme, kernel, seed=seed, index=index) for index in (0, 1))
    encrypted = encrypt_model(read, "", key, "samples")
    plain = layer(speech)
    assert (encrypted(encrypt_query(sent, key, blocks="samples")) - plain).abs().max() < 1e-12
    if key != other and kernel > 1:
        moved = encrypted(encrypt_query(sent, other, blocks="samples"))
        assert (moved - plain).abs().max() > 1e-6 * plain.abs().max()


@settings(max_examples=100)
@given(readings(types=[torch.float64]))
def test_windows_are_joined_to_all_the_speech_that_they_hold(case) -> None:
    layer, speech = case
    windows, samples = Windows.of(layer), speech.shape[-1]
    read = torch.zeros(samples, dtype=torch.bool)
    marked = windows.cut(torch.arange(1.0, samples + 1)).long()  # padding is 0
    read[marked[marked > 0] - 1] = True
    joined = windows.join(windows.cut(speech), samples)
    torch.testing.assert_close(joined, torch.where(read, speech, 0.0), rtol=0, atol=1e-12)
    assert marked.numel() == windows.count(samples) * windows.kernel


def test_windows_that_disagree_are_averaged() -> None:
    assert Windows(2, 1).join(torch.tensor([0.0, 1.0, 3.0, 4.0])).tolist() == [0.0, 2.0, 4.0]


def test_windows_in_the_padding_alone_hold_no_speech() -> None:
    windows = Windows(10, 10, before=105)
    assert windows.join(windows.cut(torch.ones(1)), 1).tolist() == [0.0]
    assert windows.join(torch.ones(10)).tolist() == []


def test_a_waveform_needs_no_axes_of_batch_or_channels() -> None:
    layer = nn.Conv1d(1, 3, 4, stride=2)
    speech = torch.randn(11)
    torch.testing.assert_close(windowed_layer(layer)(windowed_query(speech, layer)[None]), layer(speech[None]))


def test_windows_that_touch_are_blocks() -> None:
    layer, speech = nn.Conv1d(1, 3, 4, stride=4), torch.randn(11)
    assert torch.equal(windowed_query(speech, layer), speech[:8])
    assert Windows.of(layer).factor == 1


def test_the_layer_keeps_its_weights_and_the_generator_its_state() -> None:
    layer = nn.Conv1d(1, 3, 4, stride=2).requires_grad_(False).eval()
    before = torch.get_rng_state()
    read = windowed_layer(layer)
    assert torch.equal(torch.get_rng_state(), before)
    assert not read.training and not read.weight.requires_grad and layer.stride == (2,)
    read.weight.zero_()
    assert layer.weight.abs().min() > 0


class Doubled(nn.Conv1d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Conv2d(1, 2, 3), "Windows are for a Conv1d that reads samples, and this layer is of class Conv2d."),
        (nn.Linear(4, 2), "Windows are for a Conv1d that reads samples, and this layer is of class Linear."),
        (nn.LSTM(4, 2), "Windows are for a Conv1d that reads samples, and this layer is of class LSTM."),
        (nn.Conv1d(1, 2, 4, padding=1, padding_mode="reflect"), "padded with zeros, and this Conv1d pads .* reflect"),
        (nn.Conv1d(1, 2, 3, stride=4), "shorter than the stride would skip samples: this Conv1d reads 3 of every 4"),
        (Doubled(1, 2, 3), "its class Doubled computes something else than Conv1d"),
    ],
)
def test_other_layers_are_refused_in_a_sentence(layer: nn.Module, reason: str) -> None:
    for refused in (lambda: windowed_layer(layer), lambda: windowed_query(torch.randn(1, 30), layer)):
        with pytest.raises(BadInput, match=reason):
            refused()


def test_speech_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^Speech of 6 samples is shorter than a window of 7: leave it out\.$"):
        windowed_query(torch.randn(6), nn.Conv1d(1, 2, 4, dilation=2))
    assert windowed_query(torch.randn(6), nn.Conv1d(1, 2, 4, dilation=2, padding=1)).shape == (8,)
