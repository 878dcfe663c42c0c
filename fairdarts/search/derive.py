"""How gates become a genotype, and which operations count as dominant, in any space."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, ChainGenotype, Genotype
from fairdarts.ops.cell import SKIP
from fairdarts.search.derive_cell import derive_cell, dominant_in_cell, limited_cell
from fairdarts.search.derive_chain import derive_layers, dominant_in_chain
from fairdarts.search.settings import DeriveSettings
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench101 import Bench101Space
from fairdarts.spaces.nasbench201 import Bench201Space
from fairdarts.spaces.space import Space

METHODS = ("argmax", "threshold", "edge")

Matrices = dict[str, np.ndarray]
"""part of the space → gates [choice points, candidates]"""


def as_matrices(gates: dict[str, Any], space: Space, place: str) -> Matrices:
    """Gates as checked float64 matrices. Raises UserError where a part is missing, misshapen, or not from 0 to 1."""
    matrices = {}
    for part, shape in ((part, own.shape) for part, own in space.parts.items()):
        if part not in gates:
            raise UserError(f"{place}: no '{part}' in it; should hold {' and '.join(space.parts)} {list(shape)}")
        try:
            matrix = np.asarray(gates[part])
        except ValueError:  # rows of unequal length
            matrix = np.asarray("")
        if matrix.dtype.kind not in "fiu":
            raise UserError(f"{place}: {part}: should be a matrix of numbers")
        matrix = matrix.astype(np.float64)
        if matrix.shape != shape:
            raise UserError(
                f"{place}: {part}: shape {list(matrix.shape)}, should be {list(shape)} "
                f"(choice points, candidates) for space {space.name}"
            )
        if not np.isfinite(matrix).all():
            raise UserError(f"{place}: {part}: holds gates that are not finite: they are of a search that has diverged")
        if not np.all((matrix >= 0) & (matrix <= 1)):
            raise UserError(f"{place}: {part}: should hold gates from 0 to 1 (softmax or sigmoid of α), not α itself")
        matrices[part] = matrix
    return matrices


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
    gates: Matrices,
    space: Space,
    method: str,
    threshold: float | None,
    name: str,
    source: str,
    max_skips: int | None = None,
) -> Genotype:
    """The genotype of gates: see `derive_cell`, `derive_layers`. A cell has at most `max_skips` skip connections."""
    said = {"name": name, "space": space.name, "source": source}
    if isinstance(space, ChainSpace):
        layers, notes = derive_layers(gates["layers"], space, method, threshold)
        return ChainGenotype(schema=1, **said, notes=notes, layers=layers)
    limited = max_skips is not None and SKIP in space.candidates
    cells = {
        cell: limited_cell(gates[cell], space, method, threshold, max_skips)
        if limited
        else derive_cell(gates[cell], space, method, threshold)
        for cell in space.parts
    }
    return CellGenotype(schema=1, **said, **cells)


def dominant(gates: np.ndarray, space: Space, method: str, threshold: float | None) -> dict[str, int]:
    """How many dominant operations each candidate has in one part of the space."""
    count = dominant_in_chain if isinstance(space, ChainSpace) else dominant_in_cell
    return count(gates, space, method, threshold)


def check_kind(space: Space, place: str) -> None:
    """Raises UserError, naming the place, where gates make no architecture of this kind of space."""
    if isinstance(space, Bench101Space | Bench201Space):
        raise UserError(f"{place}: is searched by paths; a gradient search needs a cell or a chain space")


def check_rule(rule: DeriveSettings, space: Space, place: str) -> None:
    """Raises UserError where a rule is not for this kind of space."""
    if isinstance(space, ChainSpace):
        if rule.method == "edge":
            raise UserError(
                f"{place}method: edge: is for cell spaces; in {space.name} it should be argmax or threshold"
            )
        if rule.max_skips is not None:
            raise UserError(f"{place}max_skips: {rule.max_skips}: is for cells; leave it out in {space.name}")
