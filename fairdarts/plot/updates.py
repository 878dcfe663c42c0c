"""How evenly were the choices of a supernet updated? Equation 1 of FairNAS (ICCV 2021), seen in a training."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.ranking.lemma import uniform_variance


class UpdatesInfo(NamedTuple):
    """How often every choice was updated."""

    epoch: int
    deviations: tuple[np.ndarray, ...]
    """of every choice point: updates of each choice less their mean n/m [m]"""
    counts: tuple[int, ...]
    """n of every choice point: the updates of all its choices"""
    uniform: tuple[float, ...]
    """standard deviation that n uniform draws have, √(n(m−1)/m²), of every choice point (FairNAS, Equation 1)"""


def updates_info(record: dict) -> UpdatesInfo:
    """Of one record."""
    counts = [np.asarray(point, dtype=float) for point in record["updates"]]
    uniform = tuple(uniform_variance(len(updates), int(updates.sum())) ** 0.5 for updates in counts)
    deviations = tuple(updates - updates.mean() for updates in counts)
    return UpdatesInfo(record["epoch"], deviations, tuple(int(updates.sum()) for updates in counts), uniform)


def updates_figure(info: UpdatesInfo) -> Figure:
    """A dot a choice, in a column a choice point; behind them what uniform sampling would scatter."""
    points = len(info.deviations)
    figure = Figure(figsize=(max(7.2, 4.4 + 0.4 * points), 3.4), layout="constrained")
    ax = figure.subplots()
    scatter = np.asarray(info.uniform)
    band = {"width": 0.92, "color": "#E2E2E2", "label": "± one standard deviation of\nuniform sampling, √(n(m−1)/m²)"}
    ax.bar(np.arange(points), 2 * scatter, bottom=-scatter, **band)
    ax.axhline(0, color=style.FAINT, linewidth=0.8)
    most = max(map(len, info.deviations))
    for choice in range(most):
        dots = [(point, values[choice]) for point, values in enumerate(info.deviations) if choice < len(values)]
        places, values = np.transpose(dots)
        places = places + 0.8 * ((choice + 0.5) / most - 0.5)  # side by side, as equal counts would hide each other
        look = style.series(choice) | {"linestyle": "none", "label": f"choice {choice}"}
        ax.plot(places, values, markersize=min(6, 22 / most), **look)
    spread = max(np.abs(values).max() for values in info.deviations)
    few, many = min(info.counts), max(info.counts)
    each = f"n = {few:,}" + ("" if few == many else f" to {many:,}") + " updates of a choice point"
    apart = "all its choices alike" if spread == 0 else f"at most {spread:,.1f} off the mean".replace(".0 ", " ")
    ax.set_title(f"After epoch {info.epoch}, {each}: {apart}", fontsize=10, loc="left")
    ax.set_xlim(-0.6, points - 0.4)
    high = 1.15 * max(spread, *info.uniform, 0.5)
    ax.set_ylim(-high, high)
    style.tidy(ax, "choice point", "updates of a choice, less n/m")
    ax.grid(visible=False, axis="x")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=points + 1, min_n_ticks=1))
    figure.legend(loc="outside right center", fontsize=9, frameon=False)
    return figure
