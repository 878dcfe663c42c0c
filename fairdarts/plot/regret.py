"""Which strategy finds good architectures with few evaluations? What it lacks to the best of a table, seed by seed."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from scipy.special import stdtrit

from fairdarts.plot import style
from fairdarts.plot.evolved import WORST
from fairdarts.plot.projection import begin, cut

LEVEL = 0.95
"""of the intervals"""
DECADES = 4
"""that a logarithmic axis shows at most: a mean that is far smaller than others is as good as none"""


class RegretCurve(NamedTuple):
    """One strategy, after every evaluation."""

    mean: np.ndarray
    """over its seeds [evaluations]; not a number where no seed has one"""
    low: np.ndarray
    """of the interval of the mean [evaluations]; not a number where fewer than two seeds have one"""
    high: np.ndarray
    """[evaluations]"""
    seeds: int


class RegretInfo(NamedTuple):
    """All strategies."""

    curves: dict[str, RegretCurve]
    lowest: float | None
    """where a logarithmic axis begins; none where no mean is above zero"""
    bottom: float | None
    """where another axis begins, if not at the least"""


def regret_info(curves: Mapping[str, np.ndarray]) -> RegretInfo:
    """Of the values [seeds, evaluations] of every strategy. The interval is Student's, of LEVEL."""
    lines = {strategy: _curve(np.atleast_2d(np.asarray(values, dtype=float))) for strategy, values in curves.items()}
    means = np.concatenate([np.empty(0), *(curve.mean for curve in lines.values())])
    positive = means[means > 0]
    lowest = max(positive.min(), positive.max() / 10**DECADES) if positive.size else None
    return RegretInfo(lines, lowest, cut(means, WORST))


def _curve(values: np.ndarray) -> RegretCurve:
    known = np.isfinite(values)
    count = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # where there are none
        mean = np.where(known, values, 0).sum(axis=0) / count
        squares = np.where(known, (values - mean) ** 2, 0).sum(axis=0)
        error = np.sqrt(squares / (count - 1) / count)
        half = stdtrit(np.where(count > 1, count - 1, np.nan), (1 + LEVEL) / 2) * error
    return RegretCurve(mean, mean - half, mean + half, len(values))


def regret_figure(
    info: RegretInfo, title: str = "", ylabel: str = "regret, percentage points", log: bool = True, log_x: bool = False
) -> Figure:
    """A line a strategy, its interval a band; a regret of zero leaves a logarithmic axis at its floor."""
    figure = Figure(figsize=(6.8, 4.1), layout="constrained")
    ax = figure.subplots()
    several = any(curve.seeds > 1 for curve in info.curves.values())
    for number, (strategy, curve) in enumerate(info.curves.items()):
        look = style.series(number)
        steps = _steps(curve)
        seeds = f" ({curve.seeds} seed" + "s" * (curve.seeds != 1) + ")"
        line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 1.8, "drawstyle": "steps-post"}
        line["marker"] = "o" if len(steps) == 1 else None
        band = {"step": "post", "color": look["color"], "alpha": 0.14, "linewidth": 0}
        ax.fill_between(steps + 1, curve.low[steps], curve.high[steps], **band)
        ax.plot(steps + 1, curve.mean[steps], **line, label=strategy + seeds * several)
    if log and info.lowest is not None:
        ax.set_yscale("log", nonpositive="clip")
        ax.set_ylim(bottom=info.lowest / 1.3)
        low, high = ax.get_ylim()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    else:
        begin(ax, info.bottom)
    if log_x:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    note = f"Line: mean of the seeds; band: {LEVEL:.0%} interval of the mean (Student's t)".replace("%", " %")
    ax.set_title("\n".join(filter(None, (title, note * several))), fontsize=9.5, loc="left")
    style.tidy(ax, "models evaluated", ylabel)
    ax.margins(x=0.01)
    style.legend_below(figure, *ax.get_legend_handles_labels())
    return figure


def _steps(curve: RegretCurve) -> np.ndarray:
    """Places of the first evaluation, the last, and those that changed something: steps through them are the same."""
    rows = np.stack(curve[:3])
    before, after = rows[:, :-1], rows[:, 1:]
    changed = ~((before == after) | (np.isnan(before) & np.isnan(after))).all(axis=0)
    ends = np.asarray([0, rows.shape[1] - 1] if rows.shape[1] else [], dtype=int)
    return np.union1d(np.flatnonzero(changed) + 1, ends)


def draw_regret(
    curves: Mapping[str, np.ndarray],
    folder: Path,
    title: str = "",
    ylabel: str = "regret, percentage points",
    log: bool = True,
    log_x: bool = False,
    name: str = "regret",
) -> list[Path]:
    """Writes the figure as `folder`/`name`.svg and .png and gives their paths; none of no strategy.

    Of hypervolumes as a share of the true front's it is the same figure, with their `ylabel` and log=False.
    """
    return style.save(regret_figure(regret_info(curves), title, ylabel, log, log_x), folder, name) if curves else []
