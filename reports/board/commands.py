"""The command that tries attacks on a row, with every setting of its runs spelled out."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from wrongkey.printable import printable
from wrongkey.reports.board.joining import Evidence

# Settings that a sweep and an attack share, in the order of the flags.
SHARED = ("task", "text", "per_speaker", "only", "same_gender", "sessions", "channels", "recordings", "device", "seed")
OF_ATTACKS = ("trials", "seconds", "background", "background_only", "recogniser")
OF_ASV = ("same_gender", "sessions")
_FOLDERS = re.compile(r"(^|[:=])/(?:[^/:]+/)+")


def command_for(row: Evidence, names: Sequence[str]) -> str:
    """`wrongkey attack NAMES` with the settings of the row's attacks, or else of its sweep, quoted for a shell.

    Absolute paths are cut to their last name: they are of the machine that ran it, and the page may go elsewhere.
    """
    own = row.attacks_on_it
    if own:
        run = own[0]
        settings = {**(run.suite.get("config") or {}), "keys": len(run.null) or None}
        out = run.folder.name
    else:
        sweep = row.sweeps[0].run
        settings = _of_a_sweep(sweep.section("config"))
        out = f"{sweep.folder.name}-attacks"
    settings |= {"scheme": settings.get("scheme") or row.place.scheme}
    settings |= {"blocks": row.place.blocks, "block": row.place.block_size}
    if not row.place.model:
        settings |= {"model": None, "task": None}
    words = ["wrongkey", "attack", ",".join(names) or "suite"]
    for name in ("model", "corpus", "scheme", "blocks", "block", *SHARED, *OF_ATTACKS, "keys"):
        if settings.get("task") != "asv" and name in OF_ASV:
            continue
        words += _flag(name, settings.get(name))
    return shlex.join([*words, "--out", printable(out)])


def _of_a_sweep(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a sweep as an attack takes them: model, corpus and scheme as they were typed."""
    typed = {name: config.get(f"{name}_spec") or config.get(name) for name in ("model", "corpus", "scheme")}
    return {**{name: config.get(name) for name in (*SHARED, "keys")}, **typed}


def _flag(name: str, value: Any) -> list[str]:
    """The words of one flag; none for what is not set."""
    flag = f"--{name.replace('_', '-')}"
    if value is None or value is False or value == [] or value == "":
        return []
    if value is True:
        return [flag]
    if isinstance(value, list | tuple):
        return [flag, ",".join(f"{number:g}" for number in value)]
    return [flag, printable(_FOLDERS.sub(r"\1", str(value)))]
