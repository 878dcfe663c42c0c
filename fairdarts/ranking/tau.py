"""Does a supernet rank as the truth does? Rank correlations and their kin, each with its bootstrap interval.

Everywhere: `truth` [n] are accuracies of stand-alone training, `score` [n] one-shot accuracies of the same
architectures, float arrays, in percent, higher is better; `weights` [1 + resamples, n] come from `resampled`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

THRESHOLD = 0.1
"""step of sparse Kendall-Tau in percentage points ("How to Train Your Super-Net", section 3 and appendix B.1)"""
RUNS = 10
"""architectures whose best must surpass random search (released code of the same paper, on NAS-Bench-201)"""
BEST = 3
"""architectures whose mean truth is the final performance (the same paper, section 3)"""
TOP = 20
"""architectures that are the top: a tenth of the 200 of the same paper (appendix B.6 speaks of the top 10%)"""
RESAMPLES = 1000
"""bootstrap resamples"""
DIGITS = 6
"""of a step that are told from one another: what binary fractions miss lies far behind them"""
BLOCK = 512
"""rows of the matrix of pairs that are held at once"""


MEASURES = {
    "kendall": "τ",
    "sparse_kendall": "sparse τ",
    "kendall_of_top": "τ of top",
    "spearman": "ρ",
    "surpass_random": "P > R",
    "truth_of_best": "truth of 3 best",
    "one_shot_range": "δ one-shot",
    "stand_alone_range": "δ stand-alone",
    "range_gap": "λ",
}
"""what `measure` measures → what it is called"""


class Measured(NamedTuple):
    """A number with its 95% interval: percentiles of a bootstrap, over architectures where nothing else is said.

    Where the number makes no sense, value and interval are nan, and the reason says why. The interval alone is nan
    where it cannot be told: no resample tells anything, or all the same, as those of few architectures in one order.
    """

    value: float
    low: float
    high: float
    n: int
    """architectures that it tells of"""
    reason: str = ""


def resampled(n: int, random: np.random.Generator, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each of n architectures is drawn, weights [1 + resamples, n]: first the sample itself, once each."""
    drawn = random.multinomial(n, np.full(n, 1 / n), size=resamples) if n else np.empty((resamples, 0))
    return np.concatenate([np.ones((1, n)), drawn])


def steps_of(truth: np.ndarray, threshold: float) -> np.ndarray:
    """The step of every truth [n]: its nearest multiple of the threshold, and half-way the even one.

    The truth is meant as it is written: 90.25 is half-way, and so is 90.35, though its quotient by 0.1 is a little less
    than 903.5. So steps of 0.1 are those of `numpy.round(truth, 1)`.
    """
    return np.round(np.round(truth / threshold, DIGITS))


def kendall(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Measured:
    """Kendall's τ_b of truth and score."""
    reason = _unfit(truth, score) or _tied(truth, score)
    return _measured(reason, len(truth), lambda: _tau(truth, score, weights))


def spearman(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Measured:
    """Spearman's ρ: the correlation of the ranks, of which ties share the mean."""
    reason = _unfit(truth, score) or _tied(truth, score)
    return _measured(reason, len(truth), lambda: _rho(truth, score, weights))


def sparse_kendall(truth: np.ndarray, score: np.ndarray, weights: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Kendall's τ_b after the truth is rounded to multiples of the threshold (in the unit of the truth).

    "How to Train Your Super-Net" lets architectures share a rank "if their stand-alone accuracies differ by less
    than a threshold" (section 3), which is not transitive, and so no ranking; its appendix B.2 rounds the truth to a
    precision of 0.1%, ranks truth and score, and takes their Kendall-Tau. This is appendix B.2, rounded by `steps_of`.
    Ties of the truth alone keep τ_b of a perfect score below 1. The paper's released code differs: it takes the floor
    (by default of 0.01%), and correlates the sorted steps with the steps in the order of the score.
    """
    steps = steps_of(truth, threshold)
    reason = _unfit(truth, score) or _tied_score(score) or _tied(steps, score, f" to steps of {threshold:g}")
    return _measured(reason, len(truth), lambda: _tau(steps, score, weights))


def sparse_kendall_gain(
    truth: np.ndarray,
    scores: np.ndarray,
    baselines: np.ndarray,
    weights: np.ndarray,
    random: np.random.Generator,
    threshold: float = THRESHOLD,
) -> Measured:
    """How much higher sparse Kendall-Tau is by the mean of some supernets' scores than by that of others' [supernets,
    n], which may be more or fewer.

    A resample draws architectures, the same for both, and supernets, with replacement, so that the interval is that of
    the difference, and tells of other seeds as well; of architectures alone where both are of one supernet. The mean
    over a supernet drawn twice ranks worse than that over two. So that this cancels, both sides have as many that are
    drawn so often, where they are equally many; else the interval lies to the favour of the side with fewer.
    """
    steps = steps_of(truth, threshold)
    reasons = [sparse_kendall(truth, side.mean(axis=0), weights[:1], threshold).reason for side in (scores, baselines)]

    def tau_of_means(side: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        taus = np.empty(len(weights))
        for draw in np.unique(drawn, axis=0):  # 10 of 3 supernets: far fewer than there are resamples
            rows = (drawn == draw).all(axis=1)
            taus[rows] = _tau(steps, (draw[:, None] * side).sum(axis=0) / len(side), weights[rows])
        return taus

    drawn = resampled(len(scores), random, len(weights) - 1)
    alike = len(scores) == len(baselines)
    other = random.permuted(drawn, axis=1) if alike else resampled(len(baselines), random, len(weights) - 1)
    reason = next(filter(None, reasons), "")
    return _measured(reason, len(truth), lambda: tau_of_means(scores, drawn) - tau_of_means(baselines, other))


def kendall_of_top(truth: np.ndarray, score: np.ndarray, weights: np.ndarray, top: int = TOP) -> Measured:
    """Kendall's τ_b among the `top` architectures of highest truth (ties: the earlier). A resample has its own top."""
    chosen = _first(weights, _descending(truth), top)
    here = chosen[0] > 0
    reason = _unfit(truth, score, top) or _tied(truth[here], score[here], f" among the top {top}")
    return _measured(reason, min(top, len(truth)), lambda: _tau(truth, score, chosen))


def surpass_random(truth_rank: int | np.ndarray, total: int, runs: int) -> float | np.ndarray:
    """P > R: probability that none of `runs` uniform draws is as good as the architecture found, (1 − r/r_max)^runs.

    The rank r counts from the best of `total`, which has 1. "How to Train Your Super-Net" (section 3) prints
    1 − (1 − r/r_max)^n, which with this r is the chance that random search does as well or better: high is bad, and
    with r from the worst it is close to 1 for almost anything. Its tables are high for good architectures, and its
    released code raises the share of worse architectures to the power n, as this function does.
    """
    return (1 - truth_rank / total) ** runs


def found_surpasses_random(
    truth: np.ndarray, score: np.ndarray, weights: np.ndarray, everything: np.ndarray, runs: int = RUNS
) -> Measured:
    """P > R of a search that takes the `runs` architectures of highest score and keeps the one of highest truth.

    Random search draws as many. The rank is that among `everything`: all truths that the benchmark knows [total], the
    architectures' own included. With one run: the share of the benchmark that is worse than the best by score.
    """
    known = np.sort(everything[np.isfinite(everything)])
    reason = _unfit(truth, score, runs) or _tied_score(score) or ("" if known.size else "no truths are known")

    def probabilities() -> np.ndarray:
        chosen = _first(weights, _descending(score), runs)
        best = np.where(chosen > 0, truth, -np.inf).max(axis=1)
        better = known.size - np.searchsorted(known, best, side="right")
        shares = surpass_random(np.minimum(better + 1, known.size), known.size, runs)
        return np.where(_pairs(score, weights) > 0, shares, np.nan)

    return _measured(reason, len(truth), probabilities)


def truth_of_best(truth: np.ndarray, score: np.ndarray, weights: np.ndarray, best: int = BEST) -> Measured:
    """Mean truth, in percent, of the `best` architectures of highest score (ties: the earlier)."""
    reason = _unfit(truth, score, best) or _tied_score(score)

    def means() -> np.ndarray:
        truths = _first(weights, _descending(score), best) @ truth / best
        return np.where(_pairs(score, weights) > 0, truths, np.nan)

    return _measured(reason, len(truth), means)


def one_shot_range(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Measured:
    """δ_oneshot of FairNAS (ICCV 2021, section 6.2): highest less lowest score, in percentage points.

    No resample spans more than the sample does, so the interval of a range ends at its value.
    """
    return _measured(_unfit(truth, score), len(score), lambda: _range(score, weights))


def stand_alone_range(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Measured:
    """δ_standalone: highest less lowest truth, in percentage points."""
    return _measured(_unfit(truth, score), len(truth), lambda: _range(truth, weights))


def range_gap(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> Measured:
    """λ = |δ_oneshot − δ_standalone|, the supernet accuracy gap of FairNAS (section 6.2), in percentage points."""
    return _measured(_unfit(truth, score), len(truth), lambda: np.abs(_range(score, weights) - _range(truth, weights)))


def measure(
    truth: ArrayLike, score: ArrayLike, everything: ArrayLike, random: np.random.Generator
) -> dict[str, Measured]:
    """All of the above in the order of a table, over the same resamples; `everything` [total] as P > R wants it."""
    both, drawn = (np.asarray(truth, float), np.asarray(score, float)), np.asarray(everything, float)
    weights = resampled(len(both[0]), random)
    correlations = kendall, spearman, sparse_kendall, kendall_of_top
    numbers = {number.__name__: number(*both, weights) for number in correlations}
    numbers["surpass_random"] = found_surpasses_random(*both, weights, drawn)
    others = truth_of_best, one_shot_range, stand_alone_range, range_gap
    return numbers | {number.__name__: number(*both, weights) for number in others}


def _measured(reason: str, n: int, statistic: Callable[[], np.ndarray]) -> Measured:
    """From the statistic of every row of weights; resamples of which it makes no sense (nan) are dropped."""
    if reason:
        return Measured(np.nan, np.nan, np.nan, n, reason)
    value, *others = statistic().tolist()
    others = [other for other in others if other == other]
    low, high = np.percentile(others, (2.5, 97.5)).tolist() if others else (np.nan, np.nan)
    if math.isclose(low, high, abs_tol=1e-9):
        low = high = np.nan
    return Measured(value, low, high, n)


def _unfit(truth: np.ndarray, score: np.ndarray, least: int = 2) -> str:
    """Why nothing can be told of these architectures: too few, or of no number."""
    if len(truth) < max(least, 2):
        return f"fewer than {max(least, 2)} architectures: {len(truth)}"
    for values, name in ((truth, "stand-alone"), (score, "one-shot")):
        bad = int(np.sum(~np.isfinite(values)))
        if bad:
            return f"{bad} of {len(values)} {name} accuracies are not numbers"
    return ""


def _tied(truth: np.ndarray, score: np.ndarray, where: str = "") -> str:
    """Why there is no correlation."""
    if np.ptp(truth) == 0:
        return f"all stand-alone accuracies are equal{where}"
    return _tied_score(score, where)


def _tied_score(score: np.ndarray, where: str = "") -> str:
    return f"all one-shot accuracies are equal{where}" if np.ptp(score) == 0 else ""


def _descending(values: np.ndarray) -> np.ndarray:
    return np.argsort(-values, kind="stable")


def _first(weights: np.ndarray, order: np.ndarray, count: int) -> np.ndarray:
    """Weights [rows, n] of the first `count` draws of every row in the given order; 0 for the others."""
    ordered = weights[:, order]
    before = np.cumsum(ordered, axis=1) - ordered
    first = np.empty_like(weights)
    first[:, order] = np.clip(count - before, 0, ordered)
    return first


def _tau(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """τ_b of every row's draws [rows]: concordant less discordant pairs, by the root of the untied pairs of x and y."""
    concordance = np.zeros(len(weights))
    drawn = weights.any(axis=0)
    x, y, weights = x[drawn], y[drawn], weights[:, drawn]
    light = weights.astype(np.float32)  # sums of a row stay below 2^24: exact, and twice as fast
    for start in range(0, len(x), BLOCK):
        rows = slice(start, start + BLOCK)
        signs = np.sign(x[rows, None] - x) * np.sign(y[rows, None] - y)  # [block, n]
        concordance += np.einsum("rb,rb->r", weights[:, rows], light @ signs.T.astype(np.float32))
    return _ratio(concordance, np.sqrt(_pairs(x, weights) * _pairs(y, weights)))


def _rho(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """ρ of every row's draws [rows]."""
    x, y = _ranks(x, weights), _ranks(y, weights)
    covariance, x_variance, y_variance = ((weights * product).sum(axis=1) for product in (x * y, x * x, y * y))
    return _ratio(covariance, np.sqrt(x_variance * y_variance))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Their quotient, nan where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _groups(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws of every distinct value of x, in ascending order [rows, values], and the place of each x [n] among them."""
    _, place = np.unique(x, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    return np.add.reduceat(weights[:, order], starts, axis=1), place


def _pairs(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ordered pairs of draws that differ in x, in every row [rows]."""
    groups, _ = _groups(x, weights)
    return groups.sum(axis=1) ** 2 - (groups**2).sum(axis=1)


def _ranks(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks of x among every row's draws, less their mean [rows, n]; ties share the mean of theirs."""
    groups, place = _groups(x, weights)
    ranks = np.cumsum(groups, axis=1) - groups / 2 - groups.sum(axis=1, keepdims=True) / 2
    return ranks[:, place]


def _range(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Highest less lowest value drawn in every row [rows]."""
    drawn = weights > 0
    return np.where(drawn, x, -np.inf).max(axis=1) - np.where(drawn, x, np.inf).min(axis=1)
