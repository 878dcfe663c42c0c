"""How architecture parameters α become the gates under which a supernet runs."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.space import Space

Matrices = dict[str, Tensor]
"""part of the space → α, or gates, of its choice points [points, candidates]"""


def sparsemax(alpha: Tensor) -> Tensor:
    """The point of the probability simplex that is nearest to α [..., candidates]: small ones are zero (Martins and
    Astudillo, arXiv:1602.02068, Algorithm 1)."""
    alpha = alpha - alpha.amax(-1, keepdim=True).detach()  # it changes nothing but rounding
    falling = alpha.sort(-1, descending=True).values
    sums = falling.cumsum(-1)
    places = torch.arange(1, alpha.shape[-1] + 1, device=alpha.device)
    support = (1 + places * falling > sums).sum(-1, keepdim=True)
    threshold = (sums.gather(-1, support - 1) - 1) / support
    return (alpha - threshold).clamp_min(0)


def concentration(alpha: Tensor) -> Tensor:
    """The parameters of the Dirichlet distribution of α: elu(α) + 1, which is 1 for an α of zero (DrNAS,
    arXiv:2006.10355, section 3.2)."""
    return _log_concentration(alpha).exp()


def _log_concentration(alpha: Tensor) -> Tensor:
    return torch.where(alpha > 0, alpha.clamp_min(0).log1p(), alpha)


RELAXATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda alpha: alpha.softmax(-1),
    "sigmoid": torch.sigmoid,
    "sparsemax": sparsemax,
    "dirichlet": lambda alpha: _log_concentration(alpha).softmax(-1),
}
"""name → α [choice points, candidates] to gates of that shape: DARTS' exclusive competition (FairDARTS, eq. 2),
FairDARTS' independent switches (eq. 6), a competition that leaves some at zero, or the mean of DrNAS' distribution. In
all of them an α of −∞ is a gate of zero."""

SIMPLEX = {"softmax", "sparsemax", "dirichlet"}
"""the relaxations under which the gates of a point are probabilities"""
SPARSE = {"sparsemax"}
"""the relaxations under which a candidate may have a gate of zero, and need not run"""


def relax(alphas: Matrices, kind: str) -> Matrices:
    """The gates of every part."""
    return {part: RELAXATIONS[kind](alpha) for part, alpha in alphas.items()}


def dense(matrices: Matrices, space: Space, sparse: bool = False) -> Gates:
    """Gates under which all candidates run, each with its weight in the matrices; with `sparse`, all but those of
    weight zero."""
    found: dict[int, Gate] = {}
    for name, part in space.parts.items():
        every = tuple(range(len(part.candidates)))
        rows = matrices[name].unbind()
        gates = [Gate(every, row) for row in rows]
        if sparse:
            for number, there in enumerate((matrices[name] != 0).tolist()):
                if not all(there):
                    active = tuple(column for column in every if there[column])
                    gates[number] = Gate(active, rows[number][list(active)])
        found |= zip(part.points, gates, strict=True)
    return tuple(found[point] for point in range(len(found)))


def gate_matrices(alphas: Matrices, kind: str) -> dict[str, np.ndarray]:
    """The gates of every part as float64 arrays, on the CPU: what is derived from, shown, recorded."""
    return {part: gate.detach().double().cpu().numpy() for part, gate in relax(alphas, kind).items()}


def initial_alphas(space: Space, std: float, generator: torch.Generator) -> Matrices:
    """α drawn from N(0, std²), on the CPU; std 0 is the fair start where every gate of a relaxation is equal."""
    return {name: std * torch.randn(part.shape, generator=generator) for name, part in space.parts.items()}
