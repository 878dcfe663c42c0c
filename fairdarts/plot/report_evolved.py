"""Which models did evolutionary searches find? The part of a report that tells of them."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fairdarts.plot.document import faint, folded, grouped, image, listed, pre, run_head, table
from fairdarts.plot.evolved import evolved_figure, evolved_info
from fairdarts.plot.evolved_truth import told_figure, told_info
from fairdarts.plot.found import DrawnModel, found_figure, found_info
from fairdarts.plot.fronts import fronts_figure, fronts_info
from fairdarts.plot.projection import Evolved
from fairdarts.plot.regret import regret_figure, regret_info
from fairdarts.spaces.space import Space


class Evolution(NamedTuple):
    """One evolutionary search."""

    name: str
    recipe: str
    supernet: str
    """the run that judged"""
    space: Space
    settings: str
    """its settings.yaml"""
    records: list[dict[str, Any]]
    """a generation each"""
    ended: str
    """how far it is; empty where it took all its generations"""
    evolved: Evolved
    """all that was evaluated"""
    budgets: list[tuple[str, float]]
    """quantity and bound of every limit that is a most"""
    models: list[DrawnModel]
    """those that it ends with, as drawn"""
    titles: list[str]
    """of the table of these"""
    rows: list[list[str]]
    notes: list[str]
    """where the judge did not decide which model is the best"""


NOTE = (
    "Hypervolume: the share of all that is possible, by the search's objectives, that its front dominates. Accuracies "
    "are those by the supernet, and only as good as it ranks."
)

TRUTH = (
    "What a benchmark says of what the judge chose, which the search never sees: the most accurate model so far by the "
    "judge, and the front. Regret: the percentage points by which the best of the space that keeps the constraints is "
    "better. Hypervolume: what the front dominates by its true accuracies, as a share of what the true front does."
)


def evolutions(runs: Sequence[Evolution]) -> list[str]:
    """A table of all, what compares them, and every one by itself."""
    titles = ("run", "judge", "objectives", "generations", "models", "front", "hypervolume", "highest accuracy")
    parts = [table(titles, [_row(run) for run in runs]), faint(NOTE)]
    for space, alike in grouped(runs, lambda run: run.space.name).items():
        parts += _comparison(alike, space) if len(alike) > 1 else []
    for run in runs:
        parts += _run(run)
    return parts


def _row(run: Evolution) -> list[object]:
    last, objectives = run.records[-1], ", ".join(run.evolved.maximized)
    best = f"{np.max(run.evolved.values['accuracy']):.2f} %"
    counts = (last["generation"], f"{last['evaluations']:,}", last["front"], f"{last['hypervolume']:.4f}")
    return [run.name, run.supernet, objectives, *counts, best]


def _comparison(runs: Sequence[Evolution], space: str) -> list[str]:
    """The part of a page that compares searches in one space."""
    blocks = [f"<h2>Comparison in {html.escape(space)}</h2>", "<h3>Fronts</h3>"]
    blocks.append(image(fronts_figure(fronts_info([run.evolved for run in runs])), "fronts of the searches"))
    same = {tuple(run.evolved.maximized.items()) for run in runs}
    if len(same) == 1:  # hypervolumes of other objectives are of other boxes
        blocks += ["<h3>Hypervolume</h3>", _volumes(runs)]
    return blocks


def _run(run: Evolution) -> list[str]:
    judged = f"Recipe {run.recipe}, judged by {run.supernet}, in {run.space.name}."
    blocks = run_head(run.name, judged, run.ended)
    blocks += [listed(run.notes)] if run.notes else []
    blocks += ["<h3>Models found</h3>", table(run.titles, run.rows)]
    blocks.append(image(found_figure(found_info(run.models, run.space)), "the models found, choice by choice"))
    info = evolved_info(run.evolved, run.budgets)
    blocks += ["<h3>All that was evaluated</h3>", image(evolved_figure(info), "every model by its generation")]
    blocks += ["<h3>Hypervolume</h3>", _volumes([run])]
    blocks += _told(run.records)
    keys = ("generation", "evaluations", "front")
    rows = [[*map(record.get, keys), f"{record['hypervolume']:.4f}", _best(record)] for record in run.records]
    titles = ("generation", "models", "front", "hypervolume", "highest accuracy")
    blocks.append(folded("numbers, by generation", table(titles, rows)))
    return [*blocks, pre("settings", run.settings)]


def _told(records: Sequence[dict[str, Any]]) -> list[str]:
    """What the truth says, generation by generation; nothing where the run was told none."""
    info = told_info(records)
    if info is None:
        return []
    blocks = ["<h3>Against the truth</h3>", faint(TRUTH)]
    blocks.append(image(told_figure(info), "true accuracies and hypervolume over the models evaluated"))
    titles = ("generation", "models", "column", "best by the judge", "regret", "front, mean", "best", "hypervolume")
    rows: list[list[object]] = []
    for record in records:
        for column, front in record.get("front_truth", {}).items():
            best = [_percent(record["truth"][column]), _points(record["regret"][column])]
            of_front = [_percent(front["mean"]), _percent(front["best"]), f"{100 * front['hypervolume']:.1f} %"]
            rows.append([record["generation"], record["evaluations"], column, *best, *of_front])
    return [*blocks, folded("the truth, by generation", table(titles, rows))]


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} %"


def _points(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _best(record: dict[str, Any]) -> str:
    """The best accuracy within every budget."""
    best = {limit: "none" if accuracy is None else f"{accuracy:.2f} %" for limit, accuracy in record["best"].items()}
    return ", ".join(f"{text} ({limit})" if limit else text for limit, text in best.items())


def _volumes(runs: Sequence[Evolution]) -> str:
    """The hypervolume after every model, as it is known after every generation."""
    curves = {}
    for run in runs:
        new = np.diff([record["evaluations"] for record in run.records], prepend=0)
        curves[run.name] = np.repeat([[record["hypervolume"] for record in run.records]], new, axis=1)
    figure = regret_figure(regret_info(curves), ylabel="hypervolume of the front", log=False)
    return image(figure, "hypervolume over the models evaluated")
