"""Genotypes within a budget, against all that the rules of derivation allow."""

from collections.abc import Iterator
from functools import cache
from itertools import chain, combinations, product

import numpy as np
import pytest
from one_shot import BENCH, CHAIN

from fairdarts.cost.cells import Live
from fairdarts.cost.counted import Counted
from fairdarts.cost.derived import kept_by
from fairdarts.cost.table import count_tables
from fairdarts.differentiable.bounded import bounded
from fairdarts.differentiable.derive import derive
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.differentiable.within import least_within
from fairdarts.genotype import CELLS, SKIP, Edge, live
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space, load_space, stated_shape

CELL = load_space("s1").model_copy(update={"nodes": 2, "candidates": ("none", SKIP, "dil_conv_3x3")})
SMALL = NetworkSettings(cells=3, channels=4)
Priced = tuple[float, float]
"""cost and mass"""


def counted_of(space: Space, quantity: str = "madds") -> Counted:
    shape, network = (Shape(8, 1, 3), SMALL) if space is CELL else (stated_shape(space), AS_NAMED)
    return Counted(quantity, space, shape, network, count_tables(space, shape, network)[quantity])


def gates_of(space: Space, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(part.shape).round(3) for name, part in space.parts.items()}


def subsets(names: list[str], most: int, least: int = 0) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, count) for count in range(least, most + 1))


def reaching(names: tuple[str, ...], row: np.ndarray, rule: DeriveSettings) -> list[str]:
    least = 0.0 if rule.method == "argmax" else rule.threshold
    return [name for name, gate in zip(names, row, strict=True) if name != "none" and gate >= least]


def cells_of(space: CellSpace, gates: np.ndarray, rule: DeriveSettings) -> Iterator[tuple[Edge, ...]]:
    """All cells that a rule allows: by `edge` up to two operations an edge, by others one, on two edges of a node."""
    rows = zip(space.edges, gates, strict=True)
    every = [[(name, *edge) for name in reaching(space.candidates, row, rule)] for edge, row in rows]
    for chosen in product(*(list(subsets(own, 2 if rule.method == "edge" else 1)) for own in every)):
        edges = tuple(chain.from_iterable(chosen))
        counts = [sum(edge[1] == node for edge in edges) for node in (2, 3)]
        if (rule.method != "edge" and max(counts) > 2) or (rule.method == "argmax" and min(counts) < 2):
            continue
        if rule.max_skips is None or sum(edge[0] == SKIP for edge in edges) <= rule.max_skips:
            yield edges


def priced_cells(gates: dict[str, np.ndarray], rule: DeriveSettings, counted: Counted) -> list[Priced]:
    """Cost and mass of all pairs of cells that make a network: of what is live in them."""
    fixed, sides = cache(counted.fixed), []
    for cell in CELLS:
        points = dict(zip(CELL.edges, CELL.parts[cell].points, strict=True))
        side = []
        for edges in cells_of(CELL, gates[cell], rule):
            alive, nodes = live(edges)
            if nodes:
                read = tuple(source for source in (0, 1) if source in {edge[2] for edge in alive})
                at = [(points[edge[1:]], CELL.candidates.index(edge[0])) for edge in alive]
                cost = sum(counted.table.choices[point][choice] for point, choice in at)
                mass = sum(gates[cell][CELL.edges.index(edge[1:])][CELL.candidates.index(edge[0])] for edge in alive)
                side.append((Live(len(nodes), read), cost, mass))
        sides.append(side)
    return [(fixed((a, b)) + c + d, m + n) for (a, c, m), (b, d, n) in product(*sides)]


def priced_rows(
    gates: np.ndarray, options: list[list[tuple[str, ...]]], space: Space, counted: Counted
) -> list[Priced]:
    """Cost and mass of all choices of one option a row."""
    rows = []
    for point, own in enumerate(options):
        indices = [[space.points[point].index(name) for name in names if name != "none"] for names in own]
        costs = [sum(counted.table.choices[point][index] for index in some) for some in indices]
        rows.append(list(zip(costs, (sum(gates[point][index] for index in some) for some in indices), strict=True)))
    sums = (tuple(map(sum, zip(*chosen, strict=True))) for chosen in product(*rows))
    return [(counted.table.fixed + cost, mass) for cost, mass in sums]


def priced(space: Space, gates: dict[str, np.ndarray], rule: DeriveSettings, counted: Counted) -> list[Priced]:
    if space is CELL:
        return priced_cells(gates, rule, counted)
    if space is BENCH:
        reach = [[(name,) for name in reaching(space.candidates, row, rule)] for row in gates["edges"]]
        options = reach if rule.method == "argmax" else [[("none",), *own] for own in reach]
        return priced_rows(gates["edges"], options, space, counted)
    options = []
    for names, layer, row in zip(space.choices, space.layers, gates["layers"], strict=True):
        alone, reach = [(name,) for name in names], reaching(names, row, rule)
        several = list(subsets(reach, 2)) if layer.keeps_shape else [*subsets(reach, 2, 1), *alone]
        options.append(alone if rule.method == "argmax" else several)
    return priced_rows(gates["layers"], options, space, counted)


SHIPPED = [load_space(name) for name in ("s1", "s2", "nasbench201")]
RULES = [("argmax", None, None), ("threshold", 0.5, None), ("edge", 0.6, None)]
LIMITED = [("argmax", None, 1), ("threshold", 0.4, 0)]


@pytest.mark.parametrize("quantity", ["madds", "params"])
@pytest.mark.parametrize(
    ("space", "method", "threshold", "skips"),
    [(CELL, *rule) for rule in RULES + LIMITED] + [(space, *rule) for space in (CHAIN, BENCH) for rule in RULES[:2]],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_no_network_within_the_budget_keeps_more(
    space: Space, method: str, threshold: float | None, skips: int | None, quantity: str
):
    rule = DeriveSettings(method=method, threshold=threshold, max_skips=skips)
    counted, gates = counted_of(space, quantity), gates_of(space, seed=len(method))
    costs, masses = map(np.array, zip(*priced(space, gates, rule, counted), strict=True))
    budgets = [*np.quantile(costs, (0, 0.1, 0.3, 0.6)).astype(int).tolist(), 10**9, int(costs.min()) - 1]
    abouts = [("n", "s")] * len(budgets)
    found = bounded(gates, rule, counted, budgets, abouts, [""] * len(space.points))
    assert found[-1] is None
    assert least_within(gates, rule, counted) == costs.min()
    for budget, best in zip(budgets[:-1], found, strict=False):
        assert best is not None
        assert best.mass == pytest.approx(masses[costs <= budget].max(), abs=1e-9)
        assert best.cost <= budget
        assert best.cost == counted.of(best.genotype)  # the built network's


@pytest.mark.parametrize(
    ("space", "method", "threshold"),
    [(space, *rule[:2]) for space in SHIPPED for rule in (RULES if space.kind == "cell" else RULES[:2])],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_budget_that_does_not_bind_changes_nothing(space: Space, method: str, threshold: float | None):
    rule, gates = DeriveSettings(method=method, threshold=threshold), gates_of(space, seed=3)
    if space.kind == "cell":
        space = space.model_copy(update={"nodes": 3})
        gates = gates_of(space, seed=3)
    (found,) = bounded(gates, rule, counted_of(space), [1e12], [("n", "s")], [""] * len(space.points))
    assert found is not None
    plain = derive(gates, space, method, threshold, "n", "s")
    assert kept_by(found.genotype, space) == kept_by(plain, space)
    assert (found.mass, found.cost) == pytest.approx((found.mass_without, found.cost_without))
    assert found.changed == ()
    if method != "edge":
        assert found.genotype == (plain if space.kind != "chain" else plain.model_copy(update={"notes": ()}))


def test_what_is_given_up_is_told_point_by_point():
    gates = {"layers": np.array([[0.1, 0.8, 0.2], [0.9, 0.3, 0.2], [0.3, 0.5, 0.7], [0.2, 0.9, 0.1]])}
    counted = counted_of(CHAIN)
    budget = counted.table.least
    names = [f"layers:{number}" for number in range(4)]
    (found,) = bounded(gates, DeriveSettings(method="argmax"), counted, [budget], [("n", "s")], names)
    assert found is not None
    assert found.changed[0] == "layers:0: skip_connect (0.100) in the place of MBE2K3 (0.800)"
    assert [line.partition(":")[2][0] for line in found.changed] == ["0", "2", "3"]
    assert found.mass_without == pytest.approx(0.8 + 0.9 + 0.7 + 0.9)
