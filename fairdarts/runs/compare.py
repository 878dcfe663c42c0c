"""Which strategy finds the best models of a benchmark's table soonest? The table is the truth, no network is run."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairdarts.config import UserError
from fairdarts.cost.latency import read_latency
from fairdarts.cost.table import Table, count_tables
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.evolution.tabular import TabularBenchmark, interval, make_bench, trial
from fairdarts.plot.regret import draw_regret
from fairdarts.ranking.report import open_benchmark
from fairdarts.reading import read_text
from fairdarts.resources import names
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.recipe import Recipe
from fairdarts.runs.strategies import SEEDS, check_asked, strategies
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.lock import held
from fairdarts.runtime.run import LOCK
from fairdarts.spaces.space import Space, load_space

SHARES = (0.1, 0.25, 0.5, 1.0)
"""of the budget, after which the regret is told"""
ENDS = ("mean", "low", "high")
KEPT = "the searches that are done are kept; the same command goes on"


@dataclass(frozen=True, repr=False)
class Comparison:
    """What came of a comparison of strategies."""

    path: Path
    """its folder"""
    trials: dict[str, list[dict[str, Any]]]
    """strategy → its searches, seed by seed: in each `regrets`, within every budget after every model, and
    `hypervolume`, the share of the table's after every generation"""
    summary: list[dict[str, Any]]
    """of every strategy: seeds, models, mean regret with its 95% interval within every budget, and hypervolume; what
    comparison.json holds"""
    truth: str
    """the benchmark and its column"""

    def __repr__(self) -> str:
        return f"<comparison {self.path}: {', '.join(self.trials)} on {self.truth}>"

    def figures(self, folder: str | Path | None = None) -> list[Path]:
        """Draws the regret of all strategies within every budget, into its own folder or another one."""
        figures, budgets = [], list(self.summary[0]["regret"])
        for number, limit in enumerate(budgets):
            curves = {name: np.array([one["regrets"][number] for one in own]) for name, own in self.trials.items()}
            stem = f"regret-{number + 1}" if len(budgets) > 1 else "regret"
            title = f"{self.truth}{f' with {limit}' if limit else ''}"
            figures += draw_regret(curves, Path(folder or self.path), title, name=stem)
        return figures


def compare(
    benchmark: str | Path,
    recipes: str | Sequence[Recipe] | None = None,
    column: str | None = None,
    seeds: int = SEEDS,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    callbacks: Sequence[Watches] | Watches = (),
) -> Comparison:
    """Compares strategies of evolution on a benchmark's table, as `fairdarts evolve --benchmark FILE` does.

    `recipes` are a list, or names with commas between them; by default all that are shipped. Each searches with every
    seed from 0 to below `seeds`. `settings` are laid over all of them. Searches that are done are kept in `out`, or
    runs/evolve-FILE, so a later call goes on, or adds seeds and strategies. Raises UserError where strategies cannot be
    compared, or the folder holds another comparison.

    >>> compared = fairdarts.compare("nasbench201.csv", "nsga2, random-search", settings={"objectives": "accuracy"})
    >>> pandas.DataFrame(compared.summary)
    """
    with distributed.joined():
        return carry_out(Path(benchmark), recipes, column, seeds, settings or {}, out, Callbacks(callbacks))


def carry_out(
    file: Path,
    recipes: str | Sequence[Recipe] | None,
    column: str | None,
    seeds: int,
    settings: Mapping[str, Any],
    out: str | Path | None,
    watch: Callbacks,
) -> Comparison:
    """Every strategy with every seed, those that are done skipped; several processes share them out."""
    with distributed.together():
        check_asked(seeds, settings)
        read_text(file)
        every = strategies(recipes, settings)
        for strategy in every:
            use_threads(strategy.threads)
        space = _space_of(file, every[0].space)
        benchmark = open_benchmark(file, space, column)
        bench = make_bench(benchmark.truth, space, _tables_of(every[0], space), every, str(file))
        folder = Path(out or Path("runs") / f"evolve-{file.stem}")
    jobs = [strategy.model_copy(update={"seed": seed}) for seed in range(seeds) for strategy in every]
    with ExitStack() as stack:
        with distributed.together():
            if distributed.rank() == 0:
                stack.enter_context(held(folder / LOCK))
                _begin(folder, file, benchmark.column, bench, every)
        with distributed.together():
            try:
                _run_jobs(jobs, bench, folder, watch)
            except KeyboardInterrupt:
                watch.note(KEPT)
                raise

    def gathered() -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
        done = {(record["strategy"], record["seed"]): record for record in _trials(folder)}
        chosen = {strategy.name: [done[strategy.name, seed] for seed in range(seeds)] for strategy in every}
        summary = _summarized(chosen, bench)
        write_atomically(folder / "comparison.json", (json.dumps(summary, indent=1) + "\n").encode())
        return chosen, summary

    chosen, summary = distributed.shared(distributed.first(gathered))
    return Comparison(folder, chosen, summary, f"{benchmark.name}, {benchmark.column}")


def _space_of(file: Path, name: str | None) -> Space:
    """The space that is named, or the one that the file is named after. Raises UserError where there is none."""
    if name is None:
        fitting = [space for space in names("search_spaces") if file.name.startswith(space)]
        if not fitting:
            raise UserError(f"evolve: {file}: of which space are its architectures? Name it: --space nasbench201")
        name = max(fitting, key=len)
    return load_space(name, "space").fixed_topology("space")


def _tables_of(settings: EvolveSettings, space: Space) -> dict[str, Table]:
    """What is known of a path without training. A latency is to be given, so that all searches have the same."""
    tables: dict[str, Table] = dict(count_tables(space))
    if settings.latency:
        return tables | {"latency": read_latency(Path(settings.latency), space)}
    if "latency" in settings.quantities:
        raise UserError("evolve: latency: a comparison needs a table of it: --latency FILE")
    return tables


def _begin(folder: Path, file: Path, column: str, bench: TabularBenchmark, every: Sequence[EvolveSettings]) -> None:
    """Writes down what is compared, beside what was before. Raises UserError where that does not go together."""
    path = folder / "strategies.json"
    objectives = [objective.quantity for objective in bench.table.problem.objectives]
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    compared: dict[str, Any] = {"benchmark": sha, "column": column, "objectives": objectives}
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


def _run_jobs(jobs: Sequence[EvolveSettings], bench: TabularBenchmark, folder: Path, watch: Callback) -> None:
    """Searches by those that no trial is on record of, each written down as soon as it is done."""
    rank, ranks = distributed.rank(), distributed.ranks()
    known = {(record["strategy"], record["seed"]) for record in _trials(folder)}
    left = [job for job in jobs[rank::ranks] if (job.name, job.seed) not in known]
    path = folder / f"trials-{rank}.jsonl"
    for job in watch.track(left, len(left), "searching"):
        line = "\n" + json.dumps(trial(job, bench))  # behind a line that a crash may have torn
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}; {KEPT}") from None


def _trials(folder: Path) -> Iterator[dict[str, Any]]:
    """The trials on record; torn lines are none."""
    for path in sorted(folder.glob("trials-*.jsonl")):
        for line in read_text(path).split("\n"):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict) and record.keys() >= {"strategy", "seed", "hypervolume", "regrets"}:
                yield record


def _summarized(chosen: Mapping[str, list[dict[str, Any]]], bench: TabularBenchmark) -> list[dict[str, Any]]:
    """Seeds, models, mean regret with its interval within every budget, and hypervolume of every strategy."""
    # All that a limit leaves, at most.
    models = min(len(trial["regrets"][0]) for trials in chosen.values() for trial in trials)
    counts = sorted({max(1, round(share * models)) for share in SHARES})
    rows = []
    for name, trials in chosen.items():
        row: dict[str, Any] = {"strategy": name, "seeds": len(trials), "models": models, "regret": {}}
        for number, limit in enumerate(bench.budgets):
            curves = np.array([trial["regrets"][number][:models] for trial in trials])
            after = {str(count): interval(curves[:, count - 1]) for count in counts}
            ends = {count: dict(zip(ENDS, regrets, strict=True)) for count, regrets in after.items()}
            row["regret"][str(limit or "")] = ends
        volumes = np.array([trial["hypervolume"][-1] for trial in trials])
        row["hypervolume"] = dict(zip(ENDS, interval(volumes), strict=True))
        rows.append(row)
    return rows
