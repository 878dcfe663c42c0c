"""Strategies compared on a benchmark's table, which is the truth: no training, no supernet, many seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from fairdarts.config import UserError
from fairdarts.cost.table import Table
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.loop import Search, check_fit
from fairdarts.evolution.objectives import ACCURACY, Limit
from fairdarts.evolution.problem import Problem
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.evolution.truth import table_of
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space


class TabularBenchmark(NamedTuple):
    """A table with what there is to be found in it."""

    truth: Mapping[SinglePath, float]
    """accuracy of every path in percent"""
    budgets: tuple[Limit | None, ...]
    """limits, within each of which the best is looked for"""
    table: Archive
    """all of it"""


def make_bench(
    truth: Mapping[SinglePath, float],
    space: Space,
    tables: Mapping[str, Table],
    settings: Sequence[EvolveSettings],
    place: str,
) -> TabularBenchmark:
    """The table for strategies that are to be compared; hypervolumes are of the most objectives that one of them has.

    Raises UserError naming the file where paths are missing, and where strategies cannot be compared on it.
    """
    if len(truth) < space.size():
        raise UserError(f"{place}: holds {len(truth):,} of {space.size():,} paths of {space.name}; should hold all")
    for key in ("constraints", "budgets", "space", "latency", "population", "generations"):
        if len({getattr(recipe, key) for recipe in settings}) > 1:
            raise UserError(f"{key}: the recipes have unlike ones; say --{key} for all of them")
    objectives = max((recipe.wanted for recipe in settings), key=len)
    for recipe in settings:
        if not set(recipe.wanted) <= set(objectives):
            raise UserError(f"objectives: {recipe.name} has others than the rest; say --objectives for all of them")
    problem = Problem(space, objectives, settings[0].limits, tables)
    for recipe in settings:
        check_fit(recipe, problem)
    table = table_of(problem, truth)
    for limit in (None, *settings[0].classes):
        if table.best_within(limit) is None:
            which = ", ".join(map(str, (*settings[0].limits, *([limit] if limit else ()))))
            raise UserError(f"{'budgets' if limit else 'constraints'}: {which}: no model of {place} keeps it")
    return TabularBenchmark(truth, settings[0].classes or (None,), table)


def trial(settings: EvolveSettings, bench: TabularBenchmark) -> dict[str, Any]:
    """One search: regret after every evaluation, within every budget, and hypervolume after every generation."""
    whole = bench.table.problem
    search = Search(settings, replace(whole, objectives=settings.wanted))
    seen = Archive(whole)
    volumes, whole_volume = [], bench.table.hypervolume() or 1.0
    for _ in range(settings.generations):
        before = len(search.archive)
        search.advance(lambda paths: [bench.truth[path] for path in paths])
        new = search.archive.paths[before:]
        if not new:
            break
        seen.add(new, search.archive.values[ACCURACY][before:].tolist(), search.generation)
        volumes.append(seen.hypervolume() / whole_volume)
    regrets = [regret(seen, bench.table, limit).round(4).tolist() for limit in bench.budgets]
    return {"strategy": settings.name, "seed": settings.seed, "hypervolume": volumes, "regrets": regrets}


def regret(seen: Archive, table: Archive, limit: Limit | None) -> np.ndarray:
    """By how many percentage points the best within a limit is better than the best of the models so far [evaluations].

    Before any model keeps the limit, and the constraints, it is that of the worst model there is.
    """
    best = table.values[ACCURACY][table.best_within(limit)]
    accuracies = np.where(seen.keeps(limit), seen.values[ACCURACY], table.values[ACCURACY].min())
    return best - np.maximum.accumulate(accuracies)


def interval(values: np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean and 95% interval of the mean over seeds (Student's t); none of one seed, or of seeds that all agree."""
    mean = float(np.mean(values))
    if len(values) < 2 or np.ptp(values) == 0:
        return mean, None, None
    half = float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
