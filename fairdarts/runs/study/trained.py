"""What are the cells of a study worth? Test accuracy and costs of their trainings, a row a method, over the seeds.

As FairDARTS (arXiv:1911.12126), Table 1 (last row), Table 3 and section 6 report it: mean ± standard deviation.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairdarts.config import UserError
from fairdarts.cost.cost import Cost
from fairdarts.cost.count import count
from fairdarts.networks.blueprint import build
from fairdarts.plot.document import faint, table
from fairdarts.plot.factor_page import spread_text
from fairdarts.ranking.factor_study import Spread
from fairdarts.runs.result import Run
from fairdarts.runs.study.jobs import is_finished
from fairdarts.runtime.run import SETTINGS

COLUMNS = ("method", "accuracy, %", "best, %", "parameters, M", "multiply-adds, M", "trained", "judged by")
"""what a table says of a row"""
NOTE = (
    "Accuracy: of the networks of the cells, trained alone, on the images that judge them; mean over the seeds ± "
    "standard deviation. It is that of the last epoch, or where other images than these chose the best epoch, of that. "
    "Parameters and multiply-adds: of the networks that were trained."
)


class TrainedRow(NamedTuple):
    """The trained cells of a method."""

    name: str
    seeds: tuple[int, ...]
    accuracy: Spread
    """share of the judging images whose class is named first, in percent, of every seed; None where it has none"""
    params: Spread
    """parameters of the network, in millions"""
    madds: Spread
    """multiply-adds of the network for one image, in millions"""
    judged_by: str
    """how many images of which kind tell the accuracy"""
    missing: dict[int, str]
    """seed → why there is no accuracy, or not yet"""

    @property
    def best(self) -> float | None:
        """The highest accuracy of all seeds."""
        return max(self.accuracy.known, default=None)


class _Outcome(NamedTuple):
    accuracy: float | None = None
    cost: Cost | None = None
    judged_by: str = ""
    missing: str = ""


def trained_rows(paths: Sequence[Path]) -> list[TrainedRow]:
    """The rows of a study from its run directories, NAME-seedN and NAME-seedN-train, in their order; those that are
    still to be made may be among them. There are none where nothing is trained."""
    rows: dict[str, dict[int, _Outcome]] = {}
    named = [(match, path) for path in paths if (match := re.fullmatch(r"(.+)-seed(-?\d+)(-train)?", path.name))]
    if len(paths) < 2 or not any(match[3] for match, _ in named):  # a training alone is no study
        return []
    for match, path in named:
        search = path if not match[3] else path.with_name(path.name.removesuffix("-train"))
        training = search.with_name(f"{search.name}-train")
        seeds = rows.setdefault(match[1], {})
        if int(match[2]) not in seeds:
            try:
                seeds[int(match[2])] = _outcome(search, training)
            except UserError as error:  # one damaged run hides no others
                seeds[int(match[2])] = _Outcome(missing=str(error))
    return [_row(name, outcomes) for name, outcomes in rows.items()]


def _row(name: str, outcomes: dict[int, _Outcome]) -> TrainedRow:
    every = outcomes.values()
    return TrainedRow(
        name,
        tuple(outcomes),
        Spread(tuple(outcome.accuracy for outcome in every)),
        Spread(tuple(outcome.cost.params / 1e6 if outcome.cost else None for outcome in every)),
        Spread(tuple(outcome.cost.madds / 1e6 if outcome.cost else None for outcome in every)),
        ", ".join(dict.fromkeys(outcome.judged_by for outcome in every if outcome.judged_by)),
        {seed: outcome.missing for seed, outcome in outcomes.items() if outcome.missing},
    )


def _outcome(search: Path, training: Path) -> _Outcome:
    """What a search's cells, or random ones, have come to. Raises UserError where a run is damaged."""
    if (training / SETTINGS).is_file():
        run = Run(training)
        if run.state != "finished":
            return _Outcome(missing="its training has diverged" if run.state == "diverged" else "is not trained yet")
        try:
            if not (results := run.results):
                return _Outcome(
                    None, _cost(run), missing="no images judge it; data.train_portion below 1 holds some out"
                )
            chosen = results["best_by"] != results["on"] and "best" in results
            accuracy = 100 * results["best" if chosen else "last"]["top1"]
            return _Outcome(accuracy, _cost(run), f"{results['images']:,} {results['on']} images")
        except (ValueError, TypeError, KeyError):
            raise UserError(f"{training / 'results.json'}: not the results of a training") from None
    if not is_finished(search):
        return _Outcome(missing="is not trained yet")
    empty = Run(search).genotype.empty_cells
    return _Outcome(missing=f"nothing leads through its cell: {', '.join(empty)}" if empty else "is not trained yet")


def _cost(run: Run) -> Cost:
    """What the network of a training costs, for its images."""
    shape = run.shape
    with torch.device("meta"):
        network = build(run.genotype, run.space, run.settings.network, shape.classes, shape.channels)
    return count(network, shape.channels, shape.image)


def content_of(row: TrainedRow) -> dict[str, Any]:
    """A row as JSON can hold it."""
    spreads = {name: getattr(row, name) for name in ("accuracy", "params", "madds")}
    numbers = {
        name: {"values": spread.values, "mean": spread.mean, "deviation": spread.deviation}
        for name, spread in spreads.items()
    }
    return row._asdict() | {"seeds": list(row.seeds), "best": row.best} | numbers


def cells_of(row: TrainedRow) -> list[str]:
    """COLUMNS of a row."""
    best = "–" if row.best is None else f"{row.best:.2f}"
    return [
        row.name,
        spread_text(row.accuracy, 2),
        best,
        spread_text(row.params, 3),
        spread_text(row.madds, 1),
        f"{len(row.accuracy.known)} of {len(row.seeds)}",
        row.judged_by or "–",
    ]


def told_missing(rows: Sequence[TrainedRow]) -> list[str]:
    """A line a seed that has no accuracy: 'fairdarts, seed 2: nothing leads through its cell: normal'."""
    return [f"{row.name}, seed {seed}: {why}" for row in rows for seed, why in row.missing.items()]


def page_part(rows: Sequence[TrainedRow]) -> list[str]:
    """The part of a report that tells of them; nothing of none."""
    if not rows:
        return []
    told = table(COLUMNS, [cells_of(row) for row in rows])
    return ["<h2>The cells, trained</h2>", told, faint(NOTE), *map(faint, told_missing(rows))]
