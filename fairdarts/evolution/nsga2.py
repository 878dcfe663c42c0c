"""NSGA-II with a hierarchical mutation that a controller steers: FairNAS' second stage (v1, Algorithm 3, Table 4)."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pymoo.core.population import Population
from pymoo.core.problem import Problem as Unconstrained
from pymoo.operators.selection.tournament import TournamentSelection, compare
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.controller import Controller
from fairdarts.evolution.mutation import changed, cost_weights, crossed, elite_weights, uniform_weights
from fairdarts.evolution.objectives import ACCURACY
from fairdarts.evolution.problem import Problem, as_array
from fairdarts.evolution.settings import NSGA2Settings
from fairdarts.spaces.gates import SinglePath

TRIES = 20
"""how often an offspring is made, where it is known or breaks a limit, before a uniformly drawn path replaces it"""


Standing = tuple[float, float]
"""How good a model is among others, small is good: its rank, and its negative crowding distance."""


def survivors(losses: np.ndarray, excess: np.ndarray, count: int, rng: np.random.Generator) -> dict[int, Standing]:
    """The numbers of the best models with their standing, best first: by rank, then by crowding distance.

    Models that keep the limits come before all others, which stand in the order of their excess (Deb's rule).
    """
    feasible, others = np.flatnonzero(excess == 0), np.flatnonzero(excess > 0)
    kept: dict[int, Standing] = {}
    if len(feasible):
        models, fits = Population.new(F=losses[feasible]), min(count, len(feasible))
        options = {"n_survive": fits, "random_state": rng, "return_indices": True}
        best = RankAndCrowding().do(Unconstrained(n_var=1), models, **options)
        ranks, crowding = (models.get(name).tolist() for name in ("rank", "crowding"))
        standing = {number: (float(ranks[number]), -float(crowding[number])) for number in best}
        kept = {int(feasible[number]): standing[number] for number in sorted(best, key=standing.__getitem__)}
    beyond = others[np.argsort(excess[others], kind="stable")][: count - len(kept)]
    return kept | {number: (np.inf, float(excess[number])) for number in beyond.tolist()}


def tournaments(standings: Sequence[Standing], count: int, rng: np.random.Generator) -> list[int]:
    """The winners of so many binary tournaments; of two that stand alike either wins."""

    def winners(_: Any, pairs: np.ndarray, random_state: np.random.Generator, **__: Any) -> np.ndarray:
        rule = {"method": "smaller_is_better", "return_random_if_equal": True, "random_state": random_state}
        return np.asarray([[compare(a, standings[a], b, standings[b], **rule)] for a, b in pairs.tolist()])

    selection = TournamentSelection(winners)
    return selection.do(None, standings, count, 1, to_pop=False, random_state=rng)[:, 0].tolist()


def shares(settings: NSGA2Settings, problem: Problem) -> dict[str, float]:
    """How likely an offspring is made in each way (v1, Table 4).

    The "mutation ratio" is read as the mutations' share of Q, whose rest is crossover, since Algorithm 3 unites the
    two. Where no objective is known without training, the controller takes the wheel's share; where accuracy is no
    objective, the wheel takes the controller's; where there is neither, random mutation takes theirs.
    """
    by_controller, neither = settings.by_controller, 0.0
    if not problem.untrained:
        by_controller, neither = (1.0, 0.0) if settings.controller else (0.0, settings.reinforced)
    elif all(objective.quantity != ACCURACY for objective in problem.objectives):
        by_controller = 0.0
    mutation = {
        "random": settings.random + neither,
        "controller": settings.reinforced * by_controller,
        "wheel": settings.reinforced * (1 - by_controller) - neither,
        "prior": settings.prior,
    }
    return {"crossover": 1 - settings.mutation} | {way: settings.mutation * share for way, share in mutation.items()}


class NSGA2:
    """P and Q are drawn uniformly; from then on Q is made of the best of both."""

    def __init__(
        self, settings: NSGA2Settings, count: int, problem: Problem, archive: Archive, rng: np.random.Generator
    ):
        """`count` is N, the models of a generation."""
        self.settings, self.count, self.problem, self.archive, self.rng = settings, count, problem, archive, rng
        self.shares = shares(settings, problem)
        self.even = uniform_weights(problem)
        self.wheels = [cost_weights(problem, *objective) for objective in problem.untrained]
        seed = int(rng.integers(2**31))
        steering = settings.controller if self.shares["controller"] > 0 else None
        self.controller = Controller(problem.widths, steering, seed) if steering else None
        self.population: list[int] = []
        """P: numbers in the archive, best first"""
        self.standings: list[Standing] = []
        """theirs"""
        self.offspring: list[int] = []
        """Q: those of the last generation"""
        self.episodes: list[tuple[SinglePath, SinglePath]] = []
        """what the controller drew for it: (path, its parent)"""
        self.made: Counter[str] = Counter()
        """how many of the offspring were made in each way"""

    def ask(self, count: int) -> list[SinglePath]:
        """The next Q, of at most so many paths."""
        self.episodes, self.made = [], Counter()
        if not self.offspring:  # P, or the first Q
            return self.problem.fresh(count, self.archive.place, self.rng)
        self._select()
        ways = self.rng.choice(list(self.shares), size=count, p=list(self.shares.values())).tolist()
        made: dict[SinglePath, str] = {}
        for _ in range(TRIES):
            if not ways:
                break
            children = self._children(ways)
            allowed = self.problem.allowed(as_array(children)).tolist()
            failed = []
            for way, child, fits in zip(ways, children, allowed, strict=True):
                if fits and child not in self.archive.place and child not in made:
                    made[child] = way
                else:
                    failed.append(way)
            ways = failed
        known = self.archive.place.keys() | made.keys()
        made |= dict.fromkeys(self.problem.fresh(len(ways), known, self.rng), "fresh")
        self.made = Counter(made.values())
        return list(made)

    def tell(self, paths: Sequence[SinglePath]) -> None:
        """The paths of P, or of the last Q, are in the archive now."""
        if not self.population:
            self.population = [self.archive.place[path] for path in paths]
            return
        self.offspring = [self.archive.place[path] for path in paths]
        known = [(path, parent) for path, parent in self.episodes if path in self.archive.place]
        if self.controller and known:
            drawn, parents = zip(*known, strict=True)
            # for the objective that needs training, standardized over all models so far
            sign = next(1 if goal.maximized else -1 for goal in self.problem.objectives if goal.quantity == ACCURACY)
            places = [self.archive.place[path] for path in drawn]
            self.controller.learn(drawn, parents, standardized(sign * self.archive.values[ACCURACY], places))

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it, between a `tell` and the next `ask`."""
        controller = self.controller.state() if self.controller else None
        return {"population": self.population, "offspring": self.offspring, "controller": controller}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave."""
        self.population, self.offspring = list(state["population"]), list(state["offspring"])
        if self.controller:
            self.controller.restore(state["controller"])

    def _select(self) -> None:
        """P becomes the N best of P and Q."""
        both = self.population + self.offspring
        values = self.archive.of(both)
        best = survivors(self.problem.losses(values), self.problem.excess(values), self.count, self.rng)
        self.population, self.offspring = [both[number] for number in best], []
        self.standings = list(best.values())

    def _children(self, ways: Sequence[str]) -> list[SinglePath]:
        """One child for each way, of parents that tournaments choose anew."""
        paths = self.archive.paths
        parents = [paths[self.population[won]] for won in tournaments(self.standings, 2 * len(ways), self.rng)]
        firsts, mates = parents[: len(ways)], parents[len(ways) :]
        steered = [parent for way, parent in zip(ways, firsts, strict=True) if way == "controller"]
        drawn = self.controller.draw(len(steered), steered) if self.controller else []
        self.episodes += zip(drawn, steered, strict=True)
        from_controller = iter(drawn)
        given, elite = self.settings.prior_weights, as_array([paths[place] for place in self.population])
        prior = given or elite_weights(self.problem, elite)
        children = []
        for way, parent, mate in zip(ways, firsts, mates, strict=True):
            if way == "crossover":
                children.append(crossed(parent, mate, self.rng))
            elif way == "controller":
                children.append(next(from_controller))
            elif way == "wheel":
                wheel = self.wheels[int(self.rng.integers(len(self.wheels)))]
                children.append(changed(parent, wheel, self.rng))
            else:
                children.append(changed(parent, {"random": self.even, "prior": prior}[way], self.rng))
        return children


def standardized(values: np.ndarray, places: Sequence[int]) -> list[float]:
    """Some of the values, less the mean of all and divided by their deviation; the worst for what is not a number."""
    worst = np.nanmin(values) if np.isfinite(values).any() else 0.0
    whole = np.nan_to_num(values, nan=worst)
    return ((whole[list(places)] - whole.mean()) / (whole.std() or 1.0)).tolist()
