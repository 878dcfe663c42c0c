"""Does a supernet's accuracy, or its sparse τ, tell what it would find? As Fig. 9 of arXiv:2003.04276."""

import math
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairdarts.plot import style
from fairdarts.plot.factor_panels import GROUPS
from fairdarts.plot.measured import measured_text
from fairdarts.ranking.factor_study import METRICS, SpaceResult
from fairdarts.ranking.tau import Measured


class RelationsInfo(NamedTuple):
    """Every run of a space by its metrics."""

    title: str
    values: dict[str, np.ndarray]
    """key of METRICS → of every run [runs]"""
    groups: tuple[str, ...]
    """of every run"""
    correlations: dict[str, Measured]
    """'one, other' → Spearman's ρ"""


def relations_info(space: SpaceResult) -> RelationsInfo:
    """Of all runs of a space."""
    values = {name: np.asarray([getattr(point, name) for point in space.points], dtype=float) for name in METRICS}
    return RelationsInfo(space.title, values, tuple(point.group for point in space.points), space.correlations)


def relations_figure(info: RelationsInfo) -> Figure:
    """A panel for every two metrics, a marker a run, Spearman's ρ below."""
    figure, axes = style.panels(len(info.correlations), 3, (3.2, 3.3))
    used = [group for group in GROUPS if group in info.groups]
    for ax, (pair, measured) in zip(axes, info.correlations.items(), strict=True):
        one, other = pair.split(", ")
        for group in used:
            inside = np.asarray([name == group for name in info.groups])
            look = style.series(GROUPS.index(group)) | {"linestyle": "none"}
            ax.plot(info.values[one][inside], info.values[other][inside], **look, markersize=4.5, alpha=0.75)
        rho = f"ρ = {measured_text(measured)}, n = {measured.n}"
        known = rho if math.isfinite(measured.value) else "no ρ: too few runs"
        style.tidy(ax, f"{_axis(one)}\n\n{known}", _axis(other))
        ax.margins(0.08)
    figure.suptitle(f"{info.title}: a marker a run; Spearman's ρ, 95% interval over the runs", fontsize=9.5)
    handles = [Line2D([], [], **style.series(GROUPS.index(group)) | {"linestyle": "none"}) for group in used]
    style.legend_below(figure, handles, used)
    return figure


def _axis(metric: str) -> str:
    return METRICS[metric] + ("" if metric == "sparse" else ", %")
