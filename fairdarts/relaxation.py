"""How architecture parameters α become the gates under which a supernet runs."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fairdarts.spaces.space import Space

Gates = dict[str, Tensor]
"""part of the space ("normal" and "reduce", or "layers") → [choice points, candidates]"""

RELAXATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda alpha: alpha.softmax(-1),
    "sigmoid": torch.sigmoid,
}
"""name → α [choice points, candidates] to gates of that shape: DARTS' exclusive competition (FairDARTS, eq. 2) or
FairDARTS' independent switches (eq. 6)."""


def relax(alphas: Gates, kind: str) -> Gates:
    """The gates of every part."""
    return {part: RELAXATIONS[kind](alpha) for part, alpha in alphas.items()}


def gate_matrices(alphas: Gates, kind: str) -> dict[str, np.ndarray]:
    """The gates of every part as float64 arrays, on the CPU: what is derived from, shown, recorded."""
    return {part: gate.detach().double().cpu().numpy() for part, gate in relax(alphas, kind).items()}


def initial_alphas(space: Space, std: float, generator: torch.Generator) -> Gates:
    """α drawn from N(0, std²), on the CPU; std 0 is the fair start where every gate of a relaxation is equal."""
    return {name: std * torch.randn(part.shape, generator=generator) for name, part in space.parts.items()}
