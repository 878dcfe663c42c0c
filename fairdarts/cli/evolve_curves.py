"""How a comparison of strategies is shown: regret and hypervolume as table, figure and JSON."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from fairdarts.cli.words import empty_table, print_table, to_json
from fairdarts.evolve.tabular import TabularBenchmark, interval
from fairdarts.plot.regret import draw_regret
from fairdarts.runtime.checkpoint import write_atomically

SHARES = (0.1, 0.25, 0.5, 1.0)
"""of the budget, after which the regret is told"""
ENDS = ("mean", "low", "high")


def show(
    chosen: dict[str, list[dict[str, Any]]], bench: TabularBenchmark, folder: Path, truth: str, as_json: bool
) -> None:
    """Table and figures of the searches of every strategy; the same numbers in comparison.json."""
    summary = summarized(chosen, bench)
    write_atomically(folder / "comparison.json", to_json(summary).encode())
    figures = []
    for number, limit in enumerate(bench.budgets):
        curves = {name: np.array([trial["regrets"][number] for trial in trials]) for name, trials in chosen.items()}
        stem = f"regret-{number + 1}" if len(bench.budgets) > 1 else "regret"
        figures += draw_regret(curves, folder, f"{truth}{f' with {limit}' if limit else ''}", name=stem)
    if as_json:
        sys.stdout.write(to_json(summary))
        return
    print_table(table(summary))
    for figure in figures:
        print(figure)


def summarized(chosen: dict[str, list[dict[str, Any]]], bench: TabularBenchmark) -> list[dict[str, Any]]:
    """Of every strategy: seeds, models, mean regret with its interval within every budget, and hypervolume."""
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


def table(summary: list[dict[str, Any]]) -> Table:
    """A strategy a row, budget by budget: mean regret ± half of its 95% interval, after parts of the models and all."""
    budgets = list(summary[0]["regret"])
    counts = list(summary[0]["regret"][budgets[0]])[-3:]
    regrets = [f"regret after {int(count):,}" for count in counts]
    head = ["strategy"] if budgets == [""] else ["within", "strategy"]
    volume = f"hypervolume after {int(counts[-1]):,}, %"
    shown = empty_table(*head, "seeds", *regrets, volume, words=len(head))
    for limit in budgets:
        for row in summary:
            cells = [_cell(row["regret"][limit][count], 1, 3) for count in counts]
            head = [limit] if budgets != [""] else []
            shown.add_row(*head, row["strategy"], str(row["seeds"]), *cells, _cell(row["hypervolume"], 100, 2))
    return shown


def _cell(number: dict[str, float | None], scale: float, decimals: int) -> str:
    mean = f"{scale * number['mean']:.{decimals}f}"
    if number["high"] is None:
        return mean
    return f"{mean} ± {scale * (number['high'] - number['mean']):.{decimals}f}"
