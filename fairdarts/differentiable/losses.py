"""What pushes gates towards zero or one."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from fairdarts.spaces.gates import Gates

ZERO_ONE: dict[str, Callable[[Tensor], Tensor]] = {
    "squared": lambda z: -((z - 0.5) ** 2).mean(),
    "absolute": lambda z: -(z - 0.5).abs().mean(),
}
"""name → zero-one loss of gates z: L₀₋₁ (FairDARTS, eq. 7) and the control L′₀₋₁ (eq. 9)"""


def zero_one(gates: Gates, form: str) -> Tensor:
    """The zero-one loss over the weights of all gates, a scalar from −0.25 (squared) or −0.5 (absolute) to 0."""
    weights = cast("list[Tensor]", [gate.weights for gate in gates])  # as α makes them
    return ZERO_ONE[form](torch.cat(weights))
