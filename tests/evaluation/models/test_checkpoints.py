"""Checkpoints as training scripts wrap them, for every kind of model that reads one, and files that are refused."""

import argparse
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.rawnext import RawNeXtModel
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.checkpoints import load_weights, read_state_dict, strip_prefixes
from wrongkey.evaluation.models.registry import open_model

RAWNEXT = Path(__file__).parents[2] / "data" / "rawnext_small.npz"
PREFIXES = ("", "module.", "_orig_mod.", "model.", "network.", "module._orig_mod.", "model.network.", "weight/")


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Linear(5, 2))


def prefixed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


CONTAINERS = {
    "none": lambda tensors: tensors,
    "state_dict": lambda tensors: {"state_dict": tensors, "epoch": 3},
    "model": lambda tensors: {"model": tensors, "args": argparse.Namespace(rate=0.1), "best": 4.5},
    "model_state_dict": lambda tensors: {"model_state_dict": tensors, "optimizer_state_dict": {"state": {}}},
    "nested": lambda tensors: {"model": {"state_dict": tensors, "version": "1"}, "epoch": 3},
    "lightning": lambda tensors: {
        "epoch": 1, "pytorch-lightning_version": "2.5", "hyper_parameters": {"rate": 1e-3}, "callbacks": {},
        "state_dict": tensors | {"loss.weight": torch.ones(3)}, "optimizer_states": [{"state": {}}],
    },
}  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_wrapping_is_taken_off(prefix, container, tmp_path):
    wanted = network().state_dict()
    torch.save(CONTAINERS[container](prefixed(wanted, prefix)), tmp_path / "w.ckpt")
    if container == "lightning" and prefix == "":
        with pytest.raises(BadInput, match=r"has a tensor loss\.weight, which the network does not have"):
            load_weights(network(1), tmp_path / "w.ckpt")
        return
    filled = load_weights(network(1), tmp_path / "w.ckpt")
    assert not filled.training
    for name, tensor in filled.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_other_files_too(prefix, suffix, tmp_path):
    wanted, path = prefixed(network().state_dict(), prefix), tmp_path / f"w{suffix}"
    if suffix == ".npz":
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in wanted.items()}
        np.savez(path, **arrays)
    else:
        save_file(wanted, path)
    assert torch.equal(load_weights(network(1), path).get_parameter("0.weight"), network().get_parameter("0.weight"))


def named(*names: str) -> dict[str, Tensor]:
    return {name: torch.full((1,), float(number)) for number, name in enumerate(names)}


def test_a_part_that_is_called_model_keeps_its_name():
    both = named("model.weight", "weight")
    assert strip_prefixes(both, ["model.weight", "weight"], "file") == both
    assert strip_prefixes(named("model.a", "model.b"), ["model.a", "model.b"], "file").keys() == {"model.a", "model.b"}
    doubled = strip_prefixes(named("model.model.a", "model.b"), ["model.a", "b"], "file")
    assert doubled.keys() == {"model.a", "b"}


def test_what_fits_nowhere_is_left_as_it_is():
    other = named("module.x", "module.y")
    assert strip_prefixes(other, ["a", "b"], "file") == other
    partly = strip_prefixes(named("net.a", "net.c"), ["a", "b"], "file")  # so that a message names what is missing
    assert partly.keys() == {"a", "c"}


def test_a_network_that_is_there_twice_is_not_chosen_by_chance():
    with pytest.raises(BadInput, match=r"file holds the network more than once, under student\. and teacher\."):
        strip_prefixes(named("student.a", "teacher.a"), ["a"], "file")
    assert strip_prefixes(named("ema.a", "model.a"), ["a"], "file") == {"a": torch.ones(1)}
    assert strip_prefixes(named("encoder.a", "head.b"), ["a"], "file") == {"a": torch.zeros(1)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: {name: tensor for name, tensor in t.items() if name != "2.bias"}, r"has no tensor 2\.bias"),
        (lambda t: t | {"2.bias": torch.zeros(3)}, r"has 2\.bias of shape \(3,\), and the network has it of \(2,\)"),
        (lambda t: t | {"3.bias": torch.zeros(3)}, r"has a tensor 3\.bias, which the network does not have"),
    ],
)
def test_weights_of_another_network_are_named(change, said, tmp_path):
    torch.save(prefixed(change(network().state_dict()), "module."), tmp_path / "w.pt")
    with pytest.raises(BadInput, match=said):
        load_weights(network(1), tmp_path / "w.pt")


def compressed(path: Path, zeros: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (zeros // 4,)})
        for _ in range(zeros // 2**20):
            file.write(bytes(2**20))


def test_files_that_cannot_be_trusted_are_refused(tmp_path):
    torch.save(network(), tmp_path / "whole.pt")
    with pytest.raises(BadInput, match=r"whole\.pt holds objects of torch\.nn.*save the network's state_dict\(\)"):
        read_state_dict(tmp_path / "whole.pt")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    compressed(tmp_path / "bomb.npz", 2**27)
    torch.save({"a": torch.zeros(1).expand(2**30)}, tmp_path / "wide.pt")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    torch.save({"a": torch.zeros(3).to_sparse()}, tmp_path / "sparse.pt")
    for name, said in (
        ("objects.npz", "cannot be read as tensors"),
        ("bomb.npz", "would unpack to 134,2"),
        ("wide.pt", "would unpack to 4,294,967,296"),
        ("empty.pt", "no table of named tensors"),
        ("sparse.pt", "no table of named tensors"),
        ("missing.pt", "There is no checkpoint"),
    ):
        with pytest.raises(BadInput, match=said):
            read_state_dict(tmp_path / name)


def test_an_archive_of_a_later_zip_is_a_sentence(tmp_path):
    np.savez(tmp_path / "w.npz", weight=np.zeros(3))
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 6] = 99  # the version that a reader of this member needs
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"w\.npz cannot be read as tensors"):
        read_state_dict(tmp_path / "w.npz")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_rawnext_and_ge2e(prefix, tmp_path):
    from wrongkey.evaluation.models.adapters.ge2e_network import Ge2eTeacher

    with np.load(RAWNEXT) as archive:
        stored = {n.removeprefix("weight/"): torch.from_numpy(archive[n]) for n in archive.files if "/" in n}
    torch.save({"state_dict": prefixed(stored, prefix)}, tmp_path / "rawnext.pt")
    queries = torch.randn(1, 6_561, generator=torch.Generator().manual_seed(0))
    models = [of_type(RawNeXtModel, open_model(f"rawnext:{path}")) for path in (RAWNEXT, tmp_path / "rawnext.pt")]
    assert torch.equal(*(model.embed(queries) for model in models))
    teacher = Ge2eTeacher()
    torch.save({"model_state": prefixed(teacher.state_dict(), prefix), "step": 3}, tmp_path / "ge2e.pt")
    read = open_model(f"ge2e:{tmp_path / 'ge2e.pt'}").network
    assert torch.equal(read.get_parameter("linear.weight"), teacher.linear.weight)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_timm(prefix, tmp_path):
    declare_missing_operators()
    pytest.importorskip("timm")
    from tests.evaluation.models.adapters.test_timm_scenes import CONVMIXER, convmixer, written

    torch.save({"model": prefixed(convmixer().state_dict(), prefix)}, tmp_path / "w.pt")
    model = open_model(f"timm:{written(tmp_path, 'convmixer_768_32', None, CONVMIXER, weights='w.pt')}")
    for mine, theirs in zip(model.network.parameters(), convmixer().parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("kind", ["Hubert", "Wav2Vec2"])
@pytest.mark.parametrize("prefix", ["module.", "model._orig_mod."])
@pytest.mark.parametrize("form", ["safetensors", "state_dict"])
def test_x_vectors(kind, prefix, form, tmp_path):
    pytest.importorskip("transformers")
    from tests.evaluation.models.adapters.test_xvector import saved

    folder = saved(tmp_path, kind)
    whole = open_model(f"xvector:{folder}")
    stored = prefixed(load_file(folder / "model.safetensors"), prefix)
    (folder / "model.safetensors").unlink()
    if form == "safetensors":
        save_file(stored, folder / "model.safetensors")
    else:
        torch.save({"state_dict": stored}, folder / "pytorch_model.bin")
    read = open_model(f"xvector:{folder}").network.state_dict()
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(read[name], tensor), name
