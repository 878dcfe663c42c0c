"""What FairNAS' second stage is compared with: random search, MnasNet's controller, regularized evolution."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.controller import Controller
from fairdarts.evolution.mutation import changed, uniform_weights
from fairdarts.evolution.nsga2 import TRIES, standardized
from fairdarts.evolution.objectives import ACCURACY
from fairdarts.evolution.problem import Problem, as_array
from fairdarts.evolution.settings import MnasNetSettings, RegularizedSettings
from fairdarts.spaces.gates import SinglePath


class Memoryless:
    """A strategy that nothing but the archive and the generator decides."""

    def __init__(self, problem: Problem, archive: Archive, rng: np.random.Generator):
        self.problem, self.archive, self.rng = problem, archive, rng
        self.made: Counter[str] = Counter()

    def tell(self, paths: Sequence[SinglePath]) -> None:
        """The paths are in the archive now, the last one last."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to put back."""


class RandomSearch(Memoryless):
    """Uniformly drawn paths, none twice."""

    def ask(self, count: int) -> list[SinglePath]:
        """The next paths, at most so many."""
        return self.problem.fresh(count, self.archive.place, self.rng)


class MnasNet:
    """A controller alone, rewarded by accuracy × (cost / target)^w (arXiv:1807.11626, Eq. 2).

    A path that it draws again costs no evaluation, and still teaches it.
    """

    def __init__(self, settings: MnasNetSettings, problem: Problem, archive: Archive, rng: np.random.Generator):
        self.settings, self.problem, self.archive, self.rng = settings, problem, archive, rng
        table = problem.tables[settings.cost]
        mean = table.fixed + sum(float(np.mean(costs)) for costs in table.choices)
        self.target = settings.target or mean
        self.controller = Controller(problem.widths, settings.controller, int(rng.integers(2**31)))
        self.episodes: list[SinglePath] = []
        self.made: Counter[str] = Counter()

    def ask(self, count: int) -> list[SinglePath]:
        """The next paths, at most so many: as often as it needs to draw until they are new."""
        self.episodes = []
        fresh: dict[SinglePath, None] = {}
        for _ in range(TRIES):
            if len(fresh) == count:
                break
            drawn = self.controller.draw(count, None)
            for path, fits in zip(drawn, self.problem.allowed(as_array(drawn)).tolist(), strict=True):
                if path in self.archive.place:
                    self.episodes.append(path)
                elif fits and (path in fresh or len(fresh) < count):
                    self.episodes.append(path)
                    fresh[path] = None
        rest = self.problem.fresh(count - len(fresh), self.archive.place.keys() | fresh.keys(), self.rng)
        self.made = Counter({"controller": len(fresh), "fresh": len(rest)})
        return [*fresh, *rest]

    def tell(self, paths: Sequence[SinglePath]) -> None:
        """The paths are in the archive now."""
        if self.episodes:
            values = self.archive.values
            rewards = values[ACCURACY] * (values[self.settings.cost] / self.target) ** self.settings.weight
            places = [self.archive.place[path] for path in self.episodes]
            self.controller.learn(self.episodes, None, standardized(rewards, places))

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it, between a `tell` and the next `ask`."""
        return {"controller": self.controller.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave."""
        self.controller.restore(state["controller"])


class Regularized(Memoryless):
    """Regularized evolution (arXiv:1802.01548, Algorithm 1): the best of a few mutates, the oldest dies.

    A child that is known is made anew, since no path is evaluated twice.
    """

    def __init__(self, settings: RegularizedSettings, problem: Problem, archive: Archive, rng: np.random.Generator):
        super().__init__(problem, archive, rng)
        self.settings = settings

    def ask(self, count: int) -> list[SinglePath]:
        """The first paths at once, at most so many; then one."""
        missing = self.settings.alive - len(self.archive)
        if missing > 0:
            return self.problem.fresh(min(count, missing), self.archive.place, self.rng)
        alive = np.arange(len(self.archive))[-self.settings.alive :]
        values = self.archive.of(alive)
        losses, broken = self.problem.losses(values)[:, 0], self.problem.excess(values)
        paths, even = self.archive.paths, uniform_weights(self.problem)
        for _ in range(TRIES):
            sample = self.rng.integers(len(alive), size=self.settings.sample)
            parent = paths[alive[min(sample, key=lambda model: (broken[model], losses[model]))]]
            child = changed(parent, even, self.rng)
            if child not in self.archive.place and self.problem.allowed(as_array([child]))[0]:
                return [child]
        return self.problem.fresh(1, self.archive.place, self.rng)
