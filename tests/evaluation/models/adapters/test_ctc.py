"""CTC recognisers of transformers, made small and random here: loaded, encrypted, decoded."""

import json

import pytest
import torch

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.ctc import Ctc
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import Blocks, SecretKey, encrypt_query

transformers = pytest.importorskip("transformers")
declare_missing_operators()
SPEECH = torch.randn(8_003, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.05
VOCABULARY = ["<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "C"]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8, 8, 8),
    "conv_stride": (5, 4, 4),
    "conv_kernel": (10, 4, 4),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": len(VOCABULARY),
}


def saved(folder, kind: str, normalise: bool = True, **changed):
    """A folder as transformers writes it: network, feature extractor, vocabulary."""
    torch.manual_seed(0)
    network = getattr(transformers, f"{kind}ForCTC")(getattr(transformers, f"{kind}Config")(**(SIZES | changed)))
    network.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(VOCABULARY)}))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("Hubert", {}),
        ("Wav2Vec2", {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}),
        ("WavLM", {}),
    ],
)
def test_the_first_convolution_is_lifted(tmp_path, kind, changed):
    model = of_type(Ctc, open_model(f"ctc:{saved(tmp_path, kind, **changed)}"))
    assert (model.blocks, model.block_size, model.sample_rate) == ("samples", 10, 16_000)
    for block in (10, 15, 5):
        assert exactness(model, SecretKey.from_seed("rom", block, seed=1), Blocks.SAMPLES, SPEECH).relative < 1e-5
    key = SecretKey.from_seed("rom", 10, seed=2)
    queries = model.segments(model.front_end(SPEECH))[:, :8_000]
    wrong = model.encode(encrypt_query(queries, key))
    assert (wrong - model.encode(queries)).abs().max() > 1e-2 * wrong.abs().max()


def test_the_front_end_is_that_of_the_checkpoint(tmp_path):
    model = open_model(f"ctc:{saved(tmp_path, 'Hubert')}")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    expected = torch.from_numpy(extractor(SPEECH.numpy(), sampling_rate=16_000)["input_values"][0])
    torch.testing.assert_close(model.front_end(SPEECH), expected, atol=1e-6, rtol=1e-5)
    raw = open_model(f"ctc:{saved(tmp_path, 'Hubert', normalise=False)}")
    torch.testing.assert_close(raw.front_end(SPEECH), SPEECH)


def test_greedy_decoding_merges_and_leaves_blanks_out(tmp_path, monkeypatch):
    model = of_type(Ctc, open_model(f"ctc:{saved(tmp_path, 'Hubert')}"))
    path = torch.tensor([[5, 5, 0, 5, 6, 4, 4, 0, 7, 7], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    monkeypatch.setattr(model, "encode", lambda queries: torch.nn.functional.one_hot(path, len(VOCABULARY)).float())
    assert model.transcribe(torch.zeros(2, 1)) == [Hypothesis("AAB C"), Hypothesis("")]


def test_a_checkpoint_without_a_head_is_refused(tmp_path):
    torch.manual_seed(0)
    saved(tmp_path, "Hubert")
    transformers.HubertModel(transformers.HubertConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match=r"has no weights for lm_head\.bias and 1 more"):
        open_model(f"ctc:{tmp_path}")


def test_places_that_hold_no_model_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match=r"has no config\.json"):
        open_model(f"ctc:{tmp_path}")
    with pytest.raises(BadInput, match="/nowhere is not there"):
        open_model("ctc:/nowhere")
    with pytest.raises(BadInput, match="No model is given"):
        open_model("ctc:")
    with pytest.raises(BadInput, match="neither a folder nor to be had from the hub"):
        open_model("ctc:nobody/no-such-model")
    saved(tmp_path, "Hubert")
    (tmp_path / "vocab.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink(missing_ok=True)
    (tmp_path / "tokenizer.json").unlink(missing_ok=True)
    with pytest.raises(BadInput, match="cannot be read as ctc"):
        open_model(f"ctc:{tmp_path}")
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BadInput, match="cannot be read as ctc"):
        open_model(f"ctc:{tmp_path}")
