r"""What preparing speech before encryption costs the authorised user and attacks: the tables of docs/preparations.md.

    python -m benchmarks.preparations utility --corpus kaldi:DIR/test --only adults.txt --out results.jsonl
    python -m benchmarks.preparations attacks --corpus kaldi:DIR/test --only adults.txt \
           --background kaldi:DIR/train --background-only others.txt --out results.jsonl
    python -m benchmarks.preparations tables --out results.jsonl

Every result is a line of the file, and what is there is not measured again: stop it at any time. The attacks are
`polyphase` as it is, `polyphase` with the settings that do best on background speech prepared in the same way, and
`independent-components`, which learns from such speech. The SNR of a recovered key is measured against the prepared
speech; a key counts as broken from 20 dB on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.voices import voices
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.scores import stoi
from wrongkey.attacks.waveforms.independent_components import IndependentComponents
from wrongkey.attacks.waveforms.polyphase import Polyphase
from wrongkey.attacks.waveforms.polyphase_settings import DEFAULTS, PolyphaseSettings
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.corpora import Utterance, load_audio
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.preparation import Preparation
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED
from wrongkey.keys import correct_key, decrypt_query, encrypt_query, get_scheme
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut

RATE, SIZE = 16_000, 10
PREPARATIONS = ("", "noise=30", "noise=20", "noise=10", "flat=15", "phase", "lpc=16")
TUNED = {
    f"{segment * 1000:g} ms, {frequencies} frequencies, floors {floors[0]:g} to {floors[-1]:g}": replace(
        DEFAULTS, segment=segment, frequencies=frequencies, floors=floors
    )
    for segment, frequencies, floors in (
        *((segment, 8, DEFAULTS.floors) for segment in (0.016, 0.032, 0.064, 0.128)),
        (0.064, 16, DEFAULTS.floors),
        (0.064, 8, (0.5, 0.2, 0.1)),
    )
}
ATTACKS = ("polyphase", "tuned", "components")
SETTING = Setting(get_scheme("rom"), KeyCut(Blocks.SAMPLES, SIZE), float(RATE))
COMPONENTS = IndependentComponents()
ENOUGH = 40.0  # dB: what settings gain beyond it says nothing

Rows = list[dict[str, Any]]


def main() -> None:
    """Measure what is missing, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["utility", "attacks", "tables"])
    parser.add_argument("--out", type=Path, required=True, help="the file of results")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--background", default="bundled")
    parser.add_argument("--background-only", type=Path, help="a list of utterances")
    parser.add_argument("--model", default="asv-raw10")
    parser.add_argument("--victims", type=int, default=8)
    parser.add_argument("--voices", type=int, default=3, help="of background speech, for the settings of polyphase")
    parser.add_argument("--learned", type=int, default=6, help="background voices that components are learned from")
    parser.add_argument("--attacks", nargs="+", default=ATTACKS, choices=ATTACKS)
    parser.add_argument("--seconds", type=float, default=10.0, help="of ciphertext")
    parser.add_argument("--preparations", nargs="+", default=PREPARATIONS, help="as options of a scheme's name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = Results(options.out)
    if options.what == "utility":
        for named in options.preparations:
            results.add({"what": "utility", "preparation": named}, partial(utility, options, named))
    elif options.what == "attacks":
        for named in options.preparations:
            attacks(options, results, named)
    else:
        print(*tables(results.rows), sep="\n")


class Results:
    """Lines of a file of JSON, each of what was measured and what was found."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows: Rows = [json.loads(line) for line in lines]

    def of(self, about: dict[str, Any]) -> Rows:
        """The rows about this."""
        return [row for row in self.rows if row.items() >= about.items()]

    def add(self, about: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row about this; measured and kept if it is missing."""
        if not self.of(about):
            begin = time.process_time()
            row = about | measure() | {"seconds": round(time.process_time() - begin, 2)}
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
            self.rows.append(row)
        return self.of(about)[0]


def utility(options: argparse.Namespace, named: str) -> dict[str, float]:
    """EER of the authorised user, and STOI of prepared speech beside the recording."""
    config = SweepConfig(
        model=options.model, corpus=options.corpus, only=str(options.only) if options.only else None,
        scheme=scheme_of(named), per_speaker=5, same_gender=True, device="cpu", recordings=None,
    )  # fmt: skip
    experiment = Experiment(config)
    rows = experiment.task.measure(experiment.scores(experiment.plain()))
    (eer,) = (row for row in rows if row["metric"] == "eer")
    heard = []
    for utterance in experiment.used[::20]:
        clean = torch.from_numpy(load_audio(utterance, RATE))
        heard.append(stoi(clean, experiment.preparation.whole(clean, RATE, 0, utterance.id), RATE))
    found = {"eer": eer["value"], "low": eer["ci_low"], "high": eer["ci_high"], "trials": eer["n"]}
    return found | {"stoi": float(np.median(heard))}


def attacks(options: argparse.Namespace, results: Results, named: str) -> None:
    """Every attack on every victim under one preparation; before that, polyphase's settings on background voices."""
    victims = voices(options.corpus, options.only)[: options.victims]
    background = voices(options.background, options.background_only)
    tried = partial(attacked, options, named)
    how: dict[str, PolyphaseSettings | BackgroundSpeech] = {"polyphase": DEFAULTS}
    if "tuned" in options.attacks:
        for settings, (number, voice) in product(TUNED, enumerate(background[: options.voices])):
            about = {"what": "tuning", "preparation": named, "settings": settings, "voice": number}
            results.add(about, partial(tried, voice, 1000 + number, TUNED[settings]))
        how["tuned"] = TUNED[best_settings(results, named)]
    if "components" in options.attacks:
        how["components"] = public_speech(options, named, background)
    for attack, (number, voice) in product(options.attacks, enumerate(victims)):
        about = {"what": "attack", "preparation": named, "attack": attack, "victim": number}
        results.add(about, partial(tried, voice, number, how[attack]))


def best_settings(results: Results, named: str) -> str:
    """The settings under which the background voices were decrypted best."""

    def score(settings: str) -> float:
        rows = results.of({"what": "tuning", "preparation": named, "settings": settings})
        return float(np.mean([min(row["snr"], ENOUGH) for row in rows]))

    return max(TUNED, key=score)


def attacked(
    options: argparse.Namespace,
    named: str,
    voice: Sequence[Utterance],
    seed: int,
    how: PolyphaseSettings | BackgroundSpeech,
) -> dict[str, Any]:
    """SNR and STOI of what one attack decrypts: polyphase with settings, or components with background speech."""
    key = correct_key("rom", SIZE, seed)
    plain = speech(options, named, voice, seed)
    secret = tuple(encrypt_query(wave, key, blocks=Blocks.SAMPLES) for wave in plain)
    evidence = Evidence(SETTING, Case(seconds=options.seconds), seed, ciphertext=secret)
    try:
        if isinstance(how, PolyphaseSettings):
            found = Polyphase(how).run(evidence)
        else:
            found = COMPONENTS.run(replace(evidence, background=how))
    except BadInput as error:
        return {"snr": 0.0, "stoi": float("nan"), "claimed": False, "note": str(error)}
    assert found.key is not None
    heard = torch.cat([decrypt_query(wave, found.key, blocks=Blocks.SAMPLES) for wave in secret])
    heard = heard * torch.sign((heard * torch.cat(plain)).sum())
    level = snr(torch.cat(plain), heard, Blocks.SAMPLES)
    return {
        "snr": round(level, 2),
        "stoi": round(stoi(torch.cat(plain), heard, RATE), 3),
        "claimed": found.success_claimed,
    }


def public_speech(
    options: argparse.Namespace, named: str, background: Sequence[Sequence[Utterance]]
) -> BackgroundSpeech:
    """What `independent-components` learns from: prepared background speech."""
    waves = [wave for voice in background[: options.learned] for wave in speech(options, named, voice, 2000)]
    return BackgroundSpeech(tuple(waves), ("",) * len(waves))


def speech(options: argparse.Namespace, named: str, voice: Sequence[Utterance], seed: int) -> list[Tensor]:
    """Queries of a voice as the model's users encrypt them, `seconds` in all, float64, in whole blocks."""
    preparation, model = Preparation.of(scheme_of(named)), opened(options.model)
    left, queries = round(options.seconds * RATE), []
    for utterance in voice:
        wave = torch.from_numpy(load_audio(utterance, RATE))
        query = model.front_end(preparation.recording(wave, RATE))
        query = preparation.noisy(query[None], seed, utterance.id)[0].double()
        queries.append(query[: min(left, len(query)) // SIZE * SIZE])
        left -= len(query)
        if left < RATE / 10:
            break
    return queries


opened = cache(open_model)


def scheme_of(named: str) -> str:
    return "+".join(["rom", *filter(None, [named])])


def tables(rows: Rows) -> Iterator[str]:
    """The tables of docs/preparations.md."""
    yield "| preparation | EER of the authorised user | STOI of prepared speech |"
    yield "|---|---|---|"
    for row in rows:
        if row["what"] == "utility":
            interval = f"{row['eer']:.1f} % [{row['low']:.1f}, {row['high']:.1f}]"
            yield f"| {row['preparation'] or 'none'} | {interval} | {row['stoi']:.2f} |"
    yield ""
    yield "| preparation | polyphase as it is | tuned on prepared background speech | independent components |"
    yield "|---|---|---|---|"
    for named in dict.fromkeys(row["preparation"] for row in rows if row["what"] == "attack"):
        cells = []
        for attack in ATTACKS:
            tried = [r for r in rows if r["what"] == "attack" and (r["preparation"], r["attack"]) == (named, attack)]
            levels = np.array([row["snr"] for row in tried])
            cells.append(f"{(levels >= DECRYPTED).sum()} of {len(levels)}, {np.median(levels):.0f} dB" if tried else "")
        yield f"| {named or 'none'} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
