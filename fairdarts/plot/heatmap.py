"""How strong is every candidate of every edge at one epoch? As FairDARTS (arXiv:1911.12126), Fig. 4."""

from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fairdarts.genotype import CELLS
from fairdarts.plot import style
from fairdarts.spaces.cell import CellSpace


class HeatmapInfo(NamedTuple):
    """The gates of one epoch."""

    epoch: int
    """0 is before training"""
    edges: tuple[tuple[int, int], ...]
    """(j, k) of every edge: node j, without the inputs, reads k"""
    candidates: tuple[str, ...]
    """names of the operations"""
    gates: dict[str, np.ndarray]
    """of each cell [edges, candidates]"""


def heatmap_info(records: list[dict], space: CellSpace) -> HeatmapInfo:
    """The gates of the last record."""
    last = records[-1]
    gates = {cell: np.asarray(last["gates"][cell], dtype=float).reshape(space.shape) for cell in CELLS}
    return HeatmapInfo(last["epoch"], style.paper_edges(space), space.candidates, gates)


def heatmap_figure(info: HeatmapInfo) -> Figure:
    """Both cells side by side: a row an edge, a column a candidate, the gate written into its square."""
    rows, columns = len(info.edges), len(info.candidates)
    figure = Figure(figsize=(1.9 + 2 * 0.52 * columns, 1.5 + 0.28 * rows), layout="constrained")
    axes = figure.subplots(1, len(CELLS), sharey=True)
    for ax, cell in zip(axes, CELLS, strict=True):
        mesh = _panel(ax, info, cell)
    axes[0].set_ylim(rows - 0.5, -0.5)  # the first edge on top
    axes[0].set_ylabel("edge (node, input)")
    figure.colorbar(mesh, ax=axes, label="gate", fraction=0.03, pad=0.01).outline.set_visible(False)
    figure.suptitle(f"Gates at epoch {info.epoch}" if info.epoch else "Gates before training (epoch 0)")
    return figure


def _panel(ax: Axes, info: HeatmapInfo, cell: str) -> QuadMesh:
    gates, (rows, columns) = info.gates[cell], info.gates[cell].shape
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="#DDDDDD")  # NaN, of a search that diverged
    # Squares and not an image, which an SVG would hold as a blurred bitmap.
    borders = (np.arange(count + 1) - 0.5 for count in (columns, rows))
    mesh = ax.pcolormesh(*borders, gates, vmin=0, vmax=1, cmap=colours, edgecolors="white", linewidth=1)
    for (row, column), gate in np.ndenumerate(gates):
        ink = style.ink_on(to_hex(colours(gate)))
        ax.text(column, row, f"{gate:.2f}", ha="center", va="center", fontsize=8, color=ink)
    for row in range(1, rows):
        if info.edges[row][0] != info.edges[row - 1][0]:  # the next node's edges begin
            ax.axhline(row - 0.5, color="white", linewidth=5)
    ax.set_title(f"{cell} cell", fontsize=11)
    ax.set_xticks(range(columns), [style.label(op).replace(" ", "\n") for op in info.candidates], fontsize=8.5)
    ax.set_yticks(range(rows), [f"({j}, {k})" for j, k in info.edges], fontsize=9)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return mesh
