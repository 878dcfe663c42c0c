"""The rivals: random search, MnasNet's controller, regularized evolution."""

import numpy as np
import pytest
from one_shot import CHAIN, every_path
from second_stage import accuracy_of, judge, problem_of, settings_of

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.loop import Search
from fairdarts.evolution.nsga2 import standardized
from fairdarts.evolution.rivals import MnasNet, RandomSearch, Regularized

RNG = np.random.default_rng


def test_random_search_draws_every_path_once() -> None:
    archive = Archive(problem_of())
    strategy = RandomSearch(archive.problem, archive, RNG(0))
    while paths := strategy.ask(8):
        archive.add(paths, judge(paths), 1)
    assert sorted(archive.paths) == every_path(CHAIN)


def test_mnasnet_is_rewarded_by_accuracy_and_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(problem_of())
    settings = settings_of("mnasnet").evolve
    strategy = MnasNet(settings, archive.problem, archive, RNG(0))
    madds = archive.problem.costs(np.array(every_path(CHAIN)))["madds"]
    assert strategy.target == pytest.approx(madds.mean())
    learnt = []
    monkeypatch.setattr(strategy.controller, "learn", lambda *told: learnt.append(told))
    paths = strategy.ask(8)
    archive.add(paths, judge(paths), 1)
    strategy.tell(paths)
    ((episodes, parents, rewards),) = learnt
    assert parents is None
    assert set(episodes) == set(paths)
    cost = {path: archive.problem.tables["madds"].cost(path) for path in paths}
    whole = np.array([accuracy_of(path) * (cost[path] / strategy.target) ** -0.07 for path in paths])
    assert rewards == pytest.approx(standardized(whole, [paths.index(path) for path in episodes]))


def test_mnasnet_learns_from_paths_that_it_draws_again() -> None:
    archive = Archive(problem_of())
    archive.add(every_path(CHAIN)[:-1], judge(every_path(CHAIN)[:-1]), 1)
    strategy = MnasNet(settings_of("mnasnet").evolve, archive.problem, archive, RNG(0))
    assert strategy.ask(8) == [every_path(CHAIN)[-1]]
    assert len(strategy.episodes) >= 8
    assert set(strategy.episodes) - {every_path(CHAIN)[-1]} <= archive.place.keys()


def test_regularized_evolution_begins_at_random_and_goes_on_one_by_one() -> None:
    archive = Archive(problem_of(objectives=("accuracy",)))
    strategy = Regularized(settings_of("regularized").evolve, archive.problem, archive, RNG(0))
    first = strategy.ask(4)
    archive.add(first, judge(first), 1)
    assert len(first) == 4
    rest = strategy.ask(4)
    assert len(rest) == 2
    archive.add(rest, judge(rest), 1)
    assert len(strategy.ask(4)) == 1


def test_the_parent_is_the_best_of_a_sample_of_the_youngest() -> None:
    archive = Archive(problem_of(objectives=("accuracy",)))
    settings = settings_of("regularized", **{"evolve.alive": 3, "evolve.sample": 3}).evolve
    dead, alive = [(2, 2, 2, 2)], [(0, 0, 0, 0), (0, 0, 0, 1), (1, 1, 1, 1)]
    archive.add(dead + alive, [99.0, 10.0, 20.0, 90.0], 1)
    strategy = Regularized(settings, archive.problem, archive, RNG(0))
    children = [strategy.ask(1)[0] for _ in range(200)]
    apart = [[sum(map(int.__ne__, child, parent)) for parent in alive] for child in children]
    of_best = sum(row[2] == 1 for row in apart)
    # the best of three draws with replacement: 1 - (2/3)³
    assert of_best / 200 == pytest.approx(1 - (2 / 3) ** 3, abs=0.08)
    assert all(1 in row for row in apart)


@pytest.mark.parametrize("kind", ["nsga2", "mnasnet", "regularized"])
def test_a_strategy_finds_better_models_than_random_search(kind: str) -> None:
    def found(own: str, seed: int) -> float:
        search = Search(settings_of(own, seed=seed, population=4), problem_of(objectives=("accuracy",)))
        for _ in range(7):
            search.advance(judge)
        return search.archive.values["accuracy"].mean()

    gain = [found(kind, seed) - found("random", seed) for seed in range(8)]
    assert np.mean(gain) > 2 * np.std(gain) / np.sqrt(len(gain))
