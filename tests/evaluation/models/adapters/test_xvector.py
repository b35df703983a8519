"""x-vector heads on HuBERT, wav2vec 2.0 and WavLM, made small and random here: loaded, encrypted, embedded."""

import pytest
import torch

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.adapters.xvector import XVector
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import Blocks, SecretKey, encrypt_query

transformers = pytest.importorskip("transformers")
declare_missing_operators()
SPEECH = torch.randn(12_003, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.05
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
    "tdnn_dim": (12, 12, 20),
    "tdnn_kernel": (5, 3, 1),
    "tdnn_dilation": (1, 2, 1),
    "xvector_output_dim": 6,
}


def saved(folder, kind: str, **changed):
    """A folder as transformers writes it: network and feature extractor."""
    from wrongkey.evaluation.models.adapters.hubert_xvector import HubertForXVector

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**(SIZES | changed))
    loader = HubertForXVector if kind == "Hubert" else getattr(transformers, f"{kind}ForXVector")
    loader(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("Hubert", {}),
        ("Hubert", {"use_weighted_layer_sum": True}),
        ("Wav2Vec2", {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}),
        ("WavLM", {"use_weighted_layer_sum": True}),
    ],
)
def test_the_published_first_convolution_is_lifted(tmp_path, kind, changed):
    model = of_type(XVector, open_model(f"xvector:{saved(tmp_path, kind, **changed)}"))
    assert (model.blocks, model.block_size) == ("samples", 10)
    for block in (10, 15, 5):
        assert exactness(model, SecretKey.from_seed("rom", block, seed=1), Blocks.SAMPLES, SPEECH).relative < 1e-5
    queries = model.segments(model.front_end(SPEECH))[:, :12_000]
    wrong = model.embed(encrypt_query(queries, SecretKey.from_seed("rom", 10, seed=2)))
    assert wrong.shape == (1, 6)
    assert (wrong - model.embed(queries)).abs().max() > 1e-3 * wrong.abs().max()


@pytest.mark.parametrize("kernel", [5, 10])
def test_the_papers_variants_take_the_key_in_their_kernels(tmp_path, kernel):
    changed = {"conv_kernel": (kernel, 4, 4), "conv_stride": (kernel, 4, 4)}
    model = of_type(XVector, open_model(f"xvector:{saved(tmp_path, 'Hubert', **changed)}"))
    assert model.block_size == kernel
    assert exactness(model, SecretKey.from_seed("rom", kernel, seed=1), Blocks.SAMPLES, SPEECH).relative < 1e-5


def test_huberts_head_is_that_of_transformers(tmp_path):
    folders = (saved(tmp_path / kind, kind, use_weighted_layer_sum=True) for kind in ("Hubert", "Wav2Vec2"))
    hubert, stock = (of_type(XVector, open_model(f"xvector:{folder}")) for folder in folders)
    weights = hubert.network.state_dict()
    same = {name: weights[name.replace("wav2vec2.", "hubert.")] for name in stock.network.state_dict()
            if not name.startswith(("classifier", "objective"))}  # fmt: skip
    left = stock.network.load_state_dict(same, strict=False)
    assert not left.unexpected_keys and {name.split(".")[0] for name in left.missing_keys} == {
        "classifier",
        "objective",
    }
    queries = stock.segments(stock.front_end(SPEECH))
    torch.testing.assert_close(hubert.embed(queries), stock.embed(queries))


def test_a_state_dict_saved_by_torch_is_read_too(tmp_path):
    model = of_type(XVector, open_model(f"xvector:{saved(tmp_path, 'Hubert')}"))
    torch.save(model.network.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    again = of_type(XVector, open_model(f"xvector:{tmp_path}"))
    queries = model.segments(model.front_end(SPEECH))
    torch.testing.assert_close(again.embed(queries), model.embed(queries))


def test_short_speech_is_repeated_until_it_has_statistics(tmp_path):
    model = of_type(XVector, open_model(f"xvector:{saved(tmp_path, 'Hubert')}"))
    queries = model.segments(torch.randn(100))
    assert model.shortest <= queries.shape[1] < model.shortest + 100
    assert model.embed(queries).isfinite().all()
    with pytest.warns(UserWarning, match="degrees of freedom"):
        assert model.embed(queries[:, : model.shortest - 1]).isnan().any()


def test_a_checkpoint_without_a_head_is_refused(tmp_path):
    saved(tmp_path, "Hubert")
    transformers.HubertModel(transformers.HubertConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="has no weights for feature_extractor"):
        open_model(f"xvector:{tmp_path}")
    transformers.BertModel(
        transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="cannot be read as xvector"):
        open_model(f"xvector:{tmp_path}")
