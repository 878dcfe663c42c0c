"""What is a search worth in truth? A benchmark's accuracies of its best models and its front, which it never sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, NamedTuple

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.objectives import ACCURACY, Limit
from fairdarts.evolution.problem import Problem, as_array
from fairdarts.spaces.gates import SinglePath

DIGITS = 6
"""decimals of a regret, which is a difference of floats"""


class Column(NamedTuple):
    """One column of a benchmark."""

    table: Mapping[SinglePath, float]
    """accuracies in percent by path"""
    of: Callable[[SinglePath], float | None]
    """accuracy of a path, also of one that is no line of the table but isomorphic to one; None of others"""


class _Whole(NamedTuple):
    """What there is to be found by a column."""

    best: dict[Limit | None, float | None]
    """the highest accuracy within the constraints and a budget"""
    hypervolume: float


def held_against(
    columns: Mapping[str, Column], problem: Problem, budgets: Sequence[Limit]
) -> Callable[[Archive], dict[str, Any]]:
    """Gives what says of all that was evaluated so far, as a record of metrics.jsonl holds it:

    - `truth` and `regret` of the best model so far by the judge: column → percent, and percentage points to the best of
      the space that keeps the constraints; None where the table does not know it;
    - with budgets, `truth_within` and `regret_within`: budget → the same of the best within it;
    - `front_truth`: column → of the front so far, `known` (its models that the table knows), their `mean` and `best`
      true accuracy, and `hypervolume`: what they dominate by it, as a share of what the true front does.
    """
    limits = (None, *budgets)
    wholes = {name: _whole(table_of(problem, column.table), limits) for name, column in columns.items()}

    def of_best(archive: Archive, limit: Limit | None) -> tuple[dict[str, float | None], dict[str, float | None]]:
        place = archive.best_within(limit)
        truth = {name: None if place is None else column.of(archive.paths[place]) for name, column in columns.items()}
        return truth, {name: _regret(wholes[name].best[limit], found) for name, found in truth.items()}

    def about(archive: Archive) -> dict[str, Any]:
        truth, regret = of_best(archive, None)
        record: dict[str, Any] = {"truth": truth, "regret": regret}
        if budgets:
            within = {str(limit): of_best(archive, limit) for limit in budgets}
            record |= {"truth_within": {limit: truth for limit, (truth, _) in within.items()}}
            record |= {"regret_within": {limit: regret for limit, (_, regret) in within.items()}}
        fronts = {name: front_by(archive, column) for name, column in columns.items()}
        record["front_truth"] = {name: _of_front(front, wholes[name].hypervolume) for name, front in fronts.items()}
        return record

    return about


def front_by(archive: Archive, column: Column) -> Archive:
    """The front of a search, its models judged by the truth; those that it does not know are left out."""
    paths = archive.paths
    accuracies = {paths[place]: column.of(paths[place]) for place in archive.front()}
    known = {path: accuracy for path, accuracy in accuracies.items() if accuracy is not None}
    front = Archive(replace(archive.problem, seen=_bounds(column.table)))
    front.add(list(known), list(known.values()), 1)
    return front


def table_of(problem: Problem, truth: Mapping[SinglePath, float]) -> Archive:
    """A table as if all of it that keeps the limits had been evaluated; its best and worst bound what there can be."""
    table = Archive(replace(problem, seen=_bounds(truth)))
    # A benchmark may have operations that the space lacks, behind its own.
    paths = [path for path in truth if all(at < width for at, width in zip(path, problem.widths, strict=True))]
    fits = problem.allowed(as_array(paths).reshape(len(paths), len(problem.widths))).tolist()
    kept = [path for path, fit in zip(paths, fits, strict=True) if fit]
    table.add(kept, [truth[path] for path in kept], 1)
    return table


def _whole(table: Archive, limits: Sequence[Limit | None]) -> _Whole:
    places = {limit: table.best_within(limit) for limit in limits}
    accuracies = table.values[ACCURACY]
    best = {limit: None if place is None else float(accuracies[place]) for limit, place in places.items()}
    return _Whole(best, table.hypervolume())


def _of_front(front: Archive, whole: float) -> dict[str, Any]:
    known = front.values[ACCURACY].tolist()
    numbers = {"known": len(known), "mean": fmean(known) if known else None, "best": max(known, default=None)}
    return numbers | {"hypervolume": front.hypervolume() / (whole or 1.0)}


def _regret(best: float | None, found: float | None) -> float | None:
    return None if best is None or found is None else round(best - found, DIGITS)


def _bounds(truth: Mapping[SinglePath, float]) -> tuple[float, float]:
    return min(truth.values()), max(truth.values())
