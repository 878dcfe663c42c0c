"""What did the gates cost, epoch after epoch, and what would have been derived?"""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.bounded import UNITS


class CostInfo(NamedTuple):
    """The cost of a search, from epoch 0 on."""

    quantity: str
    target: float
    epochs: tuple[int, ...]
    expected: tuple[float, ...]
    derived: tuple[float, ...]
    """of the network that would be derived; not a number where there is none"""


def cost_info(records: list[dict[str, Any]]) -> CostInfo | None:
    """What the records of a search tell; None where it asked for no cost."""
    costs = [(record["epoch"], record["cost"]) for record in records if "cost" in record]
    if not costs:
        return None
    epochs, rows = zip(*costs, strict=True)
    derived = tuple(np.nan if row["derived"] is None else row["derived"] for row in rows)
    return CostInfo(rows[0]["quantity"], rows[0]["target"], epochs, tuple(row["expected"] for row in rows), derived)


def cost_figure(info: CostInfo) -> Figure:
    """The target, what was expected, and what would have been derived."""
    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    ax = figure.subplots()
    ax.axhline(info.target, color=style.FAINT, linewidth=1.6, linestyle="--", zorder=3, label="target")
    lines = ((info.expected, "expected under the gates"), (info.derived, "derived network"))
    for number, (costs, label) in enumerate(lines):
        if np.isnan(costs).all():
            continue
        ax.plot(info.epochs, costs, **style.series(number), markersize=4, linewidth=1.5, label=label)
    ax.set_ylim(bottom=0)
    if info.quantity != "latency":
        ax.yaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    style.tidy(ax, "epoch", UNITS[info.quantity])
    style.legend_below(figure, *ax.get_legend_handles_labels())
    return figure
