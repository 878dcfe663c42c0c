"""How `fairdarts evolve` shows a search: a line a generation, and what it came to as genotypes, table and figures."""

import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from fairdarts.cli.words import command, print_table, say, to_json
from fairdarts.config import UserError, check, read_yaml
from fairdarts.cost.latency import read_latency
from fairdarts.cost.table import count_tables
from fairdarts.evolve import result
from fairdarts.evolve.archive import Archive
from fairdarts.evolve.objectives import ACCURACY
from fairdarts.evolve.problem import Problem
from fairdarts.evolve.result import AgainstTruth, FoundModel
from fairdarts.evolve.settings import EvolveSettings
from fairdarts.plot.evolved import draw_evolved
from fairdarts.plot.found import DrawnModel, draw_found
from fairdarts.plot.fronts import draw_fronts
from fairdarts.plot.projection import Evolved, counted
from fairdarts.ranking.benchmarks import Benchmark
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState, write_atomically
from fairdarts.runtime.run import Run
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import load_space, sized

LATENCY = "latency.csv"
"""in a run: the latency of every choice"""
UNITS = {ACCURACY: ("%", 1, 2), "madds": ("M", 1e6, 1), "params": ("M", 1e6, 3), "latency": ("ms", 1, 2)}
"""quantity → its unit, what is one there, and decimals"""
WORDS = {ACCURACY: "", "madds": "MAdds", "params": "params", "latency": ""}


def line_of(record: dict[str, Any], settings: EvolveSettings) -> str:
    """What a generation has come to."""
    done, all_of = record["generation"], settings.generations
    shown = ", ".join(_best(name, accuracy) for name, accuracy in record["best"].items())
    left = timedelta(seconds=round((all_of - done) * record["seconds"]))
    models = counted(record["evaluations"], "model")
    return (
        f"generation {done:>{len(str(all_of))}}/{all_of}  {models}  front {record['front']}  "
        f"hypervolume {record['hypervolume']:.4f}  best {shown}  {record['evaluations_per_second']:,.1f} models/s"
        + (f"  {left} left" if done < all_of else "")
    )


def _best(limit: str, accuracy: float | None) -> str:
    best = "none" if accuracy is None else f"{accuracy:.2f} %"
    return f"{best} ({limit})" if limit else best


def finish(run: Run, settings: EvolveSettings, archive: Archive, benchmark: Benchmark | None, as_json: bool) -> None:
    """Writes the models, their table and figures into the run, and shows them."""
    write_atomically(run.path / "models.csv", result.models_csv(archive).encode())
    if len(archive) < settings.population * settings.generations:
        within = " within the constraints" if settings.limits else ""
        say(f"{counted(len(archive), 'model')}, and no more are found{within}")
    models = result.models_of(archive, settings.models, settings.classes)
    if not models:
        limits = ", ".join(map(str, settings.limits))
        raise UserError(f"{run.path}: none of {len(archive):,} models keeps {limits}; all are in its models.csv")
    write_genotypes(run, settings, archive, models)
    for line in result.judged_alike(archive, settings.classes):
        say(f"judge      {line}")
    truth = result.against(archive, benchmark.truth, settings.classes) if benchmark else None
    name = run.path.resolve().name
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


def write_genotypes(run: Run, settings: EvolveSettings, archive: Archive, models: Sequence[FoundModel]) -> None:
    """Every model's, and as final.yaml the best one's of all evaluated, in place of those of an earlier end."""
    at = f" ({shape})" if (shape := shape_of(run.path)) else ""
    every = {**{model.name: model for model in models}, "final": result.best_of(archive)}
    for name, model in every.items():
        numbers = ", ".join(f"{quantity} {value:g}" for quantity, value in model.values.items()) + at
        source = f"fairdarts evolve, {settings.name}, seed {settings.seed}, by {settings.supernet}: {numbers}"
        called = f"{run.path.resolve().name}-{name}"
        run.write_genotype(archive.problem.space.genotype_of(model.path, called, source), name)
    for path in (run.path / "genotypes").glob("*.yaml"):
        if path.stem not in every:
            path.unlink()


def table(models: Sequence[FoundModel], archive: Archive, benchmark: Benchmark | None) -> Table:
    """A model a row."""
    titles, rows = cells_of(models, archive, benchmark)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        shown.add_column(title, justify="left" if title in ("model", "within") else "right")
    for row in rows:
        shown.add_row(*row)
    return shown


def cells_of(
    models: Sequence[FoundModel], archive: Archive, benchmark: Benchmark | None
) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of a table of models."""
    budgets = any(model.budget for model in models)
    titles = ["model", *(f"{quantity}, {UNITS[quantity][0]}" for quantity in archive.values)]
    titles += ["true, %"] * bool(benchmark) + ["within"] * budgets
    rows = []
    for model in models:
        row = [model.name, *(_number(*value) for value in model.values.items())]
        if benchmark:
            row.append(f"{benchmark.truth[model.path]:.2f}" if model.path in benchmark.truth else "–")
        rows.append(row + [model.budget] * budgets)
    return titles, rows


def _number(quantity: str, value: float) -> str:
    return f"{value / UNITS[quantity][1]:.{UNITS[quantity][2]}f}"


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


def draw_search(name: str, settings: EvolveSettings, archive: Archive, folder: Path) -> list[Path]:
    """The figures of a search: all it evaluated, and the models it ends with."""
    models = result.models_of(archive, settings.models, settings.classes)
    paths = draw_evolved(evolved(name, archive), folder, bounds_of(settings))
    return paths + draw_found(drawn(models, archive), archive.problem.space, folder)


def bounds_of(settings: EvolveSettings) -> list[tuple[str, float]]:
    """Quantity and bound of every limit that is a most."""
    return [(limit.quantity, limit.bound) for limit in (*settings.limits, *settings.classes) if limit.sign == "<="]


def drawn(models: Sequence[FoundModel], archive: Archive) -> list[DrawnModel]:
    """Models as a figure takes them: name, choices, numbers."""
    space = archive.problem.space
    rows: list[DrawnModel] = []
    for model in models:
        names = tuple(names[index] for names, index in zip(space.choices, model.path, strict=True))
        numbers = [f"{_number(key, value)} {UNITS[key][0]} {WORDS[key]}".strip() for key, value in model.values.items()]
        called = f"{model.name} ({model.budget})" if model.budget else model.name
        rows.append((called, names, ", ".join(numbers)))
    return rows


def draw_truth(name: str, archive: Archive, truth: Mapping[SinglePath, float], folder: Path) -> list[Path]:
    """The true accuracies of a search's front, against the true front."""
    whole, judged = result.table_of(archive.problem, truth), result.front_by(archive, truth)
    return draw_fronts([evolved(f"{name}, true accuracies", judged)], folder, truth=evolved("truth", whole))


def evolved(name: str, archive: Archive) -> Evolved:
    """A search as figures take it."""
    front = np.zeros(len(archive), dtype=bool)
    front[archive.front()] = True
    maximized = {objective.quantity: objective.maximized for objective in archive.problem.objectives}
    return Evolved(name, maximized, dict(archive.values), archive.generation, front)


def reopened_search(run: Run) -> tuple[EvolveSettings, Archive]:
    """Settings of a run of this verb, and all that it has evaluated. Raises UserError where it is none, or damaged."""
    path = run.path / "settings.yaml"
    settings = check(EvolveSettings, read_yaml(path), path)
    space = load_space(str(run.path / "space.yaml")).fixed_topology(f"{run.path / 'space.yaml'}: name")
    tables = dict(count_tables(space, shape_of(run.path)))
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
