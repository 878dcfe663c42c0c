"""How do the gates of every choice point move while a search runs? As FairDARTS (arXiv:1911.12126), Fig. 9 to 14."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.joined import all_candidates, joined_gates, offered
from fairdarts.plot.points import Points, choice_points, part_title
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


def evolution_info(records: list[dict], space: Space, part: str) -> EvolutionInfo:
    """The gates of a cell or of all layers, in all records; `part` is a name of `joined_parts`."""
    epochs = tuple(record["epoch"] for record in records)
    gates = np.stack([joined_gates(record, space)[part] for record in records])
    return EvolutionInfo(part, epochs, choice_points(space), all_candidates(space), gates, offered(space)[part])


def evolution_figure(info: EvolutionInfo) -> Figure:
    """A panel a choice point, a line a candidate. A row holds the edges of a node, a column those of an input; layers
    run on."""
    places = info.points.places
    rows, columns = (max(place[side] for place in places) + 1 for side in (0, 1))
    # Above the panels of three nodes or more, and behind the last layer, there may be room for the legend.
    corners = {"upper right": (0, columns - 1), "lower right": (rows - 1, columns - 1)}
    blank = [name for name, place in corners.items() if place not in places and rows > 2]
    beside = not blank
    figure = Figure(figsize=(0.6 + 1.9 * columns + 1.6 * beside, 0.9 + 1.45 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for point, place in enumerate(places):
        _panel(axes[place], info, point)
        axes[place].tick_params(labelbottom=(place[0] + 1, place[1]) not in places)
    highest = np.nanmax(info.gates, initial=0)
    # Softmax gates share a sum of 1 and would creep along the bottom.
    axes[0, 0].set_ylim(-0.02, 1.02 if highest > 0.5 else math.ceil(10 * highest + 0.1) / 10)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("gate", fontsize=10)
    figure.suptitle(f"Gates of the {part_title(info.part)}, by {info.points.axis}", x=0.01, ha="left")
    lines = [Line2D([], [], color=style.colour(op), linewidth=2.5, label=style.label(op)) for op in info.candidates]
    figure.legend(handles=lines, loc=[*blank, "outside right center"][0], fontsize=10, frameon=False)
    return figure


def _panel(ax: Axes, info: EvolutionInfo, point: int) -> None:
    ax.set_visible(True)
    columns = np.flatnonzero(info.offered[point])
    # Of one epoch a line shows nothing, and points that begin alike would hide each other.
    apart = np.linspace(-0.3, 0.3, len(columns)) if len(info.epochs) == 1 else np.zeros(len(columns))
    marker = "o" if len(info.epochs) <= 10 else None
    for column, shift in zip(columns, apart, strict=True):
        colour = style.colour(info.candidates[column])
        look = {"color": colour, "linewidth": 1.6, "marker": marker, "markersize": 3.5}
        ax.plot(np.asarray(info.epochs) + shift, info.gates[:, point, column], **look)
    ax.set_title(info.points.titles[point], fontsize=9, pad=3)
    style.tidy(ax)
    ax.tick_params(labelsize=8)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.margins(x=0.04)
