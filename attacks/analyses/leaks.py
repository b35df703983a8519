"""What encrypted waveforms and spectrograms (paper, Figs. 3 to 6) show without any key, in numbers.

An orthogonal key keeps the energy of every block and the eigenvalues of every covariance, so anybody may measure, in
the ciphertext alone and whatever the scheme,

energy: correlation of the energy contour (dB, every 20 ms) of a ciphertext with that of the plain waveform;
activity: agreement of an energy-based speech detector on ciphertext and on plain speech: balanced accuracy in percent;
rhythm: correlation of the two contours' modulation spectra from 1 to 16 Hz, where syllables are;
rate: difference in Hz of the centroids of the two modulation spectra;
linkability: EER in percent of telling two ciphertexts of one speaker from two of different speakers (of one gender
    where genders are known) by `speaker_features`. Condition "one key": all utterances are under one key, which is a
    fixed, unknown front end then. Condition "a key each": every utterance has its own, and only what no key
    changes is used;
eer, wer: of public models that hear encrypted waveforms as they are, where such models are given; the EER is of pairs
    of ciphertexts under one key. cer: in place of wer where spaces do not mark words.

Conditions "encrypted", and "chance": an encrypted utterance's contour against another utterance's plain one, what no
leak would give. What models hear has the condition "plain" too, without encryption. Linkability and EER are measured
again on the quietest fifth of every recording alone (`wrongkey.attacks.analyses.quietest`; conditions "one key,
quietest fifth" and so on): how much of who speaks is the recording and not the voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from wrongkey.attacks.analyses.phase.gabor import Lattice, TorchGabor
from wrongkey.attacks.analyses.phase.reconstruction import ALL, COLUMNS, SCHEMES
from wrongkey.attacks.analyses.quietest import FEWEST, FRAME, PART, SHARE, holds_blocks, quietest_fifth
from wrongkey.attacks.base import Matrix
from wrongkey.attacks.harness.listeners import RATE, chosen, embedding, open_listener, transcript
from wrongkey.attacks.keyless.linkability import FLOOR, joint_covariance
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import Corpus, Utterance, load_audio
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.tasks.asr import counted, edits, error_rate_of
from wrongkey.evaluation.tasks.sessions import session_facts
from wrongkey.evaluation.tasks.text import DEFAULT, normaliser
from wrongkey.evaluation.tasks.trials import Trials, generate_trials
from wrongkey.files import atomic_write, explained_errors, file_name
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks

EXPERIMENT = "leaks"
WINDOW = 0.02  # seconds of a contour's window
QUIET = 1e-6  # of the loudest window's energy: what is quieter counts as this
SYLLABLES = (1.0, 16.0)  # hertz of modulation
LARGEST_TILE = 32  # bins; a larger tile is a good part of the spectrum, and its key of N = M² elements a large matrix
LINKED = (40, 3)  # speakers, and utterances of each, that linkability is measured on
RIDGE = 0.01  # of the features' variance
LINKING = ("linkability", "eer")  # metrics of who speaks
SAID = {
    "within": "All same-speaker pairs lie within one session",
    "mixed": "Some same-speaker pairs lie within one session",
    "across": "Same-speaker pairs are of two sessions each, which may share equipment",
    "unknown": "The corpus does not say its sessions, in which same-speaker pairs may lie",
}
LATTICE = Lattice()

Rows = list[dict[str, Any]]
Mask = NDArray[np.bool_]


def run(
    corpus: Corpus,
    schemes: Sequence[str] = SCHEMES,
    block_sizes: Sequence[int] = (3, 10, 32),
    utterances: int = 20,
    seed: int = 0,
    speaker_model: str | None = None,
    recogniser: str | None = None,
    out: Path | None = None,
    *,
    blocks: Sequence[Blocks | str] = (Blocks.SAMPLES, Blocks.TILES),
    text: str = DEFAULT,
) -> pd.DataFrame:
    """One row per blocks, scheme, block size, condition, utterance and metric: `reconstruction.COLUMNS`.

    Contours, and what a recogniser hears, are of `utterances` of the corpus (`listeners.chosen`); linkability is of the
    LINKED ones, where speakers are known, and of their quietest fifths where all of these are long enough. Contours
    have a key for each utterance. Tiles are those of the magnitude spectrogram, up to LARGEST_TILE. With `out`, the
    first utterance's ciphertexts go to `media/leaks` of that run folder (.npz).

    Raises BadInput for unknown schemes, blocks or models, and for a recogniser where utterances have no transcript.
    """
    used = chosen(corpus, utterances)
    speech = [torch.from_numpy(load_audio(u, RATE)).double() for u in used]
    linked = _linked(corpus)
    parts = _parts([torch.from_numpy(load_audio(u, RATE)).double() for u in linked])
    rows = Rows()
    for cut_into in map(Blocks.named, blocks):
        sizes = [m for m in block_sizes if cut_into is not Blocks.TILES or m <= LARGEST_TILE]
        queries = [query_of(waveform, cut_into) for waveform in speech]
        to_link = {part: [query_of(waveform, cut_into) for waveform in heard] for part, heard in parts.items()}
        for scheme in schemes:
            for block_size in sizes:
                found = contour_rows(speech, queries, used, scheme, block_size, cut_into, seed)
                for part, some in to_link.items():
                    if not part or all(holds_blocks(query, block_size, cut_into) for query in some):
                        found += linkability_rows(some, linked, scheme, block_size, cut_into, seed, part)
                labels = {"blocks": cut_into, "scheme": scheme, "block_size": block_size}
                rows += [{**row, **labels} for row in found]
        if out is not None:
            write_media(Path(out) / "media" / EXPERIMENT, used[0], queries[0], schemes, sizes, cut_into, seed)
    if speaker_model is not None:
        rows += speaker_rows(parts, linked, schemes, block_sizes, seed, speaker_model)
    if recogniser is not None:
        rows += recogniser_rows(speech, used, schemes, block_sizes, seed, recogniser, text)
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("experiment", "method")])
    table["experiment"], table["method"] = EXPERIMENT, ""
    return table[list(COLUMNS)]


def query_of(waveform: Tensor, blocks: Blocks) -> Tensor:
    """What is encrypted: the waveform `(samples,)` itself, or its magnitude spectrogram `(bins, frames)`."""
    return waveform if blocks == "samples" else TorchGabor(LATTICE).analyse(waveform).abs()


# Contours


def contour(query: Tensor, block_size: int, blocks: Blocks, samples: int) -> Matrix:
    """Energy in dB of every WINDOW of a query of `samples` samples, from the energies of its blocks: `(windows,)`.

    Within a block energy counts as evenly spread. Windows quieter than QUIET of the loudest are raised to it.
    """
    cut_blocks = to_blocks(query, block_size, blocks)
    energy = cut_blocks.square().sum(-1)
    if blocks == "samples":
        edges = np.arange(len(energy) + 1.0) * block_size
    else:
        energy = energy.sum(1 if blocks == "frames" else 0)
        step = LATTICE.hop * (1 if blocks == "frames" else block_size)
        edges = np.arange(len(energy) + 1.0) * step - LATTICE.hop / 2  # frame n lies around n hops
    total = np.concatenate([[0.0], np.cumsum(energy.numpy())])
    width = round(WINDOW * RATE)
    windows = np.diff(np.interp(np.arange(0, samples + 1, width), edges, total))
    levels: Matrix = 10 * np.log10(np.maximum(windows, max(QUIET * windows.max(initial=0.0), 1e-30)))
    return levels


def speech_active(levels: Matrix) -> Mask:
    """Which windows hold speech: those above the middle between the 10 % and the 95 % quantile of their levels."""
    active: Mask = levels > np.quantile(levels, (0.1, 0.95)).mean()
    return active


def balanced_accuracy(guessed: Mask, true: Mask) -> float:
    """In percent: the mean of the shares of true and of false windows that are guessed so; NaN where one is missing."""
    if true.all() or not true.any():
        return float("nan")
    return float(50 * (guessed[true].mean() + (~guessed[~true]).mean()))


def modulation(levels: Matrix) -> tuple[Matrix, Matrix]:
    """Frequencies (Hz) and magnitudes of a contour's modulation between SYLLABLES."""
    frequency = np.fft.rfftfreq(len(levels), WINDOW).astype(np.float64)
    inside = (frequency >= SYLLABLES[0]) & (frequency <= SYLLABLES[1])
    spectrum = np.abs(np.fft.rfft((levels - levels.mean()) * np.hanning(len(levels))))
    return frequency[inside], spectrum[inside].astype(np.float64)


def contour_leaks(levels: Matrix, plain: Matrix) -> dict[str, float]:
    """energy, activity, rhythm and rate of a contour against a plain one; the longer is cut."""
    length = min(len(levels), len(plain))
    levels, plain = levels[:length], plain[:length]
    (frequency, own), (_, true) = modulation(levels), modulation(plain)
    centroids = [float((frequency * m).sum() / max(m.sum(), 1e-30)) for m in (own, true)]
    return {
        "energy": _correlation(levels, plain),
        "activity": balanced_accuracy(speech_active(levels), speech_active(plain)),
        "rhythm": _correlation(own, true),
        "rate": abs(centroids[0] - centroids[1]),
    }


def contour_rows(
    speech: Sequence[Tensor],
    queries: Sequence[Tensor],
    used: Sequence[Utterance],
    scheme: str,
    block_size: int,
    blocks: Blocks,
    seed: int,
) -> Rows:
    """Contour leaks of every utterance, and what chance gives."""
    plain = [contour(waveform, 1, Blocks.SAMPLES, len(waveform)) for waveform in speech]
    rows = Rows()
    for number, (waveform, query, utterance) in enumerate(zip(speech, queries, used, strict=True)):
        key = correct_key(scheme, block_size ** Blocks.named(blocks).dims, seed + number)
        levels = contour(encrypt_query(query, key, blocks=blocks), block_size, blocks, len(waveform))
        for condition, against in (("encrypted", plain[number]), ("chance", plain[number - 1])):
            found = contour_leaks(levels, against).items() if len(used) > 1 or condition == "encrypted" else ()
            labels = {"condition": condition, "utterance": utterance.id}
            rows += [{**labels, "metric": metric, "value": value} for metric, value in found]
    return rows


def _correlation(first: Matrix, second: Matrix) -> float:
    """Pearson's; NaN where one does not vary or there are less than three values."""
    if len(first) < 3 or first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


# Speakers


def speaker_features(encrypted: Tensor, block_size: int, blocks: Blocks, one_key: bool) -> Tensor:
    """What an encrypted query shows of its speaker, `(features,)` float64.

    Waveforms, one key: the logarithm of the covariance of successive blocks, `log KᵀSK = Kᵀ(log S)K`; a key each: its
    log eigenvalues. Spectrograms, a key each: mean and deviation over time of the log energy of every row of tiles
    (bands of a frame), which is a spectrum in bands of M bins; one key: the mean block of every row too.
    """
    if blocks == "samples":
        values, vectors = eigh(joint_covariance(encrypted[None], block_size, blocks)[0])
        levels = (values + FLOOR * values.mean()).log()
        found: Tensor = ((vectors * levels) @ vectors.T).flatten() if one_key else levels
        return found
    rows = to_blocks(encrypted, block_size, blocks)
    rows = rows.transpose(0, 1) if blocks == "frames" else rows  # (bands, time, N)
    energy = rows.square().sum(-1)
    levels = (energy / energy.mean()).clamp(min=QUIET).log()
    features = [levels.mean(1), levels.std(1)]
    if one_key:
        features.append(normalize(rows.mean(1), dim=-1).flatten())
    return torch.cat(features)


def linkability_rows(
    queries: Sequence[Tensor],
    used: Sequence[Utterance],
    scheme: str,
    block_size: int,
    blocks: Blocks,
    seed: int,
    part: str = "",
) -> Rows:
    """EER by `speaker_features`, under one key and under a key each; none where no trial can be made.

    part: of the recordings that the queries are, for the condition's name; "" for all of them.
    """
    rows, size = Rows(), block_size ** Blocks.named(blocks).dims
    shared = correct_key(scheme, size, seed)
    for one_key in (True, False):
        features = []
        for number, query in enumerate(queries):
            key = shared if one_key else correct_key(scheme, size, seed + number)
            encrypted = encrypt_query(query, key, blocks=blocks)
            features.append(speaker_features(encrypted, block_size, blocks, one_key))
        if features:
            condition = _condition("one key" if one_key else "a key each", part)
            value = pair_eer(whitened_cosines(torch.stack(features)), used)
            rows.append({"condition": condition, "utterance": ALL, "metric": "linkability", "value": value})
    return rows


def whitened_cosines(features: Tensor) -> Tensor:
    """Cosines `(n, n)` of n utterances' features `(n, dim)`, centred and whitened over the utterances themselves.

    With X the centred features, `X (XᵀX / n + λ I)⁻¹ Xᵀ` before its diagonal is scaled to one, λ being RIDGE of the
    features' variance. It follows from XXᵀ alone: a change of basis, as one key for all utterances is, changes nothing.
    """
    centred = features - features.mean(0)
    energy, vectors = eigh(centred @ centred.T / len(features))
    energy = energy.clamp(min=0)
    gram = vectors * (energy / (energy + RIDGE * energy.sum()).clamp(min=1e-30)) @ vectors.T
    norm = gram.diagonal().clamp(min=1e-30).sqrt()
    cosines: Tensor = gram / norm[:, None] / norm
    return cosines


def pair_eer(similarity: Tensor, used: Sequence[Utterance]) -> float:
    """EER in percent of pairs of utterances by their similarity `(utterances, utterances)`."""
    trials = _trials(used)
    return float(eer(similarity[trials.enrolment, trials.test], torch.from_numpy(trials.target)))


def _linked(corpus: Corpus) -> tuple[Utterance, ...]:
    """Utterances for linkability, in corpus order; none where speakers are unknown or have one utterance each."""
    found = chosen(corpus, LINKED[0] * LINKED[1], LINKED[1])
    speakers = [u.speaker for u in found]
    enough = all(speakers) and len(set(speakers)) > 1 and len(set(speakers)) < len(speakers)
    return tuple(u for u in found if speakers.count(u.speaker) > 1) if enough else ()


def _trials(used: Sequence[Utterance]) -> Trials:
    """All same-speaker pairs, and ten times as many of different speakers, of one gender where genders are known."""
    corpus = Corpus("linked", tuple(used), used[0].path.parent)
    known = all(u.gender for u in used) and len({u.speaker for u in used}) > len({u.gender for u in used})
    return generate_trials(corpus, same_gender=known, nontarget_per_target=10)


def _parts(speech: Sequence[Tensor]) -> dict[str, Sequence[Tensor]]:
    """The recordings under "", and their quietest fifths where every one of these is long enough."""
    quiet = [quietest_fifth(waveform, RATE) for waveform in speech]
    return {"": speech, **({PART: quiet} if quiet and all(map(len, quiet)) else {})}


def _condition(name: str, part: str) -> str:
    return f"{name}, {part}" if part else name


def sentences(table: pd.DataFrame, corpus: Corpus) -> list[str]:
    """How much of who speaks is the recording: what the quietest fifth links, beside what all of it does.

    Medians over schemes and block sizes. None where speakers were not compared.
    """
    found = []
    for (blocks, metric), rows in table[table["metric"].isin(LINKING)].groupby(["blocks", "metric"], sort=False):
        values = rows.groupby("condition", sort=False)["value"].median()
        for condition in values.index:
            quiet = values.get(_condition(str(condition), PART))
            if quiet is not None:
                what = f"{blocks}, {condition}" if metric == "linkability" else f"the speaker model, {condition}"
                found.append(f"{what} {quiet:.1f} % (all of it: {values[condition]:.1f} %)")
    if not found:
        least = f"{FEWEST * FRAME / SHARE:.0f} s"
        why = f"The quietest fifth of each recording alone was not heard: some are shorter than {least}, or too silent."
        return [why] if table["metric"].isin(LINKING).any() else []
    linked = _linked(corpus)
    sessions = SAID[session_facts(_trials(linked), Corpus("linked", linked, corpus.root))["sessions"]]
    return [
        "EER of telling speakers apart by the quietest fifth of each recording alone, its pauses and weakest sounds: "
        f"{'; '.join(found)}. Chance is 50 %: what the quietest fifth tells is the recording more than the voice.",
        f"{sessions}: microphone and room are part of every figure on who speaks.",
    ]


# What public models hear


def _heard_under(waveform: Tensor, scheme: str, block_size: int, seed: int) -> Tensor:
    if not scheme:
        return waveform
    return encrypt_query(waveform, correct_key(scheme, block_size, seed), blocks="samples")


def _over_keys(schemes: Sequence[str], block_sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Labels of plain speech and of every scheme and block size."""
    encrypted = [{"condition": "encrypted", "scheme": s, "block_size": m} for s in schemes for m in block_sizes]
    return [{"condition": "plain", "scheme": "", "block_size": 0}, *encrypted]


def speaker_rows(
    parts: Mapping[str, Sequence[Tensor]],
    used: Sequence[Utterance],
    schemes: Sequence[str],
    block_sizes: Sequence[int],
    seed: int,
    spec: str,
) -> Rows:
    """EER of a public speaker model between waveforms under one key; parts: of the recordings `used`, by name."""
    model, rows = open_listener(spec, "asv"), Rows()
    for part, speech in parts.items() if used else ():
        for labels in _over_keys(schemes, block_sizes):
            scheme, block_size = labels["scheme"], labels["block_size"]
            heard = torch.stack([embedding(model, _heard_under(w, scheme, block_size, seed)) for w in speech])
            found = {"blocks": "samples", "utterance": ALL, "metric": "eer", "value": pair_eer(heard @ heard.T, used)}
            rows.append({**labels, "condition": _condition(labels["condition"], part), **found})
    return rows


def recogniser_rows(
    speech: Sequence[Tensor],
    used: Sequence[Utterance],
    schemes: Sequence[str],
    block_sizes: Sequence[int],
    seed: int,
    spec: str,
    text: str,
) -> Rows:
    """WER (CER where spaces do not mark words) of a public recogniser on waveforms, each under its own key."""
    model, normal = open_listener(spec, "asr"), normaliser(text)
    silent = [u.id for u in used if u.text is None]
    if silent:
        raise BadInput(f"utterance {silent[0]} has no transcript: leave the recogniser out")
    references = [normal(u.text or "") for u in used]
    metric = error_rate_of(references)
    said = [counted(text, metric) for text in references]
    rows = Rows()
    for labels in _over_keys(schemes, block_sizes):
        wrong = 0
        for number, (waveform, words) in enumerate(zip(speech, said, strict=True)):
            heard = transcript(model, _heard_under(waveform, labels["scheme"], labels["block_size"], seed + number))
            wrong += sum(edits(words, counted(normal(heard), metric))[:3])
        value = 100 * wrong / max(sum(map(len, said)), 1)
        rows.append({**labels, "blocks": "samples", "utterance": ALL, "metric": metric, "value": value})
    return rows


def write_media(
    folder: Path,
    utterance: Utterance,
    query: Tensor,
    schemes: Sequence[str],
    block_sizes: Sequence[int],
    blocks: Blocks,
    seed: int,
) -> None:
    """The utterance as it is and under each scheme and block size (Figs. 3 to 6), one .npz for its blocks.

    Arrays `plain` and `<scheme>-<M>`, float16: `(samples,)`, or `(bins, frames)` magnitudes with their signs.
    """
    arrays = {"plain": query}
    for scheme in schemes:
        for block_size in block_sizes:
            key = correct_key(scheme, block_size ** Blocks.named(blocks).dims, seed)
            arrays[f"{scheme}-{block_size}"] = encrypt_query(query, key, blocks=blocks)
    small = {name: array.half().numpy() for name, array in arrays.items()}
    with explained_errors(folder, "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{file_name(utterance.id)}-{blocks}.npz") as file:
            np.savez_compressed(file, allow_pickle=False, **small)
