"""The kernels of native.cpp on tensors: images [B, C, H, W] in channels_last, and all else contiguous."""

import ctypes
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from fairdarts.native.build import library

Mode = Literal["auto", "never"]

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
KERNELS = (3, 5, 7)
"""sizes that depthwise convolutions may have"""

_mode: Mode = "auto"


def use_native(mode: Mode) -> None:
    """From now on functions for the CPU run by native kernels where they can (`auto`), or by torch's own (`never`)."""
    global _mode
    _mode = mode


def takes(*tensors: Tensor) -> bool:
    """Whether native kernels are there and wanted for tensors: plain ones of one precision on the CPU, run eagerly."""
    if _mode != "auto" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if under_torch_func():
        return False
    dtype = tensors[0].dtype
    return dtype in DTYPES and all(_is_plain(x, dtype) for x in tensors) and library() is not None


def knows(kernel: int, stride: int) -> bool:
    """Whether there is a depthwise convolution of a size and a stride."""
    return kernel in KERNELS and stride in (1, 2)


def under_torch_func() -> bool:
    """Whether torch.func transforms what runs, which knows no function that brings its own gradient."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def _is_plain(x: Tensor, dtype: torch.dtype) -> bool:
    """Whether numbers lie where `data_ptr` points: not so of subclasses of Tensor, sparse and meta tensors."""
    dense = type(x) in (Tensor, Parameter) and x.is_cpu and x.layout is torch.strided
    return dense and x.dtype is dtype and x.numel() > 0


class Geometry(ctypes.Structure):
    """A batch of images and a depthwise convolution of it; a kernel of 0 stands for none."""

    images: int
    channels: int
    height: int
    width: int
    out_height: int
    out_width: int
    kernel: int
    stride: int
    dilation: int

    @property
    def address(self) -> int:
        return ctypes.addressof(self)

    def empty(self, like: Tensor, channels: int) -> Tensor:
        """Room for what a convolution gives, of so many channels."""
        size = self.images, channels, self.out_height, self.out_width
        return torch.empty(size, dtype=like.dtype, device="cpu", memory_format=torch.channels_last)


Geometry._fields_ = [(name, ctypes.c_int64) for name in Geometry.__annotations__]


@lru_cache(maxsize=4096)
def geometry_of(shape: torch.Size, kernel: int, stride: int, dilation: int) -> Geometry:
    """That of images of a shape [B, C, H, W]."""
    height, width = shape[2:]
    return Geometry(*shape, -(-height // stride), -(-width // stride), kernel, stride, dilation)


@lru_cache(maxsize=2)
def _gated(dtype: torch.dtype) -> type[ctypes.Structure]:
    real = ctypes.c_float if dtype is torch.float32 else ctypes.c_double
    fields = [("rows", ctypes.c_void_p), ("known", ctypes.c_void_p), ("gate", real)]
    return type("Gated", (ctypes.Structure,), {"_fields_": fields})


@lru_cache(maxsize=64)
def _function(name: str, dtype: torch.dtype) -> Any:
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    real = ctypes.c_float if dtype is torch.float32 else ctypes.c_double
    arguments = {
        "kernel_gradient": (pointer,) * 4,
        "unit_forward": (
            pointer,
            size,
            pointer,
            pointer,
            real,
            *(pointer,) * 5,
            number,
            pointer,
            pointer,
            real,
            *(pointer,) * 3,
            real,
        ),
        "add_up": (size, size, size, pointer, pointer),
        "dots": (size, size, size, *(pointer,) * 4),
        "unit_backward": (
            pointer,
            size,
            *(pointer,) * 3,
            real,
            *(pointer,) * 6,
            real,
            *(pointer,) * 4,
            number,
            *(pointer,) * 3,
        ),
    }
    function = getattr(library(), f"{name}_{DTYPES[dtype]}")
    function.argtypes, function.restype = (*arguments[name], number), None
    return function


def _at(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def kernel_gradient(pull: Tensor, x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    """The gradient of a kernel [C, 1, k, k] under a pull on the depthwise convolution of x [B, C, H', W']."""
    geometry, gradient = geometry_of(x.shape, kernel.shape[-1], stride, dilation), torch.empty_like(kernel)
    tensors = pull.data_ptr(), x.data_ptr(), gradient.data_ptr()
    _function("kernel_gradient", x.dtype)(geometry.address, *tensors, torch.get_num_threads())
    return gradient


class Form(NamedTuple):
    """A unit: a depthwise convolution or none, a pointwise one or none, a BatchNorm."""

    kernel: Tensor | None
    """[C, 1, k, k]"""
    weight: Tensor | None
    """of the pointwise convolution [D, C, 1, 1]"""
    stride: int
    dilation: int
    norm: Any
    """an nn.BatchNorm2d that moves its statistics by a momentum, if any"""
    affine: tuple[Tensor, Tensor] | None = None
    """weight and bias of the BatchNorm [D]"""
    limit: float = math.inf
    """where an activation is before the unit, the most that it gives: 6 for ReLU6"""

    def geometry(self, x: Tensor) -> Geometry:
        """That of x. ValueError where x has other channels than the convolutions read."""
        read = {part.shape[place] for place, part in enumerate(self[:2]) if part is not None}
        if read != {x.shape[1]}:
            raise ValueError(f"x has {x.shape[1]} channels, but convolutions read {', '.join(map(str, sorted(read)))}")
        return geometry_of(x.shape, 0 if self.kernel is None else self.kernel.shape[-1], self.stride, self.dilation)

    def width(self, x: Tensor) -> int:
        """Channels that it gives."""
        return x.shape[1] if self.weight is None else self.weight.shape[0]


class Made(NamedTuple):
    """What a unit makes of what it reads."""

    y: Tensor | None
    """what its depthwise convolution gives [B, C, H', W']"""
    raw: Tensor
    """what its BatchNorm reads [B, D, H', W']"""
    known: Tensor
    """mean and 1 / deviation of raw, weight and bias of the BatchNorm [4, D]"""


def unit_forward(form: Form, x: Tensor, before: Tensor | None, known: Tensor | None = None) -> Made:
    """Goes through a unit, and moves the running statistics of its BatchNorm.

    It reads x; where another unit is before it, x is the raw output of that one, and `before` what is known of it. With
    `known`, which is of an earlier time, all is made again, and no statistics move. ValueError where a BatchNorm would
    take statistics of one value.
    """
    geometry, width, norm = form.geometry(x), form.width(x), form.norm
    y = None if form.kernel is None else geometry.empty(x, geometry.channels)
    raw = y if form.weight is None else geometry.empty(x, width)
    assert raw is not None
    if raw.numel() == width:
        raise ValueError("BatchNorm has no statistics of a single value: more images, or larger ones, are needed")
    running: tuple[Tensor | None, ...] = (None,) * 3
    again = known is not None
    if known is None:
        known = x.new_empty(4, width)
        if norm.track_running_stats:
            running = norm.running_mean, norm.running_var, norm.num_batches_tracked
    _function("unit_forward", x.dtype)(
        *(geometry.address, width, x.data_ptr(), _at(before), form.limit, _at(form.kernel), _at(form.weight), _at(y)),
        *(
            raw.data_ptr(),
            known.data_ptr(),
            again,
            *map(_at, form.affine or (None, None)),
            norm.eps,
            *map(_at, running),
            norm.momentum or 0.0,
        ),
        torch.get_num_threads(),
    )
    return Made(y, raw, known)


Gated = tuple[Tensor, Tensor | None, float]
"""images [B, D, H, W]; what is known of them, where a BatchNorm is behind them; a gate"""


def _terms(terms: Sequence[Gated]) -> ctypes.Array:
    kind = _gated(terms[0][0].dtype)
    return (kind * len(terms))(*(kind(x.data_ptr(), _at(known), gate) for x, known, gate in terms))


def add_up(terms: Sequence[Gated]) -> Tensor:
    """Σ gate · norm(x) [B, D, H, W]."""
    first = terms[0][0]
    if len(shapes := {tuple(x.shape) for x, _, _ in terms}) > 1:
        raise ValueError(f"operations give tensors of different shapes: {', '.join(map(str, sorted(shapes)))}")
    out = torch.empty_like(first)
    sizes = first.numel() // first.shape[1], first.shape[1], len(terms)
    _function("add_up", first.dtype)(*sizes, _terms(terms), out.data_ptr(), torch.get_num_threads())
    return out


def dots(pull: Tensor, terms: Sequence[Gated]) -> tuple[Tensor, Tensor]:
    """Σ pull [D] over its rows; and Σ pull · x [K, D] for every term, x less its mean where that is known."""
    width = pull.shape[1]
    total, each = pull.new_empty(width), pull.new_empty(len(terms), width)
    sizes, tensors = (pull.numel() // width, width, len(terms)), (total.data_ptr(), each.data_ptr())
    _function("dots", pull.dtype)(*sizes, pull.data_ptr(), _terms(terms), *tensors, torch.get_num_threads())
    return total, each


class Pull(NamedTuple):
    """A pull on what comes out of a unit."""

    images: Tensor
    """[B, D, H', W']"""
    total: Tensor
    """its sum over rows [D]"""
    dot: Tensor
    """the sum of its products with raw less its mean [D]"""


class Gradients(NamedTuple):
    """The gradients of a unit."""

    of_norm: Tensor
    """of weight and bias of its BatchNorm [2, D], the gate left out"""
    of_x: Tensor | None
    """of what it reads"""
    of_before: Tensor | None
    """Σ of_x and Σ of_x · (x − mean) [2, C], where another unit is before this one"""
    of_kernel: Tensor | None
    of_weight: Tensor | None


def unit_backward(
    form: Form,
    pull: Pull,
    gate: float,
    made: Made,
    x: Tensor,
    before: Tensor | None,
    wanted: tuple[bool, bool],
    out: Tensor | None = None,
    of_gate: Tensor | None = None,
) -> Gradients:
    """The gradients of a unit under a pull on its gated output, of x and `before` as in `unit_forward`.

    `wanted` are that of x, which is added to `out` if given, and those of the weights. Where another unit is before
    this one, that of x is the pull on what comes out of that. That of the gate goes into `of_gate`, a scalar.
    """
    geometry, (kernel, weight) = form.geometry(x), form[:2]
    of_norm = x.new_empty(2, form.width(x))
    of_x = (torch.empty_like(x) if out is None else out) if wanted[0] else None
    of_before = x.new_empty(2, x.shape[1]) if wanted[0] and before is not None else None
    of_weight = torch.empty_like(weight) if wanted[1] and weight is not None else None
    of_kernel = torch.empty_like(kernel) if wanted[1] and kernel is not None else None
    _function("unit_backward", x.dtype)(
        *(
            geometry.address,
            form.width(x),
            *map(Tensor.data_ptr, pull),
            gate,
            made.raw.data_ptr(),
            made.known.data_ptr(),
        ),
        *(_at(made.y), _at(weight), x.data_ptr(), _at(before), form.limit, _at(kernel), of_norm.data_ptr()),
        *(
            _at(of_gate),
            _at(of_x),
            out is not None,
            _at(of_before),
            _at(of_kernel),
            _at(of_weight),
            torch.get_num_threads(),
        ),
    )
    return Gradients(of_norm, of_x, of_before, of_kernel, of_weight)
