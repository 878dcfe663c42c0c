"""Which paths may be judged, and how new ones are drawn."""

from random import Random

import numpy as np
import pytest
from one_shot import CHAIN, every_path
from scipy.stats import chisquare
from second_stage import problem_of

from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.evolution import problem as problems
from fairdarts.networks.blueprint import build
from fairdarts.spaces.space import load_space


def test_costs_are_those_of_the_derived_networks() -> None:
    problem = problem_of(load_space("fairnas-a"))
    paths = [problem.space.random_path(Random(seed).randrange) for seed in range(4)]
    found = problem.costs(problems.as_array(paths))
    for number, path in enumerate(paths):
        cost = count(build(problem.space.genotype_of(path, "x", "tests"), problem.space), image=224)
        assert (found["params"][number], found["madds"][number]) == (cost.params, cost.madds)


def test_the_box_holds_all_there_is() -> None:
    problem = problem_of()
    best, worst = problem.box
    costs = problem.costs(problems.as_array(every_path(CHAIN)))
    np.testing.assert_array_equal(best[1:], [costs["madds"].min(), costs["params"].min()])
    np.testing.assert_array_equal(worst[1:], [costs["madds"].max(), costs["params"].max()])
    assert (best[0], worst[0]) == (-100, 0)
    reversed_ = problem_of(objectives=("params:max",)).box
    assert (reversed_[0][0], reversed_[1][0]) == (-costs["params"].max(), -costs["params"].min())


def test_fresh_paths_are_new_different_and_uniform() -> None:
    problem, rng = problem_of(), np.random.default_rng(0)
    known = set(every_path(CHAIN)[:40])
    drawn = [problem.fresh(8, known, rng) for _ in range(800)]
    assert all(len(set(paths)) == 8 and not known & set(paths) for paths in drawn)
    left = [path for path in every_path(CHAIN) if path not in known]
    counts = [sum(path in paths for paths in drawn) for path in left]
    assert chisquare(counts).pvalue > 0.01


def test_fewer_are_drawn_where_no_more_are_left() -> None:
    problem, rng = problem_of(), np.random.default_rng(0)
    every = every_path(CHAIN)
    assert set(problem.fresh(99, every[:-3], rng)) == set(every[-3:])
    assert problem.fresh(5, every, rng) == []


@pytest.mark.parametrize("listed", [True, False])
def test_limits_of_cost_are_kept_before_any_judgement(listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "LISTED", 2**17 if listed else 1)
    whole = problem_of()
    madds = np.sort(whole.costs(problems.as_array(every_path(CHAIN)))["madds"])
    problem = problem_of(limits=(f"madds <= {madds[12]}", f"madds >= {madds[3]}", "accuracy >= 90"))
    fitting = {path for path in every_path(CHAIN) if madds[3] <= whole.tables["madds"].cost(path) <= madds[12]}
    found = problem.fresh(6, (), np.random.default_rng(0))
    assert len(found) == 6
    assert set(found) <= fitting
    assert problem.allowed(problems.as_array(every_path(CHAIN))).sum() == len(fitting)


def test_tight_limits_are_met_in_a_space_that_cannot_be_listed() -> None:
    space = load_space("fairnas-b")
    least = problem_of(space).tables["madds"].least
    problem = problem_of(space, limits=(f"madds <= {1.02 * least}", "params <= 4e6"))
    found = problem.fresh(16, (), np.random.default_rng(0))
    assert len(set(found)) == 16
    assert problem.allowed(problems.as_array(found)).all()


def test_limits_that_nothing_keeps_are_refused_with_what_there_is() -> None:
    problem = problem_of(limits=("madds <= 1",))
    least, greatest = problem.tables["madds"].least, problem.tables["madds"].greatest
    with pytest.raises(UserError, match=rf"madds <= 1: no model keeps it: tiny has {least:g} to {greatest:g}"):
        problem.check()
    with pytest.raises(UserError, match="no model was found that keeps them all"):
        problem_of(limits=(f"madds <= {least}", f"params >= {problem.tables['params'].greatest}")).check()


@pytest.mark.parametrize("seed", range(4))
def test_a_narrow_window_of_two_costs_is_found(seed: int) -> None:
    space = load_space("fairnas-a")
    costs = problem_of(space).costs(np.array([space.random_path(Random(seed).randrange)]))
    limits = [
        f"{key} {sign} {costs[key][0] * share}" for key in costs for sign, share in (("<=", 1.001), (">=", 0.999))
    ]
    problem = problem_of(space, limits=limits)
    problem.check()
    (path,) = problem.fresh(1, (), np.random.default_rng(0))
    assert problem.allowed(problems.as_array([path])).all()


def test_an_objective_that_is_no_number_breaks_every_limit() -> None:
    problem = problem_of()
    values = {"accuracy": np.array([50.0, np.nan]), "madds": np.array([1, 1]), "params": np.array([1, 1])}
    assert problem.excess(values).tolist() == [0, np.inf]
