"""Numbers over seeds, by hand: means, deviations, intervals, correlations, and what a file holds of them."""

import json

import numpy as np
import pytest

from fairdarts.ranking.benchmarks import Benchmark
from fairdarts.ranking.compared import (
    Comparison,
    RowResult,
    SeedResult,
    Summary,
    carried,
    content_of,
    rank_correlation,
    summary,
    table_of,
)
from fairdarts.ranking.truth import Truth
from fairdarts.runs.study.compared import written
from fairdarts.spaces.space import load_space


def seed(number: int, value: float | None, **epochs: list[float | None]) -> SeedResult:
    return SeedResult(number, f"a-seed{number}", 2, "", {"acc": value}, {"acc": value and 95 - value}, 3, None, epochs)


def test_means_deviations_and_intervals_over_seeds():
    found = summary([1.0, 3.0])  # resamples have the means 1, 2 and 3, in a quarter, a half and a quarter of them
    assert found == Summary(2, 2, 2.0, pytest.approx(2**0.5), 1.0, 3.0)
    four = summary([93.0, 93.2, 93.4, 93.8])
    assert four.mean == pytest.approx(93.35)
    assert four.deviation == pytest.approx((0.35**2 + 0.15**2 + 0.05**2 + 0.45**2) ** 0.5 / 3**0.5)
    assert 93.0 < four.low < four.mean < four.high < 93.8
    assert four == summary([93.0, 93.2, 93.4, 93.8])


def test_seeds_of_which_nothing_is_known_are_left_out_and_counted():
    assert summary([None, 4.0, None]) == Summary(1, 3, 4.0)
    assert summary([None, None]) == Summary(0, 2)
    row = RowResult("a", "search", "r", "", "", (seed(0, 90.0), seed(1, None), seed(2, 92.0)))
    assert (row.truth("acc").n, row.truth("acc").of, row.truth("acc").mean) == (2, 3, 91.0)
    assert row.regret("acc").mean == 4.0
    assert row.accuracy == Summary(0, 3)


def test_rank_correlation_is_over_the_epochs_that_have_both():
    assert rank_correlation([None, 1.0, 2.0, 3.0], [50.0, 9.0, 8.0, 1.0]) == pytest.approx(-1)
    assert rank_correlation([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert rank_correlation([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]) is None


def test_a_seed_that_ends_early_keeps_its_last_number():
    values = carried([[1, 2, 3], [4], [None, 5]], 3)
    assert np.array_equal(values, [[1, 2, 3], [4, 4, 4], [np.nan, 5, 5]], equal_nan=True)


def test_random_architectures_are_all_of_the_table():
    space = load_space("nasbench201")
    paths = [(0, 0, 0, 0, 0, choice) for choice in range(4)]
    truth = Truth(space, (Benchmark("t", "acc", dict(zip(paths, (10.0, 20.0, 30.0, 40.0), strict=True))),))
    table = table_of(truth, "t.csv")
    assert (table.architectures, table.mean["acc"], table.best["acc"]) == (4, 25.0, 40.0)
    assert table.deviation["acc"] == pytest.approx(125**0.5)
    assert table.shown == ("acc",)
    assert table._replace(columns=("a_valid", "a_test", "b_test", "c_test", "d_test")).shown == (
        "a_test", "b_test", "c_test",
    )  # fmt: skip


def test_a_file_of_a_large_study_is_small_and_rounded():
    epochs = {key: [100 / 3] * 41 for key in ("truth", "accuracy", "eigenvalue")}
    epochs |= {key: list(range(41)) for key in ("epoch", "skips")}
    rows = tuple(
        RowResult(f"row-{number}", "search", "r", "", "", tuple(seed(at, 100 / 3, **epochs) for at in range(4)))
        for number in range(15)
    )
    content = content_of(Comparison("a", "b", (), (0, 1, 2, 3), None, rows, (), ()))
    assert content["rows"][0]["seeds"][0]["epochs"]["truth"][0] == 33.33333
    assert content["rows"][0]["summary"]["skips"] == Summary(4, 4, 3.0, 0.0, 3.0, 3.0)._asdict()
    text = written(content)
    assert json.loads(text) == json.loads(json.dumps(content))
    assert len(text.encode()) < 300_000
