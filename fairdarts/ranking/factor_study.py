"""What does a factor of a supernet's training change? Accuracy, sparse Kendall-Tau, final performance by setting.

As "How to Train Your Super-Net" (arXiv:2003.04276), section 3 and appendices B.1 and B.2. A ranking is what its file
in a run holds; the outcome of a run is its ranking, DIVERGED, or None as long as there is neither.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from statistics import fmean, pstdev, stdev
from typing import Any, NamedTuple

import numpy as np

from fairdarts.ranking.tau import Measured, resampled, sparse_kendall, sparse_kendall_gain, spearman

DIVERGED = "diverged"
"""the outcome of a run whose loss was no longer a number"""
METRICS = {"accuracy": "supernet accuracy", "sparse": "sparse τ", "performance": "final performance"}
"""what is correlated over runs (Fig. 9) → what it is called"""

Outcome = dict[str, Any] | str | None


class Spread(NamedTuple):
    """A number of every seed's supernet; None where a run has none."""

    values: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """Those that there are."""
        return [value for value in self.values if value is not None]

    @property
    def mean(self) -> float:
        """Their mean; nan where there are none."""
        return fmean(self.known) if self.known else math.nan

    @property
    def deviation(self) -> float:
        """Their standard deviation over the seeds; nan of fewer than two."""
        return stdev(self.known) if len(self.known) > 1 else math.nan


class Gain(NamedTuple):
    """How much a mean is higher than that of the baseline."""

    value: float
    error: float
    """standard error of the difference of two means, √(s₁²/n₁ + s₂²/n₂); nan where either is of one seed"""


class Numbers(NamedTuple):
    """A setting over its seeds."""

    supernets: int
    """how many have been judged"""
    diverged: int
    """how many others could not be trained"""
    passes: int | None
    """images that the training of one passed forward and backward"""
    accuracy: Spread
    """mean one-shot accuracy of the architectures, in percent"""
    scatter: float
    """standard deviation of the accuracies over the architectures, a mean over the seeds"""
    sparse: Measured
    """sparse Kendall-Tau of the accuracies' means over the seeds (appendix B.2)"""
    sparse_by_seed: Spread
    """that of each seed by itself"""
    surpass: Spread
    """P > R: probability that the best of the 10 highest ranked surpasses random search"""
    performance: Spread
    """final performance: mean truth of the 3 highest ranked, in percent"""
    sparse_gain: Measured | None
    """sparse Kendall-Tau less that of the baseline, its interval over architectures and seeds; None of the baseline
    itself"""
    performance_gain: Gain | None
    """final performance less that of the baseline; None of the baseline itself"""


class SettingResult(NamedTuple):
    """A setting of a factor, and what came of it."""

    label: str
    changes: dict[str, str]
    """by dotted key"""
    runs: tuple[str, ...]
    """names of its runs, one a seed"""
    baseline: bool
    """whether it is what the factor began with"""
    kept: bool
    """whether later factors begin with it"""
    numbers: Numbers


class FactorResult(NamedTuple):
    """A factor."""

    name: str
    title: str
    group: str
    keep: str | None
    """how it was decided what is kept: best, a label, or None where the baseline stays"""
    settings: tuple[SettingResult, ...]


class Point(NamedTuple):
    """A run among all of a space."""

    run: str
    group: str
    """of the factor that it is the first to belong to"""
    accuracy: float
    sparse: float
    performance: float


class SpaceResult(NamedTuple):
    """All factors of a search space."""

    name: str
    title: str
    recipe: str
    truth: str
    """file and column"""
    architectures: int
    """that every supernet ranks"""
    images: int
    """that they were judged by"""
    factors: tuple[FactorResult, ...]
    points: tuple[Point, ...]
    correlations: dict[str, Measured]
    """Spearman's ρ over the points, by 'one, other' of METRICS"""


def numbers_of(outcomes: Sequence[Outcome], baseline: Sequence[Outcome] | None) -> Numbers:
    """The numbers of a setting from its runs, one outcome a seed; the baseline is another setting's, or None."""
    rankings = _rankings(outcomes)
    performance = Spread(tuple(_measured(outcome, "truth_of_best") for outcome in outcomes))
    gains: tuple[Measured | None, Gain | None] = None, None
    if baseline is not None:
        before = Spread(tuple(_measured(outcome, "truth_of_best") for outcome in baseline))
        gains = _sparse_gain(rankings, _rankings(baseline)), gain(performance, before)
    return Numbers(
        len(rankings),
        sum(outcome == DIVERGED for outcome in outcomes),
        max((ranking["passes"] * ranking["batch_size"] for ranking in rankings), default=None),
        Spread(tuple(fmean(outcome["score"]) if isinstance(outcome, dict) else None for outcome in outcomes)),
        fmean(pstdev(ranking["score"]) for ranking in rankings) if rankings else math.nan,
        _sparse(rankings),
        Spread(tuple(_measured(outcome, "sparse_kendall") for outcome in outcomes)),
        Spread(tuple(_measured(outcome, "surpass_random") for outcome in outcomes)),
        performance,
        *gains,
    )


def final_performance(outcomes: Sequence[Outcome]) -> float | None:
    """By which the best setting is chosen: mean truth of the 3 highest ranked, over all seeds.

    None where a run diverged, is missing, or has no such number: a setting that fails once is not the best.
    """
    values = [_measured(outcome, "truth_of_best") for outcome in outcomes]
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def gain(after: Spread, before: Spread) -> Gain | None:
    """Difference of two means over seeds; None where either is unknown."""
    if not (after.known and before.known):
        return None
    parts = [spread.deviation**2 / len(spread.known) for spread in (after, before)]
    return Gain(after.mean - before.mean, math.sqrt(sum(parts)))


def points_of(runs: Mapping[str, tuple[str, Outcome]]) -> tuple[Point, ...]:
    """The runs of a space that have all metrics, of name → (group, outcome)."""
    points = []
    for name, (group, outcome) in runs.items():
        sparse, performance = _measured(outcome, "sparse_kendall"), _measured(outcome, "truth_of_best")
        if isinstance(outcome, dict) and sparse is not None and performance is not None:
            points.append(Point(name, group, fmean(outcome["score"]), sparse, performance))
    return tuple(points)


def correlations_of(points: Sequence[Point]) -> dict[str, Measured]:
    """Spearman's ρ of every two metrics over runs (Fig. 9), its interval from a bootstrap over the runs."""
    columns = {name: np.asarray([getattr(point, name) for point in points], dtype=float) for name in METRICS}
    pairs, weights = combinations(METRICS, 2), _weights(len(points))
    return {f"{one}, {other}": spearman(columns[one], columns[other], weights) for one, other in pairs}


def _rankings(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [outcome for outcome in outcomes if isinstance(outcome, dict)]


def _measured(outcome: Outcome, name: str) -> float | None:
    """A measure of a ranking; None where it has none."""
    return outcome["measured"][name]["value"] if isinstance(outcome, dict) and outcome["measured"] else None


def _together(rankings: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray] | str:
    """Truth [n] and accuracies [supernets, n] of the architectures; or why there are none."""
    if not rankings:
        return "no supernet has been judged"
    if any(ranking["truth"] is None for ranking in rankings):
        return "no truth is known"
    if any(ranking["paths"] != rankings[0]["paths"] for ranking in rankings):
        return "the supernets ranked different architectures"
    return np.asarray(rankings[0]["truth"], float), np.asarray([ranking["score"] for ranking in rankings], float)


def _sparse(rankings: Sequence[dict[str, Any]]) -> Measured:
    together = _together(rankings)
    if isinstance(together, str):
        return _unknown(together)
    truth, scores = together
    return sparse_kendall(truth, scores.mean(axis=0), _weights(len(truth)))


def _sparse_gain(rankings: Sequence[dict[str, Any]], baseline: Sequence[dict[str, Any]]) -> Measured:
    """Over the same resamples of the architectures, as both rank the same ones, and those of each one's supernets."""
    after, before = _together(rankings), _together(baseline)
    if isinstance(after, str):
        return _unknown(after)
    if isinstance(before, str):
        return _unknown(before)
    if rankings[0]["paths"] != baseline[0]["paths"]:
        return _unknown("the baseline ranked other architectures")
    return sparse_kendall_gain(after[0], after[1], before[1], _weights(len(after[0])), np.random.default_rng(1))


def _unknown(reason: str) -> Measured:
    return Measured(math.nan, math.nan, math.nan, 0, reason)


@cache
def _weights(n: int) -> np.ndarray:
    """The same resamples for all settings, so that their differences are those of the settings."""
    return resampled(n, np.random.default_rng(0))
