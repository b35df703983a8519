"""Files that describe a user's model, beside its weights, as kinds for `benchmarks.fuzz`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.fuzz_kind import Kind
from wrongkey.evaluation.models.adapters.espnet import model_files
from wrongkey.evaluation.models.adapters.ge2e_network import Ge2eTeacher, load_ge2e_teacher
from wrongkey.evaluation.models.adapters.timm_scenes import load_timm
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators

CLASSES = ["rain", "sea", "dog"]
FRONT_END = {"sample_rate": 16_000, "n_fft": 512, "hop": 160, "bins": 32, "clip_seconds": 0.32}  # 33 frames
CONVMIXER = {"dim": 16, "depth": 2, "kernel_size": 3, "patch_size": 8}
VIT = {"img_size": [32, 32], "embed_dim": 24, "depth": 2, "num_heads": 2}


def timm_model(damaged: str, architecture: str, arguments: Mapping[str, Any]) -> Kind:
    """A model of timm, whose TOML file or weights are damaged."""

    def make(folder: Path) -> Path:
        network = network_of(architecture, arguments).state_dict()
        save_file({name: tensor.contiguous() for name, tensor in network.items()}, folder / "w.safetensors")
        top = {"architecture": architecture, "weights": "w.safetensors", "classes": CLASSES}
        lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
        for table, values in (("arguments", arguments), ("front_end", FRONT_END)):
            lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
        (folder / "model.toml").write_text("\n".join(lines))
        return folder / damaged

    return Kind(make, use_timm)


def network_of(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A network of timm with weights drawn at random."""
    declare_missing_operators()
    import timm

    torch.manual_seed(0)
    if architecture.startswith("convmixer"):
        convmixer: nn.Module = timm.models.convmixer.ConvMixer(**arguments, in_chans=1, num_classes=len(CLASSES))
        return convmixer
    network: nn.Module = timm.create_model(architecture, **arguments, in_chans=1, num_classes=len(CLASSES))
    return network


def use_timm(file: Path) -> None:
    """Open the model of a folder and ask it."""
    model = load_timm(str(file.with_name("model.toml")))
    with torch.inference_mode():
        answer = model.classify(model.segments(model.front_end(torch.ones(16_000))))
    if answer.ndim != 2 or answer.shape[1] != len(model.classes):
        raise AssertionError(f"answers of the shape {tuple(answer.shape)} for {len(model.classes)} classes")


def espnet(folder: Path) -> Path:
    """Write the `meta.yaml` of a recogniser of ESPnet, and the files that it names, which are empty."""
    (folder / "exp").mkdir()
    for name in ("config.yaml", "valid.acc.pth"):
        (folder / "exp" / name).touch()
    lines = ["files:", "  asr_model_file: exp/valid.acc.pth", "yaml_files:", "  asr_train_config: exp/config.yaml"]
    (folder / "meta.yaml").write_text("\n".join([*lines, "espnet: 0.10.0", "timestamp: 1640000000.5", ""]))
    return folder / "meta.yaml"


def use_espnet(file: Path) -> None:
    """Find the files of a recogniser, which must be there."""
    if not all(named.is_file() for named in model_files(file.parent, None)):
        raise AssertionError("files of a model are named that are not there")


def ge2e(folder: Path) -> Path:
    """Write the weights of a GE2E encoder, drawn at random."""
    torch.manual_seed(0)
    torch.save({"model_state": Ge2eTeacher().state_dict()}, folder / "pretrained.pt")
    return folder / "pretrained.pt"


def use_ge2e(file: Path) -> None:
    """Load the encoder."""
    load_ge2e_teacher(file)


TIMM = {
    "timm convmixer toml": timm_model("model.toml", "convmixer_768_32", CONVMIXER),
    "timm vit toml": timm_model("model.toml", "vit_tiny_patch16_224", VIT),
    "timm weights": timm_model("w.safetensors", "convmixer_768_32", CONVMIXER),
}
KINDS: dict[str, Kind] = {
    **(TIMM if find_spec("timm") else {}),
    **({"espnet meta.yaml": Kind(espnet, use_espnet)} if find_spec("yaml") else {}),
    "weights ge2e": Kind(ge2e, use_ge2e),
}
