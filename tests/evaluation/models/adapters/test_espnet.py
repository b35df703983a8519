"""ESPnet recognisers: a stand-in of the same modules everywhere, ESPnet's own classes where they are installed."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.espnet import SHORTEST, BinsFirst, Espnet, wrapped
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import Blocks, SecretKey, encrypt_query

SPEECH = torch.randn(8_000, generator=torch.Generator().manual_seed(0)) * 0.1
BINS = 24


class Subsampling(nn.Module):
    """As ESPnet's Conv2dSubsampling: `(batch, frames, bins)` to frames."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 6, 3, stride), nn.ReLU(), nn.Conv2d(6, 6, 3, 2), nn.ReLU())
        rows = ((BINS - 3) // stride + 1 - 3) // 2 + 1
        self.out = nn.Linear(6 * rows, 8)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.conv(x.unsqueeze(1))
        b, c, t, f = x.size()
        return self.out(x.transpose(1, 2).contiguous().view(b, t, c * f)), mask


class Encoder(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.embed = Subsampling(stride)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, None]:
        return self.embed(x, None)[0].tanh(), lengths, None


class Frontend(nn.Module):
    logmel = SimpleNamespace(mel_options={"sr": 8_000})

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames = waveform.unfold(1, BINS * 4, 50)[..., ::4]
        return frames, torch.tensor([frames.shape[1]])


class Recogniser(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.preencoder = self.postencoder = self.normalize = None
        self.frontend, self.encoder = Frontend(), Encoder(stride)


def speech2text(stride: int) -> SimpleNamespace:
    torch.manual_seed(0)

    def search(frames: Tensor) -> list[tuple[object, ...]]:
        tokens = frames.argmax(-1).tolist()
        return [("".join(map(str, tokens)), [], tokens, SimpleNamespace(yseq=[8, *tokens, 8]))]

    return SimpleNamespace(asr_model=Recogniser(stride), beam_search=search, _decode_single_sample=search)


@pytest.mark.parametrize(("stride", "tile"), [(3, 3), (2, 4), (2, 8), (3, 12)])
def test_tiles_of_bins_and_frames_are_encrypted(stride, tile):
    plain = speech2text(stride)
    before = copy.deepcopy(plain.asr_model)
    model = wrapped(plain, "standin")
    assert model.block_size == (3 if stride == 3 else 4) and model.sample_rate == 8_000
    queries = model.segments(model.front_end(SPEECH))
    assert queries.shape[:2] == (1, BINS)
    torch.testing.assert_close(model.encode(queries), before.encoder(queries.mT, None)[0])
    key = SecretKey.from_seed("rom", tile, dims=2, seed=1)
    assert exactness(model, key, Blocks.TILES, SPEECH).relative < 1e-5
    fitted = queries[..., : queries.shape[-1] // tile * tile]
    assert not torch.allclose(model.encode(encrypt_query(fitted, key)), model.encode(fitted), rtol=1e-2)


def test_a_convolution_turned_to_bins_and_frames_computes_the_same():
    layer = nn.Conv2d(1, 5, (3, 5), (2, 3), (1, 2), (2, 1), bias=False)
    x = torch.randn(2, 1, 30, 20)
    turned = BinsFirst(layer)
    assert turned.conv.kernel_size == (5, 3) and turned.conv.stride == (3, 2)
    torch.testing.assert_close(turned(x), layer(x))


def test_texts_as_long_as_the_encoder_are_runaways():
    model = wrapped(speech2text(3), "standin")
    assert model.transcribe(model.segments(model.front_end(SPEECH)))[0].runaway
    search = model.speech2text._decode_single_sample
    model.speech2text._decode_single_sample = lambda frames: search(frames[:-1])
    assert not model.transcribe(model.segments(model.front_end(SPEECH)))[0].runaway


def test_short_queries_are_filled():
    model = wrapped(speech2text(3), "standin")
    assert model.segments(torch.ones(BINS, 3)).shape == (1, BINS, SHORTEST)


def test_other_recognisers_are_refused(tmp_path):
    raw = speech2text(3)
    raw.asr_model.encoder.embed.conv = nn.Conv1d(1, 1, 3)
    with pytest.raises(BadInput, match="conv2d"):
        wrapped(raw, "standin")
    transducer = speech2text(3)
    transducer.beam_search = None
    with pytest.raises(BadInput, match="transducer"):
        wrapped(transducer, "standin")
    preencoded = speech2text(3)
    preencoded.asr_model.preencoder = nn.Identity()
    with pytest.raises(BadInput, match="pre-encoder"):
        wrapped(preencoded, "standin")
    with pytest.raises(BadInput, match="not there"):
        open_model(f"espnet:{tmp_path}/none")
    with pytest.raises(BadInput, match=r"no \.pth file"):
        open_model(f"espnet:{tmp_path}")
    (tmp_path / "a.pth").touch()
    with pytest.raises(BadInput, match=r"config\.yaml is not there"):
        open_model(f"espnet:{tmp_path}")
    (tmp_path / "config.yaml").touch()
    with pytest.raises(BadInput, match="beam must lie between 1 and 100, not 0"):
        open_model(f"espnet:{tmp_path}?beam=0")


TINY = {
    "token_list": ["<blank>", "<unk>", "a", "b", "c", "<space>", "<sos/eos>"],
    "token_type": "char",
    "frontend": "default",
    "frontend_conf": {"n_fft": 256, "hop_length": 128, "n_mels": BINS, "fs": 16000},
    "normalize": "utterance_mvn",
    "normalize_conf": {},
    "decoder": "transformer",
    "decoder_conf": {"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
    "model_conf": {"ctc_weight": 0.3},
}
ENCODER_CONF = {"output_size": 16, "attention_heads": 2, "linear_units": 16, "num_blocks": 1, "input_layer": "conv2d"}


@pytest.mark.parametrize("encoder", ["transformer", "conformer"])
@pytest.mark.parametrize("kernel_is_stride", [True, False])
def test_espnets_own_classes(tmp_path, encoder, kernel_is_stride):
    asr = pytest.importorskip("espnet2.tasks.asr", reason="needs ESPnet", exc_type=ImportError)
    import yaml

    subsampling: Any = pytest.importorskip("espnet.nets.pytorch_backend.transformer.subsampling")
    parser = asr.ASRTask.get_parser()
    defaults = vars(parser.parse_args([]))
    torch.manual_seed(0)
    config = defaults | TINY | {"encoder": encoder, "encoder_conf": ENCODER_CONF}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({k: v for k, v in config.items() if k != "config"}))
    network = asr.ASRTask.build_model_from_file(str(tmp_path / "config.yaml"), None, "cpu")[0]
    torch.save(network.state_dict(), tmp_path / "valid.acc.ave.pth")
    model = of_type(Espnet, open_model(f"espnet:{tmp_path}?beam=2"))
    if kernel_is_stride:
        # The paper's, which stock ESPnet has no name for.
        class Conv2dSubsampling3(subsampling.Conv2dSubsampling):  # type: ignore[misc]
            def forward(self, x, mask):
                x = self.conv(x.unsqueeze(1)).transpose(1, 2).flatten(2)
                return self.out(x), mask[:, :, :-2:3][:, :, :-2:2]

        embed: Any = model.network.get_submodule("encoder.embed")
        embed.__class__ = Conv2dSubsampling3
        embed.conv[0] = nn.Conv2d(1, 16, 3, 3)
        embed.out[0] = nn.Linear(16 * (((BINS - 3) // 3 + 1 - 3) // 2 + 1), 16)
        model = wrapped(model.speech2text, "tiny")
    tile = 3 if kernel_is_stride else 4
    key = SecretKey.from_seed("rom", tile, dims=2, seed=1)
    assert exactness(model, key, Blocks.TILES, SPEECH).relative < 1e-5
    queries = model.segments(model.front_end(SPEECH))
    if not kernel_is_stride:  # the adapter answers what ESPnet answers
        stock = asr.ASRTask.build_model_from_file(str(tmp_path / "config.yaml"), str(tmp_path / "valid.acc.ave.pth"))[0]
        expected, _ = stock.eval().encode(SPEECH[None], torch.tensor([len(SPEECH)]))
        torch.testing.assert_close(model.encode(queries), expected)
    heard = model.transcribe(queries)
    assert heard == model.transcribe(queries) and len(heard) == 1
