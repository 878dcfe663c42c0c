"""What shape does a function of torch give? Known here of those that the library's networks call, without running them.

On the meta device torch runs most of them in Python, and loads its compiler to do so, nearly as long as all the rest of
torch. A rule gives a tensor of the right shape whose values mean nothing, or None where the function has to be run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.runtime.shape import sides


def _same(input: Tensor, *_: Any, **__: Any) -> Tensor:
    return input


def _elementwise(input: Tensor, other: Any, alpha: Any = 1) -> Tensor | None:
    if not isinstance(other, Tensor):
        return input if input.is_floating_point() and isinstance(other, int | float) else None
    if (other.dim(), other.dtype) != (input.dim(), input.dtype):
        return None
    return input if all(side in (1, own) for side, own in zip(other.shape, input.shape, strict=True)) else None


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    if len({(tensor.dim(), tensor.dtype) for tensor in tensors}) != 1:
        return None
    shape = list(tensors[0].shape)
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return tensors[0].new_empty(shape)


def _mean(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor | None:
    if not isinstance(dim, tuple):
        return None
    gone = {axis % input.dim() for axis in dim}
    every = enumerate(input.shape)
    return input.new_empty([1 if axis in gone else side for axis, side in every if keepdim or axis not in gone])


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if isinstance(padding, str) or weight.shape[1] * groups != input.shape[-3]:
        return None
    return _moved(input, weight.shape[2:], stride, padding, dilation, channels=len(weight))


def _avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor | None:
    return _moved(input, kernel_size, stride or kernel_size, padding, ceil=ceil_mode)


def _max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    return None if return_indices else _moved(input, kernel_size, stride or kernel_size, padding, dilation, ceil_mode)


def _adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor | None:
    return input.new_empty(*input.shape[:-2], *sides(output_size)) if isinstance(output_size, int) else None


def _linear(input: Tensor, weight: Tensor, bias: Any = None) -> Tensor | None:
    return input.new_empty(*input.shape[:-1], len(weight)) if input.shape[-1] == weight.shape[1] else None


def _moved(
    x: Tensor,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil: bool = False,
    channels: int | None = None,
) -> Tensor | None:
    """What a window gives that moves over x [B, C, H, W]: [B, channels or C, H', W']."""
    if x.dim() != 4:
        return None
    axes = zip(x.shape[2:], *map(_pair, (kernel, stride, padding, dilation)), strict=True)
    shape = [_places(*axis, ceil=ceil) for axis in axes]
    return x.new_empty(len(x), channels or x.shape[1], *shape) if min(shape) > 0 else None


def _pair(sizes: Any) -> tuple[int, int]:
    """A number for each axis, of what torch takes: one of both, or alone in a tuple, or two."""
    return sides(sizes if isinstance(sizes, int) or len(sizes) > 1 else sizes[0])


def _places(side: int, kernel: int, step: int, pad: int, apart: int, *, ceil: bool) -> int:
    """At how many places a window stands along a side."""
    room = side + 2 * pad - apart * (kernel - 1) - 1
    if not ceil:
        return room // step + 1
    places = -(-room // step) + 1
    return places - ((places - 1) * step >= side + pad)  # the last one may not begin behind x


SHAPES: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    **dict.fromkeys((F.batch_norm, F.dropout, F.hardtanh, F.relu, F.silu, Tensor.sigmoid), _same),
    **dict.fromkeys((Tensor.add, Tensor.mul), _elementwise),
    torch.zeros_like: lambda input: input,
    torch.cat: _cat,
    Tensor.mean: _mean,
    F.conv2d: _conv2d,
    F.avg_pool2d: _avg_pool2d,
    F.max_pool2d: _max_pool2d,
    F.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    F.linear: _linear,
}
"""function → its rule, which takes the same arguments"""
