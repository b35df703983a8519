"""``wrongkey attack``: what an adversary does without the key, one attack or the whole suite."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput

if TYPE_CHECKING:
    from wrongkey.reports.attacks.verdicts import AttackVerdict

SCHEMES = ("shuffling", "flipping", "rom")


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "attack",
        help="the standard suite of attacks, or one of them, on encrypted speech and models",
        description="Attack encrypted speech, and the encrypted model if one is named: each trial has a secret key and "
        "a victim of its own, and every recovered key is scored the same way. The same command again finishes a "
        "stopped run; a larger --trials extends it.",
    )
    parser.add_argument("name", metavar="NAME", help="suite, or attacks with commas between them; 'list' shows them")
    what = parser.add_argument_group("what is attacked")
    what.add_argument("--model", help="see 'wrongkey models'; without one, waveforms at 16 kHz alone are attacked")
    what.add_argument("--task", default="asv", choices=["asv", "asr", "asc"], help="what the model is scored at")
    what.add_argument("--corpus", help="speech of the victims, and of background speakers: every second one")
    what.add_argument("--only", metavar="FILE", help="only the utterances whose ids this file lists, one a line")
    what.add_argument(
        "--background",
        "--others",
        metavar="CORPUS",
        help="speech of background speakers, who are no victims, in place of that split",
    )
    what.add_argument(
        "--background-only", "--others-only", metavar="FILE", help="only these utterances of --background"
    )
    what.add_argument(
        "--scheme", help="one scheme, into --out itself (default: all three, each into its folder below --out)"
    )
    what.add_argument(
        "--blocks", choices=["samples", "tiles", "frames"], help="how keys cut a query (default: the model's)"
    )
    what.add_argument("--block", type=int, metavar="M", help="block size (default: the model's)")
    what.add_argument("--text", default="basic", help="how transcripts are normalised: none, basic, whisper-english")
    what.add_argument("--same-gender", action="store_true", help="generated impostors have the same gender")
    what.add_argument(
        "--sessions", default="any", choices=["any", "disjoint"],
        help="disjoint: the task's same-speaker pairs are of two recording sessions (default: any)",
    )  # fmt: skip
    what.add_argument("--per-speaker", type=int, metavar="N", help="utterances of each speaker in the task's score")
    what.add_argument("--channels", default="refuse", choices=["refuse", "mix"], help="what to do with stereo")
    what.add_argument(
        "--recordings", choices=["real", "synthetic"], help="what the corpus holds, where it does not tell"
    )
    how = parser.add_argument_group("how much")
    how.add_argument(
        "--trials", type=int, default=10, metavar="N",
        help="secret keys, each with a victim (default 10; wrongkey compare asks for 29)",
    )  # fmt: skip
    how.add_argument(
        "--keys", type=int, default=100, metavar="N",
        help="random keys that every attack is compared with, and incorrect keys under which the model is asked "
        "(default 100)",
    )  # fmt: skip
    how.add_argument("--seconds", help="seconds of ciphertext, such as 5,10,25,inf (default: the attack's own)")
    how.add_argument("--seed", type=int, default=0, help="master seed of keys and attacks (default 0)")
    how.add_argument(
        "--salt", type=Path, metavar="FILE",
        help="take the victims' keys from an earlier run's attacks/salt.json, to get its rows again",
    )  # fmt: skip
    how.add_argument("--recogniser", metavar="MODEL", help="who hears decrypted waveforms, for their WER")
    how.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 or auto (default), for the model")
    how.add_argument("--workers", type=int, help="processes (default: one per core)")
    how.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help="end the run where a trial, or a shard of incorrect keys, takes longer (default: wait for ever)",
    )  # fmt: skip
    how.add_argument(
        "--fail-if", metavar="VERDICTS",
        help="exit code 1 where an asset has one of these verdicts, or a worse one; the worst first: open, broken, "
        "weakened, undecided, not-shown-to-break (docs/threat-model.md)",
    )  # fmt: skip
    how.add_argument(
        "--adversary", metavar="NAMES",
        help="whose verdicts --fail-if looks at, such as eavesdropper,provider (default: everybody's; chosen plaintext "
        "finds every key, so that broken is then the rule)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="run folder (made if missing)")
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    from wrongkey.attacks.harness.guessing import Guessing
    from wrongkey.attacks.harness.registry import attack_names, open_attack
    from wrongkey.evaluation.processes.failures import each_to_its_end
    from wrongkey.reports.attacks.threats import adversaries_named, fail_words
    from wrongkey.terminal import conclude, say

    if options.name == "list":
        say(f"{Guessing.name:20} {Guessing.threat.adversary}")
        for name in attack_names():
            say(f"{name:20} {open_attack(name).threat.adversary}")
        return 0
    fatal = fail_words(options.fail_if) if options.fail_if is not None else frozenset()
    whose = adversaries_named(options.adversary)
    if options.adversary is not None and options.fail_if is None:
        raise BadInput("--adversary says whose verdicts --fail-if looks at: give --fail-if as well")
    for flag in ("corpus", "out"):
        if getattr(options, flag) is None:
            raise BadInput(f"an attack needs --{flag}")
    if options.keys < 1:
        raise BadInput(f"--keys {options.keys} makes no sense: give 1 or more")
    if options.workers is not None and options.workers < 1:
        raise BadInput(f"--workers {options.workers} makes no sense: give 1 or more")
    names: list[str] = []
    for name in options.name.split(","):
        names += attack_names() if name.strip() == "suite" else [name.strip()]
    names = [name for name in dict.fromkeys(names) if name != Guessing.name]  # it runs wherever there is a model
    for name in names:
        open_attack(name)  # an unknown one is refused before anything runs
    schemes = {options.scheme: options.out} if options.scheme else {s: options.out / s for s in SCHEMES}
    verdicts: list[AttackVerdict | None] = []
    with each_to_its_end() as one:
        for scheme, folder in schemes.items():
            with one(), _judged(folder.expanduser(), verdicts):
                _attack(options, names, scheme, folder)
    shown = " ".join(str(folder) for folder in schemes.values())
    found = [verdict for verdict in verdicts if verdict]
    conclude(
        *(f"{verdict.label}: {verdict.sentence}" for verdict in found),
        f"done; look at it with: wrongkey report {shown} --out report.html",
    )
    cells = (cell for verdict in found for cell in verdict.cells if cell.adversary in whose)
    return int(any(cell.word in fatal for cell in cells))


@contextmanager
def _judged(folder: Path, verdicts: list[AttackVerdict | None]) -> Iterator[None]:
    """Writes the verdict of a folder's rows at the end, whether its attacks ended or were stopped.

    So no older verdict stands beside newer rows. Of two faults, that of the attacks is the one to say.
    """
    from wrongkey.reports.attacks.verdict_file import write_verdicts

    try:
        yield
    except BaseException:
        with suppress(BadInput):
            write_verdicts(folder)
        raise
    verdicts.append(write_verdicts(folder))


def _attack(options: argparse.Namespace, names: list[str], scheme: str, folder: Path) -> None:
    from wrongkey.attacks.harness.config import AttackConfig
    from wrongkey.attacks.harness.suite import run_attacks
    from wrongkey.progress import progress
    from wrongkey.terminal import note

    asked = [name for name in AttackConfig.__dataclass_fields__ if name not in ("scheme", "seconds")]
    settings = {name: getattr(options, name) for name in asked}
    run_attacks(
        AttackConfig(**settings, scheme=scheme, seconds=_seconds(options.seconds)),
        names,
        folder,
        keys=options.keys,
        workers=options.workers,
        timeout=options.timeout,
        command=shlex.join(["wrongkey", *sys.argv[1:]]),
        salt=options.salt,
        progress=progress(),
        report=lambda line: note(f"{scheme}: {line}"),
    )


def _seconds(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise BadInput(f"--seconds {text} is no list of numbers: give 5,10,25,inf") from None
