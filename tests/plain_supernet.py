"""The supernet as the papers write it, for the tests: every candidate of every edge in a loop, from torch.nn alone.

It is the rendering of `benchmarks/plain.py`, which knows the published spaces on images of even size, taught the rest:
the operation `none`, images of odd size and of any number of channels, and whatever else stands in OPS.
"""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.cell import OPS
from fairdarts.spaces.cell import CellSpace

_spec = spec_from_file_location("plain", Path(__file__).parents[1] / "benchmarks" / "plain.py")
plain = module_from_spec(_spec)
_spec.loader.exec_module(plain)
published = plain.operation
PUBLISHED = {
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
}


class Nothing(nn.Module):
    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0


class Halve(plain.Halve):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        padded = F.pad(x, (0, 1, 0, 1))  # the shifted half of an odd image ends in a row and a column of zeros
        height, width = x.shape[2:]
        shifted = padded[:, :, 1 : height + 1 : 2, 1 : width + 1 : 2]
        return self.bn(torch.cat([self.conv_1(x[:, :, ::2, ::2]), self.conv_2(shifted)], dim=1))


def operation(name: str, channels: int, stride: int) -> nn.Module:
    if name == "none":
        return Nothing(stride)
    return published(name, channels, stride) if name in PUBLISHED else OPS[name](channels, stride, False)


plain.operation, plain.Halve = operation, Halve


class PlainSupernet(plain.Network):
    """Its state_dict has the keys of `make_supernet`'s; its gates are the matrices of both kinds of cells."""

    def __init__(self, space: CellSpace, cells: int, channels: int, classes: int, in_channels: int = 3):
        super().__init__(space, cells, channels, classes)
        stem = self.stem[0]
        self.stem[0] = nn.Conv2d(in_channels, stem.out_channels, 3, padding=1, bias=False)
