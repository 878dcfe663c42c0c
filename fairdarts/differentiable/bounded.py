"""Genotypes within budgets: of greatest gate mass, and what they give up for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fairdarts.cost.counted import Counted
from fairdarts.cost.derived import Kept, kept_by
from fairdarts.differentiable.derive import GateMatrices, derive
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.differentiable.within import Within, best_within
from fairdarts.genotype import CELLS, CellGenotype, ChainGenotype, EdgeGenotype, Genotype
from fairdarts.spaces.space import Space


class Bounded(NamedTuple):
    """What is derived within a budget."""

    genotype: Genotype
    cost: float
    """of its network"""
    mass: float
    """the sum of the gates that it keeps"""
    mass_without: float
    """the same of what would be derived without the budget"""
    cost_without: float | None
    """its cost; None where it makes no network"""
    changed: tuple[str, ...]
    """what it has in the place of that, choice point by choice point"""


def bounded(
    gates: GateMatrices,
    rule: DeriveSettings,
    counted: Counted,
    budgets: Sequence[float],
    abouts: Sequence[tuple[str, str]],
    names: Sequence[str],
) -> list[Bounded | None]:
    """The genotypes of greatest gate mass within budgets; None where no network by the rule costs so little.

    `abouts` are name and source of each; `names` what the choice points are called.
    """
    space = counted.space
    plain = derive(gates, space, rule.method, rule.threshold, *abouts[0], rule.max_skips)
    weights = _weights(gates, space)
    before = kept_by(plain, space)
    cost = counted.of(plain)
    mass = sum(weights[point, index] for point, index in before if space.points[point][index] != "none")
    found = best_within(gates, rule, counted, budgets)

    def made(best: Within, about: tuple[str, str]) -> Bounded:
        genotype = GENOTYPES[space.kind](dict(zip(("name", "source"), about, strict=True)), best.kept, weights, space)
        changed = tuple(_changes(before, best.kept, weights, space, names))
        return Bounded(genotype, counted.of(genotype) or best.cost, best.mass, mass, cost, changed)

    return [best and made(best, about) for best, about in zip(found, abouts, strict=True)]


Weights = Mapping[tuple[int, int], float]
"""choice point and candidate → gate"""


def _weights(gates: GateMatrices, space: Space) -> Weights:
    rows = {point: gates[name][row] for name, part in space.parts.items() for row, point in enumerate(part.points)}
    return {(point, index): float(gate) for point, row in rows.items() for index, gate in enumerate(row)}


def _changes(before: Kept, after: Kept, weights: Weights, space: Space, names: Sequence[str]) -> list[str]:
    """'layers:3: E3K3 (0.21) in the place of E6K7 (0.35)'."""

    def text(kept: Sequence[tuple[int, int]]) -> str:
        return " + ".join(f"{space.points[point][index]} ({weights[point, index]:.3f})" for point, index in kept)

    lines = []
    for point, name in enumerate(names):
        lost = [at for at in before if at[0] == point and at not in after]
        new = [at for at in after if at[0] == point and at not in before]
        if lost and new:
            lines.append(f"{name}: {text(new)} in the place of {text(lost)}")
        elif lost or new:
            lines.append(f"{name}: without {text(lost)}" if lost else f"{name}: with {text(new)}")
    return lines


def _of_cells(about: dict[str, str], kept: Kept, weights: Weights, space: Any) -> CellGenotype:
    cells = {}
    for cell in CELLS:
        edges = dict(zip(space.parts[cell].points, space.edges, strict=True))
        own = sorted((at for at in kept if at[0] in edges), key=lambda at: (edges[at[0]][0], -weights[at]))
        cells[cell] = tuple((space.candidates[index], *edges[point]) for point, index in own)
    return CellGenotype(schema=1, space=space.name, **about, **cells)


def _of_layers(about: dict[str, str], kept: Kept, weights: Weights, space: Any) -> ChainGenotype:
    by_gate = sorted(kept, key=lambda at: -weights[at])
    layers = tuple(
        tuple(names[index] for number, index in by_gate if number == point) for point, names in enumerate(space.choices)
    )
    return ChainGenotype(schema=1, space=space.name, **about, layers=layers)


def _of_edges(about: dict[str, str], kept: Kept, _: Weights, space: Any) -> EdgeGenotype:
    return EdgeGenotype(schema=1, space=space.name, **about, edges=tuple(space.candidates[index] for _, index in kept))


GENOTYPES: dict[str, Callable[[dict[str, str], Kept, Weights, Any], Genotype]] = {
    "cell": _of_cells,
    "chain": _of_layers,
    "nasbench201": _of_edges,
}
"""kind of a space that has α → a genotype of what is kept"""
