"""Splitting finds known tails, reads every goal on its way, and is the same however its chains are computed."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tests.evaluation.strength.known_tails import Tail, determinants, entry, fixed_points, signs, untied
from tests.narrow import present
from wrongkey.evaluation.strength.estimate import estimate, read
from wrongkey.evaluation.strength.moves import InWords, law_of
from wrongkey.evaluation.strength.splitting import Chains, Plan, Population, finished, grown, split
from wrongkey.keys.schemes import SCHEMES


def plan_of(tail: Tail, *goals: float, population: int = 500, moves: int = 6, label: str = "0") -> Plan:
    return Plan(population, 0.2, moves, (*goals, tail.goal), label)


def levels_of(tail: Tail, plan: Plan, law=None):
    law = law or law_of(tail.scheme, tail.size)
    return [level for level, _ in split(partial(grown, law, tail.score, plan), plan)]


def estimate_of(tail: Tail, repetitions: int = 3, law=None, **settings):
    plans = [plan_of(tail, label=str(repetition), **settings) for repetition in range(repetitions)]
    return estimate([read(levels_of(tail, plan, law), 0, plan) for plan in plans])


TAILS = {
    "signs, 1e-9": signs(),
    "an entry of ROM, 1e-9": entry(),
    "fixed points, 2e-9": fixed_points(),
    "signs, 1e-3": signs(20, 3),
    "an entry of ROM, 1e-4": entry(5, 1e-4),
    "one determinant, 1e-6": determinants(),
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
def test_a_known_tail_is_found(tail):
    found = estimate_of(tail)
    assert found.bits is not None and found.why_not == ""
    assert abs(found.bits + np.log2(tail.probability)) < 1.5  # of up to 30 bits
    assert found.bits_high - found.bits_low < 6


@pytest.mark.parametrize("tail", [signs(20, 2), entry(4, 1e-5)], ids=["signs", "rom"])
def test_the_space_of_words_gives_the_same_tail(tail):
    found = estimate_of(tail, law=InWords(tail.scheme, tail.size))
    assert found.low <= tail.probability <= found.high


def test_a_probable_goal_is_read_from_the_first_population():
    tail = entry(6, 0.3)
    plan = plan_of(tail)
    (level,) = levels_of(tail, plan)
    assert level.evaluations == plan.population and level.acceptance is None
    assert 10 ** present(read([level], 0, plan).log10_probability) == pytest.approx(0.3, abs=0.08)


def test_every_goal_is_read_from_one_run():
    tail = signs(24)
    goals = [4.0, 2.0, 7.0]
    plan = plan_of(tail, *goals, population=600)
    levels = levels_of(tail, plan)
    readings = [read(levels, goal, plan) for goal in range(4)]
    for reading, most in zip(readings, (*goals, 0), strict=True):
        assert reading.log10_probability == pytest.approx(np.log10(signs(24, int(most)).probability), abs=0.5)
    assert readings[3].levels == len(levels) > readings[1].levels > readings[0].levels > readings[2].levels
    alone = replace(plan, goals=plan.goals[:3])
    assert [read(levels_of(tail, alone), goal, alone) for goal in range(3)] == readings[:3]


def test_levels_are_nested_and_populations_lie_within_them():
    tail = entry(6, 1e-6)
    plan = plan_of(tail)
    law = law_of(tail.scheme, tail.size)
    before = (np.inf, np.inf)
    for level, population in split(partial(grown, law, tail.score, plan), plan):
        if level.threshold is not None:
            assert level.threshold < before or level.repeats
            assert (population.error <= level.threshold[0]).all()
            before = level.threshold
        np.testing.assert_allclose(tail.score(law.matrices(population.states))[0], population.error)


def test_ties_are_told_apart_by_the_tie_breaker_alone_within_an_error():
    """Errors in steps: the goal is the set of an error, and the breaker makes levels inside it."""
    tail = entry(8, 1e-6)
    error = partial(np.floor)

    def stepped(keys):
        exact = tail.score(keys)[0]
        return error(exact * 2.5), exact

    goal = float(np.floor(tail.goal * 2.5))
    plan = Plan(400, 0.2, 6, (goal,), "0")
    law = law_of(tail.scheme, tail.size)
    levels = [level for level, _ in split(partial(grown, law, stepped, plan), plan)]
    thresholds = [present(level.threshold) for level in levels[1:]]
    assert len({pair[0] for pair in thresholds}) < len(thresholds)  # levels inside one error
    from scipy import stats

    edge = -(goal + 1) / 2.5
    true = stats.beta.sf(edge**2, 0.5, 3.5) / 2
    assert read(levels, 0, plan).log10_probability == pytest.approx(np.log10(true), abs=0.5)


def test_chains_can_be_computed_anywhere_in_any_order():
    tail = entry(5, 1e-5)
    plan = plan_of(tail)
    law = law_of(tail.scheme, tail.size)

    def in_parts(chains: Chains) -> Population:
        bounds = [(0, 7), (7, 200), (200, 201), (201, 500)]
        parts = {bound: grown(law, tail.score, plan, chains.part(*bound)) for bound in reversed(bounds)}
        return Population.joined([parts[bound] for bound in bounds])

    assert [level for level, _ in split(in_parts, plan)] == levels_of(tail, plan)


@pytest.mark.parametrize("known", [1, 3])
def test_a_run_continues_from_its_levels_to_the_same_end(known):
    tail = entry(5, 1e-5)
    plan = plan_of(tail)
    grow = partial(grown, law_of(tail.scheme, tail.size), tail.score, plan)
    whole = list(split(grow, plan))
    levels = [level for level, _ in whole]
    again = split(grow, plan, levels[:known], whole[known - 1][1])
    assert [level for level, _ in again] == levels[known:]


def test_a_level_whose_chains_hardly_moved_is_repeated_and_counts_once():
    tail = entry(4, 1e-4)
    plan = plan_of(tail, moves=1)
    levels = levels_of(tail, plan)
    repeated = [level for level in levels if level.repeated]
    assert repeated and all(level.share == 1 and level.moved < 1 for level in repeated)
    assert read(levels, 0, plan).log10_probability == pytest.approx(-4, abs=0.6)


def test_chains_that_cannot_move_give_no_bits():
    """Any other key is worse than all: a needle in a haystack."""
    law = InWords(SCHEMES["rom"], 5)

    def needles(keys):
        return keys.sum((1, 2)) * 1e9 % 1.0, np.zeros(len(keys))

    plan = Plan(100, 0.2, 1, (-1.0,), "0")
    levels = [level for level, _ in split(partial(grown, law, needles, plan), plan)]
    assert finished(levels, plan) and len(levels) < 20
    assert "the chains do not mix" in estimate([read(levels, 0, plan)] * 2).why_not


def test_a_run_ends_where_all_keys_have_one_score():
    tail = Tail(SCHEMES["flipping"], 12, untied(lambda keys: np.maximum(keys[:, 0, 0], 0.0)), -1.0, 0.0)
    plan = plan_of(tail)
    levels = levels_of(tail, plan)
    assert finished(levels, plan) and levels[-1].following is None
    assert read(levels, 0, plan).log10_probability is None
    assert "all keys have one score" in estimate([read(levels, 0, plan)] * 3).why_not
