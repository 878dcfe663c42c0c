"""Output stride: dilation in place of strides, with the same weights (DeepLab, arXiv:1706.05587, section 3.1).

The strided network's features are those of the dense one at every n-th pixel, where image sizes are even enough. Only
squeeze-and-excitation differs: its mean is over more pixels.
"""

import math
from collections.abc import Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.networks.backbone import Backbone
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.chain import ChainNetwork, Summed
from fairdarts.ops.cell import FactorizedReduce
from fairdarts.ops.mbconv import Projection, Residual
from fairdarts.ops.own import own_name


class DilatedMaxPool(nn.Module):
    """Max pooling 3×3 of stride 1, over pixels `dilation` apart. torch's own pads by no more than one pixel."""

    def __init__(self, dilation: int):
        super().__init__()
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.pad(x, [self.dilation] * 4, value=-math.inf), 3, 1, 0, self.dilation)


class DilatedAvgPool(nn.Module):
    """Average pooling 3×3 of stride 1 that does not count the padding, over pixels `dilation` apart."""

    def __init__(self, dilation: int):
        super().__init__()
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return self.sum(x) / self.sum(torch.ones_like(x[:1, :1]))

    def sum(self, x: Tensor) -> Tensor:
        """The sums over the nine pixels around every one: over three rows, then over three columns."""
        gap, (height, width) = self.dilation, x.shape[2:]
        x = F.pad(x, [gap] * 4)
        x = x[:, :, :height] + x[:, :, gap : gap + height] + x[:, :, 2 * gap :]
        return x[..., :width] + x[..., gap : gap + width] + x[..., 2 * gap :]


def set_output_stride(network: Backbone, output_stride: int) -> None:
    """Take away every stride beyond `output_stride`, in place; the levels behind then have this one.

    Raises UserError where it is no stride that the network has behind its stem, or it has an auxiliary head or
    an operation of a user's own.
    """
    strides = [point.stride for point in network.points]
    first = 1 if isinstance(network, CellNetwork) else 0  # the last point of the stem
    known = sorted(set(strides[first:]))
    if output_stride not in known:
        raise UserError(f"output_stride: {output_stride}: should be one of {', '.join(map(str, known))}")
    if getattr(network, "auxiliary", None) is not None:
        raise UserError(f"output_stride: {output_stride}: not with an auxiliary head, which is made for one resolution")
    if own := [name for module in network.modules() if (name := own_name(module))]:
        raise UserError(f"output_stride: {output_stride}: not with an operation of one's own, as '{own[0]}' is")
    gaps = [max(1, stride // output_stride) for stride in strides]  # between the pixels that the strided network has
    blocks: Iterable[Any] = network.cells if isinstance(network, CellNetwork) else cast(ChainNetwork, network).layers
    for number, block in enumerate(blocks):
        here = number + first  # the point that the block reads
        if isinstance(network, CellNetwork):
            if gaps[here] > 1 and "0" in block.preprocess:
                dilate(block.preprocess["0"], gaps[here - 1])
            for index, source in enumerate(block.sources):
                if gaps[here + 1] > 1:
                    block.ops[index] = dilate(block.ops[index], gaps[here if source < 2 else here + 1])
        elif gaps[here + 1] > 1:
            dilate(block, gaps[here])
    network.points = [point._replace(stride=min(point.stride, output_stride)) for point in network.points]
    for level in network.feature_info:
        level["reduction"] = min(level["reduction"], output_stride)


def dilate(module: nn.Module, gap: int) -> nn.Module:
    """The module without strides, whose input has its old pixels `gap` apart; changed in place where that is possible.

    Modules of a sequence are behind one another, choices of a layer beside one another.
    """
    if isinstance(module, Projection):
        module.stride = 1
    elif isinstance(module, nn.Sequential):
        for part in module:
            step = getattr(part, "stride", (1, 1))[0]
            dilate(part, gap)
            gap *= step
    elif isinstance(module, Summed):
        for choice in module.choices.values():
            dilate(choice, gap)
    elif isinstance(module, Residual):
        dilate(module.block, gap)
    elif isinstance(module, FactorizedReduce):
        module.ahead = gap
    elif isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str), "ours is in pixels"
        module.stride, module.dilation = (1, 1), tuple(gap * step for step in module.dilation)
        module.padding = tuple(gap * width for width in module.padding)
    elif isinstance(module, nn.MaxPool2d):
        return DilatedMaxPool(gap)
    elif isinstance(module, nn.AvgPool2d):
        return DilatedAvgPool(gap)
    return module
