"""The models that wrongkey brings, and the prefixes of its adapters. Without torch, so that completion is quick."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wrongkey.errors import BadInput
from wrongkey.plugins import registered_in

if TYPE_CHECKING:
    from wrongkey.evaluation.models.protocol import Task

GROUP = "wrongkey.models"  # entry points by which installed packages register models
# name -> (task, module:loader). Loaders of bundled models are called as loader(name, folded=…).
BUNDLED: Mapping[str, tuple[Task, str]] = {
    "asv-raw3": ("asv", "wrongkey.evaluation.models.bundled.asv_raw:load_asv_raw"),
    "asv-raw5": ("asv", "wrongkey.evaluation.models.bundled.asv_raw:load_asv_raw"),
    "asv-raw10": ("asv", "wrongkey.evaluation.models.bundled.asv_raw:load_asv_raw"),
    "asr-words": ("asr", "wrongkey.evaluation.models.bundled.asr_words:load_asr_words"),
    "asc-convmixer": ("asc", "wrongkey.evaluation.models.bundled.asc_convmixer:load_asc_convmixer"),
}
# prefix -> (module:loader, what PREFIX:… is). Loaders are called with what follows the colon.
LOADERS: Mapping[str, tuple[str, str]] = {
    "rawnext": (
        "wrongkey.evaluation.models.adapters.rawnext:load_rawnext",
        "a RawNeXt checkpoint (Kim et al., 2022), ASV",
    ),
    "ge2e": (
        "wrongkey.evaluation.models.adapters.ge2e:load_ge2e",
        "GE2E speaker encoder: ge2e:resemblyzer, or a pretrained.pt",
    ),
    "xvector": (
        "wrongkey.evaluation.models.adapters.xvector:load_xvector",
        "HuBERT or wav2vec 2.0 + x-vector head, ASV; folder or hub id",
    ),
    "whisper": (
        "wrongkey.evaluation.models.adapters.whisper:load_whisper",
        "Whisper, ASR; folder or hub id of transformers",
    ),
    "ctc": (
        "wrongkey.evaluation.models.adapters.ctc:load_ctc",
        "HuBERT or wav2vec 2.0 with CTC, ASR; folder or hub id of transformers",
    ),
    "espnet": ("wrongkey.evaluation.models.adapters.espnet:load_espnet", "an ESPnet2 recogniser, ASR; its folder"),
    "timm": (
        "wrongkey.evaluation.models.adapters.timm_scenes:load_timm",
        "ConvMixer or ViT of timm on spectrograms, ASC; a TOML file",
    ),
    "command": (
        "wrongkey.evaluation.models.adapters.command:load_command",
        "an external recogniser, ASR on encrypted waveforms only",
    ),
}
WEIGHTS = Path(__file__).parent / "bundled" / "weights"  # of the bundled models: NAME.safetensors, .json and .md


def model_card(name: str) -> str:
    """Return the card of a bundled model, in Markdown; raises BadInput for another name."""
    if name not in BUNDLED:
        raise BadInput(f"Model {name!r} has no card here: bundled are {', '.join(BUNDLED)}.")
    return (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")


def registered() -> list[str]:
    """Return the names that installed packages offer in the entry-point group ``wrongkey.models``."""
    return registered_in(GROUP)
