"""All models that a search has evaluated, each once, and the best of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fairdarts.evolution.objectives import ACCURACY, Limit
from fairdarts.evolution.pareto import front, hypervolume
from fairdarts.evolution.problem import Problem, as_array
from fairdarts.spaces.gates import SinglePath


class Archive:
    """Paths in the order of their evaluation, with all that is known of them."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self.place: dict[SinglePath, int] = {}
        """path → its number, from 0"""
        self.generation: np.ndarray = np.zeros(0, dtype=np.int64)
        """of every path, from 1"""
        nothing = np.zeros((0, len(problem.widths)), dtype=np.int64)
        self.values: dict[str, np.ndarray] = {ACCURACY: np.zeros(0), **problem.costs(nothing)}
        """quantity → that of every path"""

    def __len__(self) -> int:
        return len(self.place)

    @property
    def paths(self) -> list[SinglePath]:
        """All paths, in order."""
        return list(self.place)

    def add(self, paths: Sequence[SinglePath], accuracies: Sequence[float], generation: int) -> None:
        """Takes new paths with their accuracies in percent."""
        if not paths:
            return
        self.place |= {path: len(self.place) + number for number, path in enumerate(paths)}
        if len(self.place) != len(self.generation) + len(paths):
            raise ValueError("a path was evaluated twice")
        self.generation = np.concatenate([self.generation, np.full(len(paths), generation)])
        values = {ACCURACY: np.asarray(accuracies, dtype=float), **self.problem.costs(as_array(paths))}
        self.values = {name: np.concatenate([column, values[name]]) for name, column in self.values.items()}

    def until(self, generation: int) -> "Archive":
        """What it was after a generation."""
        count = int((self.generation <= generation).sum())
        before = Archive(self.problem)
        before.add(self.paths[:count], self.values[ACCURACY][:count].tolist(), 0)
        before.generation = self.generation[:count]
        return before

    def of(self, places: Sequence[int] | np.ndarray) -> Mapping[str, np.ndarray]:
        """The values of some paths, by their numbers."""
        return {name: column[list(places)] for name, column in self.values.items()}

    def front(self) -> list[int]:
        """The numbers of the paths that none dominates, of those that keep all limits."""
        feasible = np.flatnonzero(self.problem.excess(self.values) == 0)
        return feasible[front(self.problem.losses(self.of(feasible)))].tolist()

    def hypervolume(self) -> float:
        """The share of all that is possible that the front dominates, 0 to 1."""
        return hypervolume(self.problem.losses(self.of(self.front())), *self.problem.box)

    def best_within(self, limit: Limit | None) -> int | None:
        """The number of the most accurate path that keeps the constraints and a limit; None where none does.

        Of equally accurate ones it is the best by the objectives, one after another, then the one of fewest
        multiply-adds, then of fewest parameters: none that the search wants more is behind it.
        """
        kept = np.flatnonzero(self.keeps(limit))
        if not len(kept):
            return None
        values = self.of(kept)
        costs = [column for name, column in values.items() if name != ACCURACY]
        keys = [-values[ACCURACY], *self.problem.losses(values).T, *costs]
        return int(kept[np.lexsort(keys[::-1])[0]])

    def as_accurate(self, limit: Limit | None) -> int:
        """How many paths are as accurate as the best within a limit, itself included."""
        accuracy = self.values[ACCURACY][self.keeps(limit)]
        return int((accuracy == accuracy.max()).sum()) if len(accuracy) else 0

    def keeps(self, limit: Limit | None) -> np.ndarray:
        """Whether each of the paths keeps the constraints and a limit."""
        kept = self.problem.excess(self.values) == 0
        return kept & limit.kept(self.values[limit.quantity]) if limit else kept

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it: costs are known of the paths."""
        paths, accuracies = as_array(self.paths), self.values[ACCURACY]
        arrays = {"paths": paths, "accuracy": accuracies, "generation": self.generation}
        return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave, into an empty archive."""
        paths = list(map(tuple, state["paths"].tolist()))
        self.add(paths, state["accuracy"].tolist(), 0)
        self.generation = state["generation"].numpy().copy()
