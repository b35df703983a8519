"""What attacks that know something recover of real speech's keys: the tables of docs/attacks.md, families 2 and 4.

    python benchmarks/known_pairs.py plaintext --corpus kaldi:DIR --blocks 3 10 64
    python benchmarks/known_pairs.py model --corpus kaldi:DIR --model asv-raw10 [--fine-tune 50 100 500]
    python benchmarks/known_pairs.py statistics --corpus kaldi:DIR --model asv-raw10

Victims are the first utterances of one half of the corpus' speakers; the other half is what an adversary learns from.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from wrongkey.attacks.base import Attack, BackgroundSpeech, Case, Evidence, Matrix, Quality, Setting
from wrongkey.attacks.harness.fine_tuning import fine_tuned
from wrongkey.attacks.harness.scores import key_error
from wrongkey.attacks.solvers.procrustes import FitSettings, fit
from wrongkey.attacks.weights.kernel_rows import channels, keyed_rows, lifted_layer
from wrongkey.attacks.weights.public_model import PublicModel
from wrongkey.attacks.weights.public_statistics import PublicStatistics
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio, open_corpus
from wrongkey.evaluation.experiment import key_cut_of
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.evaluation.metrics.signal_to_noise import snr
from wrongkey.evaluation.models.protocol import Model
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.run_folder.vocabulary import RECOVERED
from wrongkey.keys import SecretKey, decrypt_query, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.draw import draw_keys
from wrongkey.keys.family import get_scheme
from wrongkey.keys.schemes import SCHEMES

EXACT = 1e-3  # relative key error that counts as exact in a table


def main() -> None:
    """Print the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["plaintext", "model", "statistics"])
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--only", type=Path, help="a list of utterances")
    parser.add_argument("--model", default="asv-raw10")
    parser.add_argument("--blocks", type=int, nargs="+", default=[3, 5, 10, 64, 128])
    parser.add_argument("--fine-tune", type=int, nargs="*", default=[], help="steps")
    parser.add_argument("--trials", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = open_corpus(arguments.corpus)
    if arguments.only:
        corpus = corpus.only_listed(arguments.only)
    victims, background = _halves(corpus)
    if arguments.table == "plaintext":
        plaintext(victims[: arguments.trials], arguments.blocks)
    elif arguments.table == "model":
        public_model(arguments.model, victims[: arguments.trials], background, arguments.fine_tune)
    else:
        statistics(arguments.model, victims[: arguments.trials], background)


def plaintext(victims: Sequence[Utterance], sizes: Sequence[int]) -> None:
    """Key errors by number of known blocks: contiguous ones that begin at one of the loudest tenth."""
    print("scheme M quality blocks: median error, share exact, recovered, claimed, claimed but wrong, expected error")
    speech = [load_audio(utterance).astype(np.float64) for utterance in victims]
    for size in sizes:
        for scheme in map(get_scheme, SCHEMES):
            keys = draw_keys(scheme, size, 0, 0, len(speech))
            for quality in get_args(Quality):
                for count in sorted({n for n in (1, 2, size // 2, size - 1, size, 2 * size, 16 * size) if n}):
                    fits = [
                        fit(scheme, *_pairs(s, k, count, quality, i), FitSettings())
                        for i, (s, k) in enumerate(_both(speech, keys))
                    ]
                    pairs = zip(fits, keys, strict=True)
                    errors = np.array([key_error(found.key, key, Blocks.SAMPLES) for found, key in pairs])
                    sure = np.array([f.certain for f in fits])
                    wrong = sure & (errors > RECOVERED)
                    shares = [part.mean() for part in (errors < EXACT, errors < RECOVERED, sure, wrong)]
                    expected = np.median([f.expected_error for f in fits])
                    shown = " ".join(f"{share:.2f}" for share in shares)
                    label = f"{scheme.name:9} {size:3} {quality:6} {count:5}"
                    print(f"{label}: {np.median(errors):.1e} {shown} {expected:.1e}", flush=True)


def public_model(
    name: str, victims: Sequence[Utterance], background: Sequence[Utterance], steps: Sequence[int]
) -> None:
    """Key errors and SNR by known kernels, after merging the batch norm, and after fine-tuning."""
    model = open_model(name, folded=False)
    setting = _setting(model)
    count = channels(model.network.get_submodule(model.first_layer))
    kernels = sorted({k for k in (1, 2, setting.size // 2, setting.size - 1, setting.size, count) if 0 < k <= count})
    speech = BackgroundSpeech(tuple(_queries(model, background)), tuple(str(u.speaker) for u in background))
    owners: list[tuple[str, Model]] = [(f"{k} kernels of {count}", model) for k in kernels]
    owners.append(("merged batch norm", open_model(name, folded=True)))
    for what in ("first layer", "all"):
        for number in steps:
            words = f"{what} fine-tuned {number} steps"
            owners.append((words, fine_tuned(model, speech, words, 0)))
    print(
        f"{name}, N = {setting.size}: share the kernels moved, median key error, largest, expected, SNR, residual, "
        "share claimed"
    )
    public = keyed_rows(lifted_layer(model, setting), setting)
    for variant, owner in owners:
        moved = np.linalg.norm(keyed_rows(lifted_layer(owner, setting), setting) - public) / np.linalg.norm(public)
        for scheme in map(get_scheme, SCHEMES):
            where = replace(setting, scheme=scheme)
            case = Evidence(where, Case(variant=variant), 0, public=model)
            _print(f"{variant:34} {scheme.name:9} {moved:.3f}", PublicModel(), case, owner, victims)


def statistics(name: str, victims: Sequence[Utterance], background: Sequence[Utterance]) -> None:
    """Key errors and SNR through batch-norm statistics alone."""
    model = open_model(name, folded=False)
    speech = BackgroundSpeech(tuple(_queries(model, background)), tuple(str(u.speaker) for u in background))
    print(f"{name}: median key error, largest, -, SNR, misfit, share claimed")
    for scheme in map(get_scheme, SCHEMES):
        case = Evidence(replace(_setting(model), scheme=scheme), Case(), 0, background=speech)
        _print(f"{scheme.name:9}", PublicStatistics(), case, model, victims)


def _print(label: str, attack: Attack, case: Evidence, owner: Model, victims: Sequence[Utterance]) -> None:
    setting, begin = case.setting, time.perf_counter()
    keys = draw_keys(setting.scheme, setting.size, 0, 0, len(victims))
    errors, ratios, sure, expected, objectives = [], [], [], [], []
    for number, (query, key) in enumerate(_both(list(_queries(owner, victims)), keys)):
        secret = SecretKey(setting.scheme.name, setting.block_size, setting.cut.dims, key)
        found = attack.run(replace(case, seed=number, encrypted=encrypt_first_layer(owner, secret, setting.blocks)))
        if found.key is None:
            print(f"{label}: {found.note}")
            return
        errors.append(key_error(found.key, key, setting.blocks))
        sure.append(bool(found.success_claimed))
        objectives.append(float("nan") if found.objective is None else found.objective)
        expected.append(found.measured.get("expected error", float("nan")))
        whole = encrypt_query(query.double(), np.eye(setting.size), blocks=setting.blocks)
        cipher = encrypt_query(whole, key, blocks=setting.blocks)
        ratios.append(snr(whole, decrypt_query(cipher, found.key, blocks=setting.blocks), setting.blocks))
    print(
        f"{label}: {np.median(errors):.1e} {max(errors):.1e} {np.median(expected):.1e} {np.median(ratios):.1f} dB "
        f"{np.median(objectives):.3f} {np.mean(sure):.2f}, {(time.perf_counter() - begin) / len(errors):.2f} s each",
        flush=True,
    )


def _pairs(speech: Matrix, key: Matrix, count: int, quality: Quality, seed: int) -> tuple[Matrix, Matrix]:
    """Known blocks and their ciphertext, as wrongkey.attacks.harness.evidence gives them."""
    rng, size = np.random.default_rng(seed), len(key)
    blocks = speech[: len(speech) // size * size].reshape(-1, size)
    loud = np.argsort(-(blocks**2).sum(1))[: max(1, len(blocks) // 10)]
    first = max(0, min(int(rng.choice(loud)), len(blocks) - count))
    plain = blocks[first : first + count]
    cipher = plain @ key
    if quality == "16 bit":
        cipher = np.round(cipher * 2**15) / 2**15
    if quality == "10 dB":
        plain = plain + rng.standard_normal(plain.shape) * np.sqrt((plain**2).mean() / 10)
    return plain, cipher


def _setting(model: Model) -> Setting:
    cut = key_cut_of(model, None, None)
    return Setting(SCHEMES["rom"], cut, float(model.sample_rate), model)


def _queries(model: Model, utterances: Sequence[Utterance]) -> Iterator[Tensor]:
    for utterance in utterances:
        yield model.front_end(torch.from_numpy(load_audio(utterance, model.sample_rate)))


def _both(speech: Sequence[Matrix] | Sequence[Tensor], keys: Matrix):
    return zip(speech, keys, strict=True)


def _halves(corpus: Corpus) -> tuple[list[Utterance], list[Utterance]]:
    """The first utterance of every second speaker, and of every other one."""
    first: dict[str, Utterance] = {}
    for utterance in corpus.utterances:
        first.setdefault(str(utterance.speaker), utterance)
    hands = list(first.values())
    return hands[::2], hands[1::2]


if __name__ == "__main__":
    main()
