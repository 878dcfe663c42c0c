"""How `fairdarts evolve` shows what a search came to: a table or JSON, and figures."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from fairdarts.cli.words import command, print_table, say, to_json
from fairdarts.evolution import result
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.result import AgainstTruth, FoundModel
from fairdarts.ranking.benchmarks import Benchmark
from fairdarts.runs.evolved import Finished, cells_of, draw_search, draw_truth


def show(finished: Finished, as_json: bool) -> None:
    """The models, and what the truth says of them; their figures are drawn into the run."""
    run, settings, archive, benchmark = finished
    name, models = finished.name, finished.models
    truth = result.against(archive, benchmark.truth, settings.classes) if benchmark else None
    figures = draw_search(name, settings, archive, run.figures)
    figures += draw_truth(name, archive, benchmark.truth, run.figures) if benchmark else []
    if as_json:
        results = {"run": name, "recipe": settings.name, "seed": settings.seed, "supernet": settings.supernet}
        results |= {"judge": settings.judge.model_dump(), **_plain(models, archive, benchmark, truth)}
        sys.stdout.write(to_json(results))
        return
    print_table(table(models, archive, benchmark))
    if truth and benchmark:
        print("\n".join(_said(truth, benchmark)))
    for figure in figures:
        print(figure)
    say(f"models     {run.path / 'models.csv'}, {run.path / 'genotypes'}")
    say(f"continue   {command('zoo', run.path / 'genotypes' / f'{models[0].name}.yaml')}")


def table(models: Sequence[FoundModel], archive: Archive, benchmark: Benchmark | None) -> Table:
    """A model a row."""
    titles, rows = cells_of(models, archive, benchmark)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        shown.add_column(title, justify="left" if title in ("model", "within") else "right")
    for row in rows:
        shown.add_row(*row)
    return shown


def _said(truth: AgainstTruth, benchmark: Benchmark) -> list[str]:
    """What the truth says, in lines."""
    lines = [
        f"{benchmark.name}, {benchmark.column}: the front dominates {truth.hypervolume:.1%} of what the true one does"
    ]
    for limit, regret in truth.regrets.items():
        points = "unknown" if regret is None else f"{regret:.2f} percentage points"
        lines.append(f"regret of the best{f' with {limit}' if limit else ''}: {points}")
    return lines


def _plain(
    models: Sequence[FoundModel], archive: Archive, benchmark: Benchmark | None, truth: AgainstTruth | None
) -> dict[str, Any]:
    """What JSON holds of it."""
    choices = archive.problem.space.choices
    rows = []
    for model in models:
        names = [names_of_choice[index] for names_of_choice, index in zip(choices, model.path, strict=True)]
        row: dict[str, Any] = {"name": model.name, "budget": model.budget or None}
        row |= {"path": list(model.path), "choices": names, **model.values}
        rows.append(row | ({"true_accuracy": benchmark.truth.get(model.path)} if benchmark else {}))
    summary = {"evaluations": len(archive), "hypervolume": archive.hypervolume(), "front": len(archive.front())}
    summary |= {"as_accurate_as_best": archive.as_accurate(None)}
    return summary | {"models": rows, "truth": truth and truth._asdict()}
