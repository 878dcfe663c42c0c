#!/usr/bin/env python3
"""What did `growth.py` find? A figure of time and memory, and tables of exponents and of what is fixed.

    python benchmarks/growth_figure.py benchmarks/results/growth-cpu-1-thread.json docs/figures/growth

An exponent is the slope of a line through the last three points of a curve, both axes logarithmic: 1 where twice the
work takes twice as much. A dotted line through the last point has the slope 1 (of the seconds over processes, −1).
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import kept
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from fairdarts.plot import style

AXES = {
    "batch": "images of a batch",
    "image": "pixels of an image",
    "channels": "channels",
    "cells": "cells",
    "candidates": "candidates",
    "points": "choice points",
    "paths": "paths",
    "processes": "processes",
}
WORKS = {"search": "search step", "fair": "fair step", "judging": "judging"}
MARKS = {"o": "●", "s": "■", "^": "▲"}
"""marker of a line → as text"""
MEASURES = {"seconds": "seconds of CPU time", "peak_mib": "MiB grown by"}


class Curve(NamedTuple):
    x: np.ndarray
    y: dict[str, np.ndarray]
    """of every measure"""
    exponent: dict[str, float]


def growth_info(result: dict[str, Any]) -> dict[str, dict[str, Curve]]:
    """Axis → what was measured → its curve; an image counts by its pixels."""
    info: dict[str, dict[str, Curve]] = {}
    for axis in AXES:
        for work, curves in result["curves"].items():
            points = curves.get(axis, [])
            if len(points) > 1:
                x = np.array([float(point["at"]) for point in points]) ** (2 if axis == "image" else 1)
                y = {measure: np.array([float(point[measure]) for point in points]) for measure in MEASURES}
                info.setdefault(axis, {})[work] = Curve(x, y, {name: exponent(x, own) for name, own in y.items()})
    return info


def exponent(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(np.log(x[-3:]), np.log(np.maximum(y[-3:], 1e-9)), 1)[0])


def growth_table(info: dict[str, dict[str, Curve]]) -> str:
    """Markdown: of every axis the exponents of time and memory."""
    heads = [f"{name}, {kind}" for name in WORKS.values() for kind in ("time", "memory")]
    lines = [f"| {' | '.join(('by', *heads))} |", "|---" * (len(heads) + 1) + "|"]
    for axis, curves in info.items():
        cells = [
            f"{curves[work].exponent[measure]:.2f}".replace("-", "−") if work in curves else ""
            for work in WORKS
            for measure in MEASURES
        ]
        lines.append(f"| {' | '.join((AXES[axis], *cells))} |")
    return "\n".join(lines)


def fixed_table(info: dict[str, dict[str, Curve]]) -> str:
    """Markdown: what a step costs whatever its batch, and for every image of it; least relative squares."""
    lines = ["| | fixed, ms | an image, ms | fixed share with 128 images |", "|---|---|---|---|"]
    for work, curve in info["batch"].items():
        x, y = curve.x, curve.y["seconds"]
        each, fixed = np.polyfit(x, y, 1, w=1 / y)
        share = f"{100 * fixed / (fixed + 128 * each):.0f} %"
        lines.append(f"| {WORKS[work]} | {1000 * fixed:.0f} | {1000 * each:.2f} | {share} |")
    return "\n".join(lines)


def told(result: dict[str, Any]) -> tuple[dict[str, dict[str, Curve]], str]:
    """What is drawn, and the tables."""
    info = growth_info(result)
    return info, f"{growth_table(info)}\n\n{fixed_table(info)}"


def growth_figure(info: dict[str, dict[str, Curve]]) -> Figure:
    """A panel an axis, time above and memory below."""
    columns = -(-len(info) // 2)
    figure, axes = style.panels(4 * columns, columns, (2.7, 2.35))
    looks = {work: style.series(number) for number, work in enumerate(WORKS)}
    for half, (measure, told) in enumerate(MEASURES.items()):
        own = axes[half * 2 * columns : (half + 1) * 2 * columns]
        for number, (ax, (axis, curves)) in enumerate(zip(own, info.items(), strict=False)):
            panel(ax, {work: (curve.x, curve.y[measure]) for work, curve in curves.items()}, looks, axis)
            for place, (work, curve) in enumerate(curves.items()):
                text = f"{MARKS[looks[work]['marker']]} {curve.exponent[measure]:.2f}".replace("-", "−")
                ax.text(0.02 + 0.3 * place, 1.03, text, color=looks[work]["color"], fontsize=8, transform=ax.transAxes)
            style.tidy(ax, AXES[axis], told if number % columns == 0 else "")
        for ax in own[len(info) :]:
            ax.set_visible(False)
    handles = [Line2D([], [], **look, markersize=5) for look in looks.values()]
    handles.append(Line2D([], [], color=style.FAINT, linestyle=":"))
    style.legend_below(figure, handles, [*WORKS.values(), "in proportion"])
    return figure


def panel(ax: Axes, curves: dict[str, tuple[np.ndarray, np.ndarray]], looks: dict[str, Any], axis: str) -> None:
    """The curves of a measure along an axis, each with a line in proportion to the work through its last point."""
    ax.set(xscale="log", yscale="log")
    for work, (x, y) in curves.items():
        guide = y[-1] * (x / x[-1]) ** (-1 if axis == "processes" else 1)
        ax.plot(x, guide, color=looks[work]["color"], linestyle=":", linewidth=1, alpha=0.6)
        ax.plot(x, y, **looks[work], markersize=4, linewidth=1.5)
    every = np.concatenate([y for _, y in curves.values()])
    low, high = np.log10(every.min()), np.log10(every.max())
    room = 0.08 * (high - low) + max(0, 0.7 - high + low) / 2  # what hardly changes should look so
    ax.set_ylim(10 ** (low - room), 10 ** (high + room))
    ticks = np.unique(np.concatenate([x for x, _ in curves.values()]))
    ticks = ticks if len(ticks) < 7 else max((x for x, _ in curves.values()), key=len)
    ax.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
    ax.minorticks_off()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high - low < 1.6 else (1, 3)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="JSON file of growth.py")
    parser.add_argument("out", type=Path, help="the figure without its ending")
    args = parser.parse_args()
    info, tables = kept.told(args.result, "growth", told)
    style.save(growth_figure(info), args.out.parent, args.out.name)
    print(tables)


if __name__ == "__main__":
    sys.exit(kept.in_a_line(main))
