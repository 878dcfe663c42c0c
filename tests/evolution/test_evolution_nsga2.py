"""NSGA-II: selection against brute force, the mutation's branches against FairNAS' Table 4, offspring that are new."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from one_shot import IRREGULAR
from scipy.stats import chisquare
from second_stage import judge, problem_of, settings_of

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.nsga2 import NSGA2, shares, standardized, survivors, tournaments
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.reading import read_yaml
from fairdarts.resources import find
from fairdarts.spaces.space import load_space

LOSSES = arrays(np.int64, st.tuples(st.integers(2, 14), st.integers(2, 3)), elements=st.integers(0, 5))


def ranks_of(losses: np.ndarray) -> np.ndarray:
    """Front after front, by the definition."""
    ranks, left, rank = np.full(len(losses), -1), set(range(len(losses))), 0
    while left:

        def beaten(i: int, left: set[int] = frozenset(left)) -> bool:
            return any((losses[j] <= losses[i]).all() and (losses[j] < losses[i]).any() for j in left)

        best = {i for i in left if not beaten(i)}
        ranks[list(best)] = rank
        left, rank = left - best, rank + 1
    return ranks


def crowding_of(front: np.ndarray) -> np.ndarray:
    """Crowding distance (Deb et al., 2002, III.B), averaged over objectives as pymoo does."""
    distance = np.zeros(len(front))
    for column in front.T.astype(float):
        order = np.argsort(column, kind="stable")
        span = column.max() - column.min()
        distance[order[[0, -1]]] = np.inf
        for before, own, after in zip(order, order[1:], order[2:], strict=False):
            distance[own] += (column[after] - column[before]) / span if span else 0
    return distance / front.shape[1]


@given(LOSSES, st.integers(1, 14))
def test_survivors_are_those_of_the_best_ranks(losses: np.ndarray, count: int) -> None:
    kept = survivors(losses.astype(float), np.zeros(len(losses)), count, np.random.default_rng(0))
    ranks = ranks_of(losses)
    assert len(kept) == min(count, len(losses))
    assert [standing[0] for standing in kept.values()] == ranks[list(kept)].tolist()
    assert sorted(ranks[list(kept)]) == sorted(ranks)[: len(kept)]


def test_the_last_front_is_thinned_where_it_is_crowded() -> None:
    losses = np.array([[0, 10], [1, 8], [1.5, 7.5], [4, 4], [10, 0]], dtype=float)
    crowding = crowding_of(losses)
    kept = survivors(losses, np.zeros(5), 4, np.random.default_rng(0))
    assert set(kept) == set(range(5)) - {int(crowding.argmin())}
    everyone = survivors(losses, np.zeros(5), 5, np.random.default_rng(0))
    np.testing.assert_allclose([-everyone[place][1] for place in range(5)], crowding)


def test_models_beyond_the_limits_come_last_by_their_excess() -> None:
    losses, excess = np.array([[5.0, 5.0], [0.0, 0.0], [1.0, 1.0], [9.0, 9.0]]), np.array([0, 0.5, 0.2, 0])
    kept = survivors(losses, excess, 3, np.random.default_rng(0))
    assert list(kept) == [0, 3, 2]
    assert list(survivors(losses, excess, 4, np.random.default_rng(0)))[-1] == 1


def test_tournaments_choose_the_better_of_two() -> None:
    standings = [(0.0, -1.0), (0.0, -0.5), (1.0, -9.0), (2.0, 0.0)]
    won = Counter(tournaments(standings, 4000, np.random.default_rng(0)))
    shares = [won[place] / 4000 for place in range(4)]
    np.testing.assert_allclose(shares, [1 / 2, 1 / 3, 1 / 6, 0], atol=0.02)
    alike = Counter(tournaments([(0.0, 0.0)] * 4, 4000, np.random.default_rng(0)))
    assert chisquare([alike[place] for place in range(4)]).pvalue > 0.001


def moremnas() -> EvolveSettings:
    path = find("recipes", "moremnas")
    return check(EvolveSettings, read_yaml(path), path)


def test_the_recipe_has_the_shares_of_table_4() -> None:
    found = shares(moremnas().evolve, problem_of())
    expected = {
        "crossover": 0.2,
        "random": 0.8 * 0.2,
        "controller": 0.8 * 0.65 * 0.7,
        "wheel": 0.8 * 0.65 * 0.3,
        "prior": 0.8 * 0.15,
    }
    assert found == pytest.approx(expected)


def test_offspring_are_made_as_often_as_table_4_says() -> None:
    settings, problem = moremnas(), problem_of(load_space("fairnas-a"))
    archive = Archive(problem)
    strategy = NSGA2(settings.evolve, 64, problem, archive, np.random.default_rng(0))
    made = Counter()
    for generation in range(1, 16):
        paths = strategy.ask(64)
        assert len(set(paths)) == 64
        assert not set(paths) & archive.place.keys()
        assert all(0 <= own < width for path in paths for own, width in zip(path, problem.widths, strict=True))
        archive.add(paths, judge(paths), generation)
        strategy.tell(paths)
        made += strategy.made
    assert made.pop("fresh", 0) == 0
    assert sum(made.values()) == 13 * 64  # P and Q are drawn uniformly
    expected = {way: share * sum(made.values()) for way, share in strategy.shares.items()}
    assert chisquare([made[way] for way in expected], list(expected.values())).pvalue > 0.01


def test_the_wheel_takes_over_where_accuracy_is_no_objective_and_the_controller_where_nothing_else_is() -> None:
    settings = settings_of().evolve
    assert shares(settings, problem_of(objectives=("madds", "params")))["controller"] == 0
    alone = shares(settings, problem_of(objectives=("accuracy",)))
    assert (alone["wheel"], alone["controller"]) == pytest.approx((0, 0.8 * 0.65))
    nobody = settings.model_copy(update={"controller": None, "by_controller": 0.0})
    left = shares(nobody, problem_of(objectives=("accuracy",)))
    assert (left["wheel"], left["controller"], left["random"]) == pytest.approx((0, 0, 0.8 * 0.85))
    for objectives in (("madds",), ("accuracy",), ("accuracy", "params")):
        assert sum(shares(settings, problem_of(objectives=objectives)).values()) == pytest.approx(1)


def test_offspring_of_an_irregular_space_keep_its_limits_to_the_last_path() -> None:
    whole = problem_of(IRREGULAR)
    middle = np.median(whole.costs(np.array(list(np.ndindex(whole.widths))))["madds"])
    problem = problem_of(IRREGULAR, limits=(f"madds <= {middle}",))
    archive, settings = Archive(problem), settings_of()
    strategy = NSGA2(settings.evolve, 8, problem, archive, np.random.default_rng(0))
    every = problem.fresh(999, (), np.random.default_rng(0))
    while paths := strategy.ask(8):
        assert problem.allowed(np.array(paths)).all()
        archive.add(paths, judge(paths), 1)
        strategy.tell(paths)
    assert archive.place.keys() == set(every)


def test_rewards_are_standardized_over_all_models() -> None:
    values = np.array([50.0, 60.0, 70.0, np.nan])
    found = standardized(values, [0, 2, 3])
    whole = np.array([50.0, 60.0, 70.0, 50.0])
    np.testing.assert_allclose(found, (whole[[0, 2, 3]] - whole.mean()) / whole.std())
    assert standardized(np.array([5.0, 5.0]), [0, 1]) == [0, 0]
    assert standardized(np.array([np.nan]), [0]) == [0]


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({"evolve.random": 0.3}, r"random 0.3 \+ reinforced 0.65 \+ prior 0.15: should be 1"),
        ({"evolve.controller": "null"}, "controller: is missing, but a share of the mutations is its"),
        ({"objectives": "accuracy,accuracy:min"}, "accuracy stands twice"),
        ({"objectives": "[]"}, "objectives: none is named: should be some of accuracy, madds"),
        ({"latency": "phone.csv"}, "phone.csv: is of no use, as neither an objective nor a limit is latency"),
        ({"judge.statistics": "0"}, "judge.statistics: 0: should be tracked, batch, or a number of batches"),
        ({"constraints": "madds < 3"}, "'madds < 3': should be a quantity"),
        ({"evolve.kind": "nsga3"}, r"'nsga3' is not known \(did you mean 'nsga2'"),
    ],
)
def test_settings_that_do_not_fit_say_what_is_right(changes: dict, right: str) -> None:
    with pytest.raises(UserError, match=right):
        settings_of(**changes)


def test_plain_nsga2_needs_no_controller() -> None:
    plain = {"kind": "nsga2", "mutation": 0.8, "random": 1, "reinforced": 0, "prior": 0, "by_controller": 0}
    settings = check(EvolveSettings, {**settings_of().model_dump(), "evolve": plain}, "tiny.yaml")
    strategy = NSGA2(settings.evolve, 8, problem_of(), Archive(problem_of()), np.random.default_rng(0))
    assert strategy.controller is None
