"""How the gates of a pass are drawn: which candidates run, and with which weights.

Every draw is made by a generator whose seed follows from the search's seed, the step and the half of the images: equal
for all parts of a batch, for all processes, and for a search that is resumed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairdarts.differentiable.components import Gumbel
from fairdarts.relaxation import Matrices, concentration, dense
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.space import Space

Rows = Callable[[Tensor], list[Gate]]
"""relaxed gates [points, candidates] of a part → the gates of its points"""


class Draw(NamedTuple):
    """What a draw depends on besides the gates."""

    space: Space
    alphas: Matrices
    """part → α [points, candidates] that the gates were made of"""
    relaxation: str
    """how"""
    done: float
    """share of the epochs that are done: 0 in the first one, 1 in the last"""
    trains_alphas: bool
    """whether a gradient of α is asked for"""
    sparse: bool
    """whether there are candidates of gate zero, which do not run"""
    generator: torch.Generator


def through(hard: float, soft: Tensor) -> Tensor:
    """A straight-through gate: the number `hard` exactly, with the gradient of `soft`."""
    return hard + (soft - soft.detach())


def temperature(settings: Gumbel, done: float) -> float:
    """τ, when a share of the epochs is done."""
    first, last = settings.temperature
    return first * (last / first) ** done if settings.cooling == "exponential" else first + (last - first) * done


def gumbel(settings: Gumbel, gates: Matrices, draw: Draw) -> Gates:
    """y = softmax((log p + G) / τ), G from the Gumbel distribution (SNAS, eq. 5; GDAS, eq. 4), for p in proportion to
    the gates. Where `hard`, the candidate of the largest y runs alone: y is its gradient (GDAS, eq. 5 to 7)."""
    tau, found = temperature(settings, draw.done), {}
    for part, p in gates.items():
        uniform = torch.rand(p.shape, generator=draw.generator, device=p.device, dtype=p.dtype)
        noise = -(-uniform.clamp_min(torch.finfo(p.dtype).tiny).log()).clamp_min(torch.finfo(p.dtype).tiny).log()
        logits = p.clamp_min(torch.finfo(p.dtype).tiny).log().masked_fill(p == 0, -torch.inf)
        found[part] = ((logits + noise) / tau).softmax(-1)
    if not settings.hard:
        return dense(found, draw.space, draw.sparse)
    return _gates(draw.space, found, _strongest)


def _strongest(gates: Tensor) -> list[Gate]:
    strongest = zip(gates.argmax(-1).tolist(), gates.unbind(), strict=True)
    return [Gate((best,), through(1.0, row[best : best + 1])) for best, row in strongest]


def binary(_: Any, gates: Matrices, draw: Draw) -> Gates:
    """One candidate of every point, drawn in proportion to the gates p; where α learns two, of which one has gate 1 and
    the other 0, with the gradient of p, normalized over the two (ProxylessNAS, sections 3.2.1 and 3.2.2).

    Of a softmax, that is the softmax of the two: no other α has a gradient then, not even one that is all rounding.
    """
    if draw.relaxation == "softmax":
        gates = {part: _apart(p.detach(), draw.alphas[part]) for part, p in gates.items()}

    def one(p: Tensor) -> list[Gate]:
        return [Gate((choice,)) for choice in _drawn(p, 1, draw.generator).flatten().tolist()]

    def two(p: Tensor) -> list[Gate]:
        pairs = _drawn(p, min(2, p.shape[-1]), draw.generator)
        runs = _drawn(p.detach().gather(-1, pairs), 1, draw.generator)
        if pairs.shape[-1] == 2:  # the one that runs comes first
            pairs = torch.cat([pairs.gather(-1, runs), pairs.gather(-1, 1 - runs)], -1)
        shares = p.gather(-1, pairs)
        shares = shares / shares.sum(-1, keepdim=True)
        weights = torch.zeros_like(shares).index_fill_(-1, runs.new_tensor([0]), 1.0) + (shares - shares.detach())
        there = (shares > 0).sum(-1).tolist()  # of some points no second one can be drawn
        rows = zip(pairs.tolist(), weights.unbind(), there, strict=True)
        return [Gate(tuple(pair[:count]), row[:count], idle=count - 1) for pair, row, count in rows]

    return _gates(draw.space, gates, two if draw.trains_alphas else one)


def _apart(p: Tensor, alpha: Tensor) -> Tensor:
    """p itself, but with the gradient of exp α up to a factor for each point: what is p once it is normalized."""
    return p * (alpha - alpha.detach()).masked_fill(p == 0, 0).exp()


def uniform(_: Any, gates: Matrices, draw: Draw) -> Gates:
    """One candidate of every point, each as likely as any other; where α learns all, under the gates themselves (SETN,
    as NAS-Bench-201, arXiv:2001.00326, runs it)."""
    if draw.trains_alphas:
        return dense(gates, draw.space, draw.sparse)

    def one(p: Tensor) -> list[Gate]:
        return [Gate((choice,)) for choice in _drawn((p > 0).to(p.dtype), 1, draw.generator).flatten().tolist()]

    return _gates(draw.space, gates, one)


def dirichlet(_: Any, gates: Matrices, draw: Draw) -> Gates:
    """Samples of Dirichlet distributions, with the gradient of their concentrations (DrNAS, eq. 4 and 5)."""
    found = {}
    for part, mean in gates.items():
        alive = mean > 0
        whole = concentration(draw.alphas[part]).sum(-1, keepdim=True)
        shape = (mean * whole).masked_fill(~alive, 1.0)  # of gates that are not moved, the concentration itself
        drawn = torch._standard_gamma(shape, generator=draw.generator).clamp_min(torch.finfo(mean.dtype).tiny)
        drawn = drawn.masked_fill(~alive, 0.0)
        found[part] = drawn / drawn.sum(-1, keepdim=True)
    return dense(found, draw.space, draw.sparse)


def _drawn(p: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Indices of so many different candidates [points, count], in proportion to p [points, candidates]; those that
    cannot be drawn come last."""
    with torch.no_grad():
        return torch.multinomial(p.clamp_min(torch.finfo(p.dtype).tiny), count, generator=generator)


def _gates(space: Space, gates: Matrices, rows: Rows) -> Gates:
    found: dict[int, Gate] = {}
    for name, part in space.parts.items():
        found |= zip(part.points, rows(gates[name]), strict=True)
    return tuple(found[point] for point in range(len(found)))


SAMPLERS: dict[str, Callable[[Any, Matrices, Draw], Gates]] = {
    "gumbel": gumbel,
    "binary": binary,
    "uniform": uniform,
    "dirichlet": dirichlet,
}
"""`sampling.kind` → the gates of a pass from settings, relaxed gates by part, and what a draw depends on"""
