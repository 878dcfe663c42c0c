"""`fairdarts evolve --benchmark FILE`: which strategy finds the best models of a table soonest?"""

import hashlib
import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fairdarts.cli.begin import Kind
from fairdarts.cli.recipe import names_of, open_settings
from fairdarts.cli.words import say
from fairdarts.config import UserError
from fairdarts.cost.latency import read_latency
from fairdarts.cost.table import count_tables
from fairdarts.evolve.settings import EvolveSettings
from fairdarts.evolve.tabular import Bench, interval, make_bench, shared_budget, trial
from fairdarts.plot.regret import draw_regret
from fairdarts.ranking.report import open_benchmark
from fairdarts.resources import names
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.spaces.paths import PathSpace, path_space
from fairdarts.spaces.space import load_space

SEEDS = 50
"""searches by each strategy"""
SHARES = (0.1, 0.25, 0.5, 1.0)
"""of the budget, after which comparison.json tells the regret"""


def compare(args: Namespace, rest: Sequence[str], kind: Kind) -> int:
    """Every strategy with every seed, those that are done skipped; a process of torchrun takes its share of them."""
    if args.seeds is not None and args.seeds < 1:
        raise UserError(f"evolve: --seeds {args.seeds}: should be at least 1")
    recipes = args.config.split(",") if args.config else names_of(kind.model)
    every = shared_budget([open_settings(kind.verb, kind.model, name, rest)[0] for name in recipes])
    space = space_of(args.benchmark, every[0].space)
    benchmark = open_benchmark(args.benchmark, space, args.column)
    bench = make_bench(benchmark.truth, space, tables_of(every, space), every, str(args.benchmark))
    folder = args.out or Path("runs") / f"evolve-{args.benchmark.stem}"
    begun = {"benchmark": hashlib.sha256(args.benchmark.read_bytes()).hexdigest(), "column": benchmark.column}
    begun["strategies"] = [own.model_dump(mode="json", exclude={"seed", "threads", "device"}) for own in every]
    begin(folder, begun)

    seeds = range(args.seeds or SEEDS)
    jobs = [own.model_copy(update={"seed": seed}) for seed in seeds for own in every]
    run_jobs(jobs, bench, folder)
    done = {(told["strategy"], told["seed"]): told for told in trials(folder)}
    left = [own for own in jobs if (own.name, own.seed) not in done]
    if left:
        say(f"{folder}: {len(jobs) - len(left)} of {len(jobs)} searches are done")
        return 0
    chosen = {own.name: [done[own.name, seed] for seed in seeds] for own in every}
    show(chosen, bench, folder, f"{benchmark.name}, {benchmark.column}", args.json)
    return 0


def space_of(file: Path, name: str | None) -> PathSpace:
    """The space that is named, or the one that the file is named after. Raises UserError where there is none."""
    if name is None:
        fitting = [own for own in names("search_spaces") if file.name.startswith(own)]
        if not fitting:
            raise UserError(f"evolve: {file}: of which space are its architectures? Name it: --space nasbench201")
        name = max(fitting, key=len)
    return path_space(load_space(name, "space"), "space")


def tables_of(every: Sequence[EvolveSettings], space: PathSpace) -> dict[str, Any]:
    """What is known of a path without training. A latency is to be given, so that all trials have the same."""
    tables: dict[str, Any] = dict(count_tables(space))
    for own in every:
        if "latency" in own.quantities and not own.latency:
            raise UserError("evolve: latency: a comparison needs a table of it: --latency FILE")
        if own.latency:
            tables["latency"] = read_latency(Path(own.latency), space)
    return tables


def begin(folder: Path, begun: dict[str, Any]) -> None:
    """Writes down what is compared. Raises UserError where the folder holds another comparison."""
    path = folder / "strategies.json"
    text = json.dumps(begun, indent=1) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise UserError(f"{path}: holds another comparison; name another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def run_jobs(jobs: Sequence[EvolveSettings], bench: Bench, folder: Path) -> None:
    """Searches by those that no trial is on record of, each written down as soon as it is done."""
    rank, ranks = int(environ.get("RANK", 0)), distributed.launched()
    known = {(told["strategy"], told["seed"]) for told in trials(folder)}
    own = [job for number, job in enumerate(jobs) if number % ranks == rank and (job.name, job.seed) not in known]
    console = Console(stderr=True)
    shown = track(own, "searching", console=console, transient=True, disable=not console.is_terminal)
    with (folder / f"trials-{rank}.jsonl").open("a", encoding="utf-8") as file:
        for job in shown:
            file.write("\n" + json.dumps(trial(job, bench)))  # behind a line that a crash may have torn
            file.flush()


def trials(folder: Path) -> Iterator[dict[str, Any]]:
    """The trials on record; torn lines are none."""
    for path in sorted(folder.glob("trials-*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and told.keys() >= {"strategy", "seed", "hypervolume", "regrets"}:
                yield told


def show(chosen: dict[str, list[dict[str, Any]]], bench: Bench, folder: Path, truth: str, as_json: bool) -> None:
    """Table and figures; the same numbers in comparison.json."""
    summary = summarized(chosen, bench)
    write_atomically(folder / "comparison.json", (json.dumps(summary, indent=1) + "\n").encode())
    figures = []
    for number, limit in enumerate(bench.budgets):
        curves = {name: np.array([told["regrets"][number] for told in own]) for name, own in chosen.items()}
        within = f" with {limit}" if limit else ""
        stem = f"regret-{number + 1}" if len(bench.budgets) > 1 else "regret"
        figures += draw_regret(curves, folder, f"{truth}{within}", name=stem)
    if as_json:
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")
        return
    _print(table(summary))
    for figure in figures:
        print(figure)


def summarized(chosen: dict[str, list[dict[str, Any]]], bench: Bench) -> list[dict[str, Any]]:
    """Of every strategy: seeds, models, mean regret with its interval within every budget, and hypervolume."""
    rows = []
    for name, own in chosen.items():
        models = len(own[0]["regrets"][0])
        row: dict[str, Any] = {"strategy": name, "seeds": len(own), "models": models, "regret": {}}
        for number, limit in enumerate(bench.budgets):
            curves = np.array([told["regrets"][number] for told in own])
            after = {max(1, round(share * models)): None for share in SHARES}
            row["regret"][str(limit or "")] = {
                str(count): dict(zip(("mean", "low", "high"), interval(curves[:, count - 1]), strict=True))
                for count in after
            }
        ends = np.array([told["hypervolume"][-1] for told in own])
        row["hypervolume"] = dict(zip(("mean", "low", "high"), interval(ends), strict=True))
        rows.append(row)
    return rows


def table(summary: list[dict[str, Any]]) -> Table:
    """A strategy a row, budget by budget: mean regret ± half of its 95% interval, after parts of the models and all."""
    budgets = list(summary[0]["regret"])
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in (*(["within"] if budgets != [""] else []), "strategy"):
        shown.add_column(title)
    models = summary[0]["models"]
    regrets = [f"regret after {int(count):,}" for count in list(summary[0]["regret"][budgets[0]])[1:]]
    for title in ("seeds", *regrets, f"hypervolume after {models:,}, %"):
        shown.add_column(title, justify="right")
    for limit in budgets:
        for row in summary:
            cells = [_cell(at, 3) for at in list(row["regret"][limit].values())[1:]]
            share = {key: 100 * value for key, value in row["hypervolume"].items()}
            head = [limit] if budgets != [""] else []
            shown.add_row(*head, row["strategy"], str(row["seeds"]), *cells, _cell(share, 2))
    return shown


def _cell(number: dict[str, float], decimals: int) -> str:
    half = number["high"] - number["mean"]
    return f"{number['mean']:.{decimals}f} ± {half:.{decimals}f}"


def _print(shown: Table) -> None:
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False).print(shown)
