"""RawNeXt against the published checkpoint's names and shapes, and a small instance's recorded embedding."""

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.models import packed_linear
from wrongkey.evaluation.models.adapters.rawnext import PRE_EMPHASIS, SEGMENT, RawNeXtModel, load_rawnext
from wrongkey.evaluation.models.adapters.rawnext_folded import FoldedRawNeXt
from wrongkey.evaluation.models.adapters.rawnext_network import Block, RawNeXt, Root, Tree
from wrongkey.evaluation.models.checkpoints import read_state_dict

DATA = Path(__file__).parents[3] / "data"
SMALL = DATA / "rawnext_small.npz"


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    """The small instance's input `(2, 6561)` and embedding `(2, 32)`."""
    with np.load(SMALL) as archive:
        return {
            "input": torch.from_numpy(archive["input"][:, 0]),
            "embedding": torch.from_numpy(archive["embedding"]),
        }


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    stored = read_state_dict(SMALL)
    return {name.removeprefix("weight/"): tensor for name, tensor in stored.items() if name.startswith("weight/")}


@pytest.mark.parametrize("folded", [True, False])
def test_the_recorded_embedding(recorded: dict[str, Tensor], folded: bool) -> None:
    model = load_rawnext(SMALL, folded=folded)
    assert not model.network.training
    torch.testing.assert_close(model.embed(recorded["input"]), recorded["embedding"], atol=2e-5, rtol=0)


def test_the_full_size_network_has_the_published_names_and_shapes() -> None:
    published = json.loads((DATA / "rawnext_state_dict.json").read_text())
    with torch.device("meta"):
        network = RawNeXt()
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert list(shapes.items()) == list(published.items())
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_275_118


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Eval mode with batch-norm statistics and weights that hide nothing."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            for buffer in (norm.running_var, norm.weight.data):
                assert buffer is not None
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
            for buffer in (norm.running_mean, norm.bias.data):
                assert buffer is not None
                buffer.copy_(torch.randn(buffer.shape, generator=generator) / 3)
    return module.eval().requires_grad_(False)


def test_a_tree_of_two_levels_joins_its_last_root_with_input_and_first_half() -> None:
    tree = randomised(Tree(2, 32, 64, joins_input=True))
    x = torch.randn(2, 32, 9, generator=torch.Generator().manual_seed(1))
    modules = dict(tree.named_modules())
    blocks = [modules[f"tree{i}.tree{j}"] for i in (1, 2) for j in (1, 2)]
    assert all(isinstance(block, Block) for block in blocks)
    assert isinstance(modules["tree1.root"], Root)
    first = blocks[0](x)
    half = modules["tree1.root"](blocks[1](first), first)
    third = blocks[2](half)
    expected = modules["tree2.root"](blocks[3](third), third, x, half)
    torch.testing.assert_close(tree(x), expected)


@pytest.mark.parametrize("packs", [True, False])
def test_folding_leaves_a_deeper_network_unchanged(packs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_linear, "PACKS", packs and packed_linear.PACKS)
    network = RawNeXt((1, 2, 1, 2, 1, 1), (16, 16, 32, 64, 64, 64), 8)
    randomised(network)
    x = torch.randn(2, 6561, generator=torch.Generator().manual_seed(2))
    folded = FoldedRawNeXt(network).eval().requires_grad_(False)
    assert sum(p.numel() for p in folded.parameters()) < sum(p.numel() for p in network.parameters())
    torch.testing.assert_close(folded(x), network(x), atol=1e-4, rtol=1e-4)


def test_gradients_pass_through_a_folded_network(recorded: dict[str, Tensor]) -> None:
    whole, folded = (load_rawnext(SMALL, folded=folded).network.double() for folded in (False, True))
    queries = [recorded["input"].double().requires_grad_() for _ in range(2)]
    for network, query in zip((whole, folded), queries, strict=True):
        network(query).square().sum().backward()
    assert queries[0].grad is not None and queries[0].grad.abs().max() > 1e-3
    torch.testing.assert_close(queries[1].grad, queries[0].grad, atol=1e-6, rtol=0)


def test_an_encrypted_first_layer_answers_encrypted_queries_as_before(recorded: dict[str, Tensor]) -> None:
    model = load_rawnext(SMALL)
    model.network.double()
    query = recorded["input"].double()
    key = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(3)).double())[0]
    encrypted = (query.reshape(2, -1, 3) @ key).reshape(2, -1)
    layer = model.network.get_submodule(model.first_layer)
    assert isinstance(layer, torch.nn.Conv1d)
    assert layer.kernel_size == layer.stride == (3,)
    plain, plain_on_encrypted = model.embed(query), model.embed(encrypted)
    layer.weight.data = layer.weight.data @ key
    torch.testing.assert_close(model.embed(encrypted), plain, atol=1e-10, rtol=0)
    assert (plain_on_encrypted - plain).abs().max() > 1e-3


def published_protocol(waveform: Tensor) -> Tensor:
    """Pre-emphasis without the first sample, repetition and the ten cuts, as published: `(10, 59049)`."""
    x = waveform.numpy()
    x = x[1:] - PRE_EMPHASIS * x[:-1]
    if len(x) < SEGMENT:
        x = np.tile(x, SEGMENT // len(x) + 1)[:SEGMENT]
    starts = np.linspace(0, len(x) - SEGMENT, 10)
    return torch.from_numpy(np.stack([x[int(start) : int(start) + SEGMENT] for start in starts]))


@settings(max_examples=6, deadline=None)
@given(st.sampled_from([2, 40_000, SEGMENT, SEGMENT + 1, SEGMENT + 2, SEGMENT + 1000]))
def test_segments_follow_the_published_protocol(samples: int) -> None:
    model = RawNeXtModel(torch.nn.Identity())
    waveform = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    query = model.front_end(waveform)
    assert query.shape == waveform.shape
    segments, expected = model.segments(query), published_protocol(waveform)
    assert segments.shape == ((10, SEGMENT) if samples > SEGMENT + 1 else (1, SEGMENT))
    torch.testing.assert_close(segments.expand(10, -1), expected, atol=1e-6, rtol=0)


def test_queries_that_cannot_be_embedded_are_refused() -> None:
    model = load_rawnext(SMALL)
    for samples in (0, 2186, 6560):
        with pytest.raises(BadInput, match="multiples of 2187"):
            model.embed(torch.zeros(1, samples))
    for samples in (0, 1):
        with pytest.raises(BadInput, match="fewer than two samples"):
            model.segments(torch.zeros(samples))


@pytest.mark.parametrize("form", ["plain", "model", "state_dict", "parallel", "half", "safetensors", "npz"])
def test_every_form_of_checkpoint_loads(
    form: str, tensors: dict[str, Tensor], recorded: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"
    match form:
        case "safetensors":
            path = path.with_suffix(".safetensors")
            save_file({k: v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}, path)
        case "npz":
            path = path.with_suffix(".npz")
            arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
            np.savez(path, **arrays)
        case "plain":
            torch.save(tensors, path)
        case "half":
            torch.save({name: tensor.half() for name, tensor in tensors.items()}, path)
        case "parallel":
            torch.save({"model": {f"module.{name}": tensor for name, tensor in tensors.items()}, "epoch": 3}, path)
        case _:
            torch.save({form: tensors}, path)
    embedding = load_rawnext(path).embed(recorded["input"])
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding, recorded["embedding"], atol=1e-4 if form != "half" else 0.05, rtol=0)


def test_another_architecture_is_refused_by_name_of_the_first_tensor_that_differs(
    tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.pt"

    def refusal(changed: dict[str, Tensor]) -> str:
        torch.save(changed, path)
        with pytest.raises(BadInput) as caught:
            load_rawnext(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    def without(name: str) -> dict[str, Tensor]:
        return {key: tensor for key, tensor in tensors.items() if key != name}

    assert "base_layer.0.weight is missing" in refusal({"conv.weight": torch.zeros(2, 2)})
    missing = "level3.tree2.gate_moduel.attention.3.bias"
    assert f"{missing} is missing" in refusal(without(missing))
    assert "level4.root.conv.weight is missing" in refusal(without("level4.root.conv.weight"))
    longer = torch.zeros(32, 1, 10)
    message = refusal(tensors | {"base_layer.0.weight": longer})
    assert "base_layer.0.weight has the shape (32, 1, 10) and should have (32, 1, 3)" in message
    assert "tensor head.weight" in refusal(tensors | {"head.weight": longer})
    assert "single number" in refusal(tensors | {"fc.weight": torch.tensor(1.0)})
    deep = "level5." + "tree2." * 40 + "root.conv.weight"
    assert "lacks the blocks" in refusal(tensors | {deep: longer})


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no checkpoint"):
        load_rawnext(tmp_path / "missing.pt")
    for suffix in (".pt", ".npz", ".safetensors"):
        for content in (b"", b"not a checkpoint, but a sentence"):
            path = tmp_path / f"broken{suffix}"
            path.write_bytes(content)
            with pytest.raises(BadInput, match="cannot be read"):
                load_rawnext(path)
    torch.save(Path("code that would run"), tmp_path / "pickled.pt")
    with pytest.raises(BadInput, match=r"pickled\.pt holds objects of pathlib\.\w+ beside its tensors"):
        load_rawnext(tmp_path / "pickled.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(BadInput, match="no table of named tensors"):
        load_rawnext(tmp_path / "list.pt")


def test_files_of_another_kind_are_refused_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello world\nthis is text\n")  # KeyError in torch
    soundfile.write(tmp_path / "speech.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 1600), 16000)  # IndexError
    (tmp_path / "protocol4.pt").write_bytes(pickle.dumps({"a": Path()}, protocol=4))  # a warning first
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("letter.txt", "speech.wav", "protocol4.pt"):
            with pytest.raises(BadInput, match=rf"{name} cannot be read as tensors: give a PyTorch"):
                load_rawnext(tmp_path / name)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(BadInput, match="No RawNeXt checkpoint is given: name its file"):
        load_rawnext("")


def test_channels_that_cannot_be_grouped_are_refused() -> None:
    with pytest.raises(BadInput, match="multiples of 32 channels"):
        RawNeXt(channels=(16, 16, 48, 64, 64, 64))
