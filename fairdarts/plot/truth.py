"""Does what is found stay good while the search goes on? True accuracy and skip connections over the epochs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.genotype import SKIP
from fairdarts.plot import style
from fairdarts.plot.document import folded, image, table
from fairdarts.plot.settings import USUAL
from fairdarts.ranking.compared import SHOWN, RowResult, carried

TOGETHER = 7
"""lines that one panel shows; more methods have a panel each"""
COLUMNS = 4
"""panels in a row"""
NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16": "ImageNet16-120"}


class Line(NamedTuple):
    """A number of a method at every epoch, over its seeds."""

    epochs: np.ndarray
    """[epochs]"""
    mean: np.ndarray
    """[epochs]; nan where no seed has the number"""
    low: np.ndarray
    """the least of the seeds [epochs]"""
    high: np.ndarray
    """the largest [epochs]"""
    seeds: int


class RunTruth(NamedTuple):
    """One run."""

    epochs: np.ndarray
    """[epochs]"""
    truth: dict[str, np.ndarray]
    """column → true accuracy of what would be derived then, in percent [epochs]; nan where it is not known"""
    skips: np.ndarray
    """skip connections of that [epochs]"""


def column_title(column: str) -> str:
    """'CIFAR-10 test' of cifar10_test200; another column as it is."""
    images, _, half = column.removesuffix("200").partition("_")
    return f"{NAMES[images]} {half}" if images in NAMES and half in ("test", "valid") else column


def lines_info(rows: Sequence[RowResult], key: str) -> dict[str, Line]:
    """The lines of rows that have it: `truth`, `skips` or another of `SeedResult.epochs`, by the row's name.

    A seed that stopped early keeps its last number.
    """
    lines = {}
    for row in rows:
        series = [seed.epochs[key] for seed in row.seeds if key in seed.epochs]
        if not series:
            continue
        longest = max((seed.epochs["epoch"] for seed in row.seeds), key=len)
        values = carried(series, len(longest))
        known = np.isfinite(values)
        with np.errstate(invalid="ignore"):  # where no seed has it
            mean = np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)
        low = np.where(known, values, np.inf).min(axis=0)
        high = np.where(known, values, -np.inf).max(axis=0)
        nowhere = ~known.any(axis=0)
        low[nowhere] = high[nowhere] = np.nan
        lines[row.name] = Line(np.asarray(longest, dtype=float), mean, low, high, len(series))
    return lines


def lines_figure(lines: Mapping[str, Line], ylabel: str, random: float | None = None) -> Figure:
    """Mean and range over the seeds: a line a method, or where there are many a panel a method, with the first one in
    grey behind. What random architectures have in the mean is dotted."""
    notes = ["Line: mean of the seeds; band: their range"] if any(line.seeds > 1 for line in lines.values()) else []
    notes += [] if random is None else [f"dotted: mean of random architectures, {random:.2f}"]
    note = "; ".join(notes)
    if len(lines) <= TOGETHER:
        figure = Figure(figsize=(9.4, 4.6), layout="constrained")
        ax = figure.subplots()
        _dot(ax, random)
        for number, (name, line) in enumerate(lines.items()):
            look = style.series(number) | {"markersize": 4.5, "markevery": _marked(line, number, len(lines))}
            _draw(ax, line, look, name)
        style.tidy(ax, "epoch", ylabel)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.margins(x=0.015)
        ax.set_title(note, fontsize=9.5, loc="left", color=style.INK)
        style.legend_below(figure, *ax.get_legend_handles_labels())
        return figure
    (first, behind), *_ = lines.items()
    figure, axes = style.panels(len(lines), COLUMNS, (2.35, 1.8), sharey=True)
    for ax, (name, line) in zip(axes, lines.items(), strict=True):
        _dot(ax, random)
        if name != first:
            ax.plot(behind.epochs, behind.mean, color=style.FAINT, linewidth=1.2, zorder=1)
        _draw(ax, line, {"color": style.SERIES[0][0]}, name)
        ax.set_title(f"{name} (grey elsewhere)" if name == first else name, fontsize=9.5)
        ax.set_xlim(-0.5, max(line.epochs.max(), behind.epochs.max()) + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        style.tidy(ax)
    figure.supxlabel(f"epoch. {note}" if note else "epoch", fontsize=9.5)
    figure.supylabel(ylabel, fontsize=9.5)
    return figure


def _draw(ax: Axes, line: Line, look: dict[str, Any], name: str) -> None:
    ax.fill_between(line.epochs, line.low, line.high, color=look["color"], alpha=0.13, linewidth=0)
    for edge in (line.low, line.high):
        ax.plot(line.epochs, edge, color=look["color"], alpha=0.4, linewidth=0.7)
    ax.plot(line.epochs, line.mean, **look, linewidth=1.8, label=name)


def _dot(ax: Axes, level: float | None) -> None:
    if level is not None:
        ax.axhline(level, color=style.INK, linewidth=1, linestyle=":", zorder=1)


def _marked(line: Line, number: int, lines: int) -> tuple[int, int]:
    """First marker and every how many epochs, so that those of lines over one another are seen."""
    every = max(1, len(line.epochs) // 8)
    return number * every // lines, every


def run_info(records: Sequence[Mapping[str, Any]], skips: Sequence[int | None]) -> RunTruth:
    """The numbers of a run that was told a truth: its records, and the skip connections of what it would have found."""
    names = list(records[0]["truth"])
    names = ([name for name in names if "test" in name] or names)[:SHOWN]
    truth = {name: np.asarray([record["truth"][name] for record in records], dtype=float) for name in names}
    epochs = np.asarray([record["epoch"] for record in records])
    return RunTruth(epochs, truth, np.asarray(skips, dtype=float))


def run_figure(info: RunTruth) -> Figure:
    """True accuracies above, skip connections below."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    for number, (column, values) in enumerate(info.truth.items()):
        look = style.series(number) | {"markersize": 4, "markevery": max(1, len(info.epochs) // 20)}
        above.plot(info.epochs, values, **look, label=column_title(column))
    below.step(info.epochs, info.skips, where="mid", color=style.COLOURS[SKIP], linewidth=1.8)
    style.tidy(above, y="true accuracy, %")
    style.tidy(below, "epoch", "skip connections")
    below.set_ylim(-0.3, max(3.0, np.nanmax(info.skips, initial=0)) + 0.5)
    for axis in (below.xaxis, below.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    style.legend_below(figure, *above.get_legend_handles_labels())
    return figure


def draw_run_truth(
    records: Sequence[Mapping[str, Any]], skips: Sequence[int | None], folder: Path, formats: Sequence[str] = USUAL
) -> list[Path]:
    """Writes `truth` of a run into `folder` and gives its paths; none of a run that was told no truth."""
    return style.save(run_figure(run_info(records, skips)), folder, "truth", formats) if told(records) else []


def run_blocks(records: Sequence[Mapping[str, Any]], skips: Sequence[int | None]) -> Iterator[str]:
    """The part of a report that tells it of a run: nothing of one that was told no truth."""
    if not told(records):
        return
    info, last = run_info(records, skips), records[-1]
    yield "<h3>True accuracy of what would be derived</h3>"
    yield image(run_figure(info), "true accuracy and skip connections over the epochs")
    rows = [[column_title(name), *map(_number, (value, last["regret"][name]))] for name, value in last["truth"].items()]
    yield table([f"epoch {last['epoch']}", "true accuracy, %", "points to the best"], rows)
    lines = zip(info.epochs, *info.truth.values(), info.skips, strict=True)
    rows = [[int(epoch), *("" if np.isnan(value) else f"{value:g}" for value in values)] for epoch, *values in lines]
    yield folded("numbers, by epoch", table(["epoch", *map(column_title, info.truth), "skip connections"], rows))


def told(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a run was told a truth."""
    return bool(records) and all("truth" in record for record in records)


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f}"
