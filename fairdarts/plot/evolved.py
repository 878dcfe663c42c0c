"""Where did an evolutionary search look, and what did it find? As FairNAS (arXiv:1907.01845v1), Fig. 11."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.projection import (
    EVALUATIONS,
    Evolved,
    Projection,
    axis,
    begin,
    counted,
    cut,
    gain_panels,
    projection,
)
from fairdarts.plot.settings import USUAL

COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.95, 256)))
"""of generations, from the first; the last are bright, as in the paper, but for the map's end, too pale on white"""
FRONT = "#C80000"
"""what is on the front: far from all colours of generations"""
WORST = 0.02
"""share of the models that may be cut off below"""
MANY = 1000
"""models from which on an SVG holds them as a picture: as shapes of their own they would make it large and slow"""


class EvolvedInfo(NamedTuple):
    """One search."""

    notes: tuple[str, ...]
    """its name and what it evaluated; what of that is not shown"""
    projections: tuple[Projection, ...]
    limits: tuple[tuple[float, ...], ...]
    """of each projection's cost, in its unit"""
    generations: int
    bottom: float | None
    """where the axis of gains begins, if not at the least"""


def evolved_info(evolved: Evolved, budgets: Sequence[tuple[str, float]] = ()) -> EvolvedInfo:
    """A projection for every cost among the objectives, and for every other quantity that has a budget.

    A budget is a quantity and its bound, in the unit of the values.
    """
    bounded = (quantity for quantity, _ in budgets if quantity in evolved.values and quantity != evolved.gain)
    costs = tuple(dict.fromkeys((*evolved.costs, *bounded)))
    limits = (tuple(bound / axis(cost)[1] for quantity, bound in budgets if quantity == cost) for cost in costs)
    generations = int(np.max(evolved.generation, initial=1))
    winners, gains = int(np.sum(evolved.front)), np.asarray(evolved.values[evolved.gain], dtype=float)
    gains = gains / axis(evolved.gain)[1]
    bottom = cut(gains, WORST) if evolved.maximized.get(evolved.gain, True) else None
    notes = [f"{evolved.name}: {counted(len(gains), 'model')} in {counted(generations, 'generation')}"]
    notes[0] += f", {winners:,} on the front"
    if unknown := int((~np.isfinite(gains)).sum()):
        notes.append(f"{counted(unknown, 'model')} of unknown {evolved.gain} left out")
    if bottom is not None:
        notes.append(f"{counted(int((gains < bottom).sum()), 'model')} below {bottom:.1f} not shown")
    projections = tuple(projection(evolved, cost) for cost in costs)
    return EvolvedInfo(tuple(notes), projections, tuple(limits), generations, bottom)


def evolved_figure(info: EvolvedInfo) -> Figure:
    """A panel a projection, a dot a model in the colour of its generation; the front in rings and steps."""
    figure, axes = gain_panels(info.projections, info.notes)
    figure.set_dpi(200)  # of what an SVG holds as a picture
    scale = ScalarMappable(Normalize(1, max(2, info.generations)), COLOURS)
    for ax, shown, limits in zip(axes, info.projections, info.limits, strict=True):
        order = np.argsort(shown.generation, kind="stable")  # the last on top
        size = float(np.clip(9000 / max(1, len(order)), 4, 22))
        dots = {"s": size, "alpha": 0.55, "linewidths": 0, "rasterized": len(order) > MANY}
        ax.scatter(shown.x[order], shown.y[order], color=scale.to_rgba(shown.generation[order]), **dots)
        _front(ax, shown, info.projections[0].cost == EVALUATIONS)
        for limit in limits:
            ax.axvline(limit, color=style.INK, linewidth=1.2, linestyle=(0, (4, 3)), label="budget")
            above = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": 8.5}
            ax.annotate(f"≤ {limit:,.4g}", (limit, 1), xycoords=("data", "axes fraction"), **above)
    begin(axes[0], info.bottom)
    if info.generations > 1:
        bar = figure.colorbar(scale, ax=axes, fraction=0.03, pad=0.01, aspect=30, ticks=MaxNLocator(6, integer=True))
        bar.set_label("generation", fontsize=9.5)
        bar.ax.tick_params(labelsize=8.5)
        bar.outline.set_visible(False)
    named = {name: handle for ax in axes for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    style.legend_below(figure, list(named.values()), list(named))
    return figure


def _front(ax: Axes, shown: Projection, alone: bool) -> None:
    """Rings and steps; `alone` where there is one objective only."""
    rings = shown.rings
    size = float(np.clip(45 / max(1, len(rings)) ** 0.5, 2.4, 6.5))
    look = {"linestyle": "none", "marker": "o", "markerfacecolor": "none", "markeredgewidth": max(0.5, size / 7)}
    text = "best" if alone else "front of all objectives"
    ax.plot(*rings.T, color=FRONT, markersize=size, **look, label=text)
    if len(shown.line) > 1:
        text = "best so far" if alone else "front of the two shown"
        ax.plot(*shown.line.T, color=FRONT, linewidth=1.4, drawstyle="steps-post", label=text)


def draw_evolved(
    evolved: Evolved,
    folder: Path,
    budgets: Sequence[tuple[str, float]] = (),
    name: str = "evolved",
    formats: Sequence[str] = USUAL,
) -> list[Path]:
    """Writes the figure of a search as `name` into `folder`, in every format, and gives the paths."""
    return style.save(evolved_figure(evolved_info(evolved, budgets)), folder, name, formats)
