#!/usr/bin/env python3
"""Which ε finds the exact correction, and does it stay so along a search? A figure of what second_order.py measured.

python benchmarks/second_order_figure.py docs/figures/second-order benchmarks/results/second-order-*.json
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.differentiable.unrolled import EPSILON
from fairdarts.plot import style

Line = list[tuple[float, float]]


class Info(NamedTuple):
    by_length: dict[str, dict[str, Line]]
    """what was measured → precision → (length, mean cosine over the points), ascending"""
    by_step: dict[str, dict[str, Line]]
    """what was measured → length → (step, cosine in the last precision)"""


def name_of(result: dict[str, Any]) -> str:
    space = "S1" if "s1" in result["recipe"] else "NAS-Bench-201"
    return f"{space}, {result['cells']} × {result['channels']}, {result['image']} px"


def _info(results: list[dict[str, Any]]) -> Info:
    by_length: dict[str, dict[str, Line]] = {}
    by_step: dict[str, dict[str, Line]] = {}
    for result in results:
        points = result["points"]
        precisions = [name for name in ("float32", "float64") if name in points[0]]
        lengths = sorted(points[0][precisions[-1]]["differences"], key=float)

        def cosine(point: dict[str, Any], precision: str, length: str) -> float:
            return point[precision]["differences"][length]["cosine"]

        by_length[name_of(result)] = {
            precision: [
                (float(length), statistics.mean(cosine(point, precision, length) for point in points))
                for length in lengths
            ]
            for precision in precisions
        }
        by_step[name_of(result)] = {
            length: [(point["step"], cosine(point, precisions[-1], length)) for point in points] for length in lengths
        }
    return Info(by_length, by_step)


def _figure(info: Info) -> Figure:
    figure, (left, right) = style.panels(2, 2, (4.6, 3.3), sharey=True)
    for number, (name, precisions) in enumerate(info.by_length.items()):
        look = style.series(number)
        for precision, line in precisions.items():
            exact = precision == "float64"
            own = look | ({} if exact else {"linestyle": "--", "markerfacecolor": "white"})
            left.plot(*zip(*line, strict=True), **own, markersize=5, label=f"{name}, {precision}")
    left.axvline(EPSILON, color=style.FAINT, linewidth=1, linestyle=":")
    left.annotate("DARTS", (EPSILON, 0.95), xytext=(-4, 0), textcoords="offset points", ha="right", fontsize=9)
    left.set(xscale="log", ylim=(-1.05, 1.05))
    left.set_title("by ε, mean of the measured steps", fontsize=10)
    left.legend(fontsize=8, frameon=False, loc="lower left")
    style.tidy(left, "ε · ‖v‖", "cosine with the exact correction")
    name, lengths = next(iter(info.by_step.items()))
    for number, (length, line) in enumerate(reversed(lengths.items())):
        right.plot(*zip(*line, strict=True), **style.series(number), markersize=5, label=f"{float(length):g}")
    right.set_title(f"along the search: {name}", fontsize=10)
    right.legend(
        title="ε · ‖v‖", title_fontsize=8.5, fontsize=8.5, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    style.tidy(right, "step")
    right.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the figure without its ending")
    parser.add_argument("results", type=Path, nargs="+", help="JSON files; the first one's search is drawn by step")
    args = parser.parse_args()
    info = _info([json.loads(path.read_text()) for path in args.results])
    style.save(_figure(info), args.out.parent, args.out.name)


if __name__ == "__main__":
    main()
