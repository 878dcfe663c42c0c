"""How `fairdarts rank` shows what it measured, as a table on stdout."""

from collections.abc import Sequence
from math import isnan
from statistics import fmean, stdev

from rich.table import Table

from fairdarts.cli.words import empty_table, print_table
from fairdarts.ranking.tau import MEASURES, Measured
from fairdarts.runs.rank import Ranking

BEST = {"truth": "truth of best", "regret": "regret of best"}
"""what is told of the highest ranked architecture → what it is called"""


def show(rankings: Sequence[Ranking]) -> None:
    """Of one ranking, a measure a row; of several, a ranking a row, and where recipes ran with several seeds, their
    means."""
    if len(rankings) == 1:
        print_table(_alone(rankings[0]))
        return
    print_table(_side_by_side(rankings))
    groups: dict[tuple[str, int], list[Ranking]] = {}
    for ranking in rankings:
        groups.setdefault((ranking.content["recipe"], ranking.content["passes"]), []).append(ranking)
    if len(groups) < len(rankings):
        print()
        print_table(_means(groups))


def about(rankings: Sequence[Ranking]) -> str:
    """What rankings of the same architectures were measured by."""
    one = rankings[0].content
    truth = f"truth {one['benchmark']}, {one['column']}; " if one["benchmark"] else "no truth; "
    norms = {"tracked": "remembered statistics", "batch": "statistics of batches"}
    kinds = dict.fromkeys(ranking.content["statistics"] for ranking in rankings)
    by = " or ".join(norms.get(kind, f"statistics of {kind} training batches") for kind in kinds)
    return f"{truth}{len(one['score'])} architectures, {one['images']:,} held-out images, BatchNorm with {by}"


def _alone(ranking: Ranking) -> Table:
    table = empty_table("measure", "value", "95% interval", "n")
    for name, title in MEASURES.items() if ranking.measured else ():
        number = ranking.measured[name]
        table.add_row(title, *_cells(number), str(number.n))
    if best := ranking.best:
        for key, title in BEST.items():
            table.add_row(title, f"{best[key]:.2f}", "–", str(len(ranking.score)))
    score = ranking.score
    table.add_row("mean one-shot", f"{fmean(score):.2f}", f"({min(score):.2f} to {max(score):.2f})", str(len(score)))
    return table


def _side_by_side(rankings: Sequence[Ranking]) -> Table:
    table = empty_table("run", "passes", *MEASURES.values(), *BEST.values(), "mean one-shot")
    for ranking in rankings:
        numbers = [_cells(ranking.measured[name])[0] if ranking.measured else "" for name in MEASURES]
        numbers += [f"{ranking.best[key]:.2f}" if ranking.best else "" for key in BEST]
        table.add_row(ranking.content["run"], f"{ranking.content['passes']:,}", *numbers, f"{fmean(ranking.score):.2f}")
    return table


def _means(groups: dict[tuple[str, int], list[Ranking]]) -> Table:
    titles = (*MEASURES.values(), *BEST.values(), "mean one-shot")
    table = empty_table("recipe: mean ± deviation over seeds", "passes", "seeds", *titles)
    for (recipe, passes), group in groups.items():
        measured = [ranking.measured for ranking in group if ranking.measured]
        columns = [[measures[name].value for measures in measured] for name in MEASURES]
        columns += [[ranking.best[key] for ranking in group if ranking.best] for key in BEST]
        columns.append([fmean(ranking.score) for ranking in group])
        table.add_row(recipe, f"{passes:,}", str(len(group)), *map(_mean, columns))
    return table


def _mean(values: Sequence[float]) -> str:
    known = [value for value in values if not isnan(value)]
    if not known:
        return "–"
    return f"{fmean(known):.3f}" + (f" ± {stdev(known):.3f}" if len(known) > 1 else "")


def _cells(number: Measured) -> tuple[str, str]:
    """Value and interval of a measure, or why there is none; no interval where it cannot be told."""
    if isnan(number.value):
        return "–", number.reason
    if isnan(number.low):
        return f"{number.value:.3f}", "–"
    return f"{number.value:.3f}", f"{number.low:.3f} to {number.high:.3f}"
