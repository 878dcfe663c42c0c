"""Strategies compared on a table."""

import numpy as np
import pytest
from one_shot import CHAIN, every_path
from scipy.stats import ttest_1samp
from second_stage import accuracy_of, settings_of, truth_of

from fairdarts.config import UserError
from fairdarts.cost.table import count_tables
from fairdarts.evolution.tabular import interval, make_bench, trial

BUDGETS = "params <= 1000, madds <= 60000"


def bench_of(*settings):
    return make_bench(truth_of(), CHAIN, count_tables(CHAIN), settings, "table.csv")


def test_regret_is_what_the_best_so_far_lacks() -> None:
    settings = settings_of("random", budgets=BUDGETS)
    bench = bench_of(settings)
    told = trial(settings, bench)
    table = count_tables(CHAIN)["params"]
    within = [accuracy_of(path) for path in every_path(CHAIN) if table.cost(path) <= 1000]
    curve = told["regrets"][0]
    assert len(curve) == 40
    assert curve == sorted(curve, reverse=True)
    assert 0 <= curve[-1] <= max(within) - min(map(accuracy_of, every_path(CHAIN)))
    whole = trial(settings.model_copy(update={"generations": 99}), bench)
    assert whole["regrets"][0][-1] == whole["regrets"][1][-1] == 0
    assert len(whole["regrets"][0]) == 81
    assert whole["hypervolume"][-1] == pytest.approx(1)
    assert told["hypervolume"] == sorted(told["hypervolume"])


def test_hypervolume_is_of_the_most_objectives_that_are_compared() -> None:
    several, one = settings_of("nsga2"), settings_of("regularized")
    bench = bench_of(one, several)
    assert [own.quantity for own in bench.table.problem.objectives] == ["accuracy", "madds", "params"]
    assert 0 < trial(one, bench)["hypervolume"][-1] < 1


def test_a_trial_is_decided_by_its_seed() -> None:
    settings = settings_of()
    assert trial(settings, bench_of(settings)) == trial(settings, bench_of(settings))


def test_the_interval_is_that_of_a_t_test() -> None:
    values = np.random.default_rng(0).normal(size=12)
    own = ttest_1samp(values, 0).confidence_interval(0.95)
    assert interval(values) == pytest.approx((values.mean(), own.low, own.high))
    assert interval(values[:1]) == (values[0], None, None)
    assert interval(np.full(5, 0.25)) == (0.25, None, None)  # seeds that agree tell of no scatter


def test_a_table_with_holes_is_refused() -> None:
    truth = truth_of()
    truth.popitem()
    with pytest.raises(UserError, match=r"table.csv: holds 80 of 81 paths of tiny; should hold all"):
        make_bench(truth, CHAIN, count_tables(CHAIN), [settings_of()], "table.csv")


def test_unlike_limits_are_refused() -> None:
    with pytest.raises(UserError, match="budgets: the recipes have unlike ones"):
        bench_of(settings_of(), settings_of(budgets=BUDGETS))


def test_unlike_populations_are_refused() -> None:
    with pytest.raises(UserError, match="population: the recipes have unlike ones; say --population for all"):
        bench_of(settings_of(), settings_of("random", population=7))


def test_what_breaks_the_constraints_has_the_regret_of_the_worst() -> None:
    settings = settings_of("random", constraints="accuracy <= 75")
    bench = bench_of(settings)
    best = max(accuracy for accuracy in truth_of().values() if accuracy <= 75)
    told = trial(settings.model_copy(update={"generations": 99}), bench)
    assert min(told["regrets"][0]) == told["regrets"][0][-1] == 0
    assert bench.table.best_within(None) is not None
    assert max(told["regrets"][0]) <= round(best - min(truth_of().values()), 4)
