"""What does a study of factors run? Of every factor the settings, laid over what earlier factors kept."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairdarts.config import UserError
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.ranking.factor_study import final_performance
from fairdarts.reading import read_yaml
from fairdarts.runs.recipe import laid_over
from fairdarts.runs.study.asked import blaming, recipe_of
from fairdarts.runs.study.form import BASELINE, BEST, Factor, FactorStudy, SpaceStudy, slug, texts
from fairdarts.runs.study.jobs import outcome


class Row(NamedTuple):
    """A setting of a factor, over all seeds."""

    label: str
    changes: dict[str, str]
    """all that is laid over the recipe, by dotted key, as the command line writes it"""
    own: dict[str, str]
    """what of it is the setting's own"""
    settings: TrainingSettings
    """what comes of it, but for the seed"""
    runs: tuple[Path, ...]
    """its run directories, one a seed; those of an earlier factor where they are the same training"""
    baseline: bool
    """whether it is what earlier factors kept"""


class Step(NamedTuple):
    """A factor, and what it runs."""

    factor: Factor
    rows: tuple[Row, ...]
    settled: bool
    """whether it is known what all earlier factors kept"""


def planned(study: FactorStudy, space: SpaceStudy, folder: Path) -> Iterator[Step]:
    """The factors of a space. Where one keeps the best, its runs should be done before the next one is asked for.

    Raises UserError where a setting does not fit its recipe.
    """
    path = recipe_of(space, folder)
    recipe = read_yaml(path)
    carried = texts(study.shared) | texts(space.changes)
    names: dict[str, str] = {}
    settled = True

    def settled_by(changes: dict[str, str], place: str) -> TrainingSettings:
        with blaming(place):
            settings: TrainingSettings = laid_over(TrainingSettings, recipe, path, changes)
        return settings

    def row_of(factor: Factor, label: str, own: dict[str, str], same: str | None) -> Row:
        changes = carried | own
        if "seed" in changes:
            raise UserError(f"{study.name}: seed: a study's seeds stand in its file; leave it out")
        settings = settled_by(changes, f"{study.name}: {space.name}: {factor.name} {label}")
        key = identity(settings)
        name = names.setdefault(key, f"{factor.name}-{slug(label)}")
        runs = tuple(folder / space.name / f"{name}-seed{seed}" for seed in study.seeds)
        return Row(label, changes, own, settings, runs, key == same)

    for factor in space.factors:
        same = identity(settled_by(carried, f"{study.name}: {space.name}"))
        rows = [row_of(factor, setting.label, texts(setting.changes), same) for setting in factor.settings]
        if not any(row.baseline for row in rows):
            rows.insert(0, row_of(factor, BASELINE, {}, same))
        step = Step(factor, tuple(rows), settled)
        yield step
        if kept := kept_of(step):
            carried = kept.changes
        settled = settled and (
            factor.keep != BEST or all(outcome(run, row.settings) for row in rows for run in row.runs)
        )


def kept_of(step: Step) -> Row | None:
    """The row that later factors begin with; None where they begin with what this one began with, or, where it keeps
    the best, as long as that is not known."""
    if step.factor.keep != BEST:
        return next((row for row in step.rows if row.label == step.factor.keep), None)
    outcomes = [[outcome(run, row.settings) for run in row.runs] for row in step.rows]
    if any(None in outcomes_of_row for outcomes_of_row in outcomes):
        return None
    performances = [final_performance(outcomes_of_row) for outcomes_of_row in outcomes]
    best = max((value for value in performances if value is not None), default=None)
    return None if best is None else step.rows[performances.index(best)]


def identity(settings: TrainingSettings) -> str:
    """What two trainings share that are the same but for the seed."""
    return json.dumps(settings.model_dump(mode="json", exclude={"seed"}), sort_keys=True)
