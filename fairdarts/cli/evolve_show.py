"""How `fairdarts evolve` shows what a search came to: a table or JSON, and figures."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from fairdarts.cli.words import command, empty_table, print_table, say, to_json
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.result import FoundModel
from fairdarts.ranking.truth import Truth
from fairdarts.runs.evolved import Finished, cells_of, draw_search, draw_truth

TOLD = ("truth", "regret", "truth_within", "regret_within", "front_truth")
"""what a record says of the truth"""


def show(finished: Finished, as_json: bool) -> None:
    """The models, and what the truth says of them; their figures are drawn into the run."""
    run, settings, archive, truth = finished
    name, models = finished.name, finished.models
    told = {key: value for key, value in run.records()[-1].items() if key in TOLD} if truth else {}
    figures = draw_search(run, settings, archive, run.figures)
    figures += draw_truth(name, archive, truth, run.figures) if truth else []
    if as_json:
        results = {"run": name, "recipe": settings.name, "seed": settings.seed, "supernet": settings.supernet}
        results |= {"judge": settings.judge.model_dump(), **_plain(models, archive, truth), **told}
        sys.stdout.write(to_json(results))
        return
    print_table(table(models, archive, truth))
    if truth:
        print_table(against(told, truth))
    for figure in figures:
        print(figure)
    say(f"models     {run.path / 'models.csv'}, {run.path / 'genotypes'}")
    say(f"continue   {command('zoo', run.path / 'genotypes' / f'{models[0].name}.yaml')}")


def table(models: Sequence[FoundModel], archive: Archive, truth: Truth | None) -> Table:
    """A model a row."""
    titles, rows = cells_of(models, archive, truth)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        shown.add_column(title, justify="left" if title in ("model", "within") else "right")
    for row in rows:
        shown.add_row(*row)
    return shown


def against(told: dict[str, Any], truth: Truth) -> Table:
    """What the truth says of the best and the front, a column of it a row, and one more for every budget."""
    titles = ("best, %", "regret", "front, mean %", "front, best %", "of the true front's hypervolume, %")
    shown = empty_table("truth", "within", *titles, words=2)
    for column in truth.columns:
        front = told["front_truth"][column]
        of_front = (*map(_number, (front["mean"], front["best"])), f"{100 * front['hypervolume']:.1f}")
        shown.add_row(column, "", _number(told["truth"][column]), _number(told["regret"][column]), *of_front)
        for budget, within in told.get("truth_within", {}).items():
            numbers = map(_number, (within[column], told["regret_within"][budget][column]))
            shown.add_row("", budget, *numbers, "", "", "")
    return shown


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _plain(models: Sequence[FoundModel], archive: Archive, truth: Truth | None) -> dict[str, Any]:
    """What JSON holds of it."""
    choices = archive.problem.space.choices
    rows = []
    for model in models:
        names = [names_of_choice[index] for names_of_choice, index in zip(choices, model.path, strict=True)]
        row: dict[str, Any] = {"name": model.name, "budget": model.budget or None}
        row |= {"path": list(model.path), "choices": names, **model.values}
        rows.append(row | ({"truth": truth.of(model.path)} if truth else {}))
    summary = {"evaluations": len(archive), "hypervolume": archive.hypervolume(), "front": len(archive.front())}
    return summary | {"as_accurate_as_best": archive.as_accurate(None), "models": rows}
