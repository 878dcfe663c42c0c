"""Are all numbers numbers? What has diverged is neither trained further nor judged nor handed on."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairdarts.config import UserError


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every number of the tensors is finite. The device is waited for once."""
    sums = [tensor.detach().double().sum() for tensor in tensors if tensor.is_floating_point()]
    return not sums or bool(torch.stack(sums).isfinite().all())


def check_finite(tensors: Mapping[str, Any], place: str | Path) -> None:
    """Raises UserError naming the place, and the first of its tensors that holds a number which is not finite."""
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor) and not all_finite([tensor]):
            raise UserError(f"{place}: {name}: holds numbers that are not finite: its training has diverged")
