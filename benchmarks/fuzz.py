"""Damaged and strange input files, thousands of each kind: every one must be read or refused in one sentence.

    python benchmarks/fuzz.py --mutations 2000 [--kinds wav flac trials] [--keep faults/]

Each mutation of a sound file (bytes flipped, cut, doubled, moved; numbers and words replaced by ones that parsers
stumble over) is opened by the function that a command uses. *read* means that it was accepted and that what can be
cross-checked agrees, *refused* a `BadInput` of one printable line. Everything else is a fault: another exception, a
crash, more than `MEMORY` of address space or `SECONDS` of time, a number that contradicts another. The exit code is 1
where there are faults; their files go to --keep. docs/reliability.md has the results.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile

from wrongkey.cli import parser
from wrongkey.config_file import read_settings
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import duration, load_audio, open_corpus
from wrongkey.evaluation.tasks.enrolment import ENROLMENT
from wrongkey.evaluation.tasks.trials import read_trials
from wrongkey.keys import SecretKey
from wrongkey.parser import leaves

MEMORY = 8 * 2**30  # bytes of address space: torch and its libraries take 3 GiB of it
SECONDS = 20
BATCH = 50  # mutations that a process tries before their outcome is written down
RATE = 16_000
STRANGE = [b"", b"\0", b"-1", b"0", b"1e309", b"nan", b"inf", b"99999999999999999999", b"\xff\xfe", b"\xef\xbb\xbf",
           b"\xe9", b"../../etc/passwd", b"|", b"\t", b"\r\n", b"{}", b"[]", b"null", b"true", b"\x1b[31m",
           b"\xe2\x80\xae", b"~", b"=1+1", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"]  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of input: ``make(folder)`` writes a sound one and returns the file to damage, ``use(file)`` opens it."""

    make: Callable[[Path], Path]
    use: Callable[[Path], None]


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise with a slow envelope, `(samples,)`, as a stand-in for speech."""
    rng = np.random.default_rng(seed)
    samples = np.arange(int(seconds * RATE))
    return 0.3 * np.sin(samples / 900) * rng.standard_normal(len(samples)).clip(-3, 3) / 3


def audio(name: str, kind: str | None = None, subtype: str | None = None) -> Kind:
    """A sound file of a container and an encoding."""

    def make(folder: Path) -> Path:
        soundfile.write(folder / name, speech(0.5), RATE, subtype, format=kind)
        return folder / name

    return Kind(make, use_audio)


def use_audio(file: Path) -> None:
    """Read a sound file and its duration, which must agree."""
    samples, seconds = load_audio(file, RATE, "mix"), duration(file)
    if abs(len(samples) - seconds * RATE) > 2:
        raise AssertionError(f"{len(samples)} samples were read and {seconds} s announced")


def folder_of_speakers(folder: Path) -> Path:
    """Write two speakers with two recordings each."""
    for speaker in ("anna", "bert"):
        (folder / speaker).mkdir()
        for number in range(2):
            soundfile.write(folder / speaker / f"{number}.wav", speech(0.05, number), RATE)
    return folder


def kaldi(damaged: str) -> Kind:
    """A Kaldi folder of which one list is damaged."""

    def make(folder: Path) -> Path:
        folder_of_speakers(folder)
        ids = [f"{speaker}-{number}" for speaker in ("anna", "bert") for number in range(2)]
        lists = {
            "wav.scp": [f"{id} {id.replace('-', '/')}.wav" for id in ids],
            "utt2spk": [f"{id} {id.partition('-')[0]}" for id in ids],
            "text": [f"{id} HELLO WORLD" for id in ids],
            "spk2gender": ["anna f", "bert m"],
            "segments": [f"{id} {id} 0.00 0.04" for id in ids],
        }
        for name, lines in lists.items():
            (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return folder / damaged

    return Kind(make, lambda file: use_corpus(f"kaldi:{file.parent}"))


def listed(layout: str, name: str, lines: Sequence[str]) -> Kind:
    """A corpus that is a file of lines."""

    def make(folder: Path) -> Path:
        folder_of_speakers(folder)
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        return folder / name

    return Kind(make, lambda file: use_corpus(f"{layout}:{file}"))


def use_corpus(spec: str) -> None:
    """Open a corpus and hash it."""
    corpus = open_corpus(spec)
    corpus.digest()
    json.dumps([utterance.id for utterance in corpus.utterances], ensure_ascii=False).encode()


def trials(folder: Path) -> Path:
    """Write a trial list and its corpus."""
    folder_of_speakers(folder)
    lines = ["1 anna/0 anna/1", "0 anna/0 bert/1", "1 bert/0.wav bert/1.wav", "0 bert/0 anna/1"]
    (folder / "trials.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder / "trials.txt"


def use_trials(file: Path) -> None:
    """Read a trial list; written and read again it must be the same."""
    corpus = open_corpus(f"folder:{file.parent}")
    read = read_trials(file, corpus)
    again = file.with_name("again.txt")
    again.write_text("".join(f"{line}\n" for line in read.lines()), encoding="utf-8")
    if read.models:
        enrolment = "".join(f"{line}\n" for line in read.enrolment_lines())
        again.with_name(ENROLMENT).write_text(enrolment, encoding="utf-8")
    if read_trials(again, corpus).digest() != read.digest():
        raise AssertionError("trials differ after they were written and read")


def only_list(folder: Path) -> Path:
    """Write a list of utterances and its corpus."""
    folder_of_speakers(folder)
    (folder / "only.txt").write_text("anna/0\nbert/1\n")
    return folder / "only.txt"


def key(name: str) -> Kind:
    """A key file."""

    def make(folder: Path) -> Path:
        SecretKey.from_seed("rom", 5, seed=1).save(folder / name)
        return folder / name

    return Kind(make, use_key)


def use_key(file: Path) -> None:
    """Load a key file, which must hold the key that was saved."""
    if SecretKey.load(file) != SecretKey.from_seed("rom", 5, seed=1):
        raise AssertionError("a damaged key file was read as another key")


def settings(folder: Path) -> Path:
    """Write the settings of a sweep."""
    lines = ['model = "asv-raw3"', 'corpus = "bundled"', "keys = 20", "same-gender = true", 'out = "runs/x"']
    (folder / "sweep.toml").write_text("\n".join(lines))
    return folder / "sweep.toml"


def use_settings(file: Path) -> None:
    """Read the settings of a sweep."""
    read_settings(file, next(one for one in leaves(parser()) if one.prog == "wrongkey sweep"))


JSON_LINE = '{{"audio_filepath": "{0}/{1}.wav", "text": "hello", "speaker": "{0}", "offset": 0.01, "duration": 0.02}}'
KINDS: dict[str, Kind] = {
    "wav": audio("a.wav"),
    "wav 24 bit": audio("a.wav", subtype="PCM_24"),
    "wav float": audio("a.wav", subtype="FLOAT"),
    "wav GSM": audio("a.wav", subtype="GSM610"),
    "wav ADPCM": audio("a.wav", subtype="IMA_ADPCM"),
    "w64": audio("a.w64"),
    "rf64": audio("a.wav", "RF64"),
    "aiff": audio("a.aiff"),
    "au": audio("a.au"),
    "caf": audio("a.caf"),
    "flac": audio("a.flac"),
    "ogg vorbis": audio("a.ogg", subtype="VORBIS"),
    "ogg opus": audio("a.opus", "OGG", "OPUS"),
    "mp3": audio("a.mp3"),
    **{f"kaldi {name}": kaldi(name) for name in ("wav.scp", "utt2spk", "text", "spk2gender", "segments")},
    "tsv": listed("tsv", "list.tsv", ["id\tpath\tsentence\tclient_id\tgender", "0\tanna/0.wav\thi\tanna\tf",
                                      "1\tbert/1.wav\tyes\tbert\tmale"]),
    "jsonl": listed("jsonl", "list.jsonl", [JSON_LINE.format("anna", 0), JSON_LINE.format("bert", 1)]),
    "dcase": listed("dcase", "list.csv", ["filename\tscene_label", "anna/0.wav\tpark", "bert/1.wav\tbus"]),
    "trials": Kind(trials, use_trials),
    "only": Kind(only_list, lambda file: void(open_corpus(f"folder:{file.parent}").only_listed(file))),
    "key npz": key("key.npz"),
    "key safetensors": key("key.safetensors"),
    "toml": Kind(settings, use_settings),
}  # fmt: skip


def void(_: object) -> None:
    """Throws a value away."""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to four changes of a file's bytes; headers, where most harm is done, as often as all the rest."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        end = len(data) if rng.random() < 0.5 else min(len(data), 128)
        at = rng.randrange(end + 1) if end else 0
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randrange(1, 40)]
            case 3:
                data[at:at] = rng.choice(STRANGE)
            case 4:
                strange = rng.choice(STRANGE)
                data[at : at + len(strange)] = strange
            case 5:
                piece = data[at : at + rng.randrange(1, 200)]
                data[at:at] = piece * rng.choice((1, 1, 20))
            case _:
                data[at : at + 4] = rng.randrange(2**32).to_bytes(4, rng.choice(("little", "big")))
    return bytes(data)


def outcome(kind: str, seed: int, keep: Path | None) -> str:
    """What became of mutation `seed` of a kind: "read", "refused", or what went wrong."""
    with tempfile.TemporaryDirectory(prefix="wrongkey-fuzz-") as place:
        file = KINDS[kind].make(Path(place))
        file.write_bytes(mutated(file.read_bytes(), random.Random(f"{kind} {seed}")))
        found = tried(lambda: KINDS[kind].use(file))
        if found not in ("read", "refused") and keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, keep / f"{kind.replace(' ', '-')}-{seed}{file.suffix}")
        return found


def tried(use: Callable[[], None]) -> str:
    """What became of opening a file: "read", "refused", or what went wrong."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        use()
    except BadInput as error:
        said = str(error)
        return "refused" if said.isprintable() else f"fault: a sentence that does not print: {said!r}"
    except BaseException as error:  # a fault is what this looks for
        return f"fault: {type(error).__name__}: {' '.join(str(error).split())[:100]}"
    finally:
        signal.alarm(0)
    return "read"


def _batch(kind: str, seeds: Sequence[int], keep: Path | None) -> list[str]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return [outcome(kind, seed, keep) for seed in seeds]


def fuzz(kind: str, seeds: Sequence[int], keep: Path | None = None) -> Counter[str]:
    """Outcomes of the mutations `seeds` of a kind, tried in a process of their own: a crash is one of them."""
    counts: Counter[str] = Counter()
    pending = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
    while pending:
        with ProcessPoolExecutor(1, get_context("forkserver")) as pool:
            try:
                while pending:
                    counts.update(pool.submit(_batch, kind, pending[0], keep).result())
                    pending.pop(0)
            except BrokenProcessPool:  # cut down to the mutation that crashes
                first = pending.pop(0)
                if len(first) == 1:
                    counts[f"fault: crash, seed {first[0]}"] += 1
                else:
                    pending[:0] = [first[: len(first) // 2], first[len(first) // 2 :]]
    return counts


def main() -> int:
    """Mutate files of all kinds; 1 where there are faults."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mutations", type=int, default=1000, help="of each kind (default 1000)")
    options.add_argument("--first", type=int, default=0, help="number of the first mutation (default 0)")
    options.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    options.add_argument("--keep", type=Path, help="folder for the files that showed a fault")
    asked = options.parse_args()
    faults = total = 0
    print(f"{'kind':18} {'tried':>7} {'read':>7} {'refused':>8} {'faults':>7}")
    for kind in asked.kinds:
        counts = fuzz(kind, range(asked.first, asked.first + asked.mutations), asked.keep)
        wrong = {what: count for what, count in counts.items() if what not in ("read", "refused")}
        print(f"{kind:18} {counts.total():7,} {counts['read']:7,} {counts['refused']:8,} {sum(wrong.values()):7,}")
        for what, count in sorted(wrong.items(), key=lambda item: -item[1])[:8]:
            print(f"  {count:5,} {what}")
        sys.stdout.flush()
        faults, total = faults + sum(wrong.values()), total + counts.total()
    print(f"{total:,} tried, {faults:,} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
