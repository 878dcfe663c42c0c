"""What of a search stands in a panel: its models in two of their quantities, their front there, and the axes."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style

ACCURACY, EVALUATIONS = "accuracy", "evaluations"
AXES = {
    ACCURACY: ("accuracy, %", 1.0),
    "madds": ("multiply-adds, M", 1e6),
    "params": ("parameters, M", 1e6),
    "latency": ("latency, ms", 1.0),
    EVALUATIONS: ("models evaluated", 1.0),
}
"""quantity → the label of its axis, and what is one there; others are called as they are named"""
FEW = 15
"""values at most that are all shown"""


class Evolved(NamedTuple):
    """All models that one search evaluated, in that order."""

    name: str
    """of the run"""
    maximized: dict[str, bool]
    """objectives in order, and whether more is better"""
    values: dict[str, np.ndarray]
    """every quantity known, objectives and others [n]: accuracy in percent, madds and params counted, latency in ms"""
    generation: np.ndarray
    """of each, from 1 [n]"""
    front: np.ndarray
    """whether no other of all evaluated dominates it [n]"""

    @property
    def gain(self) -> str:
        """What stands upwards: accuracy; where that is not known, the first objective."""
        return ACCURACY if ACCURACY in self.values else next(iter(self.maximized))

    @property
    def costs(self) -> tuple[str, ...]:
        """What stands across: the other objectives; where there are none, the number of evaluations."""
        return tuple(name for name in self.maximized if name != self.gain) or (EVALUATIONS,)


class Projection(NamedTuple):
    """Models in two of their quantities, in the units of AXES; those without a finite value of either left out."""

    cost: str
    gain: str
    x: np.ndarray
    """[n]"""
    y: np.ndarray
    """[n]"""
    generation: np.ndarray
    """[n]"""
    front: np.ndarray
    """whether on the front of all objectives [n]"""
    line: np.ndarray
    """(x, y) of those of the front that none of it dominates in these two quantities, the best x first; over
    evaluations: the best so far, to the last evaluation [k, 2]"""

    @property
    def rings(self) -> np.ndarray:
        """(x, y) of the front of all objectives, equal ones once [k, 2]."""
        return np.unique(np.stack([self.x, self.y], axis=1)[self.front], axis=0)


def axis(quantity: str) -> tuple[str, float]:
    """The label of a quantity's axis, and what is one there."""
    return AXES.get(quantity, (quantity.replace("_", " "), 1.0))


def unbeaten(x: np.ndarray, y: np.ndarray, x_up: bool = False, y_up: bool = True) -> np.ndarray:
    """Places of the points that no other dominates, the best x first; of equal ones the first alone [k]."""
    x, y = x if not x_up else -x, y if y_up else -y
    order = np.lexsort((-y, x))
    before = np.concatenate([[-np.inf], np.maximum.accumulate(y[order])[:-1]])[: len(order)]
    return order[y[order] > before]


def cut(gains: np.ndarray, share: float) -> float | None:
    """Where an axis should begin lest a few values, far below the others, take up most of it.

    It is halved as often as that cuts off no more than this share of the values; none where it never is, and of FEW.
    """
    gains = np.sort(gains[np.isfinite(gains)])
    most, below = int(share * len(gains)) if len(gains) > FEW else 0, 0
    while most:
        at = int(np.searchsorted(gains, (gains[below] + gains[-1]) / 2))
        if at > most or gains[at] == gains[-1]:
            break
        below = at
    return float(gains[-1] - 1.05 * (gains[-1] - gains[below])) if below else None


def counted(count: int, what: str) -> str:
    """'1 model', '1,088 models'."""
    return f"{count:,} {what}" + "s" * (count != 1)


def projection(evolved: Evolved, cost: str) -> Projection:
    """Of a cost, or of the number of evaluations, against what stands upwards."""
    gain, count = evolved.gain, len(evolved.generation)
    values = evolved.values | {EVALUATIONS: np.arange(1, count + 1)}
    x, y = (np.asarray(values[name], dtype=float) / axis(name)[1] for name in (cost, gain))
    known = np.isfinite(x) & np.isfinite(y)
    x, y, front = x[known], y[known], np.asarray(evolved.front, dtype=bool)[known]
    among = np.arange(len(x)) if cost == EVALUATIONS else np.flatnonzero(front)
    up = (evolved.maximized.get(name, name == ACCURACY) for name in (cost, gain))
    best = among[unbeaten(x[among], y[among], *up)]
    line = np.stack([x[best], y[best]], axis=1)
    if cost == EVALUATIONS and len(line):
        line = np.vstack([line, [count, line[-1, 1]]])
    return Projection(cost, gain, x, y, np.asarray(evolved.generation)[known], front, line)


def gain_panels(projections: Sequence[Projection], notes: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Empty panels of projections on one axis of gains, the notes above them."""
    alone = len(projections) == 1
    figure, axes = style.panels(len(projections), 3, (6.4, 4) if alone else (4.1, 3.5), sharey=True)
    for ax, shown in zip(axes, projections, strict=True):
        if shown.cost == EVALUATIONS:
            ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        style.tidy(ax, axis(shown.cost)[0], axis(shown.gain)[0] if ax.get_subplotspec().is_first_col() else "")
    fits = int(13 * figure.get_figwidth())
    title = "; ".join(notes)
    title = title if len(title) <= fits else "\n".join(textwrap.fill(note, fits) for note in notes)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure, axes


def begin(ax: Axes, bottom: float | None) -> None:
    """Lets the upward axis of what is drawn begin there, if anywhere."""
    if bottom is not None:
        top = ax.dataLim.y1
        ax.set_ylim(bottom, top + 0.05 * (top - bottom))
