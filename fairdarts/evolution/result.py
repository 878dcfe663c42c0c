"""What a search came to: models that stand for its front, and the best within budgets."""

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.objectives import ACCURACY, Limit
from fairdarts.evolution.pareto import evenly_spaced
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
