"""Which search found the better front? As FairNAS (arXiv:1907.01845v1), Fig. 6 (ICCV 2021: Fig. 5)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from fairdarts.plot import style
from fairdarts.plot.projection import EVALUATIONS, Evolved, Projection, begin, counted, cut, gain_panels, projection
from fairdarts.plot.settings import USUAL

WORST = 0.25
"""share of the models on the lines that may be cut off below: the smallest, which often lie far off"""


class FrontPanel(NamedTuple):
    """The fronts of all searches in one projection."""

    fronts: dict[int, Projection]
    """place of the search among all → its projection; those that do not know the quantity left out"""
    truth: np.ndarray | None
    """(x, y) of the true front [k, 2]"""


class FrontsInfo(NamedTuple):
    """Several searches."""

    names: tuple[str, ...]
    panels: tuple[FrontPanel, ...]
    bottom: float | None
    """where the axis of gains begins, if not at the least"""
    note: str
    """what is not shown"""


def fronts_info(searches: Sequence[Evolved], truth: Evolved | None = None) -> FrontsInfo:
    """A panel for every cost that is an objective of a search; where there is none, over the evaluations.

    `truth` is a benchmark as if it were a search: its `front` is what could be found.
    """
    costs = dict.fromkeys(cost for search in searches for cost in search.costs)
    panels = []
    for cost in [cost for cost in costs if cost != EVALUATIONS] or [EVALUATIONS]:
        known = {at: search for at, search in enumerate(searches) if cost in {EVALUATIONS, *search.values}}
        line = projection(truth, cost).line if truth is not None and cost in truth.values else None
        panels.append(FrontPanel({at: projection(search, cost) for at, search in known.items()}, line))
    bottom, note = None, ""
    if searches[0].maximized.get(searches[0].gain, True):
        shown = [front for panel in panels for front in panel.fronts.values()]
        bottom = cut(np.concatenate([front.line[:, 1] for front in shown]), WORST)
        if bottom is not None:
            once = {at: front for panel in panels for at, front in panel.fronts.items()}
            below = sum(int((front.rings[:, 1] < bottom).sum()) for front in once.values())
            note = f"{counted(below, 'model')} below {bottom:.1f} not shown" * bool(below)
    return FrontsInfo(tuple(search.name for search in searches), tuple(panels), bottom, note)


def fronts_figure(info: FrontsInfo, title: str = "") -> Figure:
    """A panel a cost; a marker a model of a front, pale where another of it is better in the two quantities."""
    some = [next(iter(panel.fronts.values())) for panel in info.panels]
    figure, axes = gain_panels(some, [note for note in (title, info.note) if note])
    named = {}
    for ax, panel in zip(axes, info.panels, strict=True):
        if panel.truth is not None:
            look = {"color": "#BBBBBB", "linewidth": 3.5, "drawstyle": "steps-post", "zorder": 1}
            (named["true front"],) = ax.plot(*panel.truth.T, **look)
        for at, front in panel.fronts.items():
            after = min(len(info.names) - 1 - at, 5)  # those drawn over it: where they coincide, it shows around them
            look = style.series(at) | {"drawstyle": "steps-post", "markersize": 5 + 1.5 * after, "markeredgewidth": 0.8}
            if front.cost != EVALUATIONS:
                ax.plot(*front.rings.T, **look | {"linestyle": "none", "alpha": 0.3, "markersize": 4})
            # the last evaluation need not be a better one
            marked = slice(len(front.line) - (front.cost == EVALUATIONS))
            (named[at],) = ax.plot(*front.line.T, **look, linewidth=1.5 + 1.2 * after, alpha=0.85, markevery=marked)
    begin(axes[0], info.bottom)
    labels = dict(enumerate(info.names)) | {"true front": "true front"}
    shown = [at for at in labels if at in named]
    style.legend_below(figure, [named[at] for at in shown], [labels[at] for at in shown])
    return figure


def draw_fronts(
    searches: Sequence[Evolved],
    folder: Path,
    truth: Evolved | None = None,
    title: str = "",
    name: str = "fronts",
    formats: Sequence[str] = USUAL,
) -> list[Path]:
    """Writes the fronts as `name` into `folder`, in every format, and gives the paths; none of no search."""
    return style.save(fronts_figure(fronts_info(searches, truth), title), folder, name, formats) if searches else []
