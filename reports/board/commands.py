"""The command that tries attacks on a row, with every setting of its runs spelled out."""

from collections.abc import Mapping, Sequence
from typing import Any

from wrongkey.reports.board.joining import Evidence
from wrongkey.reports.commands import full_command

# Settings that a sweep and an attack share, in the order of the flags.
SHARED = ("task", "text", "per_speaker", "only", "same_gender", "sessions", "channels", "recordings", "device", "seed")
OF_ATTACKS = ("trials", "seconds", "background", "background_only", "recogniser")
OF_ASV = ("same_gender", "sessions")
FLAGS = ("model", "corpus", "scheme", "blocks", "block", *SHARED, *OF_ATTACKS, "keys")


def command_for(row: Evidence, names: Sequence[str]) -> str:
    """`wrongkey attack NAMES` with the settings of the row's attacks, or else of its sweep, quoted for a shell.

    Paths are cut to their last part: they are of the machine that ran it, and the page may go elsewhere.
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
    left_out = OF_ASV if settings.get("task") != "asv" else ()
    flags = [name for name in FLAGS if name not in left_out and settings.get(name) != ""]
    return full_command(["attack", ",".join(names) or "suite"], {name: settings.get(name) for name in flags}, out)


def _of_a_sweep(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a sweep as an attack takes them: model, corpus and scheme as they were typed."""
    typed = {name: config.get(f"{name}_spec") or config.get(name) for name in ("model", "corpus", "scheme")}
    return {**{name: config.get(name) for name in (*SHARED, "keys")}, **typed}
