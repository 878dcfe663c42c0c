"""Which operations win while a search runs? As FairDARTS (arXiv:1911.12126), Fig. 1, top."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.joined import all_candidates, joined_dominant, joined_parts
from fairdarts.plot.points import part_title
from fairdarts.plot.stacks import stacks
from fairdarts.spaces.space import Space


class DominantInfo(NamedTuple):
    """How many dominant operations there are of each candidate."""

    epochs: tuple[int, ...]
    """0 is before training"""
    candidates: tuple[str, ...]
    """names of the operations"""
    counts: dict[str, np.ndarray]
    """of each cell, or of all layers [candidates, epochs]"""


def dominant_info(records: list[dict], space: Space) -> DominantInfo:
    """The dominant operations of all records; a candidate that a record does not name has none."""
    candidates, of_records = all_candidates(space), [joined_dominant(record, space) for record in records]
    counts = {}
    for part in joined_parts(space):
        counts[part] = np.asarray([[record[part].get(op, 0) for record in of_records] for op in candidates])
    return DominantInfo(tuple(record["epoch"] for record in records), candidates, counts)


def dominant_figure(info: DominantInfo) -> Figure:
    """Stacked areas, one a candidate: a panel for each cell, or for all layers."""
    return _figure({part_title(part): (info, part) for part in info.counts})


def dominant_by_run_figure(infos: dict[str, DominantInfo], part: str) -> Figure:
    """The same of several runs in spaces of one kind: a panel a run, of one cell or all layers."""
    return _figure({name: (info, part) for name, info in infos.items()})


def _figure(panels: dict[str, tuple[DominantInfo, str]]) -> Figure:
    size = (9.6 / min(2, len(panels)), 3.1 if len(panels) <= 2 else 2.6)
    figure, axes = style.panels(len(panels), 2, size, sharey=True)
    areas = {}
    for ax, (title, (info, part)) in zip(axes, panels.items(), strict=True):
        areas |= {area.get_label(): area for area in _panel(ax, info, part)}
        ax.set_title(title, fontsize=11)
    highest = max(info.counts[part].sum(axis=0).max() for info, part in panels.values())
    axes[0].set_ylim(0, 1.05 * max(1, highest))
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("dominant operations", fontsize=10)
    # Listed as they are stacked, the first candidate lowest.
    figure.legend(handles=[*areas.values()][::-1], loc="outside right center", fontsize=10, frameon=False)
    return figure


def _panel(ax: Axes, info: DominantInfo, part: str) -> list:
    areas = stacks(ax, info.epochs, info.candidates, info.counts[part])
    if not info.counts[part].any():
        ax.text(0.5, 0.5, "no dominant operation", transform=ax.transAxes, ha="center", color=style.FAINT)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.spines[["top", "right"]].set_visible(False)
    return areas
