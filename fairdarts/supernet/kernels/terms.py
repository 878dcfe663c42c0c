"""What arrives at a node: a sum of operations under their gates.

Whatever ends in a pointwise convolution and a BatchNorm without weights is a sequence of *units*: a depthwise
convolution or none, a pointwise convolution, a BatchNorm, and a ReLU between two units. The input of units is
rectified already, for all operations that read it at once. A term without units is its input.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.cell import FactorizedReduce, Separable
from fairdarts.ops.depthwise import depthwise, is_depthwise
from fairdarts.ops.mbconv import Projection
from fairdarts.ops.nasbench201 import ReluConvBn


class Norm(Protocol):
    """A BatchNorm2d that `takes_batches`. Its statistics are tensors [D] where it tracks them, else None."""

    momentum: float
    eps: float
    training: bool
    track_running_stats: bool
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any


class Unit(NamedTuple):
    """A depthwise convolution (or none), a pointwise convolution, a BatchNorm."""

    kernel: Tensor | None
    """of the depthwise convolution [C, 1, k, k]"""
    weight: Tensor | None
    """of the pointwise convolution [D, C] or [D, C, 1, 1]; None where the input is its output already"""
    stride: int
    """of the depthwise convolution"""
    dilation: int
    """of the depthwise convolution"""
    norm: Norm
    """takes the statistics of the batch in training, and if it tracks them its own in evaluation"""
    limit: float = math.inf
    """the most that the activation before it gives: 6 for ReLU6"""


class Term(NamedTuple):
    """gate · units(input)"""

    input: Tensor
    """[B, C, H, W]"""
    gate: Tensor | None
    """a scalar; None: the output as it is"""
    units: tuple[Unit, ...] = ()
    """none: the input itself"""


def units_of(operation: nn.Module) -> tuple[Unit, ...] | None:
    """The operation as units, or None where it is something else.

    That of a FactorizedReduce reads what its `gather` makes of the input: side by side, what its two convolutions read,
    so that both are one. A ReluConvBn of a larger kernel is its BatchNorm alone, which reads the convolution's output.
    """
    if type(operation) is FactorizedReduce and takes_batches(operation.bn):
        halves = (conv.weight.flatten(1) for conv in (operation.conv_1, operation.conv_2))
        return (Unit(None, torch.block_diag(*halves), 1, 1, operation.bn),)
    if type(operation) is ReluConvBn and takes_batches(operation.bn):
        return (Unit(None, operation.conv.weight if _is_pointwise(operation.conv) else None, 1, 1, operation.bn),)
    if type(operation) is not Separable:
        return None
    units: list[Unit] = []
    modules = iter(operation)
    for rectify in modules:
        spread: nn.Conv2d | None = None
        point = next(modules, None)
        if is_depthwise(point):
            spread, point = point, next(modules, None)
        norm = next(modules, None)
        if type(rectify) is not nn.ReLU or not _is_pointwise(point) or not takes_batches(norm):
            return None
        stride, dilation = (1, 1) if spread is None else (spread.stride[0], spread.dilation[0])
        units.append(Unit(None if spread is None else spread.weight, point.weight, stride, dilation, norm))
    return tuple(units)


def _is_pointwise(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    if type(module) is not nn.Conv2d:
        return False
    return (module.kernel_size, module.stride, module.groups) == ((1, 1), (1, 1), 1) and module.bias is None


def takes_batches(module: nn.Module | None) -> TypeGuard[Norm]:
    """Whether it is a BatchNorm without weights whose statistics, if it tracks any, move by a momentum."""
    return type(module) is nn.BatchNorm2d and not module.affine and module.momentum is not None


def plain_sum(terms: Sequence[Term], training: bool, track: bool = True) -> Tensor:
    """Σ gate · units(input) [B, D, H', W'] in torch's own operations.

    Training takes the statistics of the batch and, with `track`, moves the norms' own towards them.
    """
    total: Tensor | None = None
    for x, gate, units in terms:
        for position, unit in enumerate(units):
            x = activated(x, unit.limit) if position else x
            x = x if unit.kernel is None else depthwise(x, unit.kernel, unit.stride, unit.dilation)
            x = x if unit.weight is None else F.conv2d(x, unit.weight.view(*unit.weight.shape[:2], 1, 1))
            x = _normalized(x, unit.norm, gate if position == len(units) - 1 else None, training, track)
        x = x if units or gate is None else gate * x
        total = x if total is None else total + x
    assert total is not None
    return total


def activated(x: Tensor, limit: float) -> Tensor:
    """max(0, min(limit, x)): a ReLU, or with a limit of 6 a ReLU6."""
    return F.relu(x) if limit == math.inf else F.hardtanh(x, 0.0, limit)


def _normalized(x: Tensor, norm: Norm, gate: Tensor | None, training: bool, track: bool = True) -> Tensor:
    """gate · norm(x) for a BatchNorm without weights: the gate takes their place."""
    tracked = norm.running_mean is not None
    batch = training or not tracked
    mean, var = (norm.running_mean, norm.running_var) if tracked and (track or not training) else (None, None)
    if training and tracked and track:
        norm.num_batches_tracked.add_(1)
    scale = None
    if gate is not None:  # contiguous, or gradients are wrong in channels_last on the CPU
        gate = gate.to(norm.running_mean.dtype) if tracked else gate
        scale = gate.expand(x.shape[1]).contiguous()
    return F.batch_norm(x, mean, var, scale, None, batch, norm.momentum, norm.eps)


def gated(operation: nn.Module, x: Tensor, gate: Tensor) -> Tensor:
    """gate · operation(x). Where a BatchNorm without weights ends the operation, the gate is its weight."""
    if not (isinstance(operation, nn.Sequential) and takes_batches(last := operation[-1])):
        return gate * operation(x)
    x = operation.taken(x) if isinstance(operation, Projection) else x
    for module in list(operation)[:-1]:
        x = module(x)
    return _normalized(x, last, gate, last.training)


def averages(module: nn.Module) -> bool:
    """Whether a module is the average pooling for `averaged`: it keeps the size, and does not count the padding."""
    if type(module) is not nn.AvgPool2d or module.count_include_pad or module.divisor_override:
        return False
    size = module.kernel_size
    return isinstance(size, int) and size % 2 == 1 and (module.stride, module.padding) == (1, size // 2)


def averaged(pool: nn.AvgPool2d, x: Tensor) -> Tensor:
    """pool(x): where the CPU trains, as a depthwise convolution, whose gradient is faster."""
    if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return pool(x)
    size = pool.kernel_size
    assert isinstance(size, int)
    kernel = x.new_ones(x.shape[1], 1, size, size)
    ones = x.new_ones(1, 1, *x.shape[2:])
    return depthwise(x, kernel, 1, 1) / depthwise(ones, kernel[:1], 1, 1)
