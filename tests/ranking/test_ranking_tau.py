"""Ranking numbers: against scipy, by hand, and in degenerate cases."""

import math
import warnings
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from fairdarts.ranking import tau
from fairdarts.ranking.tau import Measured, measure, resampled, surpass_random

PROPERTY = settings(derandomize=True, deadline=None)
RANKED = ("kendall", "spearman", "sparse_kendall", "kendall_of_top")
PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def arrays(*values: object) -> list[np.ndarray]:
    return [np.array(value, dtype=float) for value in values]


def alone(statistic, truth, score, *more: object) -> Measured:
    """The statistic of the sample, without resamples."""
    truth, score = arrays(truth, score)
    return statistic(truth, score, np.ones((1, len(truth))), *more)


def some(n: int, seed: int = 0, decimals: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.normal(90, 2, n)
    return np.round(truth, 2), np.round(truth + random.normal(0, 2, n), decimals)


def expand(values: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.repeat(values, row.astype(int))


@PROPERTY
@given(PAIRS)
def test_correlations_are_those_of_scipy(pairs):
    truth, score = arrays(*zip(*pairs, strict=True))
    if np.ptp(truth) and np.ptp(score):
        assert alone(tau.kendall, truth, score).value == pytest.approx(kendalltau(truth, score).statistic, abs=1e-12)
        assert alone(tau.spearman, truth, score).value == pytest.approx(spearmanr(truth, score).statistic, abs=1e-12)


@pytest.mark.parametrize("n", [40, tau.BLOCK + 40])
def test_resamples_are_those_of_scipy_too(n: int):
    truth, score = some(n)
    weights = resampled(n, np.random.default_rng(1), 5)
    for name, own, reference in (("τ", tau._tau, kendalltau), ("ρ", tau._rho, spearmanr)):
        wanted = [reference(expand(truth, row), expand(score, row)).statistic for row in weights]
        np.testing.assert_allclose(own(truth, score, weights), wanted, rtol=0, atol=1e-12, err_msg=name)


def test_the_best_and_the_ranges_of_resamples():
    truth, score = some(12, decimals=0)
    weights = resampled(12, np.random.default_rng(2), 20)
    order = tau._descending(score)
    for row, first in zip(weights, tau._first(weights, order, 3), strict=True):
        np.testing.assert_array_equal(expand(order, first[order]), expand(order, row[order])[:3])
    np.testing.assert_allclose(tau._range(truth, weights), [np.ptp(expand(truth, row)) for row in weights])


def test_resampled_weights():
    weights = resampled(7, np.random.default_rng(0), 10)
    assert weights.shape == (11, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()


def test_perfect_and_reversed():
    truth = [90, 91, 92, 93]
    for statistic in (tau.kendall, tau.spearman):
        assert alone(statistic, truth, [1, 2, 3, 4]).value == pytest.approx(1)
        assert alone(statistic, truth, [4, 3, 2, 1]).value == pytest.approx(-1)


def test_kendall_by_hand():
    """Of 6 pairs 4 agree, 1 disagrees, 1 is tied in the score alone: τ_b = (4 − 1) / √(6 · 5)."""
    assert alone(tau.kendall, [1, 2, 3, 4], [1, 3, 2, 3]).value == pytest.approx(3 / math.sqrt(30))


def test_sparse_kendall_by_hand():
    """Truths of one step share a rank: the wrong order within it is forgiven, that across steps is not."""
    truth = [90.01, 90.04, 91.02, 92]
    assert alone(tau.kendall, truth, [2, 1, 3, 4]).value == pytest.approx(4 / 6)
    forgiven = alone(tau.sparse_kendall, truth, [2, 1, 3, 4])
    assert forgiven.value == pytest.approx(5 / math.sqrt(5 * 6)) == alone(tau.sparse_kendall, truth, [1, 2, 3, 4]).value
    assert alone(tau.sparse_kendall, truth, [1, 2, 4, 3]).value == pytest.approx(3 / math.sqrt(5 * 6))
    assert alone(tau.sparse_kendall, truth, [4, 3, 2, 1], 10.0).reason == (
        "all stand-alone accuracies are equal to steps of 10"
    )


def test_equal_scores_are_the_reason_whatever_the_steps():
    assert alone(tau.sparse_kendall, [90, 91, 92], [5, 5, 5]).reason == "all one-shot accuracies are equal"


def test_rounding_is_to_the_nearest_step():
    """90.04 and 90.06 differ by less than 0.1, but not their steps; 90.06 and 90.14 share one."""
    assert alone(tau.sparse_kendall, [90.04, 90.06, 90.14], [1, 3, 2]).value == pytest.approx(2 / math.sqrt(2 * 3))


def test_midpoints_of_steps_go_to_the_even_step_however_they_are_stored():
    """0.15 / 0.1 and 90.35 / 0.1 are a little less than 1.5 and 903.5: half-way are both, as they are written."""
    truth = np.arange(10_001) / 100
    exact = [int((Decimal(f"{value:.2f}") * 10).quantize(Decimal(1), ROUND_HALF_EVEN)) for value in truth]
    np.testing.assert_array_equal(tau.steps_of(truth, 0.1), exact)
    np.testing.assert_array_equal(tau.steps_of(truth, 0.1) / 10, np.round(truth, 1))
    np.testing.assert_array_equal(tau.steps_of(np.array([0.25, 0.75, 1.25]), 0.5), [0, 2, 2])


def test_the_top_by_truth():
    truth, score = [1, 9, 2, 8, 3, 7], [6, 3, 5, 2, 4, 1]
    assert alone(tau.kendall, truth, score).value < 0
    top = alone(tau.kendall_of_top, truth, score, 3)
    assert (top.value, top.n) == (pytest.approx(1), 3)
    tied = alone(tau.kendall_of_top, truth, [6, 5, 5, 5, 4, 5], 3)
    assert tied.reason == "all one-shot accuracies are equal among the top 3"


def test_the_probability_to_surpass_random_search():
    assert surpass_random(1, 100, 1) == pytest.approx(0.99)  # the best is as good as itself
    assert surpass_random(100, 100, 3) == 0
    np.testing.assert_allclose(surpass_random(np.array([10, 50]), 100, 2), [0.81, 0.25])


def test_surpassing_random_search_against_simulation():
    """None of 5 uniform draws from 40 is as good as the fourth best."""
    draws = np.random.default_rng(0).integers(1, 41, (20_000, 5))
    assert surpass_random(4, 40, 5) == pytest.approx(np.mean((draws > 4).all(axis=1)), abs=0.01)


def test_what_is_found_by_score_and_its_rank_among_everything():
    truth, score = arrays([91, 95, 93, 90], [1, 2, 3, 4])
    everything = np.arange(1.0, 101)
    found = alone(tau.found_surpasses_random, truth, score, everything, 2)
    assert found.value == pytest.approx(0.92**2)  # of 90 and 93 the latter, which has rank 8
    assert alone(tau.found_surpasses_random, [0, -1], [1, 2], everything, 2).value == 0
    assert alone(tau.found_surpasses_random, [0, 1], [1, 2], np.array([]), 2).reason == "no truths are known"


def test_mean_truth_of_the_three_best_by_score():
    assert alone(tau.truth_of_best, [91, 95, 93, 90], [1, 2, 3, 4]).value == pytest.approx((95 + 93 + 90) / 3)
    tied = [1, 3, *[2] * 40]
    assert alone(tau.truth_of_best, range(42), tied).value == pytest.approx((1 + 2 + 3) / 3)  # the earlier of the tied


def test_the_accuracy_gap_of_fairnas():
    """FairNAS, section 2.1: one-shot accuracies of 30% to 90%, stand-alone ones of 92% to 94.5%."""
    truth, score = [0.92, 0.93, 0.945], [0.3, 0.9, 0.5]
    assert alone(tau.one_shot_range, truth, score).value == pytest.approx(0.6)
    assert alone(tau.stand_alone_range, truth, score).value == pytest.approx(0.025)
    assert alone(tau.range_gap, truth, score).value == pytest.approx(0.575)
    assert alone(tau.range_gap, score, truth).value == pytest.approx(0.575)
    assert alone(tau.range_gap, [1, 1], [2, 2]).value == 0


def test_the_whole_table():
    truth, score = some(200)
    table = measure(truth, score, truth, np.random.default_rng(0))
    assert list(table) == [
        "kendall",
        "spearman",
        "sparse_kendall",
        "kendall_of_top",
        "surpass_random",
        "truth_of_best",
        "one_shot_range",
        "stand_alone_range",
        "range_gap",
    ]
    for name, found in table.items():
        assert found.reason == ""
        assert found.low <= found.high
        assert type(found.value) is type(found.low) is float, name
    for name in ("kendall", "spearman", "sparse_kendall"):
        assert table[name].low < table[name].value < table[name].high
    assert table == measure(truth, score, truth, np.random.default_rng(0))
    assert table["kendall"] != measure(truth, score, truth, np.random.default_rng(1))["kendall"]


def test_the_interval_covers_the_true_correlation():
    """Of normal variables with correlation 1/2, τ is 2/π · asin(1/2) = 1/3."""
    random, covered = np.random.default_rng(0), 0
    for _ in range(100):
        truth = random.normal(size=60)
        score = 0.5 * truth + math.sqrt(0.75) * random.normal(size=60)
        found = tau.kendall(truth, score, resampled(60, random, 200))
        covered += found.low <= 1 / 3 <= found.high
    assert 88 <= covered <= 99


def gained(seed: int, spread: float = 0.0, noise: float = 3.0, supernets: tuple[int, int] = (3, 3)) -> Measured:
    """What supernets gain on others: those of a side differ in noise and, by the spread, in how well they rank."""
    random = np.random.default_rng(seed)
    truth = random.normal(90, 2, 60)
    sides = [
        truth * np.exp(random.normal(0, spread, (count, 1))) + random.normal(0, own, (count, len(truth)))
        for count, own in zip(supernets, (noise, 3.0), strict=True)
    ]
    return tau.sparse_kendall_gain(truth, *sides, resampled(60, random, 200), random)


@pytest.mark.parametrize(("spread", "supernets"), [(0.0, (3, 3)), (0.7, (3, 3)), (0.0, (1, 1)), (0.0, (3, 2))], ids=str)
def test_equal_supernets_seldom_gain_anything(spread: float, supernets: tuple[int, int]):
    """Were architectures alone drawn again, 14 of the 30 would where supernets differ in how well they rank."""
    found = [gained(seed, spread, supernets=supernets) for seed in range(30)]
    assert sum(not own.low <= 0 <= own.high for own in found) <= 4


def test_what_is_clearly_better_gains():
    for seed in range(3):
        assert gained(seed, noise=0.5).low > 0
        assert gained(seed, noise=30).high < 0


def test_the_interval_of_a_gain_is_that_of_its_resamples():
    """Row by row, in plain form."""
    truth, scores = some(20)[0], np.stack([some(20, seed)[1] for seed in range(5)])
    scores, baselines, weights = scores[:3], scores[3:], resampled(20, np.random.default_rng(1), 50)
    found = tau.sparse_kendall_gain(truth, scores, baselines, weights, np.random.default_rng(2))
    random = np.random.default_rng(2)
    draws = [resampled(3, random, 50), resampled(2, random, 50)]
    gains = []
    for row, *drawn in zip(weights, *draws, strict=True):
        one, other = (
            kendalltau(expand(np.round(truth / 0.1), row), expand(np.average(own, axis=0, weights=draw), row)).statistic
            for own, draw in zip((scores, baselines), drawn, strict=True)
        )
        gains.append(one - other)
    assert found[:3] == pytest.approx((gains[0], *np.percentile(gains[1:], (2.5, 97.5))), abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "score", "reason"),
    [
        ([1, 2], [5, 5], "all one-shot accuracies are equal"),
        ([5, 5, 5], [1, 2, 3], "all stand-alone accuracies are equal"),
        ([], [], "fewer than 2 architectures: 0"),
        ([1], [1], "fewer than 2 architectures: 1"),
        ([1, 2, 3], [1, math.nan, 3], "1 of 3 one-shot accuracies are not numbers"),
        ([1, math.inf, math.nan], [1, 2, 3], "2 of 3 stand-alone accuracies are not numbers"),
    ],
)
def test_what_cannot_be_told_says_why(truth: list, score: list, reason: str):
    table = measure(truth, score, truth, np.random.default_rng(0))
    assert table["kendall"].reason == table["spearman"].reason == reason
    for found in table.values():
        assert math.isnan(found.value) == bool(found.reason)
        assert math.isnan(found.low) == math.isnan(found.high)
        assert not found.reason or math.isnan(found.low)


def test_twenty_of_one_score_still_have_ranges():
    truth = np.linspace(80, 90, 20)
    table = measure(truth, np.full(20, 10.0), truth, np.random.default_rng(0))
    for name in (*RANKED, "surpass_random", "truth_of_best"):
        assert table[name].reason.startswith("all one-shot accuracies are equal")
    assert table["one_shot_range"].value == 0
    assert table["range_gap"].value == 10


@pytest.mark.parametrize("n", [2, 5, 40])
def test_of_perfect_order_no_interval_can_be_told(n: int):
    """Every resample has it, too: a bootstrap says nothing of other samples."""
    truth, weights = np.arange(90.0, 90 + n), resampled(n, np.random.default_rng(0), 50)
    for statistic, sign in ((tau.kendall, 1), (tau.spearman, -1), (tau.sparse_kendall, 1)):
        found = statistic(truth, sign * truth, weights)
        assert (found.value, found.reason) == (pytest.approx(sign), "")
        assert math.isnan(found.low)
        assert math.isnan(found.high)


def test_constant_resamples_are_dropped():
    """Of two architectures, a resample is both or one of them twice."""
    found = tau.spearman(*arrays([1, 2, 3], [3, 4, 3]), resampled(3, np.random.default_rng(0), 50))
    assert math.isfinite(found.low)
    rows = np.array([[1.0, 1], [2, 0]])
    assert math.isnan(tau.kendall(*arrays([1, 2], [3, 4]), rows).low)
    assert math.isnan(tau.truth_of_best(*arrays([1, 2], [3, 4]), rows, 1).low)
    assert math.isnan(tau.found_surpasses_random(*arrays([1, 2], [3, 4]), rows, np.arange(9.0), 1).low)


NUMBER = st.sampled_from([0.0, 1, 1 + 2**-52, 2, -7, math.nan, math.inf])


@PROPERTY
@given(st.lists(st.tuples(NUMBER, NUMBER), max_size=25), st.lists(st.floats(), max_size=3))
def test_no_input_raises(pairs: list, everything: list):
    truth, score = zip(*pairs, strict=True) if pairs else ((), ())
    for found in measure(truth, score, everything, np.random.default_rng(0)).values():
        assert math.isnan(found.value) == bool(found.reason)
