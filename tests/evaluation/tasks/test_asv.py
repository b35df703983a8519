"""The rows of a key: which measures there are, which have intervals, and what each is of."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from wrongkey.evaluation.corpora.corpus import Gender, Utterance
from wrongkey.evaluation.metrics.error_rates import eer, fewest_errors, min_dcf
from wrongkey.evaluation.tasks.asv import SpeakerVerification, _folded
from wrongkey.evaluation.tasks.trials import Trials

WITHOUT = {"cllr", "cllr_min", "d_ece", "worst_llr", "d_sys", "eer_female", "eer_male", "eer_least_protected"}


def verification(speakers: int, utterances: int, replicates: int = 20, gendered: bool = True) -> SpeakerVerification:
    """Every pair of a speaker's utterances, and as many pairs of speakers that lie next to each other on a ring."""
    own = np.repeat(np.arange(speakers), utterances * (utterances - 1) // 2)
    pairs = np.concatenate([np.stack([own, own], 1), np.stack([own, (own + 2) % speakers], 1)])
    names = tuple(map(str, range(speakers)))
    target = pairs[:, 0] == pairs[:, 1]
    trials = Trials(names, pairs[:, 0], pairs[:, 1], target, np.arange(speakers), names, source="made here")
    genders: list[Gender | None] = [("f", "m")[i % 2] if gendered else None for i in range(speakers)]
    spoken = tuple(Utterance(name, name, Path(name), gender) for name, gender in zip(names, genders, strict=True))
    return SpeakerVerification(trials, spoken, replicates)


def scores(task: SpeakerVerification, distance: float, keys: int = 2) -> Tensor:
    noise = torch.randn(keys, len(task.target), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return noise + distance * task.target


def by_name(task: SpeakerVerification, found: Tensor) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in task.measure(found) if row["position"] == 0}


def test_every_key_has_a_row_of_each_measure_and_eer_comes_first() -> None:
    task = verification(20, 7)
    rows = task.measure(scores(task, 1.0, keys=3))
    names = list(dict.fromkeys(row["metric"] for row in rows))
    assert names[:3] == ["eer", "min_dcf", "min_dcf_05"] and set(names) == {*names[:3], "eer_effective", *WITHOUT}
    assert sorted((row["metric"], row["position"]) for row in rows) == sorted((n, k) for n in names for k in range(3))
    assert all(math.isfinite(row["value"]) for row in rows)
    assert all(math.isnan(row["ci_low"]) and math.isnan(row["ci_high"]) for row in rows if row["metric"] in WITHOUT)


def test_keys_measured_together_are_measured_as_alone() -> None:
    task = verification(210, 6)
    found = scores(task, 2.0, keys=3)
    together = [{**row, "position": 0} for row in task.measure(found) if row["position"] == 2]
    alone = task.measure(found[2:])
    assert [{k: str(v) for k, v in row.items()} for row in together] == [
        {k: str(v) for k, v in row.items()} for row in alone
    ]


def test_min_dcf_has_an_interval_where_thirty_errors_of_each_kind_and_enough_speakers_allow_one() -> None:
    many = verification(110, 8)  # 3,080 trials of each kind
    rows = by_name(many, scores(many, 2 * 1.2816))
    assert math.isnan(rows["min_dcf"]["ci_low"])  # some 3 false alarms at prior 0.01
    low, value, high = (rows["min_dcf_05"][name] for name in ("ci_low", "value", "ci_high"))
    assert math.isnan(low)  # some 18 of them at prior 0.05
    more = verification(210, 9)  # 7,560
    low, value, high = (
        by_name(more, scores(more, 2 * 1.2816))["min_dcf_05"][n] for n in ("ci_low", "value", "ci_high")
    )
    assert 0 <= low < high <= 1 and low < value + 0.1 and high > value - 0.01
    few = verification(60, 20)  # errors enough, of people too few
    assert (fewest_errors(scores(few, 2 * 1.2816), few.target, p_target=0.05) >= 30).all()
    assert math.isnan(by_name(few, scores(few, 2 * 1.2816))["min_dcf_05"]["ci_low"])
    off = verification(210, 9, replicates=0)
    assert math.isnan(by_name(off, scores(off, 2 * 1.2816))["min_dcf_05"]["ci_low"])


def test_values_are_those_of_the_functions() -> None:
    task = verification(20, 7)
    found = scores(task, 1.0)
    rows = by_name(task, found)
    assert rows["eer"]["value"] == eer(found, task.target)[0].item()
    assert rows["min_dcf"]["value"] == min_dcf(found, task.target)[0].item()
    women = torch.from_numpy((task.speakers % 2 == 0).all(1))
    assert rows["eer_female"]["value"] == eer(found[:, women], task.target[women])[0].item()
    assert rows["eer_female"]["n"] == int(women.sum())


def test_scores_that_mislead_are_worth_as_much_as_their_mirror_image() -> None:
    task = verification(20, 7)
    wrong, right = (by_name(task, scores(task, distance)) for distance in (-1.5, 1.5))
    assert wrong["eer"]["value"] > 70 and wrong["eer_effective"]["value"] == 100 - wrong["eer"]["value"] < 30
    assert wrong["eer_effective"]["ci_low"] == pytest.approx(100 - wrong["eer"]["ci_high"])
    assert right["eer_effective"]["ci_low"] == right["eer"]["ci_low"]
    assert [_folded(*ends) for ends in ((10, 20), (60, 80), (45, 52), (48, 60))] == [
        (10, 20),
        (20, 40),
        (45, 50),
        (40, 50),
    ]
    assert wrong["cllr"]["value"] < 0.9 < 0.95 < wrong["cllr_min"]["value"]  # a slope may fall, PAV only rises


def test_measures_that_need_more_trials_or_genders_are_left_out() -> None:
    task = verification(4, 3, gendered=False)
    assert not {"eer_female", "eer_male", "eer_least_protected", "d_sys"} & set(by_name(task, scores(task, 1.0)))
