"""`fairdarts evolve --benchmark FILE`: which strategy finds the best models of a table soonest?"""

import hashlib
import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairdarts.cli.begin import Kind
from fairdarts.cli.evolve_curves import show
from fairdarts.cli.recipe import names_of, open_settings
from fairdarts.cli.words import say, tracked
from fairdarts.config import UserError, parse_overrides, read_text
from fairdarts.cost.latency import read_latency
from fairdarts.cost.table import Table, count_tables
from fairdarts.evolve.settings import EvolveSettings
from fairdarts.evolve.tabular import TabularBenchmark, make_bench, trial
from fairdarts.ranking.report import open_benchmark
from fairdarts.resources import names
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.lock import held
from fairdarts.runtime.run import LOCK
from fairdarts.spaces.space import Space, load_space

SEEDS = 50
"""searches by each strategy"""
DEAF = {
    "seed": "it has --seeds",
    "supernet": "the table judges",
    "judge": "the table judges",
    "models": "it ends with none",
    "root": "it needs no images",
    "device": "it trains and runs no network",
}
"""settings without effect on a comparison, and why"""


def compare(args: Namespace, rest: Sequence[str], kind: Kind) -> int:
    """Every strategy with every seed, those that are done skipped; several processes share them out."""
    if args.seeds is not None and not 1 <= args.seeds <= 100_000:
        raise UserError(f"evolve: --seeds {args.seeds}: should be at least 1, at most 100000")
    for key in parse_overrides(rest):
        if why := DEAF.get(key.partition(".")[0]):
            raise UserError(f"evolve: --{key}: is of no use in a comparison on a table: {why}")
    first, seeds = distributed.rank() == 0, range(args.seeds or SEEDS)
    with distributed.together():
        read_text(args.benchmark)
        every = strategies(kind, args.config, rest)
        space = space_of(args.benchmark, every[0].space)
        benchmark = open_benchmark(args.benchmark, space, args.column)
        bench = make_bench(benchmark.truth, space, tables_of(every[0], space), every, str(args.benchmark))
        folder = args.out or Path("runs") / f"evolve-{args.benchmark.stem}"
    jobs = [strategy.model_copy(update={"seed": seed}) for seed in seeds for strategy in every]
    with ExitStack() as stack:
        with distributed.together():
            if first:
                stack.enter_context(held(folder / LOCK))
                begin(folder, args.benchmark, benchmark.column, bench, every)
        with distributed.together():
            try:
                run_jobs(jobs, bench, folder)
            except KeyboardInterrupt:
                say("the searches that are done are kept; the same command goes on")
                raise
    if first:
        done = {(record["strategy"], record["seed"]): record for record in trials(folder)}
        chosen = {strategy.name: [done[strategy.name, seed] for seed in seeds] for strategy in every}
        show(chosen, bench, folder, f"{benchmark.name}, {benchmark.column}", args.json)
    return 0


def strategies(kind: Kind, config: str | None, rest: Sequence[str]) -> list[EvolveSettings]:
    """The recipes, with as many generations as the one that has the fewest. UserError names the recipe."""
    recipes = [name.strip() for name in config.split(",") if name.strip()] if config else names_of(kind.model)
    if not recipes:
        raise UserError(f"evolve: --config {config}: names no recipe")
    every = []
    for name in recipes:
        try:
            every.append(open_settings(kind.verb, kind.model, name, rest)[0])
        except UserError as error:
            problem = str(error)
            raise UserError(problem if name in problem else f"{name}: {problem}") from None
    called = [strategy.name for strategy in every]
    for name in called:
        if called.count(name) > 1:
            raise UserError(f"evolve: --config {config}: two recipes have the name {name}; should have one each")
    fewest = min(strategy.generations for strategy in every)
    return [strategy.model_copy(update={"generations": fewest}) for strategy in every]


def space_of(file: Path, name: str | None) -> Space:
    """The space that is named, or the one that the file is named after. Raises UserError where there is none."""
    if name is None:
        fitting = [space for space in names("search_spaces") if file.name.startswith(space)]
        if not fitting:
            raise UserError(f"evolve: {file}: of which space are its architectures? Name it: --space nasbench201")
        name = max(fitting, key=len)
    return load_space(name, "space").fixed_topology("space")


def tables_of(settings: EvolveSettings, space: Space) -> dict[str, Table]:
    """What is known of a path without training. A latency is to be given, so that all searches have the same."""
    tables: dict[str, Table] = dict(count_tables(space))
    if settings.latency:
        return tables | {"latency": read_latency(Path(settings.latency), space)}
    if "latency" in settings.quantities:
        raise UserError("evolve: latency: a comparison needs a table of it: --latency FILE")
    return tables


def begin(folder: Path, file: Path, column: str, bench: TabularBenchmark, every: Sequence[EvolveSettings]) -> None:
    """Writes down what is compared, beside what was before. Raises UserError where that does not go together."""
    path = folder / "strategies.json"
    objectives = [objective.quantity for objective in bench.table.problem.objectives]
    compared = {"benchmark": hashlib.sha256(file.read_bytes()).hexdigest(), "column": column, "objectives": objectives}
    compared["strategies"] = {
        strategy.name: strategy.model_dump(
            mode="json", exclude={"verb", "seed", "threads", "device", "models", "source", "deviations"}
        )
        for strategy in every
    }
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            compared["strategies"] = before["strategies"] | compared["strategies"]
            changed = [key for key in ("benchmark", "column", "objectives") if before[key] != compared[key]]
            for name, then in before["strategies"].items():
                now = compared["strategies"][name]
                changed += [f"{key} of {name}" for key in now if then.get(key) != now[key]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(f"{path}: not a comparison's; name another --out") from None
        if changed:
            raise UserError(f"{path}: holds another comparison, as to {changed[0]}; name another --out")
    elif folder.is_dir() and any(entry.name != LOCK for entry in folder.iterdir()):
        raise UserError(f"{folder}: holds something else than a comparison; name another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(compared, indent=1) + "\n").encode())


def run_jobs(jobs: Sequence[EvolveSettings], bench: TabularBenchmark, folder: Path) -> None:
    """Searches by those that no trial is on record of, each written down as soon as it is done."""
    rank, ranks = distributed.rank(), distributed.ranks()
    known = {(record["strategy"], record["seed"]) for record in trials(folder)}
    left = [job for job in jobs[rank::ranks] if (job.name, job.seed) not in known]
    path = folder / f"trials-{rank}.jsonl"
    for job in tracked(left, what="searching"):
        line = "\n" + json.dumps(trial(job, bench))  # behind a line that a crash may have torn
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            again = "the searches that are done are kept; the same command goes on"
            raise UserError(f"{path}: cannot be written: {error.strerror}; {again}") from None


def trials(folder: Path) -> Iterator[dict[str, Any]]:
    """The trials on record; torn lines are none."""
    for path in sorted(folder.glob("trials-*.jsonl")):
        for line in read_text(path).split("\n"):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and record.keys() >= {"strategy", "seed", "hypervolume", "regrets"}:
                yield record
