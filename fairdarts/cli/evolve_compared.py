"""How a comparison of strategies is shown: regret and hypervolume as table, figure and JSON."""

import sys
from typing import Any

from rich.table import Table

from fairdarts.cli.words import empty_table, print_table, to_json
from fairdarts.runs.compare import Comparison


def show(compared: Comparison, as_json: bool) -> None:
    """Table and figures of the searches of every strategy, or the same numbers as JSON."""
    figures = compared.figures()
    if as_json:
        sys.stdout.write(to_json(compared.summary))
        return
    print_table(table(compared.summary))
    for figure in figures:
        print(figure)


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


def _cell(number: dict[str, Any], scale: float, decimals: int) -> str:
    mean = f"{scale * number['mean']:.{decimals}f}"
    if number["high"] is None:
        return mean
    return f"{mean} ± {scale * (number['high'] - number['mean']):.{decimals}f}"
