"""The candidate operations of a cell, as DARTS (arXiv:1806.09055, section 3.1) defines them, and those that NASNet-A
and AmoebaNet-A have besides, as DARTS' released code builds them.

Every operation takes x [B, C, H, W] and gives [B, C, ⌈H/stride⌉, ⌈W/stride⌉]. `affine` is the BatchNorm's: False in a
supernet, True in a stand-alone network.
"""

from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.depthwise import depthwise_conv


class Zero(nn.Module):
    """DARTS' `none`: nothing flows along the edge."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class FactorizedReduce(nn.Module):
    """Halves the resolution without a kernel: two 1×1 convolutions of every second pixel, the second one a pixel on.

    c_in and c_out are channels. An odd height or width is padded by one for the second half, so both halves agree. The
    pixels are taken before the convolutions, which have stride 1: those of a stride damage memory on the CPU, where
    their inputs have few channels (uxlfoundation/oneDNN#6035).
    """

    def __init__(self, c_in: int, c_out: int, affine: bool = True):
        super().__init__()
        self.conv_1 = nn.Conv2d(c_in, c_out // 2, 1, bias=False)
        self.conv_2 = nn.Conv2d(c_in, c_out - c_out // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(c_out, affine=affine)
        self.ahead = 0
        """where the stride is taken away (networks/atrous.py): how many pixels further on the second one reads"""

    def forward(self, x: Tensor) -> Tensor:
        return self.rectified(F.relu(x))

    def rectified(self, x: Tensor) -> Tensor:
        """What it gives where x has gone through the ReLU already."""
        ahead = self.ahead
        here, further = (x, F.pad(x, [0, ahead, 0, ahead])[:, :, ahead:, ahead:]) if ahead else self.halves(x)
        return self.bn(torch.cat([self.conv_1(here), self.conv_2(further)], dim=1))

    @staticmethod
    def halves(x: Tensor) -> tuple[Tensor, Tensor]:
        """The pixels that each convolution reads [B, C, ⌈H/2⌉, ⌈W/2⌉], those of the second padded where a size is
        odd."""
        height, width = x.shape[2:]
        shifted = F.pad(x, [0, width % 2, 0, height % 2])[:, :, 1:, 1:]
        return x[:, :, ::2, ::2], shifted[:, :, ::2, ::2]

    @classmethod
    def gather(cls, x: Tensor) -> Tensor:
        """The pixels that the two convolutions read, side by side [B, 2C, ⌈H/2⌉, ⌈W/2⌉]."""
        return torch.cat(cls.halves(x), dim=1)


class Separable(nn.Sequential):
    """Units of ReLU, depthwise convolution (or none), pointwise convolution and BatchNorm, one after another.

    It runs as its modules do; its name says that a supernet may run it otherwise.
    """

    def rectified(self, x: Tensor) -> Tensor:
        """What it gives where x has gone through the first ReLU already."""
        for module in islice(self, 1, None):
            x = module(x)
        return x


def relu_conv_bn(c_in: int, c_out: int, affine: bool = True) -> Separable:
    """ReLU, 1×1 convolution, BatchNorm: what brings a cell's inputs to its own width."""
    return Separable(nn.ReLU(), nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out, affine=affine))


def unit(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    """ReLU, depthwise convolution, pointwise convolution, BatchNorm."""
    return [
        nn.ReLU(),
        depthwise_conv(channels, kernel, stride, dilation),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def sep_conv(channels: int, kernel: int, stride: int, affine: bool) -> nn.Module:
    """Two depthwise-separable convolutions in a row; the first carries the stride."""
    return Separable(*unit(channels, kernel, stride, 1, affine), *unit(channels, kernel, 1, 1, affine))


def dil_conv(channels: int, kernel: int, stride: int, affine: bool) -> nn.Module:
    """One depthwise-separable convolution of dilation 2."""
    return Separable(*unit(channels, kernel, stride, 2, affine))


def skip_connect(channels: int, stride: int, affine: bool) -> nn.Module:
    """The identity; at stride 2 a FactorizedReduce."""
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


def factorized_conv(channels: int, kernel: int, stride: int, affine: bool) -> nn.Module:
    """A convolution along the rows, then one along the columns, each of which carries the stride of its direction."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, kernel // 2), bias=False),
        nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    )


OPS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "none": lambda channels, stride, affine: Zero(stride),
    "max_pool_3x3": lambda channels, stride, affine: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda channels, stride, affine: nn.AvgPool2d(3, stride, padding=1, count_include_pad=False),
    "skip_connect": skip_connect,
    "sep_conv_3x3": lambda channels, stride, affine: sep_conv(channels, 3, stride, affine),
    "sep_conv_5x5": lambda channels, stride, affine: sep_conv(channels, 5, stride, affine),
    "dil_conv_3x3": lambda channels, stride, affine: dil_conv(channels, 3, stride, affine),
    "dil_conv_5x5": lambda channels, stride, affine: dil_conv(channels, 5, stride, affine),
    "sep_conv_7x7": lambda channels, stride, affine: sep_conv(channels, 7, stride, affine),
    "conv_7x1_1x7": lambda channels, stride, affine: factorized_conv(channels, 7, stride, affine),
}
"""name → builder(channels, stride, affine). A new operation is a new entry."""
