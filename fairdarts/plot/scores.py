"""How do one-shot accuracies spread? As FairNAS (arXiv:1907.01845v1), Fig. 1, bottom."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from fairdarts.plot import style
from fairdarts.plot.budget import budget

BARS = 45
"""bins of a histogram, at most"""
LINE = 90
"""characters that fit above a panel"""


class ScoresInfo(NamedTuple):
    """Histograms with common bins."""

    edges: np.ndarray
    """of the bins, percent [bins + 1]"""
    shares: dict[str, np.ndarray]
    """row → share of its accuracies in every bin, percent [bins]"""
    notes: dict[str, str]
    """row → sampler, how many accuracies, their range"""
    series: dict[str, int]
    """row → place of its recipe among all recipes, from 0"""


def scores_info(rankings: Sequence[dict]) -> ScoresInfo:
    """A row a recipe, its seeds pooled; trainings of different budgets have rows of their own."""
    recipes = list(dict.fromkeys(ranking["recipe"] for ranking in rankings))
    rows: dict[str, list[dict]] = {}
    for ranking in rankings:
        budgets = {budget(other) for other in rankings if other["recipe"] == ranking["recipe"]}
        name = ranking["recipe"] + (f", {budget(ranking):,} image passes" if len(budgets) > 1 else "")
        rows.setdefault(name, []).append(ranking)
    pooled = {name: np.concatenate([_finite(ranking["score"]) for ranking in alike]) for name, alike in rows.items()}
    edges = _edges(np.concatenate([*pooled.values()]), max(100 / ranking["images"] for ranking in rankings))
    shares = {name: 100 * np.histogram(scores, edges)[0] / max(1, len(scores)) for name, scores in pooled.items()}
    notes = {name: _note(pooled[name], alike) for name, alike in rows.items()}
    return ScoresInfo(edges, shares, notes, {name: recipes.index(alike[0]["recipe"]) for name, alike in rows.items()})


def scores_figure(info: ScoresInfo) -> Figure:
    """A row of bars for each recipe, all over the same accuracies."""
    rows = len(info.shares)
    figure, axes = style.panels(rows, 1, (7, 1.15 if rows > 1 else 2.6), sharex=True)
    for ax, (name, shares) in zip(axes, info.shares.items(), strict=True):
        colour = style.series(info.series[name])["color"]
        ax.stairs(shares, info.edges, fill=True, color=colour)
        title = f"{name} ({info.notes[name]})"
        ax.set_title(title if len(title) <= LINE else f"{name}\n{info.notes[name]}", fontsize=9, loc="left", pad=3)
        style.tidy(ax)
        ax.set_ylim(bottom=0)
        ax.locator_params(axis="y", nbins=3)
    margin = (info.edges[-1] - info.edges[0]) / 50
    axes[0].set_xlim(info.edges[0] - margin, info.edges[-1] + margin)
    figure.supxlabel("one-shot accuracy, %", fontsize=10)
    figure.supylabel("architectures, %", fontsize=10)
    return figure


def _edges(scores: np.ndarray, step: float) -> np.ndarray:
    """Of bins that hold equally many possible accuracies, which lie `step` percent apart: others would make a comb."""
    low, high = (scores.min(), scores.max()) if scores.size else (0.0, 100.0)
    values = round((high - low) / step) + 1
    each = -(-values // BARS)
    return low - step / 2 + each * step * np.arange(-(-values // each) + 1)


def _finite(scores: list[float | None]) -> np.ndarray:
    values = np.asarray(scores, dtype=float)
    return values[np.isfinite(values)]


def _note(scores: np.ndarray, rankings: list[dict]) -> str:
    samplers = ", ".join(dict.fromkeys(ranking["sampler"].replace("_", " ") for ranking in rankings))
    seeds = f" from {len(rankings)} seeds" if len(rankings) > 1 else ""
    if not scores.size:
        return f"{samplers}; no accuracy is a number"
    return f"{samplers}; {len(scores):,} accuracies{seeds}, {scores.min():.1f} to {scores.max():.1f} %"
