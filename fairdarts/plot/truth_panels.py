"""What tells of true accuracy, and which method is best in the end? Panels of a study against a benchmark."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.truth import COLUMNS, column_title
from fairdarts.ranking.compared import Comparison, RowResult, Summary

TRUTH, OTHER = style.SERIES[0][0], style.SERIES[3][0]
"""colours of true accuracy, and of what is held against it"""
CLOSE = 3
"""percentage points below the best that are close to it"""


class CurvaturePanel(NamedTuple):
    """The Hessian's largest eigenvalue beside true accuracy, of a run."""

    name: str
    seed: int
    epochs: np.ndarray
    truth: np.ndarray
    """in percent [epochs]"""
    eigenvalue: np.ndarray
    """[epochs]; nan where it was not measured"""
    correlation: float | None
    """Spearman's ρ over the epochs that have both"""


class Dots(NamedTuple):
    """The supernet's own accuracy and the true one, a dot an epoch and seed."""

    epochs: np.ndarray
    accuracy: np.ndarray
    truth: np.ndarray


class Final(NamedTuple):
    """A row of what is found in the end."""

    name: str
    values: tuple[float, ...]
    """a seed each, of those whose truth is known"""
    summary: Summary
    published: bool


class Finals(NamedTuple):
    """All rows, and what they are held against."""

    column: str
    rows: tuple[Final, ...]
    random: tuple[float, float]
    """mean and standard deviation over the whole benchmark"""
    best: float


def curvature_info(rows: Sequence[RowResult]) -> list[CurvaturePanel]:
    """A panel a run that measured it, of rows with runs of their own."""
    return [
        CurvaturePanel(
            row.name,
            seed.seed,
            *(np.asarray(seed.epochs[key], dtype=float) for key in ("epoch", "truth", "eigenvalue")),
            seed.correlation,
        )
        for row in rows
        for seed in row.seeds
        if not row.of and "eigenvalue" in seed.epochs and "truth" in seed.epochs
    ]


def curvature_figure(panels: Sequence[CurvaturePanel]) -> Figure:
    """True accuracy on the left axis of every panel, the eigenvalue on the right one."""
    columns = min(COLUMNS, len({panel.seed for panel in panels}))
    figure, axes = style.panels(len(panels), columns, (2.5, 1.9), sharey=True)
    for number, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        rho = "–" if panel.correlation is None else f"{panel.correlation:.2f}".replace("-", "−")
        ax.set_title(f"{panel.name}\nseed {panel.seed}: ρ = {rho}", fontsize=9.5)
        ax.plot(panel.epochs, panel.truth, color=TRUTH, linewidth=1.8)
        beside = ax.twinx()
        beside.plot(panel.epochs, panel.eigenvalue, color=OTHER, linewidth=1.4, linestyle="--")
        style.tidy(ax)
        ax.tick_params(axis="y", labelcolor=TRUTH)
        beside.tick_params(labelsize=8.5, labelcolor=OTHER)
        beside.spines["top"].set_visible(False)
        beside.yaxis.set_major_locator(MaxNLocator(nbins=4))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        if number % columns == columns - 1 or number == len(panels) - 1:
            beside.set_ylabel("eigenvalue (dashed)", fontsize=8.5, color=OTHER)
    figure.supxlabel("epoch", fontsize=9.5)
    figure.supylabel("true accuracy, %", fontsize=9.5, color=TRUTH)
    return figure


def dots_info(rows: Sequence[RowResult]) -> dict[str, Dots]:
    """The dots of rows whose supernet was judged, by name; those that stop earlier on another row's runs have none."""
    dots = {}
    for row in rows:
        if row.of and not row.rule.startswith("derived"):
            continue
        seeds = [seed.epochs for seed in row.seeds if {"accuracy", "truth"} <= seed.epochs.keys()]
        series = [
            np.concatenate([[], *(np.asarray(seed[key], float) for seed in seeds)])
            for key in ("epoch", "accuracy", "truth")
        ]
        known = np.isfinite(series).all(axis=0)
        if known.any():
            dots[row.name] = Dots(*(numbers[known] for numbers in series))
    return dots


def dots_figure(dots: dict[str, Dots]) -> Figure:
    """A panel a method, coloured by epoch; by its share where methods have not as many."""
    figure, axes = style.panels(len(dots), COLUMNS, (2.3, 2.0), sharey=True)
    lasts = {points.epochs.max() for points in dots.values()}
    for ax, (name, points) in zip(axes, dots.items(), strict=True):
        colours = points.epochs if len(lasts) == 1 else points.epochs / points.epochs.max()
        look = {"cmap": "viridis", "vmin": 0, "vmax": colours.max(), "s": 16, "linewidths": 0}
        drawn = ax.scatter(points.accuracy, points.truth, c=colours, **look)
        ax.set_title(name, fontsize=9.5)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
        style.tidy(ax)
    bar = figure.colorbar(drawn, ax=axes, aspect=30, pad=0.01)
    bar.set_label("epoch" if len(lasts) == 1 else "epoch, as a share of all", fontsize=9.5)
    bar.ax.tick_params(labelsize=8.5)
    figure.supxlabel("held-out accuracy of the supernet, %", fontsize=9.5)
    figure.supylabel("true accuracy, %", fontsize=9.5)
    return figure


def finals_info(comparison: Comparison, column: str) -> Finals:
    """Final true accuracies in one column; the study must have a benchmark."""
    assert comparison.table is not None, "only such studies have truth"
    rows = []
    for row in comparison.rows:
        known = tuple(value for seed in row.seeds if (value := seed.truth.get(column)) is not None)
        rows.append(Final(row.name, known, row.truth(column), published=False))
    for printed in comparison.published:
        if column in printed.numbers:
            mean, deviation = printed.numbers[column]
            rows.append(Final(printed.name, (), Summary(1, 1, mean, deviation), published=True))
    table = comparison.table
    return Finals(column, tuple(rows), (table.mean[column], table.deviation[column]), table.best[column])


def finals_figure(info: Finals) -> Figure:
    """Dots of the seeds, mean and interval; published numbers as diamonds; random and best as lines. Where some are far
    from the best, a second panel shows those that are close to it."""
    values = [value for row in info.rows for value in (*row.values, row.summary.mean) if value is not None]
    low, near = min([*values, info.random[0]]), info.best - CLOSE
    panels = 2 if low < near - CLOSE and any(value > near for value in values) else 1
    figure = Figure(figsize=(9.4, 1.5 + 0.3 * len(info.rows)), layout="constrained")
    axes = list(figure.subplots(1, panels, sharey=True, squeeze=False, width_ratios=(3, 2)[:panels]).flat)
    for ax in axes:
        _draw_panel(ax, info)
    axes[0].set_xlim(low - 0.04 * (info.best - low) - 0.1, info.best + 0.02 * (info.best - low) + 0.1)
    axes[-1].set_xlim(left=None if panels == 1 else near, right=None if panels == 1 else info.best + 0.1)
    for place, row in enumerate(info.rows):
        at = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 9}
        axes[-1].annotate(_final_text(row.summary), (1.01, place), **at)
    if panels == 2:
        axes[0].set_title("all", fontsize=9.5, loc="left")
        axes[1].set_title(f"the last {CLOSE} points", fontsize=9.5, loc="left")
    names = [row.name + " (published)" * row.published for row in info.rows]
    axes[0].set_yticks(range(len(info.rows)), names)
    axes[0].set_ylim(len(info.rows) - 0.4, -0.6)
    axes[0].set_xlabel(f"true accuracy, {column_title(info.column)}, %", fontsize=9.5)  # a figure's lies on the legend
    _legend(figure, axes[0], any(row.published for row in info.rows))
    return figure


def _draw_panel(ax: Axes, info: Finals) -> None:
    mean, deviation = info.random
    ax.axvspan(mean - deviation, min(mean + deviation, 100), color="#EFEFEF", linewidth=0, zorder=0)
    ax.axvline(mean, color=style.FAINT, linewidth=1.2, label=f"random: {mean:.2f} ± {deviation:.2f}")
    ax.axvline(info.best, color=style.INK, linewidth=1.2, linestyle=":", label=f"best of the space: {info.best:.2f}")
    for place, row in enumerate(info.rows):
        _draw_final(ax, place, row)
    style.tidy(ax)
    ax.tick_params(axis="y", labelsize=9)
    ax.grid(visible=False, axis="y")
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7))


def _final_text(found: Summary) -> str:
    if found.mean is None:
        return "not known"
    text = f"{found.mean:.2f}" + ("" if found.deviation is None else f" ± {found.deviation:.2f}")
    return text + (f" ({found.n} of {found.of} known)" if found.n < found.of else "")


def _draw_final(ax: Axes, place: int, row: Final) -> None:
    found, ink = row.summary, style.SERIES[3][0] if row.published else style.SERIES[2][0]
    if found.mean is None:
        return
    ends = (found.low, found.high)
    if row.published and found.deviation is not None:
        ends = (found.mean - found.deviation, found.mean + found.deviation)
    if ends[0] is not None:
        ax.plot(ends, (place, place), color=ink, linewidth=2)
    marker = "D" if row.published else "|"
    ax.plot(found.mean, place, marker, color=ink, markersize=6 if row.published else 13, markeredgewidth=2.2)
    apart = np.linspace(-0.18, 0.18, len(row.values))  # seeds that end alike are seen, too
    ax.plot(row.values, place + apart, "o", color=style.SERIES[0][0], markersize=5, alpha=0.75)


def _legend(figure: Figure, ax: Axes, published: bool) -> None:
    handles, labels = ax.get_legend_handles_labels()
    (dot,) = ax.plot([], [], "o", color=style.SERIES[0][0], markersize=5.5)
    (bar,) = ax.plot([], [], "|-", color=style.SERIES[2][0], markersize=11, markeredgewidth=2.2)
    (mark,) = ax.plot([], [], "D", color=style.SERIES[3][0], markersize=6)
    others = [(dot, "a seed"), (bar, "mean, 95 % interval"), *[(mark, "published, ± deviation")] * published]
    style.legend_below(figure, [*handles, *(one for one, _ in others)], [*labels, *(text for _, text in others)])
