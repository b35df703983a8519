"""Weights, settings and the JSON files that people hand on, as kinds for `benchmarks.fuzz`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from benchmarks.fuzz_kind import Kind
from benchmarks.fuzz_run_folder import make as run_folder
from tests.reports.scheme_board.board_folders import write_cell, write_keystream, write_protocol
from wrongkey.attacks.board.folder import BoardFolder, Heard
from wrongkey.attacks.board.protocol import HERE as PROTOCOLS
from wrongkey.attacks.board.protocol import open_protocol
from wrongkey.attacks.harness.salt import read_salt
from wrongkey.attacks.harness.wire import NoMessage, packed, unpacked
from wrongkey.cli import parser
from wrongkey.config_file import read_settings
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.rawnext import load_rawnext
from wrongkey.evaluation.models.adapters.rawnext_network import RawNeXt
from wrongkey.evaluation.models.bundled.asc_convmixer import load_asc_convmixer
from wrongkey.evaluation.models.bundled.asr_words import load_asr_words
from wrongkey.evaluation.models.bundled.asv_raw import load_asv_raw, weights_file
from wrongkey.parser import leaves
from wrongkey.reports.content import report_content
from wrongkey.reports.page.write import Asked, write_again
from wrongkey.reports.runs import load_run
from wrongkey.reports.scheme_board.gather import gather, merged, read_board
from wrongkey.reports.scheme_board.write import to_json, to_text

LEVELS, CHANNELS, CODE = (1,) * 6, (32,) * 6, 8  # of the smallest RawNeXt: its convolutions have groups of 16


def settings(folder: Path) -> Path:
    """Write the settings of a sweep."""
    lines = ['model = "asv-raw3"', 'corpus = "bundled"', "keys = 20", "same-gender = true", 'out = "runs/x"']
    (folder / "sweep.toml").write_text("\n".join(lines))
    return folder / "sweep.toml"


def use_settings(file: Path) -> None:
    """Read the settings of a sweep."""
    read_settings(file, next(one for one in leaves(parser()) if one.prog == "wrongkey sweep"))


def network() -> RawNeXt:
    """A RawNeXt with a few channels and weights drawn at random."""
    torch.manual_seed(0)
    return RawNeXt(LEVELS, CHANNELS, CODE)


def save_npz(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write tensors as a NumPy archive, compressed."""
    np.savez_compressed(path, **{name: tensor.numpy() for name, tensor in tensors.items()})  # type: ignore[arg-type]


def checkpoint(name: str, save: Callable[[dict[str, torch.Tensor], Path], object]) -> Kind:
    """A checkpoint of RawNeXt."""

    def make(folder: Path) -> Path:
        save(network().state_dict(), folder / name)
        return folder / name

    decoded = sum(tensor.numel() * tensor.element_size() for tensor in network().state_dict().values())
    return Kind(make, use_checkpoint, decoded)


def use_checkpoint(file: Path) -> None:
    """Load a RawNeXt and ask it."""
    with torch.inference_mode():
        answer = load_rawnext(file).embed(torch.ones(1, 2187))
    if answer.dtype != torch.float32 or answer.ndim != 2:
        raise AssertionError(f"answers of the shape {tuple(answer.shape)} and the type {answer.dtype}")


def bundled(name: str, load: Callable[..., object]) -> Kind:
    """The weight file of a bundled model."""

    def make(folder: Path) -> Path:
        return Path(shutil.copy(weights_file(name), folder))

    def use(file: Path) -> None:
        load(name, path=file)

    return Kind(make, use)


def protocol(folder: Path) -> Path:
    """Write the protocol of a board."""
    content = (PROTOCOLS / "smoke.toml").read_text().replace('name = "smoke"', 'name = "own"')
    (folder / "own.toml").write_text(content)
    return folder / "own.toml"


def use_protocol(file: Path) -> None:
    """Read a protocol; its hash must be one."""
    if len(open_protocol(str(file)).hash) != 64:
        raise AssertionError("the hash of the protocol is none")


def board(folder: Path) -> Path:
    """Write the board of a scheme that is broken, one that is not, and the reference row."""
    write_cell(write_protocol(folder / "made"))
    write_cell(folder / "made", "shuffling", broken=False, claims=False)
    write_keystream(folder / "made")
    (folder / "board.json").write_text(to_json(gather(folder / "made")))
    return folder / "board.json"


def use_board(file: Path) -> None:
    """What `wrongkey board merge` does before it draws; what is written must be read as the same again."""
    joined = merged([(file, read_board(file))])
    to_text(joined)
    again = file.with_name("again.json")
    again.write_text(to_json(joined))
    if read_board(again) != joined:
        raise AssertionError("a board differs after it was written and read")


def board_folder(damaged: str) -> Kind:
    """The folder of a board of which one file is damaged."""

    def make(folder: Path) -> Path:
        write_cell(write_protocol(folder))
        write_keystream(folder)
        digests = {"victims": "a" * 64, "background": "b" * 64}
        (folder / "speech.json").write_text(json.dumps({"format": Heard.FORMAT, **digests}))
        return folder / damaged

    def use(file: Path) -> None:
        folder = file.parent if file.name in ("protocol.json", "speech.json") else file.parents[1]
        to_text(gather(folder))
        BoardFolder(folder).claim_speech("toy", {"victims": "a" * 64, "background": "b" * 64})

    return Kind(make, use)


def message(folder: Path) -> Path:
    """Write what an attack's process sends when it is done."""
    sent = packed("result", {"believed": True, "detail": "x"}, key=np.eye(4), speech=np.ones(100, np.float32))
    (folder / "message.npz").write_bytes(sent)
    return folder / "message.npz"


def use_message(file: Path) -> None:
    """Unpack a message."""
    try:
        found = unpacked(file.read_bytes())
    except NoMessage as error:  # ends the trial with this sentence
        raise BadInput(error) from error
    if not isinstance(found.kind, str) or not isinstance(found.fields, dict):
        raise AssertionError(f"a message of the kind {found.kind!r} with the fields {found.fields!r}")


def report(folder: Path) -> Path:
    """Write the report of a run."""
    content: Any = report_content([load_run(run_folder(folder / "run"))], [], [])
    (folder / "report.json").write_text(json.dumps(content))
    return folder / "report.json"


def use_report(file: Path) -> None:
    """Make a report again in all formats that need no run folder."""
    places = {kind: file.with_name(f"again.{kind}") for kind in ("html", "json", "md", "tex")}
    with redirect_stderr(StringIO()):
        write_again(file, Asked(places, file.parent / "figures"))


def salt(folder: Path) -> Path:
    """Write the salt of victims' keys."""
    (folder / "salt.json").write_text(json.dumps({"format": "wrongkey-salt/1", "salt": "0123456789abcdef" * 4}))
    return folder / "salt.json"


def use_salt(file: Path) -> None:
    """Read the salt of victims' keys."""
    read_salt(file)


KINDS: dict[str, Kind] = {
    "toml": Kind(settings, use_settings),
    "weights pt": checkpoint("small.pt", torch.save),
    "weights npz": checkpoint("small.npz", save_npz),
    "weights safetensors": checkpoint("small.safetensors", save_file),
    "weights asv-raw3": bundled("asv-raw3", load_asv_raw),
    "weights asr-words": bundled("asr-words", load_asr_words),
    "weights asc-convmixer": bundled("asc-convmixer", load_asc_convmixer),
    "protocol toml": Kind(protocol, use_protocol),
    "board.json": Kind(board, use_board),
    "board protocol.json": board_folder("protocol.json"),
    "board speech.json": board_folder("speech.json"),
    "board cell": board_folder("cells/rom-m004.json"),
    "board keystream": board_folder("cells/aes-256-ctr.json"),
    "message": Kind(message, use_message),
    "report.json": Kind(report, use_report),
    "salt.json": Kind(salt, use_salt),
}
