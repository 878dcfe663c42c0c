"""Does a search that sees the judge alone find what is good in truth? The best and the front, over the models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.projection import EVALUATIONS, axis
from fairdarts.plot.settings import USUAL


class ToldInfo(NamedTuple):
    """A search against one column of the truth, at the end of every generation."""

    column: str
    evaluations: np.ndarray
    """models so far [generations]"""
    accuracies: dict[str, np.ndarray]
    """true accuracies in percent by what has them: the best by the judge, that within every budget, the front's best
    and mean [generations]; not a number where the table does not know them"""
    best: float | None
    """the best of the space within the constraints; None where it is not known"""
    hypervolume: np.ndarray
    """what the front dominates by the truth, in percent of what the true front does [generations]"""


def told_info(records: Sequence[dict[str, Any]]) -> ToldInfo | None:
    """By the first column of the truth; None where the records tell of none."""
    told = [record for record in records if "front_truth" in record]
    if not told:
        return None
    column = next(iter(told[-1]["truth"]))
    told = [record for record in told if column in record["truth"]]

    def line(values: Sequence[float | None]) -> np.ndarray:
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    accuracies = {"best by the judge": line([record["truth"][column] for record in told])}
    for budget in told[-1].get("truth_within", {}):
        within = [record.get("truth_within", {}).get(budget, {}).get(column) for record in told]
        accuracies[f"with {budget}"] = line(within)
    for number in ("best", "mean"):
        accuracies[f"front, {number}"] = line([record["front_truth"][column][number] for record in told])
    known = [record for record in told if record["regret"][column] is not None]
    best = known[-1]["truth"][column] + known[-1]["regret"][column] if known else None
    volumes = [100 * record["front_truth"][column]["hypervolume"] for record in told]
    evaluations = np.array([record["evaluations"] for record in told])
    return ToldInfo(column, evaluations, accuracies, best, np.array(volumes))


def told_figure(info: ToldInfo) -> Figure:
    """True accuracies, and beside them the hypervolume."""
    figure, (left, right) = style.panels(2, 2, (4.8, 3.6))
    alone = len(info.evaluations) == 1
    if info.best is not None:
        left.axhline(info.best, color=style.FAINT, linewidth=1.4, linestyle=(0, (4, 3)), label="best of the space")
    for number, (name, accuracies) in enumerate(info.accuracies.items()):
        look = style.series(number) | {"markersize": 5 if alone or len(info.evaluations) <= 25 else 0}
        left.plot(info.evaluations, accuracies, **look, linewidth=1.6, label=name)
    right.plot(info.evaluations, info.hypervolume, color=style.INK, linewidth=1.6, marker="o" if alone else None)
    style.tidy(left, axis(EVALUATIONS)[0], f"true accuracy ({info.column}), %")
    style.tidy(right, axis(EVALUATIONS)[0], "true hypervolume of the front,\n% of the true front's")
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    style.legend_below(figure, *left.get_legend_handles_labels())
    return figure


def draw_told(records: Sequence[dict[str, Any]], folder: Path, formats: Sequence[str] = USUAL) -> list[Path]:
    """Writes it as `folder`/evolved-truth in every format and gives their paths; none where no truth is told."""
    info = told_info(records)
    return style.save(told_figure(info), folder, "evolved-truth", formats) if info else []
