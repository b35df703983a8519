"""``wrongkey doctor``: is everything here that a sweep needs? Exit code 1 if not."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wrongkey.flags import add_json
from wrongkey.terminal import answer, say

Check = tuple[str, Callable[[], str]]  # what is checked, and a function that returns what it found or raises
# What only some commands use: a module or program, and what for. Where it is missing, nothing is broken.
EXTRAS = {
    "ltfatpy": "reference transforms of analyse phase (pip install 'wrongkey[phase]')",
    "pesq": "PESQ in analyse phase (pip install 'wrongkey[phase]')",
    "transformers": "Whisper, HuBERT and wav2vec 2.0 as models (pip install 'wrongkey[models]')",
    "dask": "sweeps and attacks on a cluster (pip install 'wrongkey[cluster]')",
    "chromium": "tests of the report in a browser (apt install chromium)",
}


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="check this installation (exit code 1: broken)",
        description="Check what every sweep needs (exit code 1 where something is broken), and say which of the extras "
        "are there.",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for every check; exit code 1 where one fails."""
    checked = []
    for name, check in _checks():
        try:
            found, state = check(), "ok"
        except Exception as error:  # any fault of the installation is a finding
            found, state = f"{type(error).__name__}: {error}", "BROKEN"
        checked.append(_shown(options, name, state, found))
    for name, purpose in EXTRAS.items():
        there = find_spec(name) is not None or shutil.which(name) is not None
        checked.append(_shown(options, name, "ok" if there else "-", f"{'' if there else 'not here: '}{purpose}"))
    if options.json:
        answer(checked)
    return int(any(one["state"] == "BROKEN" for one in checked))


def _shown(options: argparse.Namespace, name: str, state: str, found: str) -> dict[str, str]:
    if not options.json:
        say(f"{state:6} {name}: {found}")
    return {"name": name, "state": state, "found": found}


def _checks() -> Iterator[Check]:
    yield "Python", lambda: sys.version.split()[0]
    yield "PyTorch", _torch
    yield "device", _device
    yield "memory", _memory
    yield "disk", lambda: f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here"
    yield "bundled speech", _speech
    from wrongkey.evaluation.models.offered import BUNDLED

    for name in BUNDLED:
        yield name, lambda name=name: _exactness(name)  # type: ignore[misc]


def _memory() -> str:
    """Memory that is free now, where the system tells."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # macOS, Windows
        return "this system does not tell"
    return f"{free / 2**30:.1f} GiB free"


def _torch() -> str:
    import torch

    return str(torch.__version__)


def _device() -> str:
    from wrongkey.evaluation.hardware import choose_device, describe_device

    device = choose_device("auto")
    return describe_device(device) + ("" if device.type == "cuda" else " (PyTorch sees no GPU)")


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
