"""What networks under α's gates are expected to cost, and how that enters the loss of α."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fairdarts.cost.table import Table
from fairdarts.differentiable.settings import CostSettings, DeriveSettings
from fairdarts.relaxation import Matrices
from fairdarts.spaces.space import Space

DAMPING = 10
"""p of a weight of 1. With 1 the cost swings about its target, as α answers λ only after some hundred steps; with 10 it
settles (a test holds it within 3 %)."""

Form = Callable[[Tensor, Tensor, "Price"], Tensor]
"""loss, expected cost as a share of its target, price → the loss with the cost in it, scalars"""


@dataclass(frozen=True, eq=False)
class Price:
    """The cost of a search's gates, in units of its target."""

    settings: CostSettings
    fixed: float
    """of what every network has"""
    shares: Matrices
    """part → what a candidate adds under a gate of 1 [points, candidates]"""
    multiplier: Tensor
    """λ, a float64 scalar, which `ascend` changes in place"""
    steps: int
    """steps of an epoch"""

    def expected(self, gates: Matrices) -> Tensor:
        """The expected cost under gates, as a share of the target: a scalar with a gradient in the gates.

        The sum of what all networks have and of gate times cost over all candidates: exact where gates are
        probabilities and every point keeps one candidate, or where a gate says whether its candidate is kept.
        """
        return torch.stack([(gates[part] * cost).sum() for part, cost in self.shares.items()]).sum() + self.fixed

    def added(self, loss: Tensor, gates: Matrices) -> Tensor:
        """A loss with the cost of its gates in it."""
        return FORMS[self.settings.form](loss, self.expected(gates), self)

    @torch.no_grad()
    def ascend(self, gates: Matrices) -> None:
        """A step of dual ascent: λ grows while the cost is above its target, and shrinks while it is below."""
        if self.settings.form == "lagrange":
            rate = self.settings.weight / self.steps
            self.multiplier.add_(rate * (self.expected(gates).double() - 1))

    def record(self, gates: Matrices, derived: float | None) -> dict[str, Any]:
        """What an epoch's record says of the cost, of the network `derived` too, where the gates make one."""
        cost: dict[str, Any] = {"quantity": self.settings.quantity, "target": self.settings.target}
        cost |= {"expected": float(self.expected(gates)) * self.settings.target, "derived": derived}
        return cost | ({"multiplier": float(self.multiplier)} if self.settings.form == "lagrange" else {})


def _lagrange(loss: Tensor, cost: Tensor, price: Price) -> Tensor:
    """The augmented Lagrangian of cost = target (Hestenes, "Multiplier and gradient methods", 1969): L + λ g + p/2 g²
    of the excess g."""
    excess = cost - 1
    return loss + price.multiplier.to(loss.dtype) * excess + DAMPING * price.settings.weight / 2 * excess**2


FORMS: dict[str, Form] = {
    "weighted": lambda loss, cost, price: loss + price.settings.weight * cost,
    "power": lambda loss, cost, price: loss * cost**price.settings.weight,
    "hinge": lambda loss, cost, price: loss + price.settings.weight * (cost - 1).clamp(min=0),
    "lagrange": _lagrange,
}
"""`cost.form` → how the expected cost enters the loss"""


def make_price(
    settings: CostSettings, rule: DeriveSettings, table: Table, space: Space, like: Tensor, steps: int
) -> Price:
    """The price of a search that begins, on the device and in the precision of `like`."""
    target, edges = settings.target, kept_edges(space, rule)
    shares = {}
    for name, part in space.parts.items():
        rows = [[cost * edges[point] / target for cost in table.choices[point]] for point in part.points]
        shares[name] = torch.tensor(rows, dtype=like.dtype, device=like.device)
    multiplier = torch.zeros((), dtype=torch.float64, device=like.device)
    return Price(settings, table.fixed / target, shares, multiplier, steps)


def kept_edges(space: Space, rule: DeriveSettings) -> tuple[float, ...]:
    """How much of every choice point a derived network has: 1; or of the edges into a node of a cell, of which the rule
    keeps two, two divided by their number."""
    return (1.0,) * len(space.points) if rule.method == "edge" else space.shares


def least_expected(table: Table, rule: DeriveSettings, space: Space) -> float:
    """The least cost that softmax gates can be expected to have."""
    return _expected(min, table, rule, space)


def greatest_expected(table: Table, rule: DeriveSettings, space: Space) -> float:
    """The greatest cost that softmax gates can be expected to have."""
    return _expected(max, table, rule, space)


def _expected(of: Callable[..., float], table: Table, rule: DeriveSettings, space: Space) -> float:
    edges = zip(table.choices, kept_edges(space, rule), strict=True)
    return table.fixed + sum(of(costs) * edge for costs, edge in edges)
