"""How architecture parameters α become the gates under which a supernet runs."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fairdarts.genotype import CELLS
from fairdarts.spaces.cell import CellSpace

Gates = dict[str, Tensor]
"""cell kind ("normal", "reduce") → [edges, candidates]"""

RELAXATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda alpha: alpha.softmax(-1),
    "sigmoid": torch.sigmoid,
}
"""name → α [edges, candidates] to gates of that shape: DARTS' exclusive competition (FairDARTS, eq. 2) or FairDARTS'
independent switches (eq. 6)."""


def relax(alphas: Gates, kind: str) -> Gates:
    """The gates of every cell kind."""
    return {cell: RELAXATIONS[kind](alpha) for cell, alpha in alphas.items()}


def gate_matrices(alphas: Gates, kind: str) -> dict[str, np.ndarray]:
    """The gates of every cell kind as float64 arrays, on the CPU: what is derived from, shown, recorded."""
    return {cell: gate.detach().double().cpu().numpy() for cell, gate in relax(alphas, kind).items()}


def initial_alphas(space: CellSpace, std: float, generator: torch.Generator) -> Gates:
    """α drawn from N(0, std²), on the CPU; std 0 is the fair start where every gate of a relaxation is equal."""
    return {cell: std * torch.randn(space.shape, generator=generator) for cell in CELLS}
