"""How strong is every candidate of every choice point at one epoch? As FairDARTS (arXiv:1911.12126), Fig. 4 and 1."""

import math
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap, to_hex
from matplotlib.figure import Figure

from fairdarts.plot import style
from fairdarts.plot.joined import all_candidates, joined_gates, offered
from fairdarts.plot.points import Points, choice_points, part_title
from fairdarts.spaces.space import Space


class HeatmapInfo(NamedTuple):
    """The gates of one epoch."""

    epoch: int
    """0 is before training"""
    points: Points
    """the choice points"""
    candidates: tuple[str, ...]
    """names of the operations"""
    gates: dict[str, np.ndarray]
    """of each cell, or of all layers [points, candidates]"""
    offered: dict[str, np.ndarray]
    """which candidates each point has: bool [points, candidates]"""
    top: float
    """where the scale of colours ends: at 1, or where the gates of a point share a sum of 1, at a round number not far
    above the largest"""


def heatmap_info(records: list[dict], space: Space) -> HeatmapInfo:
    """The gates of the last record."""
    last = records[-1]
    gates = joined_gates(last, space)
    return HeatmapInfo(last["epoch"], choice_points(space), all_candidates(space), gates, offered(space), _top(gates))


def _top(gates: dict[str, np.ndarray]) -> float:
    """The end of the scale: 1, or where gates share a sum of 1, and would all be pale, little more than the highest."""
    every = np.concatenate(list(gates.values()))
    sums = np.nansum(every, axis=1)
    return math.ceil(20 * np.nanmax(every) - 1e-6) / 20 if np.allclose(sums, 1, atol=1e-3) else 1.0


def heatmap_figure(info: HeatmapInfo) -> Figure:
    """The gate of every choice point and candidate, written into its square.

    Cells stand side by side, a row a choice point (Fig. 4). A single one lies, and so do layers, a column a choice
    point (Fig. 1, bottom): layers run along the page as they do through a network. Where a layer has not got a
    candidate, there is no square.
    """
    points, candidates, lies = len(info.points.labels), len(info.candidates), len(info.gates) == 1
    standing = (1.9 + 0.52 * candidates * len(info.gates), 1.5 + 0.28 * points)
    figure = Figure(figsize=(2.2 + 0.42 * points, 1.5 + 0.28 * candidates) if lies else standing, layout="constrained")
    axes = figure.subplots(1, len(info.gates), sharey=True, squeeze=False)[0]
    for ax, part in zip(axes, info.gates, strict=True):
        mesh = _panel(ax, info, part, lies)
    (axes[0].set_xlabel if lies else axes[0].set_ylabel)(info.points.axis)
    label = "gate" if info.top == 1 else f"gate (the scale ends at {info.top:.2f})"
    figure.colorbar(mesh, ax=axes, label=label, fraction=0.03, pad=0.01).outline.set_visible(False)
    figure.suptitle(f"Gates at epoch {info.epoch}" if info.epoch else "Gates before training (epoch 0)")
    return figure


def _panel(ax: Axes, info: HeatmapInfo, part: str, lies: bool) -> QuadMesh:
    gates, has = (matrix.T if lies else matrix for matrix in (info.gates[part], info.offered[part]))
    rows, columns = gates.shape
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="#DDDDDD")  # NaN, of a search that diverged
    # Squares and not an image, which an SVG would hold as a blurred bitmap.
    borders = [np.arange(count + 1) - 0.5 for count in (columns, rows)]
    mesh = ax.pcolormesh(*borders, gates, vmin=0, vmax=info.top, cmap=colours, edgecolors="white", linewidth=1)
    if not has.all():
        ax.pcolormesh(*borders, np.ma.masked_where(has, np.zeros(has.shape)), cmap=ListedColormap(["white"]))
    for row, column in np.argwhere(has):
        gate = gates[row, column]
        ink = style.ink_on(to_hex(colours(gate / info.top)))
        ax.text(column, row, f"{gate:.2f}", ha="center", va="center", fontsize=8, color=ink)
    for group in info.points.groups[1:]:
        (ax.axvline if lies else ax.axhline)(group.start - 0.5, color="white", linewidth=5)
    names = [style.label(op) for op in info.candidates]
    if lies:
        for group, note in zip(info.points.groups, info.points.notes, strict=True):
            middle = (group.start + group.stop - 1) / 2
            look = {"ha": "center", "fontsize": 8, "color": "#666666"}
            ax.annotate(note, (middle, -0.5), (0, 3), textcoords="offset points", **look)
        ax.set_xticks(range(columns), info.points.labels, fontsize=9)
        ax.set_yticks(range(rows), names, fontsize=8.5)
    else:
        ax.set_title(part_title(part), fontsize=11)
        ax.set_xticks(range(columns), [name.replace(" ", "\n") for name in names], fontsize=8.5)
        ax.set_yticks(range(rows), info.points.labels, fontsize=9)
    ax.set_ylim(rows - 0.5, -0.5)  # the first on top
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return mesh
