"""How do the gates of every edge move while a search runs? As FairDARTS (arXiv:1911.12126), Fig. 9 to 14."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.spaces.cell import CellSpace


class EvolutionInfo(NamedTuple):
    """The gates of one cell, epoch after epoch."""

    cell: str
    """normal or reduce"""
    epochs: tuple[int, ...]
    """0 is before training"""
    edges: tuple[tuple[int, int], ...]
    """(j, k) of every edge: node j, without the inputs, reads k"""
    candidates: tuple[str, ...]
    """names of the operations"""
    gates: np.ndarray
    """[epochs, edges, candidates]"""


def evolution_info(records: list[dict], space: CellSpace, cell: str) -> EvolutionInfo:
    """The gates of one cell ('normal' or 'reduce') in all records."""
    epochs = tuple(record["epoch"] for record in records)
    gates = np.asarray([record["gates"][cell] for record in records], dtype=float)
    return EvolutionInfo(cell, epochs, style.paper_edges(space), space.candidates, gates)


def evolution_figure(info: EvolutionInfo) -> Figure:
    """A panel an edge, a line a candidate. Row j and column k of the panels hold edge (j, k)."""
    nodes, sources = (max(pair[side] for pair in info.edges) + 1 for side in (0, 1))
    beside = nodes < 3  # of more nodes, the blank triangle above the panels has room for the legend
    figure = Figure(figsize=(0.6 + 1.9 * sources + 1.6 * beside, 0.9 + 1.45 * nodes), layout="constrained")
    axes = figure.subplots(nodes, sources, sharex=True, sharey=True, squeeze=False)
    for place, ax in np.ndenumerate(axes):
        ax.set_visible(place in info.edges)
    for edge, place in enumerate(info.edges):
        _panel(axes[place], info, edge)
    highest = np.nanmax(info.gates, initial=0)
    # Softmax gates share a sum of 1 and would creep along the bottom.
    axes[0, 0].set_ylim(-0.02, 1.02 if highest > 0.5 else math.ceil(10 * highest + 0.1) / 10)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("gate", fontsize=10)
    figure.suptitle(f"Gates of the {info.cell} cell, by edge (node, input)", x=0.01, ha="left")
    lines = [Line2D([], [], color=style.colour(op), linewidth=2.5, label=style.label(op)) for op in info.candidates]
    loc = "outside right center" if beside else "upper right"
    figure.legend(handles=lines, loc=loc, fontsize=10, frameon=False)
    return figure


def _panel(ax: Axes, info: EvolutionInfo, edge: int) -> None:
    count = len(info.candidates)
    # Of one epoch a line shows nothing, and points that begin alike would hide each other.
    apart = np.linspace(-0.3, 0.3, count) if len(info.epochs) == 1 else np.zeros(count)
    marker = "o" if len(info.epochs) <= 10 else None
    for column, op in enumerate(info.candidates):
        look = {"color": style.colour(op), "linewidth": 1.6, "marker": marker, "markersize": 3.5}
        ax.plot(np.asarray(info.epochs) + apart[column], info.gates[:, edge, column], **look)
    ax.set_title("({}, {})".format(*info.edges[edge]), fontsize=9, pad=3)
    ax.tick_params(labelsize=8)
    ax.grid(color="#E6E6E6", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.margins(x=0.04)
