r"""How often attacks from ciphertext alone claim a success that is none: the table of null cases in docs/attacks.md.

    python -m benchmarks.null_cases run --corpus kaldi:DIR --only adults.txt --esc50 DIR --out rows.csv
    python -m benchmarks.null_cases table --out rows.csv

Every attack on waveforms that needs nothing but ciphertext gets the same inputs: input i is of the kind i modulo the
number of kinds, and has a speaker, sound, block size, key and seed of its own; the scheme is one of those that the
attack is for (`--schemes rom+flat=15 rom+phase` asks after whitened speech alone). `recover` is one more attack, with
the block size given and without. With `--voices 10` an input holds so many speakers, or sounds, and the attack is
`polyphase-of-many`, for blocks of `--sizes 32 64`. A claim is false where nothing was encrypted in blocks, or what the
key decrypts is not the plain sound (an SNR below 20 dB). Every input is a line of the file, and what is there is not
measured again.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import shake_128
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.conditions import against, spoken
from benchmarks.rows import append, read
from wrongkey.attacks.base import BackgroundSpeech, Case, CompleteAttack, Evidence, Need, Recovery, Setting
from wrongkey.attacks.harness.offered import REGISTRY
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.attacks.recover import ATTACKS, ON_WINDOWS, applies, recover
from wrongkey.attacks.waveforms.whitened_speech import whitened as is_whitened
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, load_audio, open_corpus
from wrongkey.evaluation.preparation import Preparation
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED
from wrongkey.evaluation.whitening import prediction_error
from wrongkey.keys import SecretKey, decrypt_query, draw_keys, encrypt_query, get_scheme
from wrongkey.keys.key_cut import KeyCut
from wrongkey.reports.statistics.proportions import exact_interval

RATE = 16_000
SCHEMES = ("rom", "flipping", "shuffling", "signed-shuffling", "invertible", "rom+turns=2", "shuffling+signs=3",
           "flipping+order=3", "rom+windows")  # fmt: skip
SIZES = (3, 4, 5, 7, 8, 10)
RECOVER = ("recover", "recover without --block")
FIELDS = ("attack", "number", "kind", "scheme", "size", "claimed", "snr", "false", "seconds", "note")
EMPHASIS = 0.97
Wave = NDArray[np.floating]


@dataclass(frozen=True)
class Sounds:
    """Where plain sounds are from, how many an input joins, and how long each is, in samples."""

    corpus: Corpus
    esc50: Path
    each: int
    voices: int = 1

    @property
    def samples(self) -> int:
        """Samples of an input."""
        return self.each * self.voices

    def voice(self, number: int) -> Wave:
        """Speech of the next speakers."""
        speakers = self.corpus.speakers
        return self._joined(lambda one: spoken(self.corpus, speakers[one % len(speakers)], self.each), number)

    def clip(self, number: int, category: str | None = None) -> Wave:
        """Clips of ESC-50, of any category or of one."""
        return self._joined(lambda one: self._clip(one, category), number)

    def _joined(self, sound: Callable[[int], Wave], number: int) -> Wave:
        return np.concatenate([sound(self.voices * number + one) for one in range(self.voices)])

    def _clip(self, number: int, category: str | None) -> Wave:
        with (self.esc50 / "esc50.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if category in (None, row["category"])]
        name = rows[number * 37 % len(rows)]["filename"]
        return load_audio(self.esc50 / "audio" / f"{Path(name).stem}.ogg", RATE)[: self.each]


def keystream(wave: Wave, number: int) -> Wave:
    """16-bit samples under a stream cipher, heard as samples."""
    samples = np.round(wave * (2**15 - 1)).astype(np.int16).view(np.uint16)
    stream = np.frombuffer(shake_128(f"null case {number}".encode()).digest(2 * len(samples)), np.uint16)
    return (samples ^ stream).view(np.int16) / 2**15


def hiss(samples: int, number: int) -> Wave:
    """What a microphone in a silent room records: the last bit of 16."""
    return np.random.default_rng(number).integers(-1, 2, samples) / 2**15


def pre_emphasised(wave: Wave) -> Wave:
    return np.append(wave[:1], wave[1:] - EMPHASIS * wave[:-1])


def whitened(wave: Wave) -> Wave:
    """What linear prediction of 16 coefficients leaves."""
    return prediction_error(torch.from_numpy(wave), RATE, 16).numpy()


def fresh_keys(wave: Wave, size: int, number: int) -> Wave:
    """A key of its own for every block, as ROM draws it: what QR leaves as it is has a mean, and that is one key."""
    rows = wave[: len(wave) // size * size].reshape(-1, 1, size)
    return (rows @ draw_keys("rom", size, number, 0, len(rows))).ravel()


def prepared(scheme: str, number: int, wave: Wave) -> Wave:
    """What is encrypted under a scheme; whitened speech as a model reads it that pre-emphasises, or nothing shows."""
    done = Preparation.of(scheme).whole(torch.from_numpy(wave), RATE, number, "").numpy()
    return pre_emphasised(done) if is_whitened(scheme) else done


def under(scheme: str, size: int, number: int, wave: Wave) -> tuple[Wave, Wave]:
    """What is encrypted, and its ciphertext."""
    plain = prepared(scheme, number, wave)
    return plain, encrypt_query(plain, SecretKey.from_seed(scheme, size, seed=number), blocks="samples")


def other(choices: Sequence[str], than: str, number: int) -> str:
    left = [one for one in choices if one.split("+")[0] != than.split("+")[0]]
    return left[number % len(left)]


# (sounds, scheme and size that the attack assumes, number) -> plain sound, if anything is encrypted, and the input
Kind = Callable[[Sounds, str, int, int], tuple[Wave | None, Wave]]
KINDS: Mapping[str, Kind] = {
    "white noise": lambda s, scheme, size, n: (None, np.random.default_rng(n).standard_normal(s.samples)),
    "silence": lambda s, scheme, size, n: (None, np.zeros(s.samples)),
    "near silence": lambda s, scheme, size, n: (None, hiss(s.samples, n)),
    "plain speech": lambda s, scheme, size, n: (None, prepared(scheme, n, s.voice(n))),
    "pre-emphasised speech": lambda s, scheme, size, n: (None, pre_emphasised(s.voice(n))),
    "whitened speech": lambda s, scheme, size, n: (None, whitened(s.voice(n))),
    "plain sound": lambda s, scheme, size, n: (None, s.clip(n)),
    "rain": lambda s, scheme, size, n: (None, s.clip(n, "rain")),
    "stream cipher": lambda s, scheme, size, n: (None, keystream(s.voice(n), n)),
    "fresh keys": lambda s, scheme, size, n: (None, fresh_keys(s.voice(n), size, n)),
    "another scheme": lambda s, scheme, size, n: under(
        other(("rom", "flipping", "shuffling"), scheme, n), size, n, s.voice(n)
    ),
    "another block size": lambda s, scheme, size, n: under(
        scheme.removesuffix("+windows"), size + 1 + n % 5, n, s.voice(n)
    ),
    "sound, another block size": lambda s, scheme, size, n: under(
        scheme.removesuffix("+windows"), size + 1 + n % 5, n, s.clip(n)
    ),
}  # fmt: skip


def main() -> None:
    """Measure, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True, help="CSV file of the inputs")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--esc50", type=Path, help="folder of ESC-50")
    parser.add_argument("--attacks", nargs="+", metavar="NAME", help="(default: all, and recover)")
    parser.add_argument("--schemes", nargs="+", default=SCHEMES, metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="M")
    parser.add_argument("--voices", type=int, default=1, help="speakers, or sounds, of an input")
    parser.add_argument("--inputs", type=int, default=200, help="for each attack")
    parser.add_argument("--first", type=int, default=0, help="the first input; others are fresh")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each voice")
    options = parser.parse_args()
    if options.what == "run":
        if options.esc50 is None:
            parser.error("give --esc50 FOLDER.")
        measure(options)
    table(read(options.out))


def measure(options: argparse.Namespace) -> None:
    """Give every attack the inputs that the file lacks."""
    torch.set_num_threads(1)
    corpus = open_corpus(options.corpus)
    if options.only:
        corpus = corpus.only_listed(options.only)
    sounds = Sounds(corpus, options.esc50, round(options.seconds * RATE), options.voices)
    done = {(row["attack"], int(row["number"])) for row in read(options.out)}
    possible = applicable(options.schemes, options.sizes, options.voices)
    asked = {name: schemes for name, schemes in possible if name in (options.attacks or [name])}
    for number in range(options.first, options.first + options.inputs):
        for name, schemes in asked.items():
            if (name, number) not in done:
                row = given(name, schemes[drawn(number, 0) % len(schemes)], options.sizes, number, sounds)
                append(options.out, {"attack": name, "number": number, **row}, FIELDS)


def applicable(schemes: Sequence[str], sizes: Sequence[int], voices: int) -> Iterator[tuple[str, list[str]]]:
    """Every attack that needs nothing but ciphertext, and recover, with the schemes that they are for."""
    size = min(sizes, key=lambda one: abs(one - 5))
    attacks = {name: open_attack(name) for name in REGISTRY.names()}
    for name, attack in attacks.items():
        if own := [scheme for scheme in schemes if blind_case(attack, setting_of(scheme, size), voices)]:
            yield name, own
    if voices > 1:
        return
    tried = [make() for make in (*ON_WINDOWS, *ATTACKS)]
    own = [scheme for scheme in schemes if any(applies(one, setting_of(scheme, size)) for one in tried)]
    for name in RECOVER if own else ():
        yield name, own


def setting_of(scheme: str, size: int) -> Setting:
    found = get_scheme(scheme)
    return Setting(found, KeyCut("samples", size).under(found).merged, float(RATE))


def blind_case(attack: CompleteAttack, setting: Setting, voices: int) -> Case | None:
    """The case of an attack that has nothing but ciphertext; None where there is none, or it does not apply."""
    if not (attack.wants_key and applies(attack, setting)):
        return None
    needs: frozenset[Need] = frozenset({"ciphertext"} if voices == 1 else {"ciphertext", "ciphertext of many"})
    return next((one for one in attack.cases(setting) if (one.needs or attack.threat.needs) == needs), None)


def drawn(number: int, which: int) -> int:
    """A number of an input that nothing else about it depends on."""
    return int(np.random.default_rng((number, which)).integers(2**31))


def given(name: str, scheme: str, sizes: Sequence[int], number: int, sounds: Sounds) -> dict[str, object]:
    """What an attack says of an input."""
    kind, size = list(KINDS)[number % len(KINDS)], sizes[drawn(number, 1) % len(sizes)]
    plain, wave = KINDS[kind](sounds, scheme, size, number)
    begin, note, claimed, reached = time.process_time(), "", False, -np.inf
    try:
        run = partial(recovered, name) if name in RECOVER else partial(attacked, name, sounds.voices)
        claimed, heard = run(scheme, size, wave, number)
        if plain is not None:
            shared = min(len(plain), len(heard))
            reached = against(plain[:shared], heard[:shared])
    except BadInput as refused:
        note = str(refused)
    wrong = claimed and reached < DECRYPTED
    seconds = round(time.process_time() - begin, 2)
    return {"kind": kind, "scheme": scheme, "size": size, "claimed": int(claimed), "false": int(wrong),
            "snr": "" if plain is None else round(reached, 1), "seconds": seconds, "note": note}  # fmt: skip


def recovered(name: str, scheme: str, size: int, wave: Wave, number: int) -> tuple[bool, Wave]:
    found = recover([wave], RATE, scheme, size if name == RECOVER[0] else None, seed=number)
    return found.success_claimed, found.plain[0]


def attacked(name: str, voices: int, scheme: str, size: int, wave: Wave, number: int) -> tuple[bool, Wave]:
    """Whether an attack of the suite claims success, and what its key decrypts."""
    attack, setting = open_attack(name), setting_of(scheme, size)
    whole = wave[: len(wave) // setting.size * setting.size].astype(np.float64)
    case = blind_case(attack, setting, voices)
    assert case is not None
    each = len(whole) // setting.size // voices * setting.size
    victim, *others = torch.split(torch.from_numpy(whole[: each * voices]), each)
    enrolled = BackgroundSpeech(tuple(others), ()) if others else None
    found: Recovery = attack.run(Evidence(setting, case, number, ciphertext=(victim,), enrolled=enrolled))
    assert found.key is not None
    key = SecretKey.of(get_scheme(scheme), size, 1, found.key)
    return bool(found.success_claimed), decrypt_query(whole, key)


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print a line for every attack, and one for every kind of input."""
    print("| attack | inputs | refused | claims | false | 95 % interval | of which | CPU s an input |")
    print("|:---|---:|---:|---:|---:|---:|:---|---:|")
    for name, own in grouped(rows, "attack"):
        false = [row for row in own if row["false"] == "1"]
        where = ", ".join(f"{row['kind']} as {row['scheme']} {row['size']}" for row in false) or "-"
        each = np.mean([float(row["seconds"]) for row in own])
        print(f"| `{name}` | {counts(own)} | {where} | {each:.1f} |")
    print("\n| input | inputs | refused | claims | false | 95 % interval |")
    print("|:---|---:|---:|---:|---:|---:|")
    for kind, own in grouped(rows, "kind"):
        print(f"| {kind} | {counts(own)} |")


def grouped(rows: Sequence[Mapping[str, str]], field: str) -> Iterator[tuple[str, list[Mapping[str, str]]]]:
    """The rows of every value of a field, in the order in which values first come."""
    for value in dict.fromkeys(row[field] for row in rows):
        yield value, [row for row in rows if row[field] == value]


def counts(rows: Sequence[Mapping[str, str]]) -> str:
    """Cells: inputs, refusals, claims, false claims and their exact 95 % interval (Clopper and Pearson)."""
    refused, claims = sum(bool(row["note"]) for row in rows), sum(row["claimed"] == "1" for row in rows)
    false = sum(row["false"] == "1" for row in rows)
    low, high = exact_interval(false, len(rows))
    return f"{len(rows)} | {refused} | {claims} | {false} | {low:.1%} to {high:.1%}"


if __name__ == "__main__":
    main()
