"""Which incorrect keys work, and whether that can be predicted: measures of a key beside its score (paper, Fig. 10).

The incorrect keys of a finished sweep are drawn again from the manifest and measured
(`wrongkey.attacks.analyses.key_measures`), and the measures are held against the scores of the run folder. Errors are
EER, WER, CER or 100 - accuracy, in percent: a weak key is one whose error is low. The strongest of the measures is
chosen on one half of the keys and judged on the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from wrongkey.attacks.analyses.base import Findings, Progress
from wrongkey.attacks.analyses.folder import AnalysisFolder, experiment_of, queries_of, setting_of
from wrongkey.attacks.analyses.key_measures import (
    MEASURES,
    euclidean_distance,
    measure_keys,
    relative_keys,
    speech_moments,
)
from wrongkey.attacks.analyses.rank_regression import (
    FOLDS,
    MOST_KEYS,
    Prediction,
    gaussian_kernels,
    predict,
    spearman,
    spearman_interval,
    squares_kernel,
)
from wrongkey.attacks.base import Matrix
from wrongkey.errors import BadInput
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.run_folder.scores import read_scores
from wrongkey.evaluation.run_folder.vocabulary import error_percent

DISTANCES = "keys-distances"
STRENGTHS = ((80.0, "clearly"), (65.0, "somewhat"), (0.0, "only slightly"))  # percent of pairs above which it is said
SHARE = 0.25  # of the keys, in the low-error group and in the high-error group
ALL, ENTRIES = "all measures", "the entries of the relative key"
CIPHERTEXT = "Second moments of ciphertext, without the correct key,"
FEWEST = 40  # keys: ten in each group, and two in each fold
HELD = 2**24  # elements of keys that are in memory at a time
AT_A_TIME = 100  # keys measured between two reports of progress


@dataclass(frozen=True)
class WeakKeys:
    """Measure every incorrect key of a finished sweep and hold the measures against its scores.

    Attributes
    ----------
    trusted : collection of str
        Models, corpora and schemes of the manifest that may run code when they are opened
        (`wrongkey.attacks.analyses.trust`).
    """

    name: ClassVar[str] = "keys"

    trusted: Collection[str] = ()

    def run(self, out: Path, progress: Progress | None = None) -> Findings:
        """One row per key of the sweep in `out`: its score, its error, its group (low, middle, high), every measure.

        Beside it, `keys-distances` has the Euclidean distance for every key and utterance. Raises BadInput for a folder
        that holds no finished sweep of at least `FEWEST` keys, whose model or speech has changed, or that would run
        other code.
        """
        folder = AnalysisFolder(out)
        experiment = experiment_of(folder, self.trusted)
        scores = incorrect_scores(folder, experiment)
        moments = speech_moments(queries_of(experiment), experiment.cut)
        measured, distances = measure_sweep(experiment, scores["key_index"].to_numpy(), moments, progress)
        table = pd.concat([scores, measured], axis=1)
        about = self._about(table, [name for name in MEASURES if name in measured], experiment)
        return Findings(table, about, {DISTANCES: _long(distances, table, experiment)})

    def _about(self, table: pd.DataFrame, names: list[str], experiment: Experiment) -> dict[str, Any]:
        correlations, groups = correlate(table, names), compare_groups(table)
        strongest, predictions = strongest_measure(table, names), predict_errors(table, names, experiment)
        measured_to, known = ("plain speech", "the key") if experiment.on_waveforms else ("the correct key",) * 2
        return {
            "setting": setting_of(experiment),
            "metric": experiment.task.metric,
            "keys": len(table),
            "asked": {"group share": SHARE, "folds": FOLDS, "keys fitted": min(len(table), MOST_KEYS)},
            "measures": correlations,
            "strongest": strongest,
            "groups": groups,
            "prediction": [{"from": source, **asdict(prediction)} for source, prediction in predictions.items()],
            "sentences": [
                distance_sentence(groups, correlations, measured_to),
                prediction_sentence(strongest, predictions, known),
            ],
        }


def incorrect_scores(folder: AnalysisFolder, experiment: Experiment) -> pd.DataFrame:
    """Index, score, error and group of every incorrect key of a run folder, by index."""
    metric = experiment.task.metric
    rows, _ = read_scores(folder.path, folder.manifest())
    rows = rows[(rows["condition"] == "incorrect") & (rows["metric"] == metric)]
    if len(rows) < FEWEST:
        raise BadInput(
            f"{folder.path} has scores of {len(rows)} incorrect keys, too few to tell weak keys from others: sweep "
            f"with --keys {FEWEST} or more."
        )
    rows = rows.drop_duplicates("key_index").sort_values("key_index")
    scores = rows[["key_seed", "key_index"]].reset_index(drop=True)
    scores["score"] = rows["value"].to_numpy(dtype=np.float64)
    scores["error"] = error_percent(metric, scores["score"])
    low, high = np.quantile(scores["error"], (SHARE, 1 - SHARE))
    group = np.where(scores["error"] <= low, "low", np.where(scores["error"] >= high, "high", "middle"))
    scores["group"] = group if high > low else "middle"
    return scores


def measure_sweep(
    experiment: Experiment, indices: Matrix, moments: Matrix, progress: Progress | None = None
) -> tuple[pd.DataFrame, Matrix]:
    """Measures of the incorrect keys with these indices, a row each, and their distances `(keys, utterances)`."""
    correct, kernels = experiment.correct, first_layer_kernels(experiment)
    whole = moments.sum(0)
    split = None if experiment.on_waveforms else split_by_speaker(experiment, moments)
    step = max(1, min(AT_A_TIME, HELD // correct.size))
    tables, distances = [], []
    if progress:
        progress(0, len(indices))
    for start in range(0, len(indices), step):
        keys = _keys(experiment, indices[start : start + step])
        measures = measure_keys(keys, correct, whole, experiment.cut, kernels, split)
        tables.append(pd.DataFrame(measures))
        distances.append(euclidean_distance(relative_keys(keys, correct), moments))
        if progress:
            progress(min(start + step, len(indices)), len(indices))
    return pd.concat(tables, ignore_index=True), np.concatenate(distances)


def first_layer_kernels(experiment: Experiment) -> Matrix | None:
    """Kernels `(N, out)` of a first layer that reads whole blocks of one channel; None for any other."""
    layer = experiment.engine.layer
    if layer is None or layer.plain_weight.shape[1] != 1:
        return None
    return layer.plain_weight.flatten(1).numpy().T


def split_by_speaker(experiment: Experiment, moments: Matrix) -> tuple[Matrix, Matrix] | None:
    """Moments of every second speaker's speech and of the others'; every recording is a speaker where none is named."""
    names = [utterance.speaker or utterance.id for utterance in experiment.used]
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    odd = np.array([number[name] % 2 == 1 for name in names])
    return (moments[odd].sum(0), moments[~odd].sum(0)) if odd.any() else None


def correlate(table: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Each measure with its rank correlation to the error and the interval over keys; None where it is constant."""
    error, correlations = table["error"], []
    for name in names:
        values, (rho, low, high) = table[name].to_numpy(), (None, None, None)
        if _varies(values) and error.nunique() > 1:
            rho, low, high = spearman_interval(values, error.to_numpy())
        entry = {"name": name, **asdict(MEASURES[name]), "correlation": rho, "low": low, "high": high}
        correlations.append(entry)
    return correlations


def strongest_measure(table: pd.DataFrame, names: list[str], seed: int = 0) -> dict[str, Any] | None:
    """The measure that orders the errors of one half of the keys best, with its rank correlation on the other half.

    On the keys that chose it the best of many correlations is too good. The other half took no part in the choice, so
    its correlation and interval are those of a measure named beforehand. The halves are drawn by `seed`. None where all
    errors or all measures of a half are equal. `chosen_on` and `judged_on` count keys, `choices` counts measures.
    """
    order = np.random.default_rng(seed).permutation(len(table))
    first, second = table.iloc[order[: len(order) // 2]], table.iloc[order[len(order) // 2 :]]
    known = [name for name in names if _varies(first[name].to_numpy()) and _varies(second[name].to_numpy())]
    if not known or min(half["error"].nunique() for half in (first, second)) < 2:
        return None
    orders = np.abs(spearman(first[known].to_numpy(dtype=np.float64).T, first["error"].to_numpy()[None]))
    judged = correlate(second, [known[int(orders.argmax())]])[0]
    return {**judged, "chosen_on": len(first), "judged_on": len(second), "choices": len(known)}


def compare_groups(table: pd.DataFrame) -> dict[str, Any] | None:
    """The Euclidean distance in the low- and in the high-error group, and how well it tells them apart.

    `nearer` is the probability that a key of the low-error group is nearer to the correct key than one of the
    high-error group (the area under the curve; one half says nothing), with its bootstrap interval over the keys of
    both. None where the errors do not fall into groups.
    """
    low, high = (table.loc[table["group"] == group, "euclidean"].to_numpy() for group in ("low", "high"))
    if not len(low) or not len(high):
        return None
    generator = np.random.default_rng(0)
    drawn = [nearer(generator.choice(low, len(low)), generator.choice(high, len(high))) for _ in range(500)]
    interval = np.quantile(drawn, (0.025, 0.975))
    return {
        "low": _summary(low, table.loc[table["group"] == "low", "error"]),
        "high": _summary(high, table.loc[table["group"] == "high", "error"]),
        "nearer": nearer(low, high),
        "nearer_low": float(interval[0]),
        "nearer_high": float(interval[1]),
    }


def nearer(low: Matrix, high: Matrix) -> float:
    """The share of pairs in which the first is smaller; ties count half (Mann and Whitney 1947)."""
    order = np.sort(high)
    below, upto = np.searchsorted(order, low, "left"), np.searchsorted(order, low, "right")
    return float((len(high) - (below + upto) / 2).mean() / len(high))


def predict_errors(table: pd.DataFrame, names: list[str], experiment: Experiment) -> dict[str, Prediction]:
    """How well the error is predicted from all measures, from the entries of the relative key, and from ciphertext.

    The first two need the correct key, the third does not. The first `MOST_KEYS` keys take part.
    """
    some = table.iloc[:MOST_KEYS]
    if some["error"].nunique() < 2:
        return {}
    error = some["error"].to_numpy()
    keys = _keys(experiment, some["key_index"].to_numpy())
    entries = relative_keys(keys, experiment.correct).reshape(len(some), -1)
    predictions = {
        ALL: predict([squares_kernel(some[names].to_numpy(dtype=np.float64))], error),
        ENTRIES: predict(gaussian_kernels(entries), error),
    }
    if keyless := [name for name in names if MEASURES[name].keyless]:
        predictions[CIPHERTEXT] = predict([squares_kernel(some[keyless].to_numpy(dtype=np.float64))], error)
    return predictions


def distance_sentence(
    groups: Mapping[str, Any] | None, correlations: list[dict[str, Any]], correct: str = "the correct key"
) -> str:
    """What the paper's Fig. 10 shows of this run, in one sentence; `correct` is what distances are measured to."""
    if groups is None:
        return "All keys score alike: there is no low-error and no high-error group."
    euclidean = next(entry for entry in correlations if entry["name"] == "euclidean")
    if euclidean["correlation"] is None:
        return f"All keys are equally far from {correct}: the distance says nothing about the error."
    share, low, high = (100 * groups[name] for name in ("nearer", "nearer_low", "nearer_high"))
    pairs = f"in {share:.0f} % of pairs [{low:.0f}, {high:.0f}]"
    if low <= 50 <= high:
        return (
            f"A low-error key is nearer to {correct} than a high-error key {pairs}, which chance explains: "
            "as in the paper, keys that work are not the near ones."
        )
    side = "nearer to" if share > 50 else "farther from"
    apart = max(share, 100 - share)
    strength = next(word for least, word in STRENGTHS if apart > least)
    return (
        f"Low-error keys are {strength} {side} {correct} than high-error keys: a low-error key is the nearer one "
        f"{pairs}, where chance gives 50 %."
    )


def prediction_sentence(
    strongest: Mapping[str, Any] | None, predictions: Mapping[str, Prediction], known_key: str = "the correct key"
) -> str:
    """Whether weak keys can be predicted, in words no bolder than the numbers.

    `strongest` is what `strongest_measure` returns, `known_key` what must be known to measure a key.
    """
    if strongest is None or not predictions:
        return "Weak keys cannot be predicted here: all keys score alike, or all measures are constant."
    informed = {source: found for source, found in predictions.items() if source != CIPHERTEXT}
    source, best = max(informed.items(), key=lambda item: item[1].rho)
    sentence = (
        f"{_verdict(best)} by someone who knows {known_key}: predicted and measured ranks of held-out keys "
        f"correlate by {_correlated(best)} from {source} (R² {best.r2:.2f}; of the tenth predicted to be weakest, "
        f"{100 * best.hits:.0f} % are); the strongest of {strongest['choices']} measures, chosen on one half of the "
        f"keys, is “{strongest['label']}”, "
        f"{strongest['correlation']:.2f} [{strongest['low']:.2f}, {strongest['high']:.2f}] on the other half"
    )
    if CIPHERTEXT not in predictions:
        return f"{sentence}."
    blind = predictions[CIPHERTEXT]
    if blind.low <= 0:
        return f"{sentence}. {CIPHERTEXT} predict nothing ({_correlated(blind)})."
    return f"{sentence}. {CIPHERTEXT} predict {_correlated(blind)}: a guesser can sort keys before asking."


def _varies(values: Matrix) -> bool:
    return bool(np.ptp(values) >= 1e-9)


def _correlated(found: Prediction) -> str:
    return f"{found.rho:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _verdict(found: Prediction) -> str:
    if found.low <= 0:
        return "Weak keys cannot be predicted"
    if found.rho < 0.5:
        return "Weak keys can hardly be predicted"
    return f"Weak keys can be predicted {'in part' if found.rho < 0.8 else 'well'}"


def _keys(experiment: Experiment, indices: Matrix) -> Matrix:
    """Incorrect keys by index; runs of consecutive ones are drawn together."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    runs = np.split(indices, breaks)
    return np.concatenate([experiment.incorrect.batch(int(run[0]), len(run)) for run in runs])


def _long(distances: Matrix, table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Distances `(keys, utterances)` as rows, with the group of each key."""
    keys, utterances = distances.shape
    ids = [utterance.id for utterance in experiment.used]
    return pd.DataFrame(
        {
            "key_index": np.repeat(table["key_index"].to_numpy(dtype=np.int64), utterances),
            "group": pd.Categorical(np.repeat(table["group"].to_numpy(), utterances)),
            "utterance": pd.Categorical.from_codes(np.tile(np.arange(utterances), keys), ids),
            "distance": distances.astype(np.float32).reshape(-1),
        }
    )


def _summary(values: Matrix, errors: pd.Series) -> dict[str, Any]:
    quartiles = np.quantile(values, (0.25, 0.5, 0.75))
    return {
        "keys": len(values),
        "error_from": float(errors.min()),
        "error_to": float(errors.max()),
        **{name: float(value) for name, value in zip(("q25", "median", "q75"), quartiles, strict=True)},
    }
