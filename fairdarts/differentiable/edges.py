"""Edge weights β: what arrives at a node over its edges competes (edge normalization, PC-DARTS, arXiv:1907.05737,
section 3.3, eq. 3).

β of a part is a vector [points], an α of its own; of it every edge into a node gets a share of the node. What an edge
gives is multiplied by its share, and so are the gates that a genotype is derived from. The zero-one loss and the
expected cost are those of the gates alone.
"""

from collections import Counter
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.relaxation import Matrices
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.space import Space

if TYPE_CHECKING:
    from fairdarts.differentiable.settings import SearchSettings
    from fairdarts.spaces.cell import CellSpace
    from fairdarts.spaces.nasbench201 import Bench201Space


def beta_of(part: str) -> str:
    """The name of β of a part among the α."""
    return f"{part}.beta"


def initial_betas(space: Space, std: float, generator: torch.Generator) -> Matrices:
    """β [points] of every part, drawn from N(0, std²), on the CPU."""
    shapes = {beta_of(name): len(part.points) for name, part in space.parts.items()}
    return {name: std * torch.randn(count, generator=generator) for name, count in shapes.items()}


def edge_shares(alphas: Matrices, space: Space) -> Matrices | None:
    """The shares [points] of every part, which add up to 1 at every node; None where there is no β among the α."""
    if not all(beta_of(part) in alphas for part in space.parts):
        return None
    counts = [*Counter(node for node, _ in cast("CellSpace | Bench201Space", space).edges).values()]  # in their order
    return {part: _shares(alphas[beta_of(part)], counts) for part in space.parts}


def _shares(beta: Tensor, counts: list[int]) -> Tensor:
    return torch.cat([of_node.softmax(0) for of_node in beta.split(counts)])


def with_shares(gates: Gates, space: Space, shares: Matrices | None) -> Gates:
    """Gates under which all that an edge gives is multiplied by its share."""
    if shares is None:
        return gates
    of_points = {
        point: share
        for name, part in space.parts.items()
        for point, share in zip(part.points, shares[name].unbind(), strict=True)
    }
    return tuple(_shared(gate, of_points[point]) for point, gate in enumerate(gates))


def _shared(gate: Gate, share: Tensor) -> Gate:
    weights = gate.weights
    if weights is None:
        weights = 1 / max(1, len(gate.active))
    whole = weights * share
    if not isinstance(weights, Tensor):
        whole = whole.expand(len(gate.active))
    return gate._replace(weights=whole, scale=share)


def check_edges(settings: "SearchSettings", space: Space) -> None:
    """Raises UserError where there are no edges to weigh."""
    if settings.edges and space.kind not in ("cell", "nasbench201"):
        raise UserError(f"edges: {settings.edges}: is for cells, but space {space.name} is of kind {space.kind}")
