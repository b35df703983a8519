"""The keys that a report shows one by one: all of the best, few enough of the rest, and how to draw them."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wrongkey.keys import SecretKey
from wrongkey.reports.content.keys import MOST, chosen, keys_of, keys_of_section
from wrongkey.reports.runs import load_run
from wrongkey.reports.statistics.key_statistics import summarise

MakeRun = Callable[..., Path]


def test_all_keys_of_a_small_run(make_run: MakeRun) -> None:
    keys = keys_of(summarise(load_run(make_run("a", [30.0, 10.0, 20.0, 10.0]))), "a", "ROM")
    assert keys.index == [0, 1, 2, 3] and keys.score == [30.0, 10.0, 20.0, 10.0]
    assert keys.rank == [4, 1, 3, 1]
    assert keys.low == [29.0, 9.0, 19.0, 9.0] and keys.high == [31.0, 11.0, 21.0, 11.0]
    assert keys.grid == []  # too few for a density


def test_the_best_key_for_accuracy_is_the_highest(make_run: MakeRun) -> None:
    run = load_run(make_run("a", [10.0, 60.0, 20.0], task="asc", metric="accuracy", plain=80.0, correct=80.0))
    keys = keys_of(summarise(run), "a", "ROM")
    assert keys.rank == [3, 1, 2] and keys.best.index == 1


def test_ties_of_the_best_key_are_counted_and_named(make_run: MakeRun) -> None:
    best = keys_of(summarise(load_run(make_run("a", [10.0] * 15 + [20.0]))), "a", "ROM").best
    assert (best.index, best.tied, best.ties) == (0, 14, list(range(1, 11)))


def test_runs_of_one_scheme_and_block_size_have_different_short_names(make_run: MakeRun) -> None:
    trials = {"trials": {"target": 300, "nontarget": 900}}
    folders = [
        make_run("a", [30.0, 10.0]), make_run("b", [30.0, 10.0]), make_run("c", [30.0, 10.0], **trials),
        make_run("d", [30.0, 10.0], model="other"), make_run("e", [30.0, 10.0], scheme="flipping"),
    ]  # fmt: skip
    runs = [load_run(folder) for folder in folders]
    keys = keys_of_section([summarise(run) for run in runs], [run.name for run in runs])
    shorts = [one.short for one in keys]
    assert len(set(shorts)) == 5
    assert shorts[0].endswith("trials, a") and shorts[1].endswith("trials, b") and shorts[2].endswith("1,200 trials")
    assert shorts[3].endswith(", other") and shorts[4] == "Flipping, M = 3"


def test_of_many_keys_the_best_and_a_sample() -> None:
    order = np.random.default_rng(1).permutation(20_000)
    shown = chosen(order, "run")
    assert len(shown) == len(set(shown)) == MOST and (np.diff(shown) > 0).all()
    assert set(order[:200]) <= set(shown)
    assert (chosen(order, "run") == shown).all() and (chosen(order, "other") != shown).any()


def test_the_command_draws_the_key_that_was_tried(make_run: MakeRun, tmp_path: Path) -> None:
    from wrongkey.cli import main

    best = keys_of(summarise(load_run(make_run("a", [30.0, 10.0, 20.0]))), "a", "ROM").best
    words = shlex.split(best.command)[1:]
    assert words[words.index("--blocks") + 1] == "samples" and "--dims" not in words
    words[words.index("key.npz")] = str(tmp_path / "key.npz")
    assert main(words) == 0
    tried = SecretKey.from_seed("rom", 3, 1, seed=0, index=1)
    assert (SecretKey.load(tmp_path / "key.npz").matrix == tried.matrix).all()
