r"""What recordings of the field do to attacks from ciphertext alone: the table of conditions in docs/attacks.md.

    python -m benchmarks.conditions run --corpus kaldi:DIR/test --only victims.txt --esc50 DIR --out rows.csv
    python -m benchmarks.conditions table --out rows.csv

Each trial has its own speaker and key, and is a line of the file; what is there is not measured again, so stop it at
any time. A trial is recovered where the SNR reaches 20 dB, or what the correct key gives on the same ciphertext less
1 dB, whichever is less: the rule of docs/threat-model.md for speech, without its clause on STOI. SNR is against the
speech as it was encrypted. In much noise the rule says little: "undisturbed" is what the found key gives on ciphertext
that nothing happened to, and "key" counts the trials in which that is 20 dB or more. Where even the correct key gives
less than 10 dB at the median, the table has "-" for recovered.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from scipy.signal import butter, correlate, fftconvolve, resample_poly, sosfiltfilt

from benchmarks.rows import append, read
from wrongkey.attacks.recover import recover
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, load_audio, open_corpus
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED
from wrongkey.keys import correct_key, decrypt_query, encrypt_query
from wrongkey.reports.attacks.decisions import share_interval

RATE = 16_000
SOUNDS = ("church_bells", "rain")  # categories of ESC-50
WITHIN = 1.0  # dB of the correct key's SNR
HEARD = 10  # dB of the correct key below which "recovered" says nothing: nobody decrypts much then
FIELDS = ("condition", "scheme", "size", "trial", "recovered", "claimed", "snr", "correct", "undisturbed", "seconds",
          "note")  # fmt: skip
Wave = NDArray[np.floating]
Change = Callable[[Wave, np.random.Generator], Wave]


def as_it_is(wave: Wave, rng: np.random.Generator) -> Wave:
    return wave


def noise(decibels: float) -> Change:
    """White noise at this SNR."""

    def add(wave: Wave, rng: np.random.Generator) -> Wave:
        level = np.sqrt(np.mean(wave**2)) * 10 ** (-decibels / 20)
        return wave + level * rng.standard_normal(len(wave))

    return add


def band(wave: Wave, rng: np.random.Generator) -> Wave:
    """300 to 3400 Hz."""
    return sosfiltfilt(butter(4, (300, 3400), "bandpass", fs=RATE, output="sos"), wave)


def telephone(wave: Wave, rng: np.random.Generator) -> Wave:
    """The same at 8 kHz."""
    return resample_poly(band(wave, rng), 1, 2)


def high_pass(wave: Wave, rng: np.random.Generator) -> Wave:
    return sosfiltfilt(butter(2, 100, "highpass", fs=RATE, output="sos"), wave)


def offset(wave: Wave, rng: np.random.Generator) -> Wave:
    """A constant as large as the speech."""
    return wave + np.sqrt(np.mean(wave**2))


def reverberation(wave: Wave, rng: np.random.Generator) -> Wave:
    """The direct sound and noise that decays by 60 dB in 0.4 s, of the same energy."""
    time = np.arange(round(0.4 * RATE)) / RATE
    tail = rng.standard_normal(len(time)) * 10 ** (-3 * time / 0.4)
    return wave + fftconvolve(wave, tail / np.sqrt(np.sum(tail**2)))[: len(wave)]


def gain_control(wave: Wave, rng: np.random.Generator) -> Wave:
    """A gain that takes another value, 6 dB around the mean, every second, and moves there evenly."""
    decibels = np.interp(np.arange(len(wave)) / RATE, np.arange(99), rng.normal(0, 6, 99))
    return wave * 10 ** (decibels / 20)


def bits(count: int) -> Change:
    """Stored in so many bits, which span the loudest sample."""

    def store(wave: Wave, rng: np.random.Generator) -> Wave:
        step = np.abs(wave).max() / 2 ** (count - 1)
        return np.round(wave / step) * step

    return store


def mu_law(wave: Wave, rng: np.random.Generator) -> Wave:
    """8 bits on the scale of G.711, mu = 255."""
    top = np.abs(wave).max()
    level = np.round(127 * np.log1p(255 * np.abs(wave) / top) / np.log(256)) / 127
    return top * np.sign(wave) * np.expm1(level * np.log(256)) / 255


def coded(container: str, subtype: str) -> Change:
    """Coded and decoded by libsndfile at its usual quality; the delay of the codec is taken away."""

    def code(wave: Wave, rng: np.random.Generator) -> Wave:
        file, top = io.BytesIO(), np.abs(wave).max() / 0.9
        soundfile.write(file, wave / top, RATE, subtype, format=container)
        file.seek(0)
        heard = soundfile.read(file)[0] * top
        delay = int(correlate(heard, wave, "full", "fft").argmax()) - len(wave) + 1
        heard = heard[delay:] if delay > 0 else np.pad(heard, (-delay, 0))
        return np.pad(heard, (0, max(0, len(wave) - len(heard))))[: len(wave)]

    return code


MP3, OPUS, VORBIS = coded("MP3", "MPEG_LAYER_III"), coded("OGG", "OPUS"), coded("OGG", "VORBIS")


@dataclass(frozen=True)
class Condition:
    """What happens to speech before encryption, and to ciphertext after it; `source`: what is recorded."""

    before: Change = as_it_is
    after: Change = as_it_is
    rate: int = RATE
    source: str = "speaker"


CONDITIONS: Mapping[str, Condition] = {
    "as it is": Condition(),
    "telephone band, 8 kHz": Condition(telephone, rate=8_000),
    "telephone band, 16 kHz": Condition(band),
    **{f"speech in noise, {level} dB": Condition(noise(level)) for level in (20, 10, 0)},
    **{f"noise on the ciphertext, {level} dB": Condition(after=noise(level)) for level in (20, 10, 0)},
    "reverberation, 0.4 s": Condition(reverberation),
    "constant offset": Condition(offset),
    "high-pass, 100 Hz": Condition(high_pass),
    "gain control": Condition(gain_control),
    "ciphertext in 16 bit": Condition(after=bits(16)),
    "ciphertext in 8 bit": Condition(after=bits(8)),
    "ciphertext in mu-law": Condition(after=mu_law),
    "speech as MP3": Condition(MP3),
    "speech as Opus": Condition(OPUS),
    "speech as Vorbis": Condition(VORBIS),
    "ciphertext as MP3": Condition(after=MP3),
    "ciphertext as Opus": Condition(after=OPUS),
    "ciphertext as Vorbis": Condition(after=VORBIS),
    "speech and ciphertext as MP3": Condition(MP3, MP3),
    "speech and ciphertext as Opus": Condition(OPUS, OPUS),
    "speech and ciphertext as Vorbis": Condition(VORBIS, VORBIS),
    "five speakers": Condition(source="five speakers"),
    "church bells": Condition(source="church_bells"),
    "rain": Condition(source="rain"),
}


def main() -> None:
    """Measure, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True, help="CSV file of the trials")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--esc50", type=Path, help="folder of ESC-50, for bells and rain")
    parser.add_argument("--schemes", nargs="+", default=["rom"])
    parser.add_argument("--block", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--conditions", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS), metavar="NAME")
    options = parser.parse_args()
    if options.what == "table":
        table(read(options.out))
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Run every trial that the file lacks."""
    torch.set_num_threads(1)
    corpus = open_corpus(options.corpus)
    if options.only:
        corpus = corpus.only_listed(options.only)
    done = {(row["condition"], row["scheme"], int(row["size"]), int(row["trial"])) for row in read(options.out)}
    for number in range(options.trials):
        for scheme in options.schemes:
            for name in options.conditions:
                condition = CONDITIONS[name]
                if (name, scheme, options.block, number) in done or (condition.source in SOUNDS and not options.esc50):
                    continue
                speech = recorded(condition.source, corpus, options.esc50, number, round(options.seconds * RATE))
                row = trial(condition, speech, scheme, options.block, number)
                about = {"condition": name, "scheme": scheme, "size": options.block, "trial": number}
                append(options.out, {**about, **row}, FIELDS)
    table(read(options.out))


def recorded(source: str, corpus: Corpus, sounds: Path | None, number: int, samples: int) -> Wave:
    """So many samples of a speaker, of five in turn, or of sounds of a category."""
    speakers = corpus.speakers
    if source == "speaker":
        return spoken(corpus, speakers[number % len(speakers)], samples)
    if source == "five speakers":
        chosen = [speakers[(number + 7 * k) % len(speakers)] for k in range(5)]
        return np.concatenate([spoken(corpus, speaker, samples // 5) for speaker in chosen])
    assert sounds is not None
    with (sounds / "esc50.csv").open(newline="") as file:
        names = [row["filename"] for row in csv.DictReader(file) if row["category"] == source]
    pair = [
        load_audio(sounds / "audio" / f"{Path(names[(2 * number + k) % len(names)]).stem}.ogg", RATE) for k in (0, 1)
    ]
    return np.concatenate(pair)[:samples]


def spoken(corpus: Corpus, speaker: str, samples: int) -> Wave:
    """Utterances of a speaker, one after the other."""
    waves: list[Wave] = []
    for utterance in corpus.utterances:
        if utterance.speaker == speaker:
            waves.append(load_audio(utterance, RATE))
            if sum(map(len, waves)) >= samples:
                break
    return np.concatenate(waves)[:samples]


def trial(condition: Condition, speech: Wave, scheme: str, size: int, number: int) -> dict[str, object]:
    """What `recover` makes of one recording, and what the correct key does."""
    rng = np.random.default_rng(number)
    plain = condition.before(speech.astype(np.float64), rng)
    plain = np.ascontiguousarray(plain[: len(plain) // size * size])
    key = correct_key(scheme, size, number)
    undisturbed = encrypt_query(plain, key, blocks="samples")
    secret = condition.after(undisturbed, rng)
    correct = against(plain, decrypt_query(secret, key, blocks="samples"))
    begin = time.process_time()
    try:
        found = recover([secret], condition.rate, scheme, size, seed=number)
    except BadInput as refused:
        return {"recovered": 0, "claimed": 0, "correct": round(correct, 2), "note": str(refused)}
    reached = against(plain, found.plain[0])
    return {
        "recovered": int(reached >= min(DECRYPTED, correct - WITHIN)),
        "claimed": int(found.success_claimed),
        "snr": round(reached, 2),
        "correct": round(correct, 2),
        "undisturbed": round(against(plain, decrypt_query(undisturbed, found.key)), 2),
        "seconds": round(time.process_time() - begin, 2),
    }


def against(plain: Wave, heard: Wave) -> float:
    return snr(torch.from_numpy(plain).double(), torch.from_numpy(heard).double(), "samples")


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print a line for every condition and scheme; shares have 95 % intervals (Wilson), numbers are medians."""
    print("| condition | scheme, M | recovered | claimed | and wrong | key | SNR, dB | correct | undisturbed | CPU s |")
    print("|:---|:---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for (name, scheme, size), own in grouped(rows):
        recovered, claimed = (sum(int(row[field]) for row in own) for field in ("recovered", "claimed"))
        wrong = sum(row["claimed"] == "1" and row["recovered"] == "0" for row in own)
        right = sum(row["undisturbed"] != "" and float(row["undisturbed"]) >= DECRYPTED for row in own)
        share = share_of(recovered, len(own)) if hears(own) else "-"
        medians = [median(own, field) for field in ("snr", "correct", "undisturbed", "seconds")]
        print(f"| {' | '.join([name, f'{scheme}, {size}', share, str(claimed), str(wrong), str(right), *medians])} |")


def share_of(count: int, trials: int) -> str:
    low, high = (round(100 * end) for end in share_interval(count, trials))
    return f"{count} of {trials} [{low}, {high} %]"


def hears(rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether the correct key decrypts enough for a comparison with it to mean something."""
    return bool(np.median([float(row["correct"]) for row in rows]) >= HEARD - 0.5)  # the docs' table has whole decibels


def median(rows: Sequence[Mapping[str, str]], field: str) -> str:
    """Of the trials that the attack did not refuse."""
    values = [float(row[field]) for row in rows if row["snr"]]
    return f"{np.median(values):.1f}" if values else "-"


def grouped(rows: Sequence[Mapping[str, str]]) -> Iterator[tuple[tuple[str, str, str], list[Mapping[str, str]]]]:
    """The trials of every condition, scheme and block size, in the order in which they first come."""
    keys = dict.fromkeys((row["condition"], row["scheme"], row["size"]) for row in rows)
    for key in keys:
        yield key, [row for row in rows if (row["condition"], row["scheme"], row["size"]) == key]


if __name__ == "__main__":
    main()
