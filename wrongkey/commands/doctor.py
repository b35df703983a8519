"""``wrongkey doctor``: is everything here that a sweep needs? Exit code 1 if not."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wrongkey.terminal import say

Check = tuple[str, Callable[[], str]]  # what is checked, and a function that returns what it found or raises


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor", help="check this installation (exit code 1: broken)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for every check; exit code 1 where one fails."""
    healthy = True
    for name, check in _checks():
        try:
            found, mark = check(), "ok"
        except Exception as error:  # any fault of the installation is a finding
            found, mark, healthy = f"{type(error).__name__}: {error}", "BROKEN", False
        say(f"{mark:6} {name}: {found}")
    return 0 if healthy else 1


def _checks() -> Iterator[Check]:
    yield "Python", lambda: sys.version.split()[0]
    yield "PyTorch", _torch
    yield "device", _device
    yield "disk", lambda: f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here"
    yield "bundled speech", _speech
    from wrongkey.evaluation.models.offered import BUNDLED

    for name in BUNDLED:
        yield name, lambda name=name: _exactness(name)  # type: ignore[misc]


def _torch() -> str:
    import torch

    return str(torch.__version__)


def _device() -> str:
    from wrongkey.evaluation.hardware import choose_device, describe_device

    return describe_device(choose_device("auto"))


def _speech() -> str:
    from wrongkey.evaluation.corpora import load_audio, open_corpus

    corpus = open_corpus("bundled")
    samples = load_audio(corpus.utterances[0])
    return f"{len(corpus)} utterances; Ogg Opus is readable ({len(samples)} samples)"


def _exactness(name: str) -> str:
    """Check on one bundled utterance that the correct key gives the plain model's answers."""
    import torch

    from wrongkey.evaluation.corpora import load_audio, open_corpus
    from wrongkey.evaluation.exactness import exactness
    from wrongkey.evaluation.experiment import key_cut_of
    from wrongkey.evaluation.hardware import TOLERANCE
    from wrongkey.evaluation.models.registry import open_model
    from wrongkey.keys import SecretKey

    model = open_model(name)
    cut = key_cut_of(model, None, None)
    key = SecretKey.draw("rom", cut.block_size, cut.dims)
    waveform = torch.from_numpy(load_audio(open_corpus("bundled").utterances[0], model.sample_rate))
    difference = exactness(model, key, cut.blocks, waveform).relative
    if not difference <= TOLERANCE["float32"]:
        raise ArithmeticError(f"the correct key changes the answers by {difference:.1e}")
    return f"the correct key gives the plain answers (largest relative difference {difference:.1e})"
