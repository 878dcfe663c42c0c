"""The kernels of native.cpp on tensors: images [B, C, H, W] in channels_last, rows [N, C] of their pixels, taps [k², C]."""

import ctypes
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from fairdarts.native.build import library

Mode = Literal["auto", "never"]

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
KERNELS = (3, 5, 7)
RELU = math.inf
"""the limit of an activation: infinite for a ReLU, 6 for a ReLU6, 0 for none"""

_mode: Mode = "auto"


def use_native(mode: Mode) -> None:
    """From now on functions for the CPU run by native kernels where they can (`auto`), or by torch's own (`never`)."""
    global _mode
    _mode = mode


def takes(*tensors: Tensor) -> bool:
    """Whether native kernels are there and wanted for tensors."""
    dtype = tensors[0].dtype
    known = dtype in DTYPES and all(x.dtype == dtype and x.device.type == "cpu" and x.numel() for x in tensors)
    return _mode == "auto" and known and library() is not None


class _Product(ctypes.Structure):
    _fields_ = (("rows", ctypes.c_void_p), ("matrix", ctypes.c_void_p), ("inner", ctypes.c_int64))


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

    def empty(self, x: Tensor) -> Tensor:
        """Room for the convolution of x."""
        return x.new_empty(self.images, self.out_height, self.out_width, self.channels).permute(0, 3, 1, 2)


Geometry._fields_ = [(name, ctypes.c_int64) for name in Geometry.__annotations__]


@lru_cache(maxsize=4096)
def _geometry(batch: int, channels: int, height: int, width: int, kernel: int, stride: int, dilation: int) -> Geometry:
    out = (-(-size // stride) for size in (height, width))
    return Geometry(batch, channels, height, width, *out, kernel, stride, dilation)


@lru_cache(maxsize=64)
def _function(name: str, dtype: torch.dtype) -> Any:
    pointer, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    real = ctypes.c_float if dtype is torch.float32 else ctypes.c_double
    arguments = {
        "convolve": (pointer,) * 4,
        "gradients": (pointer,) * 6,
        "cross": (size,) * 3 + (pointer,) * 4,
        "multiply": (size,) * 3 + (pointer,) * 3 + (number, real),
        "enter": (pointer, size, *(pointer,) * 3, real, real, pointer, pointer, real, *(pointer,) * 4),
        "leave": (pointer, size, pointer, pointer, real, *(pointer,) * 7, number, real, *(pointer,) * 3),
    }
    function = getattr(library(), f"{name}_{DTYPES[dtype]}")
    function.argtypes, function.restype = (*arguments[name], number), None
    return function


def _at(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def convolve(x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    """The depthwise convolution [B, C, H', W'] of x."""
    geometry = _geometry(*x.shape, kernel.shape[-1], stride, dilation)
    out = geometry.empty(x)
    tensors = x.data_ptr(), kernel.data_ptr(), out.data_ptr()
    _function("convolve", x.dtype)(geometry.address, *tensors, torch.get_num_threads())
    return out


def gradients(
    pull: Tensor, x: Tensor, kernel: Tensor, stride: int, dilation: int, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of x and of the kernel of its depthwise convolution, where wanted, under a pull on the output."""
    geometry = _geometry(*x.shape, kernel.shape[-1], stride, dilation)
    of_x, of_kernel = torch.empty_like(x) if wanted[0] else None, torch.empty_like(kernel) if wanted[1] else None
    tensors = pull.data_ptr(), x.data_ptr(), kernel.data_ptr(), _at(of_x), _at(of_kernel)
    _function("gradients", x.dtype)(geometry.address, *tensors, torch.get_num_threads())
    return of_x, of_kernel


def cross(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ·right [D, C] of rows [N, D] and [N, C]."""
    total = left.new_empty(left.shape[1], right.shape[1])
    tensors = left.data_ptr(), right.data_ptr(), total.data_ptr(), None
    _function("cross", left.dtype)(len(left), *total.shape, *tensors, torch.get_num_threads())
    return total


def mean(rows: Tensor) -> Tensor:
    """The mean [C] of rows [N, C]."""
    total = rows.new_empty(rows.shape[1])
    _function("cross", rows.dtype)(
        len(rows), 0, rows.shape[1], None, rows.data_ptr(), None, total.data_ptr(), torch.get_num_threads()
    )
    return total.div_(len(rows))


def multiply(
    pairs: Sequence[tuple[Tensor, Tensor]], shift: Tensor | None, out: Tensor | None = None, limit: float = 0.0
) -> Tensor:
    """activation(Σ rows·matrix + shift) [N, D] of pairs of rows [N, C] and matrices [C, D]; added to `out`, if given."""
    rows, matrix = pairs[0]
    given = rows.new_empty(len(rows), matrix.shape[1]) if out is None else out
    terms = (_Product * len(pairs))(*((x.data_ptr(), m.data_ptr(), len(m)) for x, m in pairs))
    words = terms, _at(shift), given.data_ptr(), out is not None, limit, torch.get_num_threads()
    _function("multiply", rows.dtype)(*given.shape, len(pairs), *words)
    return given


class Entered(NamedTuple):
    """What a unit of C channels in and D out makes of what it reads."""

    y: Tensor
    """what its pointwise convolution reads [B, C, H', W']"""
    known: Tensor
    """of the rows of y, for `leave`"""
    matrix: Tensor
    """gate, BatchNorm and pointwise convolution on a row of y [C, D]"""
    offset: Tensor
    """what is added [D]"""


class Left(NamedTuple):
    """The gradients of a unit."""

    along: Tensor
    """of its gate, a scalar"""
    of_x: Tensor | None
    """of what it reads"""
    x_mean: Tensor | None
    """the mean [C] of that, where x comes from an activation"""
    of_kernel: Tensor | None
    of_weight: Tensor | None


def enter(x: Tensor, kernel: Tensor | None, weight: Tensor, stretch: tuple[int, int], norm: Any, gate: float) -> Entered:
    """Goes into a unit; its BatchNorm follows the batch. `stretch` are stride and dilation of its depthwise convolution."""
    geometry = _geometry(*x.shape, 0 if kernel is None else kernel.shape[-1], *stretch)
    width, channels = weight.shape[:2]
    y = x if kernel is None else geometry.empty(x)
    known, matrix, offset = (x.new_empty(size) for size in (channels * (channels + 1) + width, channels * width, width))
    running = (_at(norm.running_mean), _at(norm.running_var)) if norm.track_running_stats else (None, None)
    _function("enter", x.dtype)(
        *(geometry.address, width, x.data_ptr(), _at(kernel), weight.data_ptr(), norm.eps, gate, *running, norm.momentum),
        *(y.data_ptr(), known.data_ptr(), matrix.data_ptr(), offset.data_ptr(), torch.get_num_threads()),
    )
    return Entered(y, known, matrix.view(channels, width), offset)


def leave(
    pull: tuple[Tensor, Tensor],
    gate: float,
    x: Tensor,
    kernel: Tensor | None,
    y: Tensor,
    weight: Tensor,
    stretch: tuple[int, int],
    known: Tensor,
    wanted: tuple[bool, bool],
    out: Tensor | None,
    limit: float,
) -> Left:
    """The gradients of a unit under a pull on its output, which is given as rows [N, D] and their mean [D].

    `wanted` are that of x, which is added to `out` if given, and those of the weights. A `limit` tells of what activation
    x is the output: the gradient is that of its input then.
    """
    geometry = _geometry(*x.shape, 0 if kernel is None else kernel.shape[-1], *stretch)
    rows, mean = pull
    along = x.new_empty(())
    of_x = (torch.empty_like(x) if out is None else out) if wanted[0] else None
    x_mean = x.new_empty(x.shape[1]) if wanted[0] and limit else None
    of_weight = torch.empty_like(weight) if wanted[1] else None
    of_kernel = torch.empty_like(kernel) if wanted[1] and kernel is not None else None
    _function("leave", x.dtype)(
        *(geometry.address, weight.shape[0], rows.data_ptr(), mean.data_ptr(), gate, x.data_ptr(), _at(kernel)),
        *(y.data_ptr(), weight.data_ptr(), known.data_ptr(), along.data_ptr(), _at(of_x), out is not None, limit),
        *(_at(x_mean), _at(of_kernel), _at(of_weight), torch.get_num_threads()),
    )
    return Left(along, of_x, x_mean, of_kernel, of_weight)
