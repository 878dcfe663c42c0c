"""How gates become a genotype, and which operations count as dominant, in any space."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.derive_cell import derive_cell, limited_cell, strongest_of_nodes
from fairdarts.differentiable.derive_chain import derive_layers, dominant_choices
from fairdarts.differentiable.derive_nasbench201 import derive_edges
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.genotype import SKIP, CellGenotype, ChainGenotype, EdgeGenotype, Genotype
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import FORMS, Space, check_genotype

METHODS: dict[str, Callable[..., Mapping[str, Any]] | None] = {"argmax": None, "threshold": None, "edge": None}
"""name → what makes an architecture of gates, space and threshold; None where DERIVATIONS do, each in its kind of space
"""

GateMatrices = dict[str, np.ndarray]
"""part of the space → gates [choice points, candidates]"""


def as_matrices(gates: dict[str, Any], space: Space, place: str) -> GateMatrices:
    """Gates as checked float64 matrices. Raises UserError where a part is missing, misshapen, or not from 0 to 1."""
    matrices = {}
    for name, part in space.parts.items():
        if name not in gates:
            raise UserError(f"{place}: no '{name}' in it; should hold {shapes_text(space)}")
        try:
            matrix = np.asarray(gates[name])
        except ValueError:  # rows of unequal length
            matrix = np.asarray("")
        if matrix.dtype.kind not in "fiu":
            raise UserError(f"{place}: {name}: should be a matrix of numbers")
        matrix = matrix.astype(np.float64)
        if matrix.shape != part.shape:
            should = f"{list(part.shape)} (choice points, candidates) for space {space.name}"
            raise UserError(f"{place}: {name}: shape {list(matrix.shape)}, should be {should}")
        if not np.isfinite(matrix).all():
            raise UserError(f"{place}: {name}: holds gates that are not finite: they are of a search that has diverged")
        if not np.all((matrix >= 0) & (matrix <= 1)):
            raise UserError(f"{place}: {name}: should hold gates from 0 to 1 (softmax or sigmoid of α), not α itself")
        matrices[name] = matrix
    return matrices


def shapes_text(space: Space) -> str:
    """The matrices of a space: 'normal and reduce [14, 7]', or each with its own shape."""
    shapes = {name: str(list(part.shape)) for name, part in space.parts.items()}
    if len(same := set(shapes.values())) == 1:
        return f"{' and '.join(shapes)} {same.pop()}"
    return " and ".join(f"{name} {shape}" for name, shape in shapes.items())


def check_records(records: Sequence[dict[str, Any]], space: Space, place: str) -> Sequence[dict[str, Any]]:
    """The records of a run themselves. Raises UserError where there is none, or one lacks the architecture."""
    if not records:
        raise UserError(f"{place}: no record yet")
    for record in records:
        here = f"{place}, epoch {record['epoch']}"
        as_matrices(record.get("gates") or {}, space, here)
        if not all(isinstance(record.get("dominant", {}).get(part), dict) for part in space.parts):
            raise UserError(f"{here}: no 'dominant' operations in it")
    return records


def derive(
    gates: GateMatrices,
    space: Space,
    method: str,
    threshold: float | None,
    name: str,
    source: str,
    max_skips: int | None = None,
) -> Genotype:
    """The genotype of gates: see `derive_cell`, `derive_layers`, `derive_edges`. A cell has at most `max_skips` skip
    connections. Raises UserError where a method of a user's own gives what is no genotype of the space."""
    about = {"schema": 1, "name": name, "space": space.name, "source": source}
    if own := METHODS[method]:
        place = f"derivation method '{method}'"
        return check_genotype(check(FORMS[space.kind], {**about, **own(gates, space, threshold)}, place), space, place)
    return DERIVATIONS[space.kind](about, gates, space, (method, threshold, max_skips))


Rule = tuple[str, float | None, int | None]
"""method, threshold, and the most skip connections of a cell"""


def _cells(about: dict[str, Any], gates: GateMatrices, space: CellSpace, rule: Rule) -> CellGenotype:
    method, threshold, max_skips = rule
    if max_skips is not None and SKIP in space.candidates:
        cells = {cell: limited_cell(gates[cell], space, method, threshold, max_skips) for cell in space.parts}
    else:
        cells = {cell: derive_cell(gates[cell], space, method, threshold) for cell in space.parts}
    return CellGenotype(**about, **cells)


def _layers(about: dict[str, Any], gates: GateMatrices, space: ChainSpace, rule: Rule) -> ChainGenotype:
    layers, notes = derive_layers(gates, space, *rule[:2])
    return ChainGenotype(**about, layers=layers, notes=notes)


def _edges(about: dict[str, Any], gates: GateMatrices, space: Bench201Space, rule: Rule) -> EdgeGenotype:
    return EdgeGenotype(**about, edges=derive_edges(gates["edges"], space, *rule[:2]))


DERIVATIONS: dict[str, Callable[..., Genotype]] = {"cell": _cells, "chain": _layers, "nasbench201": _edges}
"""kind of a space that has α → its derivation"""


def dominant(gates: np.ndarray, space: Space, part: str, method: str, threshold: float | None) -> dict[str, int]:
    """How many dominant operations each candidate has in one part of the space."""
    if METHODS[method]:  # what the strongest gates say, as nobody knows what a method of a user's own makes of them
        method = "argmax"
    if space.kind == "cell" and method == "argmax":
        return strongest_of_nodes(gates, space)
    return dominant_choices(gates, space.parts[part].candidates, method, threshold)


def check_kind(space: Space, place: str) -> None:
    """Raises UserError, naming the place, where gates make no architecture of this kind of space."""
    if not space.parts:
        why = "what a vertex reads decides its channels, so that gates cannot add up several"
        raise UserError(f"{place}: is searched by paths, not by gradients: {why}; take `fairdarts supernet`")


def check_rule(rule: DeriveSettings, space: Space, place: str) -> None:
    """Raises UserError where a rule is not for this kind of space."""
    if METHODS[rule.method] and rule.max_skips is not None:
        raise UserError(f"{place}max_skips: {rule.max_skips}: is for argmax, threshold and edge; leave it out")
    if space.kind == "cell":
        return
    if rule.method == "edge":
        raise UserError(f"{place}method: edge: is for cell spaces; in {space.name} it should be argmax or threshold")
    if rule.max_skips is not None:
        raise UserError(f"{place}max_skips: {rule.max_skips}: is for cells; leave it out in {space.name}")
    if rule.method == "threshold" and space.kind == "nasbench201" and "none" not in space.candidates:
        left = "an edge without a candidate that reaches it would be left without an operation"
        raise UserError(f"{place}method: threshold: space {space.name} has no none: {left}; take argmax")
