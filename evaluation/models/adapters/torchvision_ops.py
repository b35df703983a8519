"""A torchvision built for CUDA beside a PyTorch built for the CPU.

That is what the default package index gives where PyTorch came as a CPU build. Torchvision's own operators then do
not load, and importing it (as timm and transformers do) fails on two of them that no model here uses. Declared
beforehand, without an implementation, they let the import pass.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import torch

MISSING = ("nms", "qnms")  # those that torchvision/_meta_registrations.py counts on
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def declare_missing_operators() -> None:
    """Call before importing timm or transformers; does nothing where torchvision is whole, absent or imported."""
    if "torchvision" in sys.modules or (spec := find_spec("torchvision")) is None:
        return
    folder = Path((spec.submodule_search_locations or [""])[0])
    try:
        torch.ops.load_library(str(folder / "_C.so"))  # type: ignore[no-untyped-call]
    except OSError:
        for name in MISSING:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(f"torchvision::{name}", SIGNATURE)
