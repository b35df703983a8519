"""The command that repeats a run, with every setting spelled out: tomorrow's defaults change none of them."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.run_folder.private import last_parts
from wrongkey.evaluation.settings import options_of
from wrongkey.printable import printable
from wrongkey.reports.attacks.rows import GUESSING, AttackRun
from wrongkey.reports.runs import Run
from wrongkey.reports.strength.runs import StrengthRun

VICTIMS = "/attacks/victims.txt"  # the list that attacks write for the sweep beside them


def full_command(words: Iterable[str], settings: Mapping[str, Any], out: str) -> str:
    """A command with all of its settings, shell-quoted; of paths only the last part.

    Parameters
    ----------
    words : iterable of str
        What stands before the flags, such as `["sweep"]`.
    settings : mapping
        Values by the names of the fields; None, False and an empty list have no flag.
    out : str
        The folder of the run.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> full_command(["sweep"], {"model": "asv-raw3", "keys": 5, "same_gender": True, "only": None}, "a b")
    "wrongkey sweep --model asv-raw3 --keys 5 --same-gender --out 'a b'"
    """
    line = ["wrongkey", *words]
    for name, value in settings.items():
        if value is None or value is False or value in ([], ()):
            continue
        flag = f"--{name.replace('_', '-')}"
        line += [flag] if value is True else [flag, printable(last_parts(_written(value)))]
    return shlex.join([*line, "--out", printable(out)])


def sweep_command(run: Run, attacks: Sequence[AttackRun] = ()) -> str:
    """The command of a sweep, by the settings in its manifest; "" where the manifest holds none.

    A sweep that attacks made of their victims is made again by their command: no other finds the list of victims.
    """
    config = run.section("config")
    if str(config.get("only") or "").replace("\\", "/").endswith(VICTIMS):
        same = (one for one in attacks if one.folder.resolve() == run.folder.resolve())
        return next(map(attack_command, same), "")
    resolved = {"model": "model_spec", "corpus": "corpus_spec", "scheme": "scheme_spec", "block": "block_size"}
    settings = {name: config.get(resolved.get(name, name)) or config.get(name) for name in options_of(SweepConfig)}
    settings |= {name: config.get(name) for name in ("seed", "replicates")}  # where 0 is a value
    known = settings["model"] and settings["corpus"]
    return full_command(["sweep"], settings, run.name) if known else ""


def attack_command(run: AttackRun) -> str:
    """The command of the attacks of a run folder; "" where it does not say its settings."""
    config = run.suite.get("config") or {}
    if not config.get("corpus"):
        return ""
    settings = dict(config) | {"block": run.block_size or config.get("block")}
    settings["blocks"] = run.setting.get("blocks") or config.get("blocks")
    settings["keys"] = int(run.rows["attack"].isin(run.null_names).sum()) or None
    ran = [name for name in run.suite.get("attacks", {}) if name not in {GUESSING, *run.null_names}]
    last = str((run.suite.get("sessions") or [{}])[-1].get("command"))
    names = "suite" if last.startswith("wrongkey attack suite") else ",".join(ran)
    return full_command(["attack", names], settings, run.folder.resolve().name)


def strength_command(run: StrengthRun) -> str:
    """The last command that measured a strength, as its manifest has it; "" where it has none."""
    sessions = [str(one.get("command") or "") for one in run.manifest.get("sessions") or []]
    commands = [command for command in sessions if command.startswith("wrongkey strength ")]
    return last_parts(commands[-1]) if commands else ""


def draw_words(run: Run) -> list[str]:
    """The words that draw a key of a run, without the number of the key, which belongs at the end."""
    scheme = last_parts(str(run.section("config").get("scheme_spec") or run.scheme))
    size = ["--block", str(run.block_size), "--blocks", run.blocks]
    seed = run.scores.loc[run.scores["condition"] == "incorrect", "key_seed"].iloc[0]
    return [
        "wrongkey",
        "keys",
        "draw",
        "--scheme",
        scheme,
        *size,
        "--seed",
        str(int(seed)),
        "--out",
        "key.npz",
        "--index",
    ]


def _written(value: Any) -> str:
    return ",".join(f"{number:g}" for number in value) if isinstance(value, list | tuple) else str(value)
