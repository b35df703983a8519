"""Measure the strength of a key: splitting of a model's answers, in shards, into a run folder.

The same call again continues, to the same numbers; more repetitions are added to those that are there.

A space of no more than `COUNTED` times the population's keys is counted instead: every key is tried, which takes fewer
questions than the runs and leaves nothing to estimate. Probabilities are over all keys of the law. In a finite space
the correct key is one of them, so that a key of S has at most log2 S bits; in a continuum it has no weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from math import log10
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wrongkey.errors import BadInput
from wrongkey.evaluation.begin import begin_run
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.hardware import choose_device, threads_each, threads_of_this_process
from wrongkey.evaluation.models.asking import model_at_fault
from wrongkey.evaluation.private_folders import remove_abandoned
from wrongkey.evaluation.processes.cluster import check_backend
from wrongkey.evaluation.processes.dispatch import Call, check_timeout
from wrongkey.evaluation.processes.late import Late
from wrongkey.evaluation.processes.spread import places
from wrongkey.evaluation.processes.watch import Report, Watch
from wrongkey.evaluation.processes.workers import asked
from wrongkey.evaluation.run_folder.folder import RunFolder
from wrongkey.evaluation.strength.config import StrengthConfig
from wrongkey.evaluation.strength.estimate import Estimate, counted, estimate, read
from wrongkey.evaluation.strength.folder import StrengthFolder
from wrongkey.evaluation.strength.invariance import check_moves
from wrongkey.evaluation.strength.moves import law_of
from wrongkey.evaluation.strength.score import error_name, plain_error, score_of
from wrongkey.evaluation.strength.splitting import (
    Chains,
    Level,
    Plan,
    Population,
    described,
    finished,
    grown,
    split,
)
from wrongkey.keys.derived import check_one_matrix
from wrongkey.keys.draw import ENUMERABLE
from wrongkey.keys.schemes import Matrices
from wrongkey.keys.volume import TOLERANCE, countable

COUNTED = 20  # keys of a space that is counted, per key of a population
SHARDS = 32  # of a level, however many workers there are: its chains are asked together in the same way everywhere
SHARD_BYTES = 2**29  # answers of a shard

Grown = tuple[int, Population, float]  # number of the first chain, chains, processor seconds


def strength(
    config: SweepConfig,
    settings: StrengthConfig,
    out: Path | str,
    *,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    timeout: float | None = None,
    command: str | None = None,
    report: Report | None = None,
) -> dict[str, Any]:
    """Measure how probably a random key unlocks a model, into the run folder `out`.

    Parameters
    ----------
    config
        What is asked, as in a sweep; its number of keys is not used.
    settings
        How it is measured.
    out
        The run folder, which may hold a sweep of the same experiment.
    workers, backend, scheduler, timeout, command
        As of `wrongkey.evaluation.sweep.sweep`.
    report
        Called with a line of text at each stage and level.

    Returns
    -------
    dict
        What `strength/strength.json` holds (`wrongkey.evaluation.run_folder.strength.Strength`).

    Raises
    ------
    BadInput
        For everything a user can correct. Finished shards stay on disk in every case.
    """
    check_backend(backend, scheduler)
    check_timeout(timeout)
    here, workers = places(workers, choose_device(config.device), scheduler)
    folder, say = RunFolder(out), report or (lambda line: None)
    remove_abandoned()  # plain speech of a sweep that was killed
    with folder.locked(), threads_of_this_process(threads_each(1)):
        with model_at_fault(config.model):
            say(f"Reading {config.corpus} for {config.model} …")
            experiment = Experiment(replace(config, keys=1))
            torch.set_num_threads(threads_each(here))
            if config.right:
                raise BadInput("The strength of a key is that of guessing all of it: leave --right out.")
            check_one_matrix(experiment.scheme, "the search for the strength of a key")
            check_moves(experiment.scheme, len(experiment.correct))
            identity = experiment.identity()
            ended = (folder.manifest() or {}).get("ended")
            what = _what(experiment, settings)
            manifest, _ = begin_run(folder, experiment, identity, what, here, timeout, command, report)
            folder.write_manifest(manifest | {"ended": ended})  # of the sweep that lies here, if any
            plain = plain_error(experiment)
        ask = partial(
            asked, experiment=experiment, identity=identity, workers=workers, scheduler=scheduler, timeout=timeout
        )
        run = _Run(experiment, settings, plain, StrengthFolder(folder, _sealed(settings, config.seed)), ask, say)
        run.begin()
        with Watch("shard", report, lambda: run.done) as run.watch, model_at_fault(config.model):
            try:
                run.count() if _countable(experiment, settings) else run.split()
            finally:
                if run.watch.late:
                    late = manifest["late_shards"] + run.watch.late
                    folder.write_manifest(manifest | {"ended": ended, "late_shards": late})
        content = run.folder.content()
    assert content is not None
    return content


class _Run:
    """A measurement under way: its history, and what is written of it."""

    watch: Watch

    def __init__(
        self,
        experiment: Experiment,
        settings: StrengthConfig,
        plain: float,
        folder: StrengthFolder,
        ask: Any,
        say: Report,
    ) -> None:
        self.experiment, self.settings, self.plain = experiment, settings, plain
        self.goals = tuple(plain + points for points in settings.within)
        self.folder, self.ask, self.say = folder, ask, say
        self.size = len(experiment.correct)
        self.law = law_of(experiment.scheme, self.size)
        self.history: list[list[Level]] = []  # of every repetition
        self.distances: list[list[float]] = []  # of the best key of every level to the correct one
        self.seconds = 0.0
        self.done = "0 levels"

    def begin(self) -> None:
        """Take over what the folder holds; raises BadInput where it was measured in another way."""
        before = self.folder.content()
        if before is None:
            return
        now = _sealed(self.settings, self.experiment.config.seed)
        differing = [name for name, value in now.items() if before["settings"][name] != value]
        if differing and before["history"]:
            name = differing[0]
            raise BadInput(
                f"{self.folder.path} was measured with another {name} ({before['settings'][name]} there, {now[name]} "
                "now): choose another --out."
            )
        if not differing:
            self.seconds = before["cpu_seconds"]
            self.history = [[level_of(level) for level in levels] for levels in before["history"]]
            self.distances = [[level["distance"] for level in levels] for levels in before["history"]]

    def plan(self, repetition: int) -> Plan:
        """Of a repetition, numbered from 0."""
        settings, scheme = self.settings, self.experiment.scheme.name
        label = f"{self.experiment.config.seed}/{scheme}/{self.size}/{repetition}"
        return Plan(settings.population, settings.share, settings.moves, self.goals, label)

    def split(self) -> None:
        """Run every repetition to its end."""
        for repetition in range(self.settings.repetitions):
            plan, last = self.plan(repetition), None
            if len(self.history) == repetition:
                self.history.append([])
                self.distances.append([])
            levels = self.history[repetition]
            if levels and not finished(levels, plan):
                parts = self.folder.kept(repetition, len(levels) - 1)
                if sum(map(len, parts.values())) == plan.population:
                    last = Population.joined(list(parts.values()))
                else:  # the chains of the last level are lost, and those before it were deleted: from the first again
                    levels.clear()
                    self.distances[repetition].clear()
            for level, population in split(partial(self._grow, repetition, plan), plan, tuple(levels), last):
                levels.append(level)
                self.distances[repetition].append(self._distance(self.law.matrices(_best(population).states)[0]))
                self._write()
                self.folder.prune(repetition, len(levels) - 1)
                self.say(self._line(repetition, plan))
        self._write()
        self.folder.prune(-1)

    def count(self) -> None:
        """Try every key of the space."""
        space = self.experiment.scheme.space(self.size)
        assert space is not None
        plan = replace(self.plan(0), population=space, moves=0)
        if not self.history:
            chains = Chains(0, 0, space)
            population = self._shards(counted_keys, (), 0, chains)
            self.history = [[described(plan, chains, population)]]
            rank = population.order()[:1]
            self.distances = [[self._distance(_unranked(self.experiment, rank)[0])]]
        self._write(space)
        self.folder.prune(-1)

    def _grow(self, repetition: int, plan: Plan, chains: Chains) -> Population:
        return self._shards(grown_chains, (plan,), repetition, chains)

    def _shards(self, work: Any, arguments: tuple[Any, ...], repetition: int, chains: Chains) -> Population:
        """All chains of a level: those that the folder holds, and the others as they are computed."""
        self.done = f"{sum(map(len, self.history)):,} levels"
        step = _shard_size(self.experiment, chains.count)
        bounds = [(start, min(start + step, chains.count)) for start in range(0, chains.count, step)]
        found = {place: part for place, part in self.folder.kept(repetition, chains.level).items() if place in bounds}
        calls = [
            Call(f"chains {start:,} … {stop - 1:,} of level {chains.level}", (*arguments, chains.part(start, stop)))
            for start, stop in bounds
            if (start, stop) not in found
        ]
        self.folder.make()
        late = Late(self.watch, worked=bool(found))  # of a level no chain can be left out
        with closing(self.ask(work, calls=calls, watch=self.watch, late=late)) as arriving:
            for start, part, seconds in arriving:
                self.folder.keep(repetition, chains.level, start, part)
                found[start, start + len(part)] = part
                self.seconds += seconds
        return Population.joined([found[place] for place in bounds])

    def _distance(self, key: np.ndarray) -> float:
        """Relative distance of a key to the correct one."""
        return float(np.linalg.norm(key - self.experiment.correct) / np.sqrt(self.size))

    def _line(self, repetition: int, plan: Plan) -> str:
        levels = self.history[repetition]
        level, name = levels[-1], error_name(self.experiment).upper()
        passed = sum(log10(one.share) for one in levels[:-1])
        moved = "" if level.acceptance is None else f", {100 * level.acceptance:.0f} % of moves accepted"
        at = "" if level.threshold is None else f"{name} ≤ {level.threshold[0]:.2f}, "
        return (
            f"repetition {repetition + 1} of {self.settings.repetitions}, level {len(levels)}: {at}"
            f"log10 P {passed:.2f}{moved}, {level.ancestors} ancestors, best {name} {level.best[0]:.2f}"
        )

    def _estimates(self, space: int | None) -> list[Estimate]:
        if space is not None:
            return [counted(hits, space) for hits in self.history[0][0].hits]
        plan = self.plan(0)
        done = [levels for levels in self.history if finished(levels, plan)]
        if not done:
            why = "No repetition is finished yet."
            return [Estimate(None, None, None, why, []) for _ in self.goals]
        return [estimate([read(levels, goal, plan) for levels in done]) for goal in range(len(self.goals))]

    def _write(self, space: int | None = None) -> None:
        """Write `strength.json` with all there is."""
        done = sum(finished(levels, self.plan(0)) for levels in self.history)
        whole = space is not None or done >= self.settings.repetitions
        ends = [
            (level.best, distance)
            for levels, distances in zip(self.history, self.distances, strict=True)
            for level, distance in zip(levels, distances, strict=True)
        ]
        best, distance = min(ends)
        content = {
            **_about(self.experiment),
            "plain": self.plain,
            "settings": _sealed(self.settings, self.experiment.config.seed)
            | {"repetitions": max(self.settings.repetitions, len(self.history))},
            "estimates": [
                _entry(points, goal, one)
                for points, goal, one in zip(self.settings.within, self.goals, self._estimates(space), strict=True)
            ],
            "evaluations": sum(level.evaluations for levels in self.history for level in levels),
            "counted": space is not None,
            "best": best[0],
            "best_distance": distance,
            "cpu_seconds": self.seconds,
            "state": "complete" if whole else "running",
            "history": [
                [asdict(level) | {"distance": distance} for level, distance in zip(levels, distances, strict=True)]
                for levels, distances in zip(self.history, self.distances, strict=True)
            ],
        }
        self.folder.write(content)


def grown_chains(experiment: Experiment, plan: Plan, chains: Chains) -> Grown:
    """Compute chains in a worker; raises BadInput where the plain model has changed meanwhile."""
    begin = process_time()
    law = law_of(experiment.scheme, len(experiment.correct))
    population = grown(law, score_of(experiment), plan, chains)
    experiment.check_unchanged()
    return chains.start, population, process_time() - begin


def counted_keys(experiment: Experiment, chains: Chains) -> Grown:
    """The scores of keys by their ranks."""
    begin = process_time()
    ranks = np.arange(chains.start, chains.start + chains.count)
    error, tie = score_of(experiment)(_unranked(experiment, ranks))
    experiment.check_unchanged()
    nothing = np.zeros_like(ranks)
    return (
        chains.start,
        Population(ranks[:, None].astype(np.uint64), error, tie, ranks, nothing),
        process_time() - begin,
    )


def level_of(entry: Mapping[str, Any]) -> Level:
    """A level as `strength.json` holds it."""
    kept = {name: entry[name] for name in Level.__dataclass_fields__}
    pairs = {name: None if kept[name] is None else tuple(kept[name]) for name in ("threshold", "following", "best")}
    return Level(**{**kept, **pairs})


def _sealed(settings: StrengthConfig, seed: int) -> dict[str, Any]:
    """All that the chains depend on, as JSON has it; not the number of repetitions, each of which is its own."""
    kept = {name: value for name, value in asdict(settings).items() if name != "repetitions"}
    return {**kept, "within": list(settings.within), "seed": seed}


def _about(experiment: Experiment) -> dict[str, Any]:
    """What was measured."""
    cut, config = experiment.cut, experiment.config
    space = countable(experiment.scheme, cut.size)
    return {
        "task": config.task,
        "model": experiment.model.name,
        "corpus": experiment.corpus.name,
        "recordings": experiment.corpus.recordings,
        "scheme": experiment.scheme.name,
        "block_size": cut.block_size,
        "blocks": cut.blocks.value,
        "dims": cut.dims,
        "size": len(experiment.correct),
        "variant": config.variant,
        "metric": error_name(experiment),
        "nominal_bits": space and space.bits(TOLERANCE),
        "tolerance": TOLERANCE if space and space.copies else None,
    }


def _entry(within: float, goal: float, found: Estimate) -> dict[str, Any]:
    """One estimate as `strength.json` holds it."""
    return {
        "within": within,
        "goal": goal,
        "bits": found.bits,
        "bits_low": found.bits_low,
        "bits_high": found.bits_high,
        "probability": found.probability,
        "guesses": None if found.probability is None else 1 / found.probability,
        "why_not": found.why_not,
        "repetitions": [
            {name: value for name, value in asdict(one).items() if name not in ("variance", "moved")}
            for one in found.readings
        ],
    }


def _what(experiment: Experiment, settings: StrengthConfig) -> str:
    if _countable(experiment, settings):
        return f"all {experiment.scheme.space(len(experiment.correct)):,} keys there are"
    return f"{settings.repetitions} times populations of {settings.population:,} keys"


def _countable(experiment: Experiment, settings: StrengthConfig) -> bool:
    scheme = experiment.scheme
    space = scheme.space(len(experiment.correct))
    return space is not None and scheme.unrank is not None and space <= min(COUNTED * settings.population, ENUMERABLE)


def _unranked(experiment: Experiment, ranks: np.ndarray) -> Matrices:
    assert experiment.scheme.unrank is not None
    return experiment.scheme.unrank(len(experiment.correct), np.asarray(ranks, dtype=np.int64))


def _best(population: Population) -> Population:
    return population[population.order()[:1]]


def _shard_size(experiment: Experiment, chains: int) -> int:
    """Chains of a shard, by the run alone."""
    answers = experiment.plain()
    most = SHARD_BYTES // max(answers.nbytes, 1) if isinstance(answers, Tensor) else chains
    return max(1, min(-(-chains // SHARDS), most))
