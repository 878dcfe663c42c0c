"""What a finished evolution is: the models that it ends with, as genotypes, rows and figures."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.cost.latency import LATENCY, read_latency
from fairdarts.cost.table import Table, count_tables
from fairdarts.evolution import result
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.objectives import ACCURACY
from fairdarts.evolution.problem import Problem
from fairdarts.evolution.result import FoundModel
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.evolution.truth import Column, front_by, table_of
from fairdarts.genotype import Genotype
from fairdarts.plot.evolved import draw_evolved
from fairdarts.plot.evolved_truth import draw_told
from fairdarts.plot.found import DrawnModel, draw_found
from fairdarts.plot.fronts import draw_fronts
from fairdarts.plot.projection import Evolved, counted
from fairdarts.plot.settings import USUAL
from fairdarts.ranking.truth import Truth
from fairdarts.reading import read_yaml
from fairdarts.runs.callbacks import Callback
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState, write_atomically
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import load_space, sized

UNITS = {ACCURACY: ("%", 1, 2), "madds": ("M", 1e6, 1), "params": ("M", 1e6, 3), "latency": ("ms", 1, 2)}
"""quantity → its unit, what is one there, and decimals"""
WORDS = {ACCURACY: "", "madds": "MAdds", "params": "params", "latency": ""}


class EvolvedModel(NamedTuple):
    """A model that an evolution ends with."""

    name: str
    """front-1, front-2, … along the front; best, or best-1, best-2, … within each budget"""
    budget: str
    """the limit that it keeps, in words; empty for those of the front"""
    genotype: Genotype
    accuracy: float
    """what the supernet makes of it, in percent"""
    costs: dict[str, float]
    """madds, params, and where it was asked for, latency in milliseconds"""
    truth: dict[str, float | None] = {}  # noqa: RUF012 (a tuple's field, and never changed)
    """column of the truth that the run is told → what it says of it, in percent; None where it does not know it"""

    def __str__(self) -> str:
        known = next(iter(self.truth.values()), None)
        truth = "" if known is None else f", in truth {known:.2f} %"
        costs = ", ".join(_said(quantity, value) for quantity, value in self.costs.items())
        return f"{_called(self.name, self.budget)}: {self.accuracy:.2f} %{truth}, {costs}"


class Finished(NamedTuple):
    """A search that has come to its end."""

    run: RunDirectory
    settings: EvolveSettings
    archive: Archive
    truth: Truth | None = None

    @property
    def name(self) -> str:
        return self.run.path.resolve().name

    @property
    def models(self) -> list[FoundModel]:
        return result.models_of(self.archive, self.settings.models, self.settings.classes)


def reopened_search(run: RunDirectory) -> tuple[EvolveSettings, Archive]:
    """Settings of an evolution, and all that it has evaluated. Raises UserError where it is none, or damaged."""
    path = run.path / "settings.yaml"
    settings = check(EvolveSettings, read_yaml(path), path)
    space = load_space(str(run.path / "space.yaml")).fixed_topology(f"{run.path / 'space.yaml'}: name")
    tables: dict[str, Table] = dict(count_tables(space, shape_of(run.path)))
    if "latency" in settings.quantities:
        tables["latency"] = read_latency(run.path / LATENCY, space)
    archive = Archive(Problem(sized(space, shape_of(run.path)), settings.wanted, settings.limits, tables))
    try:
        archive.restore(checkpoint.load(run.last)["archive"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise BadState(f"{run.last}: not the checkpoint of a search of the run's space.yaml") from None
    if not len(archive):
        raise UserError(f"{run.path}: no generation is done yet, so there is nothing to draw")
    return settings, archive


def conclude(finished: Finished, watch: Callback) -> None:
    """Writes all models into the run, and the genotypes of those that the search ends with."""
    run, settings, archive, _ = finished
    write_atomically(run.path / "models.csv", result.models_csv(archive).encode())
    if len(archive) < settings.population * settings.generations:
        within = " within the constraints" if settings.limits else ""
        watch.note(f"{counted(len(archive), 'model')}, and no more are found{within}")
    if not finished.models:
        return
    every = {**{model.name: model for model in finished.models}, "final": result.best_of(archive)}
    for name, model in every.items():
        run.write_genotype(_genotype_of(finished, model, name), name)
    for path in (run.path / "genotypes").glob("*.yaml"):  # those of an earlier end
        if path.stem not in every:
            path.unlink()
    for line in result.judged_alike(archive, settings.classes):
        watch.note(f"judge      {line}")


def check_found(finished: Finished) -> None:
    """Raises UserError where no model keeps the limits."""
    if not finished.models:
        limits, many = ", ".join(map(str, finished.settings.limits)), len(finished.archive)
        raise UserError(f"{finished.run.path}: none of {many:,} models keeps {limits}; all are in its models.csv")


def _genotype_of(finished: Finished, model: FoundModel, name: str) -> Genotype:
    run, settings, archive, _ = finished
    at = f" ({shape})" if (shape := shape_of(run.path)) else ""
    numbers = ", ".join(f"{quantity} {value:g}" for quantity, value in model.values.items()) + at
    source = f"fairdarts evolve, {settings.name}, seed {settings.seed}, by {settings.supernet}: {numbers}"
    return archive.problem.space.genotype_of(model.path, f"{finished.name}-{name}", source)


def models_of(finished: Finished) -> list[EvolvedModel]:
    """The models that a search ends with."""
    models = []
    for model in finished.models:
        genotype = _genotype_of(finished, model, model.name)
        costs = {key: value for key, value in model.values.items() if key != ACCURACY}
        known = finished.truth.of(model.path) if finished.truth else {}
        models.append(EvolvedModel(model.name, model.budget, genotype, model.values[ACCURACY], costs, known))
    return models


def models_of_run(run: RunDirectory) -> list[EvolvedModel]:
    """The models that the search of a run ends with, or would, if it ended now."""
    return models_of(Finished(run, *reopened_search(run)))


def cells_of(
    models: Sequence[FoundModel], archive: Archive, known: Truth | None = None
) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of a table of models."""
    budgets = any(model.budget for model in models)
    titles = ["model", *(f"{quantity}, {UNITS[quantity][0]}" for quantity in archive.values)]
    titles += ["true, %"] * bool(known) + ["within"] * budgets
    rows = []
    for model in models:
        row = [model.name, *(_number(*value) for value in model.values.items())]
        if known:
            row.append("–" if (accuracy := known.by(0, model.path)) is None else f"{accuracy:.2f}")
        rows.append(row + [model.budget] * budgets)
    return titles, rows


def _number(quantity: str, value: float) -> str:
    return f"{value / UNITS[quantity][1]:.{UNITS[quantity][2]}f}"


def _said(quantity: str, value: float) -> str:
    return f"{_number(quantity, value)} {UNITS[quantity][0]} {WORDS[quantity]}".strip()


def _called(name: str, budget: str) -> str:
    return f"{name} ({budget})" if budget else name


def draw_search(
    run: RunDirectory, settings: EvolveSettings, archive: Archive, folder: Path, formats: Sequence[str] = USUAL
) -> list[Path]:
    """The figures of a search: all it evaluated, what of that is true, if the run is told, and the models it ends
    with."""
    name, models = run.path.resolve().name, result.models_of(archive, settings.models, settings.classes)
    paths = draw_evolved(evolved(name, archive), folder, bounds_of(settings), formats=formats)
    paths += draw_told(run.records(), folder, formats)
    space: Any = archive.problem.space  # of no other kind than figures of models know
    return paths + draw_found(drawn(models, archive), space, folder, formats=formats)


def columns_of(known: Truth) -> dict[str, Column]:
    """The columns of a truth, as a search is held against them."""
    return {table.column: Column(table.truth, partial(known.by, at)) for at, table in enumerate(known.benchmarks)}


def draw_truth(name: str, archive: Archive, known: Truth, folder: Path) -> list[Path]:
    """The true accuracies of a search's front by the first column, against the true front."""
    column = columns_of(known)[known.columns[0]]
    whole, judged = table_of(archive.problem, column.table), front_by(archive, column)
    return draw_fronts([evolved(f"{name}, true accuracies", judged)], folder, truth=evolved("truth", whole))


def bounds_of(settings: EvolveSettings) -> list[tuple[str, float]]:
    """Quantity and bound of every limit that is a most."""
    return [(limit.quantity, limit.bound) for limit in (*settings.limits, *settings.classes) if limit.sign == "<="]


def drawn(models: Sequence[FoundModel], archive: Archive) -> list[DrawnModel]:
    """Models as a figure takes them: name, choices, numbers."""
    space = archive.problem.space
    rows: list[DrawnModel] = []
    for model in models:
        names = tuple(names[index] for names, index in zip(space.choices, model.path, strict=True))
        numbers = [_said(quantity, value) for quantity, value in model.values.items()]
        rows.append((_called(model.name, model.budget), names, ", ".join(numbers)))
    return rows


def evolved(name: str, archive: Archive) -> Evolved:
    """A search as figures take it."""
    front = np.zeros(len(archive), dtype=bool)
    front[archive.front()] = True
    maximized = {objective.quantity: objective.maximized for objective in archive.problem.objectives}
    return Evolved(name, maximized, dict(archive.values), archive.generation, front)
