"""What shape does a function of torch give? Known here of those that the library's networks call, without running them.

On the meta device torch runs most of them in Python, and loads its compiler to do so, nearly as long as all the rest of
torch. A rule gives a tensor of the right shape whose values mean nothing, or None where the function has to be run: by
torch, which also refuses what it is not for.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.runtime.shape import sides


def _same(input: Tensor, *_: Any, **__: Any) -> Tensor | None:
    return input if input.is_floating_point() else None


def _batch_norm(input: Tensor, *tensors: Any, training: bool = False, **named: Any) -> Tensor | None:
    """Statistics, weight and bias have a number for each channel; a single value is not normalized."""
    given = [own for own in (*tensors[:4], *named.values()) if isinstance(own, Tensor)]
    training = tensors[4] if len(tensors) > 4 else training
    if not all(_like(own, input) and own.shape == input.shape[1:2] for own in given):
        return None
    return None if training and input.numel() <= input.shape[1] else _same(input)


def _like(one: Tensor, other: Tensor) -> bool:
    return (one.dtype, one.device) == (other.dtype, other.device)


def _elementwise(input: Tensor, other: Any, alpha: Any = 1) -> Tensor | None:
    if not isinstance(other, Tensor):
        return input if input.is_floating_point() and isinstance(other, int | float) else None
    if other.dim() != input.dim() or not _like(other, input):
        return None
    return input if all(side in (1, own) for side, own in zip(other.shape, input.shape, strict=True)) else None


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    shapes = [list(tensor.shape) for tensor in tensors]
    joined = sum(shape.pop(dim) for shape in shapes)
    if not all(_like(tensor, tensors[0]) for tensor in tensors) or any(shape != shapes[0] for shape in shapes):
        return None
    shape = list(tensors[0].shape)
    shape[dim] = joined
    return tensors[0].new_zeros(shape)


def _mean(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor | None:
    if not isinstance(dim, tuple) or not dim or not input.is_floating_point():
        return None
    axes = range(input.dim())
    gone = {axes[axis] for axis in dim}
    if len(gone) < len(dim):
        return None
    every = enumerate(input.shape)
    return input.new_zeros([1 if axis in gone else side for axis, side in every if keepdim or axis not in gone])


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if isinstance(padding, str) or weight.shape[1] * groups != input.shape[-3] or len(weight) % groups:
        return None
    if not _fits(bias, weight, input):
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
    return _pooled(input, kernel_size, stride, padding, ceil=ceil_mode)


def _max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | None:
    return None if return_indices else _pooled(input, kernel_size, stride, padding, dilation, ceil_mode)


def _pooled(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil: bool = False) -> Tensor | None:
    """Padding is at most half a window."""
    if any(2 * pad > side for pad, side in zip(_pair(padding), _pair(kernel), strict=True)):
        return None
    return _moved(x, kernel, stride or kernel, padding, dilation, ceil) if x.is_floating_point() else None


def _adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor | None:
    if not isinstance(output_size, int) or output_size < 1 or input.dim() != 4 or not input.is_floating_point():
        return None
    return input.new_zeros(*input.shape[:-2], *sides(output_size))


def _linear(input: Tensor, weight: Tensor, bias: Any = None) -> Tensor | None:
    if weight.dim() != 2 or input.shape[-1] != weight.shape[1] or not _fits(bias, weight, input):
        return None
    return input.new_zeros(*input.shape[:-1], len(weight))


def _fits(bias: Any, weight: Tensor, x: Tensor) -> bool:
    """Whether a bias, which may be None, and weights can be those of a function of x."""
    return _like(weight, x) and (bias is None or (bias.shape == weight.shape[:1] and _like(bias, x)))


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
    steps, pads, distances = map(_pair, (stride, padding, dilation))
    if min(*steps, *distances) < 1 or min(pads) < 0:
        return None
    axes = zip(x.shape[2:], _pair(kernel), steps, pads, distances, strict=True)
    shape = [_places(*axis, ceil=ceil) for axis in axes]
    return x.new_zeros(len(x), channels or x.shape[1], *shape) if min(shape) > 0 else None


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
    F.batch_norm: _batch_norm,
    **dict.fromkeys((F.dropout, F.hardtanh, F.relu, F.silu, Tensor.sigmoid), _same),
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
