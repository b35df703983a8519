"""Whether ciphertexts tell who speaks: pairs of utterances of one speaker against pairs of different speakers.

The same is measured on the quietest fifth of every recording alone (`wrongkey.attacks.analyses.quietest`), which shows
how much of it is the recording and not the voice.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from wrongkey.attacks.analyses.leaks.contours import QUIET
from wrongkey.attacks.analyses.quietest import FEWEST, FRAME, PART, SHARE, quietest_fifth
from wrongkey.attacks.analyses.speech import ALL, Rows
from wrongkey.attacks.harness.listeners import RATE, chosen
from wrongkey.attacks.keyless.linkability import LinkabilitySettings, joint_covariance
from wrongkey.attacks.solvers.stable_linalg import eigh
from wrongkey.evaluation.corpora import Corpus, Utterance
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.tasks.sessions import session_facts
from wrongkey.evaluation.tasks.trials import Trials, generate_trials
from wrongkey.keys import correct_key, encrypt_query
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.cutting import to_blocks
from wrongkey.keys.key_cut import KeyCut

SETTINGS = LinkabilitySettings()  # as the attack `linkability` has them
SPEAKERS, EACH = 40, 3  # speakers, and utterances of each, that linkability is measured on
RIDGE = 0.01  # of the features' variance
NONTARGETS = 10  # pairs of different speakers for every pair of one speaker
LINKING = ("linkability", "eer")  # metrics of who speaks
SESSIONS = {
    "within": "All same-speaker pairs lie within one session",
    "mixed": "Some same-speaker pairs lie within one session",
    "across": "Same-speaker pairs are of two sessions each, which may share equipment",
    "unknown": "The corpus does not say its sessions, in which same-speaker pairs may lie",
}


def speaker_features(encrypted: Tensor, cut: KeyCut, one_key: bool) -> Tensor:
    """What an encrypted query shows of its speaker, `(features,)` float64.

    Waveforms under one key: the logarithm of the covariance of successive blocks, `log KᵀSK = Kᵀ(log S)K`; under a key
    each: its log eigenvalues. Spectrograms under a key each: mean and deviation over time of the log energy of every
    row of tiles (bands of a frame), which is a spectrum in bands of M bins; under one key the mean block of every row
    too.
    """
    if cut.blocks is Blocks.SAMPLES:
        values, vectors = eigh(joint_covariance(encrypted[None], cut.block_size, cut.blocks, SETTINGS.span)[0])
        levels = (values + SETTINGS.floor * values.mean()).log()
        return ((vectors * levels) @ vectors.T).flatten() if one_key else levels
    rows = to_blocks(encrypted, cut.block_size, cut.blocks)
    rows = rows.transpose(0, 1) if cut.blocks is Blocks.FRAMES else rows  # (bands, time, N)
    energy = rows.square().sum(-1)
    levels = (energy / energy.mean()).clamp(min=QUIET).log()
    features = [levels.mean(1), levels.std(1)]
    if one_key:
        features.append(normalize(rows.mean(1), dim=-1).flatten())
    return torch.cat(features)


def linkability_rows(
    queries: Sequence[Tensor], used: Sequence[Utterance], scheme: str, cut: KeyCut, seed: int, part: str = ""
) -> Rows:
    """EER by `speaker_features`, under one key and under a key each; none where there are no queries.

    `part` names the part of the recordings that the queries are; it is empty for whole recordings.
    """
    rows, shared = Rows(), correct_key(scheme, cut.size, seed)
    for one_key in (True, False):
        features = []
        for number, query in enumerate(queries):
            key = shared if one_key else correct_key(scheme, cut.size, seed + number)
            encrypted = encrypt_query(query, key, blocks=cut.blocks)
            features.append(speaker_features(encrypted, cut, one_key))
        if features:
            condition = condition_of("one key" if one_key else "a key each", part)
            value = pair_eer(whitened_cosines(torch.stack(features)), used)
            rows.append({"condition": condition, "utterance": ALL, "metric": "linkability", "value": value})
    return rows


def whitened_cosines(features: Tensor) -> Tensor:
    """Cosines `(n, n)` of n utterances' features `(n, dim)`, centred and whitened over the utterances themselves.

    With X the centred features, `X (XᵀX / n + λ I)⁻¹ Xᵀ` before its diagonal is scaled to one, where λ is RIDGE of the
    features' variance. It follows from XXᵀ alone: a change of basis, as one key for all utterances is, changes nothing.
    """
    centred = features - features.mean(0)
    energy, vectors = eigh(centred @ centred.T / len(features))
    energy = energy.clamp(min=0)
    gram = vectors * (energy / (energy + RIDGE * energy.sum()).clamp(min=1e-30)) @ vectors.T
    norm = gram.diagonal().clamp(min=1e-30).sqrt()
    return gram / norm[:, None] / norm


def pair_eer(similarity: Tensor, used: Sequence[Utterance]) -> float:
    """EER in percent of pairs of utterances by their similarity `(utterances, utterances)`."""
    trials = _pairs(used)
    return float(eer(similarity[trials.enrolment, trials.test], torch.from_numpy(trials.target)))


def linked_utterances(corpus: Corpus) -> tuple[Utterance, ...]:
    """Utterances that linkability is measured on; none where speakers are unknown or have one utterance each."""
    some = chosen(corpus, SPEAKERS * EACH, EACH)
    speakers = [utterance.speaker for utterance in some]
    enough = all(speakers) and 1 < len(set(speakers)) < len(speakers)
    return tuple(u for u in some if speakers.count(u.speaker) > 1) if enough else ()


def parts_of(speech: Sequence[Tensor]) -> dict[str, Sequence[Tensor]]:
    """The recordings under "", and their quietest fifths where every one of these is long enough."""
    quiet = [quietest_fifth(waveform, RATE) for waveform in speech]
    return {"": speech, **({PART: quiet} if quiet and all(map(len, quiet)) else {})}


def condition_of(name: str, part: str) -> str:
    """The name of a condition on a part of the recordings."""
    return f"{name}, {part}" if part else name


def sentences(table: pd.DataFrame, corpus: Corpus) -> list[str]:
    """How much of who speaks is the recording: what the quietest fifth links, beside what whole recordings do.

    Medians over schemes and block sizes. None where speakers were not compared.
    """
    linking = table[table["metric"].isin(LINKING)]
    compared = []
    for (blocks, metric), rows in linking.groupby(["blocks", "metric"], sort=False):
        values = rows.groupby("condition", sort=False)["value"].median()
        for condition in values.index:
            quiet = values.get(condition_of(str(condition), PART))
            if quiet is not None:
                what = f"{blocks}, {condition}" if metric == "linkability" else f"the speaker model, {condition}"
                compared.append(f"{what} {quiet:.1f} % (all of it: {values[condition]:.1f} %)")
    if linking.empty:
        return []
    if not compared:
        least = f"{FEWEST * FRAME / SHARE:.0f} s"
        return [
            f"The quietest fifth of each recording alone was not heard: some are shorter than {least}, or too silent."
        ]
    linked = linked_utterances(corpus)
    sessions = SESSIONS[session_facts(_pairs(linked), Corpus("linked", linked, corpus.root))["sessions"]]
    return [
        "EER of telling speakers apart by the quietest fifth of each recording alone, its pauses and weakest sounds: "
        f"{'; '.join(compared)}. Chance is 50 %: what the quietest fifth tells is the recording more than the voice.",
        f"{sessions}: microphone and room are part of every figure on who speaks.",
    ]


def _pairs(used: Sequence[Utterance]) -> Trials:
    """All same-speaker pairs, and NONTARGETS times as many of different speakers, of one gender where it is known."""
    corpus = Corpus("linked", tuple(used), used[0].path.parent)
    known = all(u.gender for u in used) and len({u.speaker for u in used}) > len({u.gender for u in used})
    return generate_trials(corpus, same_gender=known, nontarget_per_target=NONTARGETS)
