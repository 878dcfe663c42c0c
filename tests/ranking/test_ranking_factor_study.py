"""The numbers of a factor's settings, from rankings laid down by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from fairdarts.ranking.factor_study import (
    DIVERGED,
    Spread,
    correlations_of,
    final_performance,
    gain,
    numbers_of,
    points_of,
)
from fairdarts.ranking.tau import measure

TRUTH = np.linspace(80, 92, 61)  # steps of 0.2, so that rounding to 0.1 ties none


def ranking(score: np.ndarray, truth: np.ndarray = TRUTH, first: int = 0) -> dict[str, Any]:
    """What the file of a ranking holds; the architectures are numbered from `first`."""
    measured = {
        name: {**own._asdict(), "value": None if math.isnan(own.value) else own.value}
        for name, own in measure(truth, score, truth, np.random.default_rng(0)).items()
    }
    return {
        "passes": 10,
        "batch_size": 8,
        "paths": [[first + number] for number in range(len(truth))],
        "truth": truth.tolist(),
        "score": score.tolist(),
        "measured": measured,
    }


def noisy(seed: int, noise: float = 8.0) -> dict[str, Any]:
    return ranking(TRUTH + np.random.default_rng(seed).normal(0, noise, len(TRUTH)))


def test_a_perfect_supernet_and_one_that_ranks_all_the_wrong_way():
    right, wrong = numbers_of([ranking(TRUTH - 50)], None), numbers_of([ranking(100 - TRUTH)], None)
    assert (right.sparse.value, wrong.sparse.value) == pytest.approx((1, -1))
    assert right.performance.mean == pytest.approx(TRUTH[-3:].mean())
    assert wrong.performance.mean == pytest.approx(TRUTH[:3].mean())
    assert (right.surpass.mean, wrong.surpass.mean) == pytest.approx(((1 - 1 / 61) ** 10, (1 - 52 / 61) ** 10))
    assert right.accuracy.mean == pytest.approx(36)
    assert right.scatter == pytest.approx(TRUTH.std())
    assert (right.supernets, right.diverged, right.passes) == (1, 0, 80)
    assert math.isnan(right.accuracy.deviation)
    assert right.sparse_gain is right.performance_gain is None


def test_accuracies_are_averaged_over_the_seeds_before_they_are_ranked():
    runs = [noisy(seed) for seed in range(3)]
    numbers = numbers_of(runs, None)
    mean = np.mean([own["score"] for own in runs], axis=0)
    assert numbers.sparse.value == pytest.approx(kendalltau(np.round(TRUTH / 0.1), mean).statistic)
    alone = [kendalltau(np.round(TRUTH / 0.1), own["score"]).statistic for own in runs]
    assert numbers.sparse_by_seed.values == pytest.approx(tuple(alone))
    assert numbers.sparse.value > max(alone)
    assert numbers.sparse.low < numbers.sparse.value < numbers.sparse.high
    assert numbers.accuracy.deviation == pytest.approx(np.std([np.mean(own["score"]) for own in runs], ddof=1))


def test_a_setting_gains_nothing_on_itself_and_what_it_gains_on_another_is_paired():
    runs, others = [noisy(seed) for seed in range(3)], [noisy(seed, 30) for seed in range(3, 6)]
    same = numbers_of(runs, runs)
    assert same.sparse_gain.value == 0
    assert same.sparse_gain.low < 0 < same.sparse_gain.high
    assert same.performance_gain.value == 0
    runs = [noisy(seed, 2) for seed in range(3)]
    found = numbers_of(runs, others)
    alone = [numbers_of(own, None) for own in (runs, others)]
    assert found.sparse_gain.value == pytest.approx(alone[0].sparse.value - alone[1].sparse.value)
    assert found.sparse_gain.low > 0
    near = numbers_of([noisy(9)], [noisy(10)]).sparse_gain
    assert near.low < 0 < near.high
    close = numbers_of([ranking(np.asarray(runs[0]["score"]) + 0.1 * np.sin(TRUTH))], runs[:1])
    assert close.sparse_gain.high - close.sparse_gain.low < 0.2 * (close.sparse.high - close.sparse.low)


def test_a_baseline_may_have_another_number_of_seeds():
    runs, others = [noisy(seed, 2) for seed in range(3)], [noisy(seed, 30) for seed in range(3, 5)]
    for after, before in ((runs, others), (runs, others[:1]), (runs[:1], others)):
        found, alone = numbers_of(after, before), [numbers_of(own, None) for own in (after, before)]
        assert found.sparse_gain.value == alone[0].sparse.value - alone[1].sparse.value
        assert 0 < found.sparse_gain.low < found.sparse_gain.high
    lost = numbers_of([*runs[:1], DIVERGED, None], [DIVERGED, *others[:1]])
    assert lost.sparse_gain == numbers_of(runs[:1], others[:1]).sparse_gain


def test_different_architectures_give_no_difference():
    found = numbers_of([noisy(0)], [ranking(TRUTH, first=7)])
    assert math.isnan(found.sparse_gain.value)
    assert "other architectures" in found.sparse_gain.reason
    assert found.performance_gain.value < 0
    mixed = numbers_of([noisy(0), ranking(TRUTH, first=7)], None)
    assert "different architectures" in mixed.sparse.reason


def test_runs_that_diverged_or_are_missing_have_no_numbers():
    numbers = numbers_of([noisy(0), DIVERGED, None], [noisy(1)])
    assert (numbers.supernets, numbers.diverged) == (1, 1)
    assert numbers.accuracy.values[1:] == (None, None)
    assert numbers.sparse.value == pytest.approx(numbers.sparse_by_seed.values[0])
    nothing = numbers_of([DIVERGED], [noisy(1)])
    assert math.isnan(nothing.sparse.value)
    assert math.isnan(nothing.accuracy.mean)
    assert nothing.performance_gain is None
    assert nothing.passes is None


def test_only_a_setting_whose_runs_all_have_a_number_can_be_the_best():
    assert final_performance([ranking(TRUTH), ranking(100 - TRUTH)]) == pytest.approx(
        (TRUTH[-3:] + TRUTH[:3]).mean() / 2
    )
    flat = ranking(np.full(len(TRUTH), 10.0))
    for other in (DIVERGED, None, flat):
        assert final_performance([ranking(TRUTH), other]) is None
    assert final_performance([]) is None


def test_the_error_of_a_gain_is_that_of_the_difference_of_two_means():
    found = gain(Spread((90.0, 91.0, None)), Spread((88.0, 89.0, 90.0)))
    assert found.value == pytest.approx(1.5)
    assert found.error == pytest.approx(math.sqrt(0.5 / 2 + 1 / 3))
    assert math.isnan(gain(Spread((90.0,)), Spread((88.0, 89.0))).error)
    assert gain(Spread((None,)), Spread((88.0,))) is None


def test_runs_are_points_whose_metrics_are_correlated():
    runs = {f"run{number}": ("protocol", noisy(number, 2.0 + 4 * number)) for number in range(12)}
    points = points_of(runs | {"lost": ("protocol", DIVERGED), "open": ("sampling", None)})
    assert [point.run for point in points] == list(runs)
    found = correlations_of(points)
    assert list(found) == ["accuracy, sparse", "accuracy, performance", "sparse, performance"]
    expected = spearmanr([point.sparse for point in points], [point.performance for point in points]).statistic
    assert found["sparse, performance"].value == pytest.approx(expected)
    assert found["sparse, performance"].n == 12
    assert math.isnan(correlations_of(points[:1])["accuracy, sparse"].value)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.floats(-20, 20), st.permutations(range(3)))
def test_order_of_the_seeds_and_level_of_the_accuracies_say_nothing_of_the_ranking(seed: int, level: float, order):
    runs = [noisy(seed + number) for number in range(3)]
    moved = [{**runs[number], "score": [value + level for value in runs[number]["score"]]} for number in order]
    one, other = numbers_of(runs, None), numbers_of(moved, None)
    assert other.sparse.value == pytest.approx(one.sparse.value, abs=0.01)
    assert other.accuracy.mean == pytest.approx(one.accuracy.mean + level)
    assert sorted(other.sparse_by_seed.values) == sorted(one.sparse_by_seed.values)
