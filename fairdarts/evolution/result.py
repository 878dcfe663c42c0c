"""What a search came to: models that stand for its front, the best within budgets, and what the truth says of them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.objectives import ACCURACY, Limit
from fairdarts.evolution.pareto import evenly_spaced
from fairdarts.evolution.problem import Problem, as_array
from fairdarts.spaces.gates import SinglePath


class FoundModel(NamedTuple):
    """A model that a search ends with."""

    name: str
    """front-1, front-2, … along the front; best, or best-1, best-2, … within each budget"""
    budget: str
    """the limit that it keeps, in words; empty for those of the front"""
    path: SinglePath
    values: dict[str, float]
    """all that is known of it: quantity → number"""


def models_of(archive: Archive, count: int, budgets: Sequence[Limit]) -> list[FoundModel]:
    """So many evenly spaced models of the last front, and the most accurate one within each budget, or of all.

    The front is that of all evaluated models: the last generation's has no other, but crowding may have lost some.
    """
    front = np.asarray(archive.front(), dtype=np.int64)
    losses = archive.problem.losses(archive.of(front))
    spaced = front[evenly_spaced(losses, count)].tolist() if len(front) else []
    chosen = [(f"front-{number}", "", place) for number, place in enumerate(spaced, start=1)]
    for number, limit in enumerate(budgets or (None,), start=1):
        place = archive.best_within(limit)
        if place is not None:
            chosen.append((f"best-{number}" if budgets else "best", str(limit or ""), place))
    return [_model(name, budget, archive, place) for name, budget, place in chosen]


def best_of(archive: Archive) -> FoundModel:
    """The best of all that was evaluated, where anything keeps the constraints."""
    place = archive.best_within(None)
    assert place is not None, "something keeps the constraints"
    return _model("best", "", archive, place)


def _model(name: str, budget: str, archive: Archive, place: int) -> FoundModel:
    values = {key: column[place].item() for key, column in archive.values.items()}
    return FoundModel(name, budget, archive.paths[place], values)


def judged_alike(archive: Archive, budgets: Sequence[Limit]) -> list[str]:
    """What to say where the judge did not decide which model is the best, of all and within each budget."""
    lines = []
    for limit in dict.fromkeys((None, *budgets)):
        best, many = archive.best_within(limit), archive.as_accurate(limit)
        if best is None or many < 2:
            continue
        accuracy, whole = archive.values[ACCURACY][best], len(archive)
        if np.ptp(archive.values[ACCURACY]) == 0:
            alike = f"all {whole:,} models are judged alike, at {accuracy:.2f} %"
            return [f"{alike}: the supernet tells none from another, and cost alone decides which is the best"]
        within = f" with {limit}" if limit else ""
        lines.append(f"{many:,} of {whole:,} models share the highest accuracy{within}, {accuracy:.2f} %: cost decides")
    return lines


class AgainstTruth(NamedTuple):
    """A search held against the true accuracies of a table."""

    hypervolume: float
    """what the front that was found dominates by its true accuracies, as a share of what the true front does"""
    regrets: dict[str, float | None]
    """budget in words (empty: none) → by how many percentage points the best model of the space within it is better
    than the one that was found; None where either is missing"""
    known: int
    """models of the front that was found that the table holds"""


def against(archive: Archive, truth: Mapping[SinglePath, float], budgets: Sequence[Limit]) -> AgainstTruth:
    """What the truth, accuracies in percent by path, says of a search."""
    table, front, paths = table_of(archive.problem, truth), front_by(archive, truth), archive.paths
    regrets: dict[str, float | None] = {}
    for limit in budgets or (None,):
        place, best = archive.best_within(limit), table.best_within(limit)
        found = None if place is None else truth.get(paths[place])
        regrets[str(limit or "")] = (
            None if best is None or found is None else float(table.values[ACCURACY][best]) - found
        )
    return AgainstTruth(front.hypervolume() / (table.hypervolume() or 1.0), regrets, len(front))


def front_by(archive: Archive, truth: Mapping[SinglePath, float]) -> Archive:
    """The front of a search, its models judged by the truth; those that it does not hold are left out."""
    paths = archive.paths
    known = [paths[place] for place in archive.front() if paths[place] in truth]
    front = Archive(replace(archive.problem, seen=_bounds(truth)))
    front.add(known, [truth[path] for path in known], 1)
    return front


def table_of(problem: Problem, truth: Mapping[SinglePath, float]) -> Archive:
    """A table as if all of it that keeps the limits had been evaluated; its best and worst bound what there can be."""
    table = Archive(replace(problem, seen=_bounds(truth)))
    paths = list(truth)
    fits = problem.allowed(as_array(paths)).tolist()
    kept = [path for path, fit in zip(paths, fits, strict=True) if fit]
    table.add(kept, [truth[path] for path in kept], 1)
    return table


def _bounds(truth: Mapping[SinglePath, float]) -> tuple[float, float]:
    return min(truth.values()), max(truth.values())


def models_csv(archive: Archive) -> str:
    """All that was evaluated, as CSV: what `fairdarts rank --benchmark` reads, too."""
    front = set(archive.front())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arch", *archive.values, "generation", "front"])
    columns = [column.tolist() for column in archive.values.values()]
    for place, path in enumerate(archive.paths):
        numbers = [column[place] for column in columns]
        writer.writerow([archive.problem.space.arch(path), *numbers, archive.generation[place], int(place in front)])
    return text.getvalue()
