"""Tables for machines keep every digit; tables for people are rounded and safe to paste."""

import io
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wrongkey.reports.runs import load_runs
from wrongkey.reports.statistics.key_statistics import KeyStatistics, summarise_all
from wrongkey.reports.tables import (
    closeness_table,
    numbers,
    score_table,
    significant,
    to_csv,
    to_html,
    to_markdown,
    worst_key_table,
)

MakeRun = Callable[..., Path]


@pytest.fixture
def results(make_run: MakeRun, scores: np.ndarray) -> list[KeyStatistics]:
    few = make_run("few", [12.0, 30.0, 14.0], scheme="shuffling", keys=9, key_space=3, enumerated=True)
    return summarise_all(load_runs([make_run("a", scores), few, make_run("b", [20.0], keys=7, plain=None)]))


def test_csv_keeps_full_precision(results: list[KeyStatistics], scores: np.ndarray) -> None:
    table = pd.read_csv(io.StringIO(to_csv(numbers(results))))
    assert table["mean"][0] == scores.mean() and table["q05"][0] == np.quantile(scores, 0.05)
    assert table["worst"][0] == scores.min() and table["worst_key_index"][0] == scores.argmin()
    assert table["variant"].tolist() == ["both"] * 3
    assert table["keys"].tolist() == [200, 3, 1] and np.isnan(table["variance"][2])


def test_people_see_rounded_values_with_intervals(results: list[KeyStatistics], scores: np.ndarray) -> None:
    table = score_table(results)
    assert table["Keys"].tolist() == ["200", "all 3", "1 of 7"]
    mean = results[0].mean
    assert table["Mean [95 %]"][0] == f"{scores.mean():.2f} [{mean.low:.2f}, {mean.high:.2f}]"
    assert table["Mean [95 %]"][1] == "18.67"  # every key was tried: no interval
    assert table["Plain"].tolist() == ["7.90", "7.90", "–"] and table["Variance [95 %]"][2] == "–"
    worst = worst_key_table(results)
    assert worst["Guesses to within 5 points"].tolist() == [str(results[0].guesses[2]), "2", "–"]
    assert worst["picked among"].tolist() == ["200", "3", "1"]


def test_how_many_keys_came_close_stands_beside_what_other_speakers_would_change(results: list[KeyStatistics]) -> None:
    table = closeness_table(results)
    assert table["Keys within 5 points"].tolist() == [results[0].guesses[2].hits_words, "1 (0 to 1)", "–"]
    csv = pd.read_csv(io.StringIO(to_csv(numbers(results))))
    assert csv[["keys_within_5", "keys_within_5_low", "keys_within_5_high"]].loc[1].tolist() == [1, 0, 1]
    first = results[0]
    low, high = csv["guesses_within_5_low"][0], csv["guesses_within_5_high"][0]
    assert (low, high) == pytest.approx((first.guesses[2].low, first.guesses[2].high))
    assert (csv["median_low"][0], csv["q05_high"][0]) == pytest.approx((first.at[0.5].low, first.at[0.05].high))
    assert np.isnan(csv["median_low"][1])


def test_without_a_model_key_there_is_no_column_for_the_correct_one(make_run: MakeRun) -> None:
    folder = make_run("a", [20.0], task="asr", metric="wer", correct=None, config={"variant": "waveform"})
    keyless = summarise_all(load_runs([folder]))
    assert not {"Correct key", "Plain query"} & set(score_table(keyless).columns)
    mixed = summarise_all(load_runs([folder, make_run("b", [20.0], task="asr", metric="wer")]))
    assert score_table(mixed)["Correct key"].tolist() == ["–", "7.90"]
    assert numbers(mixed)["blocks"].tolist() == ["samples", "samples"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (66.24, "66.2"),
        (2.506, "2.51"),
        (64.0, "64.0"),
        (101.3, "101"),
        (12345.6, "12,300"),
        (0.009281, "0.00928"),
        (0, "0"),
        (2.47e-31, "0"),
        (0.0000123456, "0.0000123"),
        (-1e-13, "0"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_markup_in_a_name_stays_text(make_run: MakeRun) -> None:
    name = "<b>|a_b|`x`</b>" + "long " * 30
    table = score_table(summarise_all(load_runs([make_run("a", [20.0, 30.0], model=name)])))
    assert "<b>" not in to_html(table) and "&lt;b&gt;" in to_html(table) and "..." not in to_html(table)
    lines = to_markdown(table).splitlines()
    assert lines[2].startswith(r"| \<b\>\|a\_b\|\`x\`\</b\>")
    assert len(lines) == 3 and lines[1].count("|") == table.shape[1] + 1
    assert to_markdown(pd.DataFrame({"a [95 %]": ["[x](y)"]})).splitlines()[0::2] == ["| a [95 %] |", r"| [x\](y) |"]


def test_html_has_a_cell_for_every_value(results: list[KeyStatistics]) -> None:
    cells: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: cells.append(tag)  # type: ignore[method-assign]
    parser.feed(to_html(score_table(results)))
    assert cells.count("td") == score_table(results).size and cells.count("th") == score_table(results).shape[1]
