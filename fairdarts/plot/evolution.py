"""How do the gates of every choice point move while a search runs? As FairDARTS (arXiv:1911.12126), Fig. 3 and 9 to 12
as lines, Fig. 7 and 13 to 16 as areas on one another."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairdarts.genotype import SKIP
from fairdarts.plot import style
from fairdarts.plot.boundary import boundary_epochs
from fairdarts.plot.joined import all_candidates, joined_gates, offered
from fairdarts.plot.point_panels import legend_of_panels, point_panels
from fairdarts.plot.points import Points, choice_points, part_title
from fairdarts.plot.stacks import stacks
from fairdarts.spaces.space import Space


class EvolutionInfo(NamedTuple):
    """The gates of a cell, or of all layers, epoch after epoch."""

    part: str
    """normal, reduce, edges or layers"""
    epochs: tuple[int, ...]
    """0 is before training"""
    points: Points
    """the choice points"""
    candidates: tuple[str, ...]
    """names of the operations"""
    gates: np.ndarray
    """[epochs, points, candidates]"""
    offered: np.ndarray
    """which candidates each point has: bool [points, candidates]"""
    boundaries: tuple[int | None, ...]
    """the boundary epoch of each point (see `boundary_epochs`)"""


def evolution_info(records: list[dict], space: Space, part: str) -> EvolutionInfo:
    """The gates of a cell or of all layers, in all records; `part` is a name of `joined_parts`."""
    epochs = tuple(record["epoch"] for record in records)
    gates = np.stack([joined_gates(record, space)[part] for record in records])
    candidates = all_candidates(space)
    boundaries = boundary_epochs(epochs, candidates, gates)
    return EvolutionInfo(part, epochs, choice_points(space), candidates, gates, offered(space)[part], boundaries)


def evolution_figure(info: EvolutionInfo) -> Figure:
    """A panel a choice point, a line a candidate; a black arrow points at the boundary epoch of the skip connection."""
    figure, axes = point_panels(info.points, f"Gates of the {part_title(info.part)}", "gate")
    highest = np.nanmax(info.gates, initial=0)
    # Softmax gates share a sum of 1 and would creep along the bottom.
    top = 1.02 if highest > 0.5 else math.ceil(10 * highest + 0.1) / 10
    axes[0].set_ylim(-0.02, top)
    for point, ax in enumerate(axes):
        _lines(ax, info, point)
        if info.boundaries[point] is not None:
            _arrow(ax, info, point, top)
    lines = [Line2D([], [], color=style.colour(op), linewidth=2.5, label=style.label(op)) for op in info.candidates]
    if any(boundary is not None for boundary in info.boundaries):
        figure.supxlabel("epoch (arrow: boundary epoch of the skip connection)", fontsize=10)
    legend_of_panels(figure, info.points, lines)
    return figure


def stacked_figure(info: EvolutionInfo) -> Figure:
    """A panel a choice point, the gates of its candidates on one another: a softmax's fill it, as they sum to 1."""
    figure, axes = point_panels(info.points, f"Stacked gates of the {part_title(info.part)}", "gates, stacked")
    gates = np.nan_to_num(info.gates)
    for point, ax in enumerate(axes):
        areas = stacks(ax, info.epochs, info.candidates, gates[:, point].T)
    highest = gates.sum(axis=2).max()
    axes[0].set_ylim(0, 1 if highest <= 1 + 1e-6 else math.ceil(10 * highest) / 10)
    legend_of_panels(figure, info.points, areas[::-1])  # as they are stacked, the first candidate lowest
    return figure


def _lines(ax: Axes, info: EvolutionInfo, point: int) -> None:
    columns = np.flatnonzero(info.offered[point])
    # Of one epoch a line shows nothing, and points that begin alike would hide each other.
    apart = np.linspace(-0.3, 0.3, len(columns)) if len(info.epochs) == 1 else np.zeros(len(columns))
    marker = "o" if len(info.epochs) <= 10 else None
    for column, shift in zip(columns, apart, strict=True):
        colour = style.colour(info.candidates[column])
        look = {"color": colour, "linewidth": 1.6, "marker": marker, "markersize": 3.5}
        ax.plot(np.asarray(info.epochs) + shift, info.gates[:, point, column], **look)
    ax.margins(x=0.04)


def _arrow(ax: Axes, info: EvolutionInfo, point: int, top: float) -> None:
    """Points at the gate of the skip connection: from above, or where there is no room, from below."""
    epoch = info.boundaries[point]
    gate = info.gates[info.epochs.index(epoch), point, info.candidates.index(SKIP)]
    away = 16 if gate < 0.75 * top else -16
    look = {"arrowstyle": "-|>", "color": "black", "linewidth": 1.1, "mutation_scale": 8, "shrinkA": 0, "shrinkB": 1.5}
    ax.annotate("", (epoch, gate), (0, away), textcoords="offset points", arrowprops=look, zorder=5)
