"""What does a network cost, choice by choice?"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from fairdarts.cost.count import count
from fairdarts.cost.part import Part, Parts
from fairdarts.cost.parts import parts_of
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.ops.own import own_name
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space

COUNTED = ("madds", "params")
"""what is counted, not measured"""


class Table(NamedTuple):
    """Costs that add up to that of a stand-alone network. Those of paths are asked for where paths choose operations
    alone, one at every choice point."""

    fixed: int | float
    """of what every network has"""
    choices: tuple[tuple[int | float, ...], ...]
    """of what a candidate of a choice point adds [points][candidates]"""

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


def count_tables(space: Space, shape: Shape | None = None, network: NetworkSettings = AS_NAMED) -> dict[str, Table]:
    """`madds` and `params` of networks, exactly those that `count` finds in them for such images; None: for those that
    the space was made for."""
    parts = parts_of(space, shape, network)
    counted = {part: count_part(part) for part in parts.distinct}
    return {key: tabulate(parts, {part: cost[key] for part, cost in counted.items()}) for key in COUNTED}


def count_part(part: Part) -> dict[str, int]:
    """What a part costs, by the names of COUNTED."""
    with torch.device("meta"):
        module = part.build(*part.arguments)
    if next(module.parameters(), None) is None and not own_name(module):  # nothing in it that is counted
        return dict.fromkeys(COUNTED, 0)
    cost = count(module, part.channels, part.size)
    return {"madds": cost.madds, "params": cost.params}
