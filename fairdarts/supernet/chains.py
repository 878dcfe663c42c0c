"""What arrives at a node: a sum of operations under their gates.

Whatever ends in a pointwise convolution and a BatchNorm without weights is a *chain* of units: a depthwise convolution
or none, a pointwise convolution, a BatchNorm, and a ReLU between two units. The input of a chain is rectified already,
for all chains that read it at once. A chain without units is its input.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.cell import FactorizedReduce, Separable
from fairdarts.ops.depthwise import depthwise, is_depthwise


class Unit(NamedTuple):
    """A depthwise convolution (or none), a pointwise convolution, a BatchNorm."""

    kernel: Tensor | None
    """of the depthwise convolution [C, 1, k, k]"""
    weight: Tensor
    """of the pointwise convolution [D, C] or [D, C, 1, 1]"""
    stride: int
    """of the depthwise convolution"""
    dilation: int
    """of the depthwise convolution"""
    norm: nn.BatchNorm2d
    """whose statistics follow the batches in training, and are used in evaluation"""


class Term(NamedTuple):
    """gate · chain(input)"""

    input: Tensor
    """[B, C, H, W]"""
    gate: Tensor
    """a scalar"""
    chain: tuple[Unit, ...]
    """none: the input itself"""


def chain_of(operation: nn.Module) -> tuple[Unit, ...] | None:
    """The operation as a chain, or None where it is none.

    The chain of a FactorizedReduce reads what its `gather` makes of the input: side by side, what its two convolutions
    read, so that both are one.
    """
    if type(operation) is FactorizedReduce and _follows_batches(operation.bn):
        halves = (conv.weight.flatten(1) for conv in (operation.conv_1, operation.conv_2))
        return (Unit(None, torch.block_diag(*halves), 1, 1, operation.bn),)
    if type(operation) is not Separable:
        return None
    units, modules = [], iter(operation)
    for rectify in modules:
        spread, point = None, next(modules, None)
        if is_depthwise(point):
            spread, point = point, next(modules, None)
        norm = next(modules, None)
        if type(rectify) is not nn.ReLU or not _is_pointwise(point) or not _follows_batches(norm):
            return None
        stretch = (1, 1) if spread is None else (spread.stride[0], spread.dilation[0])
        units.append(Unit(None if spread is None else spread.weight, point.weight, *stretch, norm))
    return tuple(units)


def _is_pointwise(module: nn.Module | None) -> bool:
    form = (module.kernel_size, module.stride, module.groups) if type(module) is nn.Conv2d else None
    return form == ((1, 1), (1, 1), 1) and module.bias is None


def _follows_batches(module: nn.Module | None) -> bool:
    """Whether it is a BatchNorm without weights whose statistics move by a momentum."""
    known = type(module) is nn.BatchNorm2d and not module.affine
    return known and module.track_running_stats and module.momentum is not None


def plain_sum(terms: Sequence[Term], training: bool, track: bool = True) -> Tensor:
    """Σ gate · chain(input) [B, D, H', W'] in torch's own operations.

    Training takes the statistics of the batch and, with `track`, moves the norms' own towards them.
    """
    total = None
    for x, gate, chain in terms:
        for position, unit in enumerate(chain):
            x = F.relu(x) if position else x
            x = x if unit.kernel is None else depthwise(x, unit.kernel, unit.stride, unit.dilation)
            x = F.conv2d(x, unit.weight.view(*unit.weight.shape[:2], 1, 1))
            norm, scale = unit.norm, None
            if position == len(chain) - 1:  # contiguous, or gradients are wrong in channels_last on the CPU
                scale = gate.expand(len(unit.weight)).contiguous()
            own = (norm.running_mean, norm.running_var) if track or not training else (None, None)
            if training and track:
                norm.num_batches_tracked.add_(1)
            x = F.batch_norm(x, *own, scale, None, training, norm.momentum, norm.eps)
        x = x if chain else gate * x
        total = x if total is None else total + x
    return total
