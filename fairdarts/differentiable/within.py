"""The candidates of greatest gate mass within a budget, exactly, by the rules of `derive`.

What may be kept falls into groups of which one option each is taken: a layer of a chain, an edge of NAS-Bench-201, the
edges into a node of a cell. The size of a cell depends on which of its nodes are fed and which of its inputs are read:
each such case has its own groups, whose nodes read what is fed.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from fairdarts.cost.cells import Live
from fairdarts.cost.counted import Case, Counted
from fairdarts.cost.derived import Kept
from fairdarts.cost.table import Table
from fairdarts.differentiable.derive import GateMatrices
from fairdarts.differentiable.derive_cell import OPERATIONS_PER_EDGE
from fairdarts.differentiable.derive_chain import CHOICES_PER_LAYER
from fairdarts.differentiable.knapsack import NOTHING, Front, Option, front, together
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.genotype import CELLS, SKIP
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.sample import EDGES_PER_NODE
from fairdarts.spaces.space import Space

Groups = list[list[Option]]
Options = Callable[..., list[Option]]
"""of a choice point, each candidate but `none` whose gate is `least` or more"""


class Within(NamedTuple):
    """The best that a budget allows."""

    kept: Kept
    """choice points and candidates"""
    cost: float
    mass: float
    """the sum of their gates"""


def best_within(
    gates: GateMatrices, rule: DeriveSettings, counted: Counted, budgets: Sequence[float]
) -> list[Within | None]:
    """The best within each of the budgets; None where no network costs so little."""
    sides, fixed = _sides(gates, rule, counted), cache(counted.fixed)
    least = min((fixed(cases) for cases in product(*([case for case, _ in side] for side in sides))), default=0.0)
    fronts = []
    for side in sides:
        made = [(case, groups, front(groups, max(budgets) - least, rule.max_skips)) for case, groups in side]
        fronts.append([(case, groups, found) for case, groups, found in made if len(found.costs)])
    alone: list[tuple[Case, Groups, Front]] = [(None, [], NOTHING)]
    first, second = fronts if len(fronts) > 1 else (fronts[0], alone)
    found: list[Within | None] = [None] * len(budgets)
    for (case, groups, one), (other_case, other_groups, other) in product(first, second):
        base = fixed((case, other_case) if len(fronts) > 1 else (case,))
        for number, budget in enumerate(budgets):
            at = np.searchsorted(other.costs, budget - base - one.costs, side="right") - 1
            masses = np.where(at >= 0, one.masses + other.masses[at], -np.inf)
            best = int(masses.argmax())
            before = found[number]
            if masses[best] > (before.mass if before else -np.inf):
                picked = _picked(groups, one.picks[best]) + _picked(other_groups, other.picks[at[best]])
                cost = base + float(one.costs[best] + other.costs[at[best]])
                found[number] = Within(sorted(picked), cost, float(masses[best]))
    return found


def least_within(gates: GateMatrices, rule: DeriveSettings, counted: Counted) -> float | None:
    """The least cost of all networks by a rule; None where it makes none."""
    costs = []
    for side in _sides(gates, rule, counted):
        fronts = ((case, front(groups, math.inf, rule.max_skips).costs) for case, groups in side)
        costs.append([(case, float(found[0])) for case, found in fronts if len(found)])
    sums = (
        counted.fixed(tuple(case for case, _ in chosen)) + sum(cost for _, cost in chosen) for chosen in product(*costs)
    )
    return min(sums, default=None)


def _sides(gates: GateMatrices, rule: DeriveSettings, counted: Counted) -> list[list[tuple[Case, Groups]]]:
    """What may be kept of the normal and of the reduction cell, or of the whole, case by case."""
    space = counted.space
    return SIDES[space.kind](space, _options_of(gates, space, counted.table), rule)


def _picked(groups: Groups, picks: np.ndarray) -> Kept:
    return [kept for group, pick in zip(groups, picks, strict=True) for kept in group[pick].kept]


def _options_of(gates: GateMatrices, space: Space, table: Table) -> Options:
    rows = {point: gates[name][row] for name, part in space.parts.items() for row, point in enumerate(part.points)}

    def options(point: int, least: float = 0.0) -> list[Option]:
        found = zip(space.points[point], rows[point].tolist(), table.choices[point], strict=True)
        return [
            Option(cost, gate, ((point, index),), int(name == SKIP))
            for index, (name, gate, cost) in enumerate(found)
            if name != "none" and gate >= least
        ]

    return options


def _layers(space: ChainSpace, options: Options, rule: DeriveSettings) -> list[list[tuple[Case, Groups]]]:
    """As `derive_layers`: one choice a layer; or those that reach the threshold, up to two, or none where the layer
    keeps the shape. Any other layer needs one, and may keep one that does not reach it."""
    if rule.method == "argmax":
        return [[(None, [options(point) for point in range(len(space.layers))])]]
    groups = []
    for point, layer in enumerate(space.layers):
        nothing, *group = _up_to(CHOICES_PER_LAYER, options(point, rule.threshold))
        groups.append([nothing, *group] if layer.keeps_shape else group + options(point))
    return [[(None, groups)]]


def _edges(space: Bench201Space, options: Options, rule: DeriveSettings) -> list[list[tuple[Case, Groups]]]:
    """As `derive_edges`: one operation an edge; or one that reaches the threshold, or `none`."""
    if rule.method == "argmax":
        return [[(None, [options(point) for point in range(len(space.points))])]]
    none = space.candidates.index("none")
    groups = [[Option(0, 0, ((point, none),)), *options(point, rule.threshold)] for point in range(len(space.points))]
    return [[(None, groups)]]


def _cells(space: CellSpace, options: Options, rule: DeriveSettings) -> list[list[tuple[Case, Groups]]]:
    """As `derive_cell`, of every case: argmax feeds all nodes."""
    least = 0.0 if rule.method == "argmax" else rule.threshold
    nodes = range(space.inputs, space.inputs + space.nodes)
    counts = [space.nodes] if rule.method == "argmax" else range(1, space.nodes + 1)
    sides = []
    for cell in CELLS:
        points = dict(zip(space.edges, space.parts[cell].points, strict=True))
        every = {edge: options(point, least) for edge, point in points.items()}
        cases: list[tuple[Case, Groups]] = []
        for count, inputs in product(counts, [(0, 1), (0,), (1,)]):
            for fed in combinations(nodes, count):
                into = [[every[node, source] for source in (*inputs, *fed) if source < node] for node in fed]
                groups = NODES[rule.method](into)
                if all(groups):
                    cases.append((Live(count, inputs), groups))
        sides.append(cases)
    return sides


def _two_edges(into: list[list[list[Option]]]) -> Groups:
    """Groups of which each takes two edges of a node, with an operation each."""
    return [[together(two) for edges in combinations(node, EDGES_PER_NODE) for two in product(*edges)] for node in into]


def _up_to_two_edges(into: list[list[list[Option]]]) -> Groups:
    """Groups of which each takes up to two edges of a node, with an operation each; of the first node one at least, as
    the cell would be empty without."""
    groups = []
    for node in into:
        kept = (edges for count in range(EDGES_PER_NODE + 1) for edges in combinations(node, count))
        groups.append([together(some) for edges in kept for some in product(*edges)])
    return [groups[0][1:], *groups[1:]]


def _every_edge(into: list[list[list[Option]]]) -> Groups:
    """Groups of which each takes up to two operations of an edge; of the first node's edges one at least."""
    edges = [[list(_up_to(OPERATIONS_PER_EDGE, edge)) for edge in node] for node in into]
    first = [together(some) for some in product(*edges[0])]
    return [first[1:], *(group for node in edges[1:] for group in node)]


def _up_to(count: int, options: Sequence[Option]) -> Iterator[Option]:
    """Nothing, then each of the options, then two of them, …"""
    return (together(some) for number in range(count + 1) for some in combinations(options, number))


NODES: dict[str, Callable[[list[list[list[Option]]]], Groups]] = {
    "argmax": _two_edges,
    "threshold": _up_to_two_edges,
    "edge": _every_edge,
}
"""method → the groups of a cell, from the operations of every edge into every fed node"""

SIDES: dict[str, Callable[[Any, Options, DeriveSettings], list[list[tuple[Case, Groups]]]]] = {
    "cell": _cells,
    "chain": _layers,
    "nasbench201": _edges,
}
"""kind of a space that has α → of the normal and of the reduction cell, or of the whole, its cases with their groups"""
