"""Which operations win while a search runs? As FairDARTS (arXiv:1911.12126), Fig. 1, top."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.genotype import CELLS
from fairdarts.plot import style
from fairdarts.spaces.cell import CellSpace


class DominantInfo(NamedTuple):
    """How many dominant operations there are of each candidate."""

    epochs: tuple[int, ...]
    """0 is before training"""
    candidates: tuple[str, ...]
    """names of the operations"""
    counts: dict[str, np.ndarray]
    """of each cell [candidates, epochs]"""


def dominant_info(records: list[dict], space: CellSpace) -> DominantInfo:
    """The dominant operations of all records; a candidate that a record does not name has none."""
    counts = {
        cell: np.asarray([[record["dominant"][cell].get(op, 0) for record in records] for op in space.candidates])
        for cell in CELLS
    }
    return DominantInfo(tuple(record["epoch"] for record in records), space.candidates, counts)


def dominant_figure(info: DominantInfo) -> Figure:
    """Stacked areas, one a candidate, in steps as counts are whole: a panel for each cell."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, len(CELLS), sharey=True)
    for ax, cell in zip(axes, CELLS, strict=True):
        areas = _panel(ax, info, cell)
    axes[0].set_ylabel("dominant operations")
    axes[0].set_ylim(0, 1.05 * max(1, *(counts.sum(axis=0).max() for counts in info.counts.values())))
    # Listed as they are stacked, the first candidate lowest.
    figure.legend(handles=areas[::-1], loc="outside right center", fontsize=10, frameon=False)
    return figure


def _panel(ax: Axes, info: DominantInfo, cell: str) -> list:
    epochs = np.asarray(info.epochs, dtype=float)
    between = (epochs[1:] + epochs[:-1]) / 2
    borders = np.concatenate([epochs[:1] - 0.5, between, epochs[-1:] + 0.5])
    tops = info.counts[cell].cumsum(axis=0)
    areas = []
    for op, top, count in zip(info.candidates, tops, info.counts[cell], strict=True):
        look = {"facecolor": style.colour(op), "edgecolor": "white", "linewidth": 0.5, "label": style.label(op)}
        areas.append(ax.stairs(top, borders, baseline=top - count, fill=True, **look))
    if not info.counts[cell].any():
        ax.text(0.5, 0.5, "no dominant operation", transform=ax.transAxes, ha="center", color=style.FAINT)
    ax.set_title(f"{cell} cell", fontsize=11)
    ax.set_xlabel("epoch")
    ax.set_xlim(borders[0], borders[-1])
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.spines[["top", "right"]].set_visible(False)
    return areas
