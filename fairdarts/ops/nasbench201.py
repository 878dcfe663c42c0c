"""The operations of NAS-Bench-201 (arXiv:2001.00326, section 2.1), and what stands between its stages.

Every operation takes x [B, C, H, W] and gives the same shape. `affine` is the BatchNorm's.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.genotype import SKIP
from fairdarts.ops.cell import Zero


class ReluConvBn(nn.Module):
    """ReLU, convolution with "same" padding, BatchNorm: x [B, c_in, H, W] → [B, c_out, ⌈H/stride⌉, ⌈W/stride⌉]."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, affine: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.rectified(F.relu(x))

    def rectified(self, x: Tensor) -> Tensor:
        """What it gives where x has gone through the ReLU already."""
        return self.bn(self.conv(x))


def avg_pool() -> nn.AvgPool2d:
    """Average pooling 3×3 that does not count the padding."""
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


OPS: dict[str, Callable[[int, bool], nn.Module]] = {
    "none": lambda channels, affine: Zero(1),
    SKIP: lambda channels, affine: nn.Identity(),
    "nor_conv_1x1": lambda channels, affine: ReluConvBn(channels, channels, 1, affine=affine),
    "nor_conv_3x3": lambda channels, affine: ReluConvBn(channels, channels, 3, affine=affine),
    "avg_pool_3x3": lambda channels, affine: avg_pool(),
}
"""name → builder(channels, affine)"""


class Reduction(nn.Module):
    """The residual block of stride 2 between stages: x [B, C, H, W] → [B, 2C, ⌈H/2⌉, ⌈W/2⌉].

    Its shortcut is average pooling 2×2 and a 1×1 convolution without BatchNorm (ResNetBasicblock in the authors' code).
    """

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.conv_1 = ReluConvBn(channels, 2 * channels, 3, stride=2, affine=affine)
        self.conv_2 = ReluConvBn(2 * channels, 2 * channels, 3, affine=affine)
        # ceil_mode, as the convolution of stride 2 rounds up, too, where a size is odd
        self.pool = nn.AvgPool2d(2, stride=2, ceil_mode=True)
        self.shortcut = nn.Conv2d(channels, 2 * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(self.pool(x)) + self.conv_2(self.conv_1(x))
