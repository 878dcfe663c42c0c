"""What sets searches apart: skip connections, gates at the end, the discretization gap, agreement between seeds."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fairdarts.genotype import SKIP, Genotype
from fairdarts.plot import style

BINS = np.linspace(0, 1, 21)
"""edges of the histogram's bins"""


def gap(record: dict[str, Any]) -> float:
    """Discretization gap: mean of min(z, 1 − z) over all gates z of a record; 0 where every gate is zero or one."""
    gates = _gates([record])
    return float(np.minimum(gates, 1 - gates).mean())


def agreement(genotypes: list[Genotype]) -> float | None:
    """How alike genotypes are: of every two, the elements they share among those that either has; the mean of that.

    None where there are not two of them.
    """
    sets = [genotype.elements() for genotype in genotypes]
    shares = [len(one & other) / len(one | other) for one, other in itertools.combinations(sets, 2) if one | other]
    return sum(shares) / len(shares) if shares else None


def skips_info(runs: dict[str, dict[str, list[dict]]], part: str) -> dict[str, dict[str, list[int]]]:
    """Dominant skip connections of a part of a space at epochs 0, 1, …, by method and run.

    Of the records of runs, by method and name. As FairDARTS (arXiv:1911.12126), Fig. 2.
    """
    counts: dict[str, dict[str, list[int]]] = {method: {} for method in runs}
    for method, seeds in runs.items():
        for name, records in seeds.items():
            counts[method][name] = [record["dominant"][part].get(SKIP, 0) for record in records]
    return counts


def derived_skips_info(runs: dict[str, dict[str, list[Genotype]]], part: str) -> dict[str, dict[str, list[int]]]:
    """Skip connections in a part of the genotypes that are derived at epochs 0, 1, …, by method and run.

    Of these genotypes, by method and name. At the end as FairDARTS (arXiv:1911.12126), supplementary, Fig. 7. Dominant
    ones are of the strongest gates whatever is derived of them; these are what the rule of the run makes of its gates,
    with its threshold and its limit.
    """
    return {
        method: {name: [genotype.skips()[part] for genotype in genotypes] for name, genotypes in seeds.items()}
        for method, seeds in runs.items()
    }


def skips_figure(skips: dict[str, dict[str, list[int]]], what: str) -> Figure:
    """A panel a method, a line a run, of what `skips_info` or `derived_skips_info` gives; `what` is counted.

    Runs of a seed look alike in all panels.
    """
    figure, axes = _panels(len(skips), 2.3, sharey=True)
    looks: dict[str, dict[str, Any]] = {}
    for ax, (method, seeds) in zip(axes, skips.items(), strict=True):
        for number, (name, counts) in enumerate(seeds.items()):
            seed = name.removeprefix(method).lstrip("-") or name
            look = looks.setdefault(seed, {**style.series(len(looks)), "linewidth": 1.5, "markersize": 4})
            apart = 0.06 * (number - (len(seeds) - 1) / 2)  # lines of equal counts would hide each other
            every = max(1, len(counts) // 8)
            ax.plot(np.arange(len(counts)), np.asarray(counts) + apart, **look, markevery=every, alpha=0.8)
        ax.set_title(method, fontsize=10)
        style.tidy(ax)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes[0].set_ylim(-0.3, max(3, *(max(counts) for seeds in skips.values() for counts in seeds.values())) + 0.5)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(what, fontsize=10)
    if any(len(seeds) > 1 for seeds in skips.values()):
        lines = [Line2D([], [], **look, label=seed) for seed, look in looks.items()]
        figure.legend(handles=lines, loc="outside right center", fontsize=9, frameon=False)
    return figure


def histogram_info(runs: dict[str, dict[str, list[dict]]]) -> dict[str, np.ndarray]:
    """The share of all gates of a method's runs in every one of BINS, at the last epoch (FairDARTS, Fig. 8, left).

    Of the records of runs, by method and name.
    """
    shares = {}
    for method, seeds in runs.items():
        gates = _gates([records[-1] for records in seeds.values()])
        shares[method] = np.histogram(gates, BINS)[0] / len(gates)
    return shares


def histogram_figure(histogram: dict[str, np.ndarray]) -> Figure:
    """A panel a method, all on the same axes, of what `histogram_info` gives."""
    figure, axes = _panels(len(histogram), 2.1, sharey=True)
    for ax, (method, shares) in zip(axes, histogram.items(), strict=True):
        ax.bar(BINS[:-1], 100 * shares, width=np.diff(BINS), align="edge", color="#1486F9", edgecolor="white")
        ax.set_title(method, fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_xlim(-0.02, 1.02)
    figure.supxlabel("gate at the end", fontsize=10)
    figure.supylabel("gates, %", fontsize=10)
    return figure


def sweep_figure(points: Sequence[tuple[float, int]]) -> Figure:
    """A dot a run: the weight of its zero-one loss, its dominant operations at the end (FairDARTS, Fig. 8, right)."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    ax = figure.subplots()
    ax.plot(*zip(*points, strict=True), "o", color="#1486F9", alpha=0.7)
    style.tidy(ax, "weight of the zero-one loss", "dominant operations")
    ax.set_ylim(bottom=0)
    return figure


def _panels(methods: int, height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A panel a method; one alone is as wide as two."""
    return style.panels(methods, 3, (3.3 if methods > 1 else 6.6, height), sharex=True, sharey=sharey)


def _gates(records: list[dict[str, Any]]) -> np.ndarray:
    return np.concatenate([np.ravel(part) for record in records for part in record["gates"].values()])
