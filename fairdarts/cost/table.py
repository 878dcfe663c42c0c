"""What does a path cost, choice by choice?"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from fairdarts.cost.count import count
from fairdarts.cost.parts import Part, Parts, parts_of
from fairdarts.ops.own import own_name
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space


class Table(NamedTuple):
    """Costs that add up to that of a path's stand-alone network."""

    fixed: int | float
    """of what every path has"""
    choices: tuple[tuple[int | float, ...], ...]
    """of what a choice adds [points][choices]"""

    def costs(self, paths: np.ndarray) -> np.ndarray:
        """Of every path: paths [n, points], indices of choices → [n], int64 where the table holds integers."""
        total = np.full(len(paths), self.fixed)
        for costs, column in zip(self.choices, paths.T, strict=True):
            total = total + np.array(costs)[column]
        return total

    def cost(self, path: SinglePath) -> int | float:
        """Of one path: exactly its number among those of `costs`."""
        return self.costs(np.array([path])).item()

    # Both are costs of paths, so that rounding leaves no path outside them.
    @property
    def least(self) -> int | float:
        """The cost of the cheapest path."""
        return self.cost(tuple(costs.index(min(costs)) for costs in self.choices))

    @property
    def greatest(self) -> int | float:
        """The cost of the dearest path."""
        return self.cost(tuple(costs.index(max(costs)) for costs in self.choices))


def tabulate(parts: Parts, costs: Mapping[Part, int | float]) -> Table:
    """The table of parts that cost so much each."""

    def total(some: tuple[Part, ...]) -> int | float:
        return sum(costs[part] for part in some)

    return Table(total(parts.fixed), tuple(tuple(map(total, point)) for point in parts.choices))


def count_tables(space: Space, shape: Shape | None = None) -> dict[str, Table]:
    """`madds` and `params` of paths, exactly those that `count` finds in their networks for such images; None: for
    those that the space was made for."""
    parts = parts_of(space, shape)
    madds, params = {}, {}
    for part in parts.distinct:
        madds[part], params[part] = _count(part)
    return {"madds": tabulate(parts, madds), "params": tabulate(parts, params)}


def _count(part: Part) -> tuple[int, int]:
    """Multiply-adds and parameters of a part."""
    with torch.device("meta"):
        module = part.build(*part.arguments)
    if next(module.parameters(), None) is None and not own_name(module):  # nothing in it that is counted
        return 0, 0
    cost = count(module, part.channels, part.size)
    return cost.madds, cost.params
