"""What have recipes found, over several seeds, by true accuracies of a benchmark? The numbers of a study of recipes."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev, stdev
from typing import Any, NamedTuple

import numpy as np

from fairdarts.ranking.tau import spearman
from fairdarts.ranking.truth import Truth

RESAMPLES = 10_000
"""bootstrap resamples"""
SEED = 0
"""of the bootstrap"""
METHOD = (
    "mean and sample standard deviation (n − 1) over the seeds; low and high: 95% percentile bootstrap interval of the "
    f"mean over the seeds, {RESAMPLES:,} resamples drawn by seed {SEED}"
)
DIGITS = 7
"""significant digits of numbers in a file, so many that who rounds them again to two decimals gets the same"""
SHOWN = 3
"""columns of the truth that tables and figures show, at most"""

Series = list[float | None]
"""a number an epoch; None where it was not measured"""


class Summary(NamedTuple):
    """A number of several seeds; see METHOD."""

    n: int
    """seeds that have it"""
    of: int
    """seeds that there are"""
    mean: float | None = None
    """None where no seed has it"""
    deviation: float | None = None
    """None of fewer than two"""
    low: float | None = None
    """None of fewer than two"""
    high: float | None = None


class SeedResult(NamedTuple):
    """What a run with one seed has found."""

    seed: int
    run: str
    """name of its directory"""
    kept: int
    """the epoch whose architecture it ends with"""
    ended: str
    """why it stopped before its last epoch; empty where it did not"""
    truth: dict[str, float | None]
    """column → true accuracy of that architecture, in percent; None where the benchmark does not know it"""
    regret: dict[str, float | None]
    """column → percentage points to the best of the space"""
    skips: int | None
    """skip connections of that architecture; None where nothing was chosen"""
    accuracy: float | None
    """the supernet's own held-out accuracy at that epoch, in percent: of a search under its gates, of a supernet that
    of the path which it chooses"""
    epochs: dict[str, Series]
    """to the epoch that is kept: epoch; truth, in the first column, skips, accuracy, eigenvalue and passes, of those
    that were measured"""

    @property
    def correlation(self) -> float | None:
        """Spearman's ρ of the Hessian's largest eigenvalue and true accuracy over the epochs; None where either was
        not measured, or does not change."""
        return rank_correlation(self.epochs.get("eigenvalue", []), self.epochs.get("truth", []))


class RowResult(NamedTuple):
    """A recipe over its seeds, or what the runs of another row would have come to."""

    name: str
    verb: str
    """search or supernet"""
    recipe: str
    of: str
    """the row whose runs it is judged on; empty where it has its own"""
    rule: str
    """how it is judged there"""
    seeds: tuple[SeedResult, ...]
    """of the runs that are done"""

    def truth(self, column: str) -> Summary:
        """True accuracy of what is found."""
        return summary([seed.truth.get(column) for seed in self.seeds])

    def regret(self, column: str) -> Summary:
        """What it lacks to the best of the space."""
        return summary([seed.regret.get(column) for seed in self.seeds])

    @property
    def skips(self) -> Summary:
        """Skip connections of what is found."""
        return summary([seed.skips for seed in self.seeds])

    @property
    def accuracy(self) -> Summary:
        """The supernet's own accuracy."""
        return summary([seed.accuracy for seed in self.seeds])


class TableResult(NamedTuple):
    """A whole benchmark: what a random architecture is worth, and the best one."""

    file: str
    columns: tuple[str, ...]
    """the first is the one by which an architecture is called good"""
    architectures: int
    mean: dict[str, float]
    """column → exact mean over all architectures, in percent"""
    deviation: dict[str, float]
    """column → standard deviation over all"""
    best: dict[str, float]

    @property
    def shown(self) -> tuple[str, ...]:
        """The columns that tables show: test accuracies, where there are some."""
        tests = tuple(column for column in self.columns if "test" in column)
        return (tests or self.columns)[:SHOWN]


class PublishedResult(NamedTuple):
    """What a paper prints."""

    name: str
    source: str
    numbers: dict[str, tuple[float, float | None]]
    """column → accuracy in percent, and its deviation, where one is printed"""


class Comparison(NamedTuple):
    """All of a study."""

    name: str
    source: str
    deviations: tuple[str, ...]
    seeds: tuple[int, ...]
    table: TableResult | None
    """None of a study without a benchmark"""
    rows: tuple[RowResult, ...]
    published: tuple[PublishedResult, ...]
    missing: tuple[str, ...]
    """names of the runs that are not done"""


def summary(values: Sequence[float | None]) -> Summary:
    """Of a number a seed. The interval is of the percentile bootstrap; see METHOD."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return Summary(0, len(values))
    if len(known) == 1:
        return Summary(1, len(values), known[0])
    drawn = np.random.default_rng(SEED).integers(len(known), size=(RESAMPLES, len(known)))
    low, high = np.percentile(np.asarray(known)[drawn].mean(axis=1), (2.5, 97.5)).tolist()
    return Summary(len(known), len(values), fmean(known), stdev(known), low, high)


def rank_correlation(ones: Series, others: Series) -> float | None:
    """Spearman's ρ over the epochs that have both; None of fewer than three, or where either does not change."""
    pairs = [pair for pair in zip(ones, others, strict=False) if None not in pair]
    if len(pairs) < 3:
        return None
    one, other = np.asarray(pairs, dtype=float).T
    rho = spearman(one, other, np.ones((1, len(pairs)))).value
    return None if math.isnan(rho) else rho


def table_of(truth: Truth, file: str) -> TableResult:
    """What a random architecture is worth, over all that the benchmark has."""
    values = {table.column: list(table.truth.values()) for table in truth.benchmarks}
    return TableResult(
        file,
        truth.columns,
        len(truth.benchmarks[0].truth),
        {column: fmean(accuracies) for column, accuracies in values.items()},
        {column: pstdev(accuracies) for column, accuracies in values.items()},
        truth.best,
    )


def content_of(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON can hold it: every row with its summaries; floats to DIGITS significant digits."""
    columns = comparison.table.columns if comparison.table else ()
    rows = []
    for row in comparison.rows:
        summaries: dict[str, Any] = {
            "truth": {column: row.truth(column)._asdict() for column in columns},
            "regret": {column: row.regret(column)._asdict() for column in columns},
            "skips": row.skips._asdict(),
            "accuracy": row.accuracy._asdict(),
        }
        seeds = [seed._asdict() | {"correlation": seed.correlation} for seed in row.seeds]
        rows.append(row._asdict() | {"summary": summaries, "seeds": seeds})
    about = comparison._asdict() | {"method": METHOD, "rows": rows}
    about["table"] = comparison.table._asdict() if comparison.table else None
    about["published"] = [row._asdict() for row in comparison.published]
    content: dict[str, Any] = rounded(about)
    return content


def rounded(value: Any) -> Any:
    """What JSON can hold: floats to DIGITS significant digits, null for what is no finite number."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(part) for part in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def carried(series: Iterable[Series], length: int) -> np.ndarray:
    """Series of several seeds as one array [seeds, length]: one that ends early keeps its last number, as a run that
    has stopped keeps its architecture; nan where nothing was measured."""
    rows = [[*one, *([one[-1]] if one else [None]) * (length - len(one))] for one in series]
    return np.asarray(rows, dtype=float).reshape(-1, length)
