"""How do several searches treat one edge, or one layer? Their gates laid over one another, as FairDARTS
(arXiv:1911.12126), supplementary, Fig. 2 and 3."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.evolution import EvolutionInfo, evolution_info
from fairdarts.plot.joined import edge_names
from fairdarts.plot.points import part_title
from fairdarts.plot.settings import USUAL
from fairdarts.spaces.space import Space

LINES = ("-", "--", ":", "-.")
"""of the runs, in their order; more could not be told apart"""


class EdgeInfo(NamedTuple):
    """The gates of one choice point in several searches."""

    title: str
    """which point: 'normal cell, edge (5, 4)'"""
    candidates: tuple[str, ...]
    """those that the point has"""
    epochs: dict[str, tuple[int, ...]]
    """run → epochs of its records"""
    gates: dict[str, np.ndarray]
    """run → gates [epochs, candidates]"""


def edge_info(runs: Mapping[str, list[dict]], space: Space, edge: str) -> EdgeInfo:
    """The gates of an edge, which has a name of `edge_names`, from the records of runs in one space, by their names."""
    part, point = edge_names(space)[edge]
    infos = {name: evolution_info(records, space, part) for name, records in runs.items()}
    one: EvolutionInfo = next(iter(infos.values()))
    columns = np.flatnonzero(one.offered[point])
    label, axis = one.points.labels[point], one.points.axis.partition(" ")[0]
    return EdgeInfo(
        f"{part_title(part)}, {axis} {label}",
        tuple(one.candidates[column] for column in columns),
        {name: info.epochs for name, info in infos.items()},
        {name: info.gates[:, point, columns] for name, info in infos.items()},
    )


def edge_figure(info: EdgeInfo) -> Figure:
    """A colour a candidate, a kind of line a run."""
    figure = Figure(figsize=(8.2, 4.2), layout="constrained")
    ax = figure.subplots()
    marker = "o" if max(map(len, info.epochs.values())) <= 20 else None
    for line, (name, gates) in zip(LINES, info.gates.items(), strict=False):
        for op, values in zip(info.candidates, gates.T, strict=True):
            look = {"color": style.colour(op), "linestyle": line, "marker": marker, "markersize": 3.5}
            ax.plot(info.epochs[name], values, **look, linewidth=1.8)
    ax.set_title(f"Gates of the {info.title}", fontsize=11, loc="left")
    style.tidy(ax, "epoch", "gate")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    runs = [
        Line2D([], [], color=style.INK, linestyle=line, linewidth=1.8, label=name)
        for line, name in zip(LINES, info.gates, strict=False)
    ]
    operations = [
        Line2D([], [], color=style.colour(op), linewidth=2.5, label=style.label(op)) for op in info.candidates
    ]
    figure.legend(handles=operations, loc="outside right center", fontsize=9, frameon=False)
    style.legend_below(figure, runs, [str(run.get_label()) for run in runs])
    return figure


def draw_edge(
    runs: Mapping[str, list[dict]], space: Space, edge: str, folder: Path, formats: Sequence[str] = USUAL
) -> list[Path]:
    """Writes `gates-edge-normal-5-4`, or as the edge is called, into `folder`."""
    name = "gates-edge-" + re.sub(r"[:,]", "-", edge)
    return style.save(edge_figure(edge_info(runs, space, edge)), folder, name, formats)
