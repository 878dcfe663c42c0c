"""Do supernets rank as the truth does? As FairNAS (arXiv:1907.01845v1), Fig. 8.

A ranking is what its file in the run holds: `truth` and `score` [n], stand-alone and one-shot accuracies of the same
architectures in percent, the run's name and what it trained. Runs that differ in their seed share a `recipe`.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairdarts.plot import style
from fairdarts.plot.budget import budget_figure, budget_info
from fairdarts.plot.measured import measured_text
from fairdarts.plot.scores import scores_figure, scores_info
from fairdarts.ranking.tau import Measured

PANELS = 15
"""rankings that are shown at most, a panel each"""
COLOURS = ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0, 0.88, 256)))
"""of ranks, from the best; the map's own end is too pale for a line on white"""


class RankingInfo(NamedTuple):
    """One ranking against the truth."""

    run: str
    series: int
    """place of its recipe among all recipes, from 0"""
    truth: np.ndarray
    """percent [n]"""
    score: np.ndarray
    """percent [n]"""
    tau: str
    """'τ = 0.71 [0.63, 0.78]', without an interval that cannot be told, or why there is none"""


class RankingsInfo(NamedTuple):
    """All rankings that have a truth."""

    recipes: tuple[str, ...]
    """of all rankings, in the order given"""
    rankings: tuple[RankingInfo, ...]
    source: str
    """where the truth is from; empty where it is from several places"""


def rankings_info(rankings: Sequence[dict]) -> RankingsInfo:
    """Of rankings in the order given; architectures without a finite score and truth are left out."""
    recipes = tuple(dict.fromkeys(ranking["recipe"] for ranking in rankings))
    known = [ranking for ranking in rankings if ranking["truth"] is not None]
    infos = []
    for ranking in known:
        pairs = np.asarray([ranking["truth"], ranking["score"]], dtype=float)
        truth, score = pairs[:, np.isfinite(pairs).all(axis=0)]
        infos.append(RankingInfo(ranking["run"], recipes.index(ranking["recipe"]), truth, score, _tau(ranking)))
    sources = {f"{ranking['benchmark']}, {ranking['column']}; BatchNorm: {ranking['statistics']}" for ranking in known}
    return RankingsInfo(recipes, tuple(infos), sources.pop() if len(sources) == 1 else "")


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of every value [n], 1 for the highest; equal ones share the mean of theirs."""
    _, place, counts = np.unique(-values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def scatter_figure(info: RankingsInfo) -> Figure:
    """A panel a ranking, a marker an architecture: truth against one-shot accuracy, each on a scale of its own."""
    figure, axes, columns = _panels(info, (2.8, 2.4), (5.2, 4.2))
    for ax, ranking in zip(axes, info.rankings, strict=False):
        look = style.series(ranking.series) | {"linestyle": "none", "markeredgewidth": 0.5}
        ax.plot(ranking.truth, ranking.score, **look, markersize=4.5 if len(ranking.truth) <= 60 else 3, alpha=0.6)
        style.tidy(ax)
        ax.locator_params(nbins=5)
    for ax in axes[-columns:]:  # not of the figure, whose legend it would meet
        ax.set_xlabel("stand-alone accuracy, %", fontsize=9.5)
    figure.supylabel("one-shot accuracy, %", fontsize=10)
    used = sorted({ranking.series for ranking in info.rankings[: len(axes)]})
    if len(used) > 1:
        handles = [Line2D([], [], **style.series(at) | {"linestyle": "none"}) for at in used]
        style.legend_below(figure, handles, [info.recipes[at] for at in used])
    return figure


def lines_figure(info: RankingsInfo) -> Figure:
    """A panel a ranking, a line an architecture: from its rank by truth to its rank by one-shot accuracy."""
    figure, axes, _ = _panels(info, (2.5, 2.7), (4.2, 5))
    for ax, ranking in zip(axes, info.rankings, strict=False):
        _lines(ax, ranking)
    figure.supylabel("rank (1 is the highest accuracy)", fontsize=10)
    bar = figure.colorbar(ScalarMappable(cmap=COLOURS), ax=axes, ticks=[0, 1], fraction=0.04, pad=0.02, aspect=30)
    bar.set_label("rank by truth", fontsize=9, labelpad=-20)
    bar.ax.set_yticklabels(["best", "worst"], fontsize=9)
    bar.ax.invert_yaxis()
    bar.outline.set_visible(False)
    return figure


def _lines(ax: Axes, ranking: RankingInfo) -> None:
    truth, score = ranks(ranking.truth), ranks(ranking.score)
    count = max(1, len(truth))
    colours = COLOURS((truth - 1) / max(1, count - 1))
    # The best last, on top of the others.
    order = np.argsort(-truth)
    width = np.clip(60 / count, 0.7, 2.2)
    segments = [((0, truth[at]), (1, score[at])) for at in order]
    ax.add_collection(LineCollection(segments, colors=colours[order], linewidths=width, alpha=0.8))
    for side, places in enumerate((truth, score)):
        dots = {"s": np.clip(1200 / count, 5, 26), "c": colours, "linewidths": 0, "zorder": 3}
        ax.scatter(np.full(len(places), side), places, clip_on=False, **dots)
    ax.set_xlim(-0.06, 1.06)
    ax.set_ylim(count + 0.5, 0.5)
    step = max(1, count // 4)
    ax.set_yticks([1, *(rank for rank in range(step, count, step) if 1 < rank < count - step / 2), count])
    ax.set_xticks([0, 1], ["stand-\nalone", "one-\nshot"], fontsize=9)
    ax.tick_params(axis="y", labelsize=8.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _panels(
    info: RankingsInfo, size: tuple[float, float], alone: tuple[float, float]
) -> tuple[Figure, list[Axes], int]:
    """Titled panels of the rankings, PANELS at most, and how many stand in a row; a single one is larger."""
    shown = info.rankings[:PANELS]
    columns, size = min(_columns(shown), len(shown)), size if len(shown) > 1 else alone
    figure, axes = style.panels(len(shown), columns, size)
    for ax, ranking in zip(axes, shown, strict=True):
        lines = [line for text in (ranking.run, ranking.tau) for line in textwrap.wrap(text, int(13 * size[0]))]
        ax.set_title("\n".join(lines), fontsize=9)
    notes = [f"the first {len(shown)} of {len(info.rankings)} rankings"] * (len(shown) < len(info.rankings))
    notes += [f"truth: {info.source}"] * bool(info.source) + ["Kendall's τ [95 % interval]"]
    figure.suptitle(("\n" if columns == 1 else "; ").join(notes), fontsize=9.5)
    return figure, axes, columns


def _columns(rankings: Sequence[RankingInfo]) -> int:
    """Panels in a row: the seeds of a recipe where every recipe has as many, else so many that the figure is wide."""
    series = [ranking.series for ranking in rankings]
    seeds = {series.count(at) for at in series}
    if len(seeds) == 1 and series == sorted(series) and 2 <= max(seeds) <= 5 and len(set(series)) > 1:
        return max(seeds)
    return 5 if len(rankings) > 8 else 4


def _tau(ranking: dict) -> str:
    tau = (ranking["measured"] or {}).get("kendall") or {}
    value, low, high = (np.nan if tau.get(key) is None else tau[key] for key in ("value", "low", "high"))
    if np.isfinite(value):
        return f"τ = {measured_text(Measured(value, low, high, tau['n']))}"
    return f"no τ: {tau.get('reason') or 'not measured'}"


def draw_rankings(rankings: Sequence[dict], folder: Path) -> list[Path]:
    """Writes the figures that the rankings allow into `folder` and gives their paths.

    Where there is a truth: `ranking-scatter` and `ranking-lines`. Of all one-shot accuracies: `ranking-histogram`.
    Where the τ of a recipe is known for two budgets or more: `ranking-budget`.
    """
    if not rankings:
        return []
    info, budgets, paths = rankings_info(rankings), budget_info(rankings), []
    if info.rankings:
        paths += style.save(scatter_figure(info), folder, "ranking-scatter")
        paths += style.save(lines_figure(info), folder, "ranking-lines")
    paths += style.save(scores_figure(scores_info(rankings)), folder, "ranking-histogram")
    if any(len(taus) > 1 for taus in budgets.taus.values()):
        paths += style.save(budget_figure(budgets), folder, "ranking-budget")
    return paths
