"""Does a longer training rank better? Kendall's τ against the images that a supernet's training passed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from fairdarts.plot import style

WIDE = 4
"""the largest budget is so many times the smallest where a logarithmic scale begins"""


class BudgetInfo(NamedTuple):
    """Kendall's τ of every run by its budget: images passed forward and backward, as often as they were."""

    taus: dict[str, dict[int, tuple[float, ...]]]
    """recipe → budget, ascending → τ of its seeds"""
    series: dict[str, int]
    """recipe → place among all recipes, from 0, those without a τ included"""


def budget(ranking: dict) -> int:
    """Images that the training passed forward and backward: passes of a batch × its size."""
    return ranking["passes"] * ranking["batch_size"]


def budget_info(rankings: Sequence[dict]) -> BudgetInfo:
    """Of the rankings that have a τ."""
    taus: dict[str, dict[int, tuple[float, ...]]] = {}
    recipes = dict.fromkeys(ranking["recipe"] for ranking in rankings)
    for ranking in rankings:
        value = ((ranking["measured"] or {}).get("kendall") or {}).get("value")
        if value is not None and np.isfinite(value) and budget(ranking) > 0:
            points = taus.setdefault(ranking["recipe"], {})
            points[budget(ranking)] = (*points.get(budget(ranking), ()), value)
    places = {recipe: place for place, recipe in enumerate(recipes)}
    return BudgetInfo({recipe: dict(sorted(points.items())) for recipe, points in taus.items()}, places)


def budget_figure(info: BudgetInfo) -> Figure:
    """A line a recipe through the means of its seeds, a dot a seed."""
    figure = Figure(figsize=(6.8, 3.9), layout="constrained")
    ax = figure.subplots()
    budgets = [budget for points in info.taus.values() for budget in points]
    wide = max(budgets) > WIDE * min(budgets)
    place = _apart(budgets, len(info.taus), wide)
    for number, (recipe, points) in enumerate(info.taus.items()):
        look = style.series(info.series[recipe])
        places = np.asarray([place(budget, number) for budget in points])
        means = [np.mean(taus) for taus in points.values()]
        ax.plot(places, means, color=look["color"], linestyle=look["linestyle"], linewidth=1.8)
        ax.plot([], [], **look, markersize=5, label=recipe)
        # A spread of one seed is none.
        several = np.asarray([len(taus) > 1 for taus in points.values()])
        spread = [np.std(taus, ddof=1) if len(taus) > 1 else 0 for taus in points.values()]
        whiskers = {"fmt": "none", "ecolor": look["color"], "elinewidth": 1.1, "capsize": 3.5}
        ax.errorbar(places[several], np.compress(several, means), np.compress(several, spread), **whiskers)
        dots = [(x, tau) for x, taus in zip(places, points.values(), strict=True) for tau in taus]
        ax.plot(*zip(*dots, strict=True), **look | {"linestyle": "none"}, markersize=4.5, alpha=0.65)
    if wide:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(LogLocator(subs=()))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    several = any(len(taus) > 1 for points in info.taus.values() for taus in points.values())
    note = "A marker a seed; line: mean of the seeds"
    ax.set_title(note + "; whisker: ± one standard deviation" * several, fontsize=9.5, loc="left")
    style.tidy(ax, "image passes, forward and backward (batches × batch size)", "Kendall's τ")
    ax.margins(x=0.06)
    style.legend_below(figure, *ax.get_legend_handles_labels())
    return figure


def _apart(budgets: list[int], recipes: int, wide: bool) -> Callable[[int, int], float]:
    """Where a recipe's budget stands on the axis: beside those of other recipes, whose whiskers it would hide."""
    step = min(0.008, 0.06 / recipes)

    def place(budget: int, number: int) -> float:
        shift = step * (number - (recipes - 1) / 2)
        if wide:
            return budget * (max(budgets) / min(budgets)) ** shift
        return budget + (max(budgets) - min(budgets)) * shift

    return place
