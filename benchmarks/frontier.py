"""Seconds of ciphertext that an attack from it alone needs, against block size: the frontier of docs/attacks.md.

    python -m benchmarks.frontier measure --out frontier.csv --corpus kaldi:DIR [--only LIST]
        [--schemes rom rom+turns=4] [--blocks 5 10 20] [--seconds 10 25 75] [--speakers 1] [--trials 10]
    python -m benchmarks.frontier table --out frontier.csv
    python -m benchmarks.frontier figure --out frontier.csv --to frontier.svg

The attack is `sign-chain`, `sample-order` or `polyphase`, whichever is made for the scheme. A trial is one key, and the
ciphertext of `--speakers` people of the corpus, each of whom speaks for an equal part of `--seconds` or for all that
there is. Trials take people in turn, so with one speaker each trial has another victim. `measure` adds rows that are
missing and goes on where it was interrupted; each row says what the attack claimed, and what the truth is. "Broken" is
an SNR of 20 dB or a relative key error below 0.1; "speech" counts as well a STOI within 0.05 of the correct key's, of
the first half minute, as docs/threat-model.md does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.rows import append, read
from benchmarks.voices import voices
from wrongkey.attacks.base import Case, CompleteAttack, Evidence, Setting
from wrongkey.attacks.harness.hearing import HEARD_SECONDS
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.harness.scores import key_error, stoi
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Utterance, load_audio
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.run_folder.successes import NEAR_CORRECT_STOI
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.keys import correct_key, decrypt_query, encrypt_query, get_scheme
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.reports.attacks.decisions import share_interval

ATTACKS = ("sign-chain", "sample-order", "polyphase")
RATE = 16_000
BOTH = 30.0  # dB: speech as clear as it was
CELL = ("scheme", "block", "speakers", "seconds")
FIELDS = (
    *CELL,
    "trial",
    "given",
    "broken",
    "claimed",
    "snr",
    "stoi",
    "key_error",
    "linked",
    "agreement",
    "stationarity",
    "cpu",
)

Row = dict[str, Any]


def main() -> None:
    """Measure what is missing, print the table or draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "table", "figure"])
    parser.add_argument("--out", type=Path, required=True, help="the file of rows, CSV")
    parser.add_argument("--to", type=Path, default=Path("frontier.svg"), help="the file of the figure")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--schemes", nargs="+", default=["rom", "rom+turns=2", "rom+turns=4", "rom+turns=8"])
    parser.add_argument("--blocks", nargs="+", type=int, default=[5, 10, 20], help="M")
    parser.add_argument("--seconds", nargs="+", type=float, default=[5.0, 10.0, 25.0, 75.0], help="of all speakers")
    parser.add_argument("--speakers", type=int, default=1, help="people whose ciphertext one attack has")
    parser.add_argument("--trials", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "measure":
        for row in measured(options):
            print(*(f"{name} {row[name]}" for name in FIELDS), sep=", ", flush=True)
    elif options.what == "table":
        print(*table(rows_of(options.out)), sep="\n")
    else:
        figure(rows_of(options.out), options.to)


def measured(options: argparse.Namespace) -> Iterator[Row]:
    """The rows that the file lacks, each written when it is there; cell by cell, from the least ciphertext on."""
    people = voices(options.corpus, options.only)
    there = {tuple(row[name] for name in (*CELL, "trial")) for row in rows_of(options.out)}
    for block, scheme, seconds in product(options.blocks, options.schemes, sorted(options.seconds)):
        for trial in range(options.trials):
            cell = (scheme, block, options.speakers, seconds, trial)
            if cell in there:
                continue
            first = trial * options.speakers
            spoken = [people[(first + i) % len(people)] for i in range(options.speakers)]
            row = dict(zip((*CELL, "trial"), cell, strict=True)) | attacked(scheme, block, spoken, seconds, trial)
            append(options.out, row, FIELDS)
            yield row


def attacked(scheme: str, block: int, spoken: Sequence[Sequence[Utterance]], seconds: float, seed: int) -> Row:
    """One key, the ciphertext of some people, and what the attack makes of it."""
    setting = Setting(get_scheme(scheme), KeyCut(Blocks.SAMPLES, block).under(get_scheme(scheme)).merged, float(RATE))
    key = correct_key(setting.scheme, setting.size, seed)
    plain = [wave for one in spoken for wave in speech(one, seconds / len(spoken), setting.size)]
    secret = tuple(encrypt_query(wave, key, blocks=setting.cut) for wave in plain)
    attack, begin = attack_on(setting), time.process_time()
    try:
        found = attack.run(Evidence(setting, Case(), seed, ciphertext=secret))
    except BadInput:  # too little ciphertext is a miss
        return {name: "" for name in FIELDS} | {"broken": False, "claimed": False, "given": seconds}
    cpu = time.process_time() - begin
    assert found.key is not None
    heard = torch.cat([decrypt_query(wave, found.key, blocks=setting.cut) for wave in secret])
    plain_speech = torch.cat(plain)
    level, error = snr(plain_speech, heard, Blocks.SAMPLES), key_error(found.key, key, Blocks.SAMPLES)
    begun = slice(round(HEARD_SECONDS * RATE))
    return {
        "given": round(len(heard) / RATE, 1),
        "broken": level >= DECRYPTED or error < RECOVERED,
        "claimed": bool(found.success_claimed),
        "snr": round(level, 2),
        "stoi": round(stoi(plain_speech[begun], heard[begun], RATE), 4),
        "key_error": round(error, 4),
        "linked": round(found.measured.get("linked bands", np.nan), 4),
        "agreement": round(found.measured.get("agreement", np.nan), 5),
        "stationarity": round(found.measured["stationarity"], 5),
        "cpu": round(cpu, 2),
    }


def attack_on(setting: Setting) -> CompleteAttack:
    """The attack that is made for a scheme; BadInput where none is."""
    for attack in map(open_attack, ATTACKS):
        if attack.inapplicable(setting) is None:
            return attack
    raise BadInput(f"No attack of {', '.join(ATTACKS)} is made for {setting.scheme.name}: give other --schemes.")


def speech(utterances: Sequence[Utterance], seconds: float, size: int) -> Iterator[Tensor]:
    """Waveforms of one person in whole blocks of `size` samples, until there are enough seconds."""
    left = round(seconds * RATE)
    for utterance in utterances:
        wave = torch.from_numpy(load_audio(utterance, RATE)).double()[:left]
        left -= len(wave)
        if len(wave) >= size:
            yield wave[: len(wave) // size * size]
        if left < size:
            return


def rows_of(path: Path) -> list[Row]:
    """The rows of the file, with numbers."""
    kinds: dict[str, Any] = {"scheme": str, "block": int, "speakers": int, "trial": int}
    kinds |= {"broken": "True".__eq__, "claimed": "True".__eq__}
    return [
        {name: kinds.get(name, float)(text) if text else float("nan") for name, text in row.items()}
        for row in read(path)
    ]


def cells(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows of every cell, sorted by what the cell is."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in CELL), []).append(row)
    return dict(sorted(found.items()))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """A line of Markdown for every cell."""
    yield (
        "| scheme | M | speakers | ciphertext | broken | speech | SNR > 30 dB | claimed | claimed falsely | SNR, dB "
        "| STOI | CPU s |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for (scheme, block, people, _), trials in cells(rows).items():
        level, clear, cpu, given = (
            np.nanmedian([row[name] for row in trials]) for name in ("snr", "stoi", "cpu", "given")
        )
        counts = [
            sum(row["broken"] for row in trials),
            sum(row["broken"] or row["stoi"] >= 1 - NEAR_CORRECT_STOI for row in trials),
            sum(row["snr"] > BOTH for row in trials),
            sum(row["claimed"] for row in trials),
            sum(row["claimed"] and not row["broken"] for row in trials),
        ]
        low, high = share_interval(counts[0], len(trials))
        broken, *others = (f"{count} of {len(trials)}" for count in counts)
        broken += f" [{100 * low:.0f}, {100 * high:.0f} %]"
        of = " | ".join([broken, *others])
        yield f"| `{scheme}` | {block} | {people} | {given:.0f} s | {of} | {level:.0f} | {clear:.3f} | {cpu:.1f} |"


def figure(rows: Sequence[Row], path: Path) -> None:
    """The least seconds of ciphertext that broke half of the keys, against block size.

    There is a line for every scheme, and one more where the ciphertext is that of several speakers.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(6, 4), layout="constrained")
    axes = drawn.subplots()
    needed: dict[str, dict[int, float]] = {}
    for (scheme, block, people, _), trials in cells(rows).items():
        if np.mean([row["broken"] for row in trials]) >= 0.5:
            given = float(np.median([row["given"] for row in trials]))
            of_line = needed.setdefault(scheme if people == 1 else f"{scheme}, {people} speakers", {})
            of_line[block] = min(given, of_line.get(block, given))
    for label, by_block in sorted(needed.items()):
        blocks = sorted(by_block)
        axes.plot(blocks, [by_block[block] for block in blocks], "o-", label=label)
    axes.set(xscale="log", yscale="log", xlabel="block size M, samples", ylabel="ciphertext that breaks half, s")
    axes.set_xticks(ticks := sorted({row["block"] for row in rows}), labels=map(str, ticks))
    axes.minorticks_off()
    axes.legend()
    drawn.savefig(path)


if __name__ == "__main__":
    main()
