"""How are numbers of candidates stacked over epochs? As steps, so that every height is that of an epoch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from fairdarts.plot import style


def stacks(ax: Axes, epochs: Sequence[int], candidates: Sequence[str], heights: np.ndarray) -> list[StepPatch]:
    """Draws an area a candidate on one another, of heights [candidates, epochs], the first lowest; gives the areas."""
    places = np.asarray(epochs, dtype=float)
    between = (places[1:] + places[:-1]) / 2
    borders = np.concatenate([places[:1] - 0.5, between, places[-1:] + 0.5])
    areas = []
    for op, top, height in zip(candidates, heights.cumsum(axis=0), heights, strict=True):
        look = {"facecolor": style.colour(op), "edgecolor": "white", "linewidth": 0.5, "label": style.label(op)}
        areas.append(ax.stairs(top, borders, baseline=top - height, fill=True, **look))
    ax.set_xlim(borders[0], borders[-1])
    return areas
