"""Folders of a board whose cells are known: records beside run folders of attacks, as `wrongkey board` writes them."""

import json
from pathlib import Path
from typing import Any

from tests.reports.attack_folders import random_keys, rows, write_attacks
from wrongkey.evaluation.run_folder.board_cell import digest

CONTENT = {
    "name": "toy", "seed": 0, "schemes": ["rom"], "blocks": [4],
    "corpus": {"name": "toy", "victims": {"speakers": ["a"]}, "background": {"speakers": ["b"]}},
    "scoring": {"random_keys": 10, "per_speaker": 2}, "cost": {"repeats": 1},
    "attacks": {"names": ["order"], "seconds": [5], "trials": 12, "fewest": 10, "costly_after": 60},
}  # fmt: skip
HASH = digest(CONTENT)
VERSIONS = [{"python": "3.11", "wrongkey": "1", "torch": "2", "numpy": "2"}]
DONE = {"attacks": {"state": "done", "why": ""}}
COST = {"owner_seconds": None, "user_seconds": 0.002, "data_factor": 1.0}


def write_protocol(folder: Path, name: str = "toy") -> Path:
    for part in ("cells", "runs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    claimed = {
        "format": "wrongkey-board-protocol/1",
        "name": name,
        "hash": digest(CONTENT | {"name": name}),
        "content": CONTENT | {"name": name},
    }
    (folder / "protocol.json").write_text(json.dumps(claimed))
    return folder


def write_record(folder: Path, scheme: str = "rom", block: int = 4, *, code: str = "c" * 64, **changed: Any) -> str:
    """Write `cells/NAME.json`, and return NAME."""
    name = f"{scheme}-m{block:03d}"
    parts = {part: {"state": "not run", "why": ""} for part in ("attacks", "strength", "leaks", "cost")}
    parts |= changed.pop("parts", {})
    record = {
        "format": "wrongkey-board-cell/1", "protocol": {"name": "toy", "hash": HASH}, "scheme": scheme,
        "source": {"hash": code, "files": ["schemes.py"]}, "block": block, "model": None,
        "why_no_model": "The protocol has no model whose blocks have M = 4.", "nominal_bits": 20.0, "tolerance": 0.1,
        "parts": parts, "cost": COST, "shortened": {}, "versions": VERSIONS, "made": "2026-11-26T12:00:00+00:00",
        **changed,
    }  # fmt: skip
    (folder / "cells" / f"{name}.json").write_text(json.dumps(record))
    return name


def write_cell(
    folder: Path, scheme: str = "rom", block: int = 4, *, seconds=(5,), broken=True, claims=True, **changed: Any
) -> None:
    """A cell whose attack `order` finds all keys, or none, and says `claims` whatever it found."""
    name = write_record(folder, scheme, block, **{"parts": DONE, **changed})
    errors = [0.01 if broken else 1.4] * 12
    table = [
        row
        for amount in seconds
        for row in rows(
            "order", f"{amount} s of ciphertext", errors, seconds=float(amount), had_seconds=amount, believed=claims
        )
    ]
    known = {"order": ["ciphertext"], "told": ["known plaintext"]}
    write_attacks(folder / "runs" / name, table + random_keys(), scheme=scheme, block_size=block, known=known)


def write_keystream(
    folder: Path, *, trials: int = 12, claimed: bool | None = False, snr: float | None = -3.0, **more: Any
) -> None:
    trial = {"attack": "polyphase", "scheme": "rom", "block": 10, "seconds": 5, "claimed": claimed, "snr": snr}
    trial |= more
    record = {
        "format": "wrongkey-board-keystream/1", "protocol": {"name": "toy", "hash": HASH}, "cipher": "aes-256-ctr",
        "source": {"hash": "d" * 64, "files": ["keystream.py"]}, "recordings": "real",
        "needs": {"polyphase": ["ciphertext"]}, "cost": COST, "complete": True, "versions": VERSIONS,
        "trials": [{**trial, "trial": number, "cpu_seconds": 1.5, "failed": ""} for number in range(trials)],
        "made": "2026-11-26T13:00:00+00:00",
    }  # fmt: skip
    (folder / "cells" / "aes-256-ctr.json").write_text(json.dumps(record))
