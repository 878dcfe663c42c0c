"""How much gate mass is kept within which budget?"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from fairdarts.plot import style
from fairdarts.plot.settings import USUAL

UNITS = {"madds": "multiply-adds", "params": "parameters", "latency": "latency, ms"}


class BoundedInfo(NamedTuple):
    """What was derived within budgets, by rising cost."""

    quantity: str
    budgets: tuple[float, ...]
    costs: tuple[float, ...]
    masses: tuple[float, ...]
    without: tuple[float, float] | None
    """cost and mass without a budget"""


def bounded_info(
    points: Sequence[tuple[float, float, float]], quantity: str, without: tuple[float, float] | None = None
) -> BoundedInfo:
    """What points (budget, cost, mass) tell."""
    budgets, costs, masses = zip(*sorted(points), strict=True)
    return BoundedInfo(quantity, budgets, costs, masses, without)


def bounded_figure(info: BoundedInfo) -> Figure:
    """A marker a genotype, with the room that is left to its budget."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    ax = figure.subplots()
    colour = style.SERIES[0][0]
    ax.hlines(info.masses, info.costs, info.budgets, color=style.FAINT, linewidth=1.2)
    ax.plot(info.budgets, info.masses, "|", color=style.FAINT, markersize=11, markeredgewidth=1.6, label="budget")
    ax.plot(info.costs, info.masses, "o-", color=colour, linewidth=1.4, markersize=6, label="derived network")
    if info.without:
        ax.plot(*info.without, "s", color=style.SERIES[1][0], markersize=7, label="without a budget", zorder=0)
    if info.quantity != "latency":
        ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    style.tidy(ax, UNITS[info.quantity], "sum of the gates that are kept")
    ax.margins(x=0.06, y=0.1)
    style.legend_below(figure, *ax.get_legend_handles_labels())
    return figure


def draw_bounded(
    points: Sequence[tuple[float, float, float]],
    quantity: str,
    folder: Path,
    without: tuple[float, float] | None = None,
    formats: Sequence[str] = USUAL,
) -> list[Path]:
    """Writes the figure as `front` into `folder`, in every format, and gives the paths; none of no point."""
    if not points:
        return []
    return style.save(bounded_figure(bounded_info(points, quantity, without)), folder, "front", formats)
