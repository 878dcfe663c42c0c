"""What is searched: the paths of a space, what is known of each without training, and which of them may be judged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairdarts.config import UserError
from fairdarts.cost.table import Table
from fairdarts.evolution.objectives import ACCURACY, Limit, Objective
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space

LISTED = 2**17
"""spaces of no more paths than this are listed, so that every last path is found"""
DRAWS = 200
"""how often a path of a larger space is drawn before one is bent to keep the limits"""


def losses(values: Mapping[str, np.ndarray], objectives: Sequence[Objective]) -> np.ndarray:
    """The objectives [n, objectives] of models, all of them to be minimized; not a number counts as the worst."""
    columns = [-values[goal.quantity] if goal.maximized else values[goal.quantity] for goal in objectives]
    return np.nan_to_num(np.stack(columns, 1).astype(float), nan=np.inf, posinf=np.inf, neginf=-np.inf)


def excess(values: Mapping[str, np.ndarray], limits: Sequence[Limit]) -> np.ndarray:
    """By how much models go beyond limits, all added up [n]; 0 where they keep them."""
    number = len(next(iter(values.values())))
    total = np.zeros(number)
    for limit in limits:
        total += np.nan_to_num(limit.excess(values[limit.quantity]), nan=np.inf)
    return total


@dataclass(frozen=True)
class Problem:
    """A space and what is wanted of its paths."""

    space: Space
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...]
    tables: Mapping[str, Table]
    """costs by quantity, known of every path"""
    seen: tuple[float, float] = (0.0, 100.0)
    """the least and the greatest accuracy there can be, in percent"""

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many choices every point has."""
        return tuple(map(len, self.space.choices))

    @cached_property
    def untrained(self) -> tuple[Objective, ...]:
        """The objectives that need no training."""
        return tuple(goal for goal in self.objectives if goal.quantity in self.tables)

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The best and the worst losses [objectives] that there can be."""
        ends = {name: (table.least, table.greatest) for name, table in self.tables.items()} | {ACCURACY: self.seen}
        corners = [ends[goal.quantity][::-1] if goal.maximized else ends[goal.quantity] for goal in self.objectives]
        signs = [-1.0 if goal.maximized else 1.0 for goal in self.objectives]
        best, worst = np.asarray(corners, dtype=float).T * signs
        return best, worst

    def costs(self, paths: np.ndarray) -> dict[str, np.ndarray]:
        """What is known of paths [n, points] without training: quantity → [n]."""
        return {name: table.costs(paths) for name, table in self.tables.items()}

    def losses(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The objectives [n, objectives] of models, all to be minimized."""
        return losses(values, self.objectives)

    def excess(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """By how much models break the limits [n], 0 where they do not; inf where an objective is not a number."""
        broken = excess(values, self.limits)
        broken[~np.isfinite(self.losses(values)).all(1)] = np.inf
        return broken

    def allowed(self, paths: np.ndarray) -> np.ndarray:
        """Whether paths [n, points] keep the limits that need no training [n]."""
        return self._beyond(paths) == 0

    def fresh(self, count: int, known: Collection[SinglePath], rng: np.random.Generator) -> list[SinglePath]:
        """Allowed paths, all different and none of them known; fewer where no more are found.

        They are drawn uniformly. Only where limits leave so little of a space too large to be listed that DRAWS rounds
        bring too few, drawn paths are bent until they keep the limits.
        """
        if self._every is not None:
            left = [path for path in self._every if path not in known]
            return [left[place] for place in rng.permutation(len(left))[:count]]
        fresh: dict[SinglePath, None] = {}
        for _ in range(DRAWS):
            drawn = rng.integers(self.widths, size=(count, len(self.widths)))
            for path in map(tuple, drawn[self.allowed(drawn)].tolist()):
                if path not in known and len(fresh) < count:
                    fresh[path] = None
            if len(fresh) == count:
                return list(fresh)
        failed = 0
        while len(fresh) < count and failed < DRAWS:
            bent = self._bent(rng.integers(self.widths), rng)
            failed += 1
            if bent and bent not in known and bent not in fresh:
                fresh[bent], failed = None, 0
        return list(fresh)

    def check(self) -> None:
        """Raises UserError where no path keeps the limits that need no training."""
        for limit in self.limits:
            if limit.quantity in self.tables:
                table = self.tables[limit.quantity]
                if not limit.kept(np.array([table.least, table.greatest])).any():
                    ends = f"{self.space.name} has {table.least:g} to {table.greatest:g}"
                    raise UserError(f"constraints: {limit}: no model keeps it: {ends}")
        if not self.fresh(1, (), np.random.default_rng(0)):
            limits = ", ".join(map(str, self.limits))
            raise UserError(f"constraints: {limits}: no model was found that keeps them all; should leave more room")

    @cached_property
    def _every(self) -> list[SinglePath] | None:
        """All allowed paths of a small space."""
        if self.space.size() > LISTED:
            return None
        every = np.stack([grid.ravel() for grid in np.indices(self.widths)], 1)
        return list(map(tuple, every[self.allowed(every)].tolist()))

    def _beyond(self, paths: np.ndarray) -> np.ndarray:
        """By how much paths break the limits that need no training [n]."""
        return excess(self.costs(paths), [limit for limit in self.limits if limit.quantity in self.tables])

    def _bent(self, path: np.ndarray, rng: np.random.Generator) -> SinglePath | None:
        """An allowed path near another: point after point takes the choice that breaks the limits least, in an order
        drawn anew as long as that helps; None where it leads to none."""
        least = np.inf
        while True:
            for point in rng.permutation(len(path)):
                tried = np.repeat(path[None], self.widths[point], 0)
                tried[:, point] = np.arange(self.widths[point])
                beyond = self._beyond(tried)
                if (beyond == 0).any():
                    return tuple(tried[rng.choice(np.flatnonzero(beyond == 0))].tolist())
                path = tried[beyond.argmin()]
            if beyond.min() >= least:
                return None
            least = beyond.min()


def as_array(paths: Sequence[SinglePath]) -> np.ndarray:
    """Paths as [n, points]."""
    return np.asarray(paths, dtype=np.int64)
