"""The words that computing and reporting share."""

from typing import get_args

import numpy as np
import pytest

from wrongkey.attacks.base import Case, Need
from wrongkey.evaluation.run_folder.vocabulary import CASE_COLUMNS, NEEDS, PRIMARY_METRIC, SelfCheck, error_percent
from wrongkey.reports.metrics import METRICS


def test_the_needs_of_attacks_and_of_reports_are_the_same():
    assert set(NEEDS) == set(get_args(Need)) and len(NEEDS) == len(set(NEEDS))


def test_the_columns_of_a_case_are_its_fields():
    assert set(CASE_COLUMNS) <= set(Case.__dataclass_fields__)


@pytest.mark.parametrize("metric", PRIMARY_METRIC.values())
def test_reports_know_every_primary_metric_and_its_error_falls_as_the_model_improves(metric):
    good, bad = (5.0, 50.0) if METRICS[metric].higher_is_safer else (95.0, 50.0)
    assert error_percent(metric, good) < error_percent(metric, bad)


def test_an_accuracy_becomes_an_error_elementwise():
    assert error_percent("accuracy", np.array([100.0, 40.0])).tolist() == [0.0, 60.0]


@pytest.mark.parametrize(("value", "passed"), [(0.1, True), (0.2, False), (float("nan"), False)])
def test_a_check_passes_up_to_its_limit(value, passed):
    check = SelfCheck.within("batch size", value, 0.1, "largest difference")
    assert check.passed == passed and list(check.to_json()) == ["name", "value", "limit", "text", "passed"]
