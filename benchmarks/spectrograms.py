r"""Keys of spectrograms from ciphertext alone: the table of docs/attacks.md, section "Spectrograms".

    python -m benchmarks.spectrograms run --corpus kaldi:DIR --only adults.txt --first 30 \
        --background kaldi:DIR --background-only adults.txt --cells whisper-shuffling-80 --out rows.csv
    python -m benchmarks.spectrograms nulls … --cells whisper-shuffling-80 --tries 50 --out nulls.csv
    python -m benchmarks.spectrograms table --out rows.csv

A cell is a front end, a scheme and M: tiles, or whole frames where M is the number of bins. A try has a speaker, key
and seed of its own. `nulls` attacks what holds no key of the scheme; a claim is false where what the key decrypts is
not the plain spectrogram (an SNR below 20 dB), or nothing was encrypted. Every try is a line of the file, and what is
there is not measured again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from benchmarks.conditions import spoken
from benchmarks.rows import append, read
from wrongkey.attacks.base import BackgroundSpeech, Case, Evidence, Setting
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.spectrograms.moments import SpectrogramMoments
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, open_corpus
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.models.adapters import whisper
from wrongkey.evaluation.models.adapters.ge2e_network import slaney_mel_bank
from wrongkey.evaluation.models.front_ends import LogMel, power
from wrongkey.evaluation.run_folder.vocabulary import DECRYPTED, RECOVERED
from wrongkey.keys import decrypt_query, draw_keys, encrypt_query, get_scheme
from wrongkey.keys.key_cut import KeyCut

RATE, FRAMES = 16_000, 100.0  # a second
FIELDS = ("cell", "seconds", "number", "kind", "error", "snr", "claimed", "false", "cpu")


def magnitudes(waveform: Tensor) -> Tensor:
    """The lowest 256 of 257 magnitudes of a frame of 512 samples."""
    return power(waveform, 512, 160)[:256].sqrt()


def whispers(waveform: Tensor) -> Tensor:
    """Whisper's log-mel spectrogram without the filling behind the speech."""
    front_end = whisper.LogMel(torch.from_numpy(slaney_mel_bank(RATE, 400, 80)).float().mT)
    return front_end(waveform)[:, : len(waveform) // 160 + 5]


FRONT_ENDS: dict[str, Callable[[Tensor], Tensor]] = {"whisper": whispers, "logmel": LogMel(), "magnitude": magnitudes}


def setting_of(cell: str) -> tuple[Callable[[Tensor], Tensor], Setting]:
    """The front end and the setting of a cell."""
    front_end, scheme, size = cell.split("-")
    bins = 256 if front_end == "magnitude" else 80
    blocks = "frames" if int(size) == bins else "tiles"
    return FRONT_ENDS[front_end], Setting(get_scheme(scheme), KeyCut(blocks, int(size)), FRAMES)


def main() -> None:
    """Measure, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "nulls", "table"])
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--first", type=int, default=0, help="the first speaker who is a victim")
    parser.add_argument("--background", default="bundled")
    parser.add_argument("--background-only", type=Path, help="a list of utterances")
    parser.add_argument("--each", type=float, default=20.0, help="seconds of each background speaker")
    parser.add_argument("--cells", nargs="+", default=["whisper-shuffling-80"])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.what == "table":
        print(table(read(options.out)))
        return
    torch.set_num_threads(1)
    victims, others = opened(options.corpus, options.only), opened(options.background, options.background_only)
    voices = [spoken(others, speaker, round(options.each * RATE)) for speaker in others.speakers]
    for cell in options.cells:
        front_end, setting = setting_of(cell)
        background = BackgroundSpeech(tuple(front_end(torch.from_numpy(voice).float()) for voice in voices), ())
        attack = SpectrogramMoments()
        done = {(row["cell"], row["seconds"], row["number"], row["kind"]) for row in read(options.out)}
        for number in range(options.tries):
            kind = "key" if options.what == "run" else NULLS[number % len(NULLS)]
            row = {"cell": cell, "seconds": f"{options.seconds:g}", "number": str(number), "kind": kind}
            if tuple(row.values()) in done:
                continue
            speaker = victims.speakers[(options.first + number) % len(victims.speakers)]
            voice = spoken(victims, speaker, round(options.seconds * RATE))
            plain = front_end(torch.from_numpy(voice).float()).double()
            append(options.out, row | tried(attack, setting, background, plain, kind, number), FIELDS)


def opened(corpus: str, only: Path | None) -> Corpus:
    """A corpus, or the listed part of one."""
    found = open_corpus(corpus)
    return found.only_listed(only) if only else found


def tried(
    attack: SpectrogramMoments, setting: Setting, background: BackgroundSpeech, plain: Tensor, kind: str, number: int
) -> dict[str, object]:
    """What an attack made of one spectrogram."""
    (key,) = draw_keys(setting.scheme, setting.size, number, 0, 1)
    plain = encrypt_query(plain, np.eye(setting.size), blocks=setting.blocks)  # whole blocks
    encrypt = partial(encrypt_query, blocks=setting.blocks)
    sent = encrypt(plain, key) if kind == "key" else null(plain, setting, kind, number)
    begin = time.process_time()
    try:
        found = attack.run(Evidence(setting, Case(), number, ciphertext=(sent,), background=background))
    except BadInput:
        return {"claimed": False, "false": False, "cpu": time.process_time() - begin}
    taken = time.process_time() - begin
    assert found.key is not None
    decrypted = decrypt_query(sent, found.key, blocks=setting.blocks)[: plain.shape[0], : plain.shape[1]]
    level = snr(plain[:, : decrypted.shape[1]], decrypted, setting.blocks)  # fresh keys have whole blocks only
    error = key_error(found.key, key, setting.blocks) if kind == "key" else float("nan")
    right = not torch.equal(sent, plain) and (level >= DECRYPTED or error < RECOVERED)
    claimed = found.success_claimed is True
    return {"error": error, "snr": level, "claimed": claimed, "false": claimed and not right, "cpu": taken}


NULLS = ("plain", "noise", "rom", "flipping", "shuffling", "other size", "keystream", "fresh keys")


def null(plain: Tensor, setting: Setting, kind: str, number: int) -> Tensor:
    """A spectrogram that holds no key of the setting, or no key at all."""
    rng, size, cut = np.random.default_rng(number), setting.size, setting.cut
    deviation, mean = torch.std_mean(plain)
    if kind == "noise":
        return mean + deviation * torch.from_numpy(rng.standard_normal(plain.shape))
    if kind == "keystream":
        return torch.from_numpy(rng.uniform(float(plain.min()), float(plain.max()), tuple(plain.shape)))
    if kind == "other size":
        other = KeyCut("tiles", 4 if cut.block_size == 2 else 2)
        sent = encrypt_query(plain, draw_keys("rom", other.size, number, 1, 1)[0], blocks="tiles")
        return sent[: plain.shape[0], : plain.shape[1]]
    if kind == "fresh keys":
        frames = cut.steps
        keys = draw_keys("rom", size, number, 1, plain.shape[1] // frames)
        parts = [plain[:, i * frames : (i + 1) * frames] for i in range(len(keys))]
        return torch.cat([encrypt_query(one, key, blocks=cut.blocks) for one, key in zip(parts, keys, strict=True)], 1)
    if kind in ("rom", "flipping", "shuffling") and kind != setting.scheme.name:
        return encrypt_query(plain, draw_keys(kind, size, number, 1, 1)[0], blocks=cut.blocks)
    return plain


def table(rows: list[dict[str, str]]) -> str:
    """The rows of the document's table, one for each cell and amount of ciphertext."""
    lines = ["| cell | ciphertext | broken | claimed | false | key error | SNR, dB | CPU s |", "|" + 8 * "---|"]
    for cell, seconds in dict.fromkeys((row["cell"], row["seconds"]) for row in rows):
        these = [row for row in rows if (row["cell"], row["seconds"]) == (cell, seconds)]
        error, level, cpu = (np.array([float(row[name] or "nan") for row in these]) for name in ("error", "snr", "cpu"))
        broken, claimed = int(((error < RECOVERED) | (level >= DECRYPTED)).sum()), [row["claimed"] for row in these]
        low, high = binomtest(broken, len(these)).proportion_ci(method="wilson")
        share = f"{broken} of {len(these)} [{100 * low:.0f}, {100 * high:.0f} %]"
        counts = f"{claimed.count('True')} | {[row['false'] for row in these].count('True')}"
        medians = f"{np.nanmedian(error):.2g} | {np.nanmedian(level):.0f} | {np.median(cpu):.2g}"
        lines.append(f"| {cell} | {seconds} s | {share} | {counts} | {medians} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
