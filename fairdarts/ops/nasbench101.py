"""The operations of NAS-Bench-101 (arXiv:1902.09635, section 2): x [B, C, H, W] → the same height and width.

`affine` is the BatchNorm's.
"""

from collections.abc import Callable

from torch import Tensor, nn

EPS = 1e-5
"""of every BatchNorm (`BN_EPSILON` in the authors' code, base_ops.py)"""
MOMENTUM = 1 - 0.997
"""of every BatchNorm, as torch counts it; TensorFlow's is what remains (`BN_MOMENTUM`, likewise)"""


def norm(channels: int, affine: bool = True) -> nn.BatchNorm2d:
    """BatchNorm with the benchmark's numbers."""
    return nn.BatchNorm2d(channels, eps=EPS, momentum=MOMENTUM, affine=affine)


class ConvBnRelu(nn.Module):
    """Convolution with "same" padding and without bias, BatchNorm, ReLU: x [B, c_in, H, W] → [B, c_out, H, W]."""

    def __init__(self, c_in: int, c_out: int, kernel: int, affine: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False)
        self.bn = norm(c_out, affine)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


def max_pool() -> nn.MaxPool2d:
    """Max pooling 3×3 of stride 1."""
    return nn.MaxPool2d(3, stride=1, padding=1)


OPS: dict[str, Callable[[int, bool], nn.Module]] = {
    "conv3x3-bn-relu": lambda channels, affine: ConvBnRelu(channels, channels, 3, affine),
    "conv1x1-bn-relu": lambda channels, affine: ConvBnRelu(channels, channels, 1, affine),
    "maxpool3x3": lambda channels, affine: max_pool(),
}
"""name → builder(channels, affine), in the benchmark's order"""


def downsample() -> nn.MaxPool2d:
    """What stands between stacks, max pooling 2×2: x [B, C, H, W] → [B, C, ⌈H/2⌉, ⌈W/2⌉]."""
    return nn.MaxPool2d(2, stride=2, ceil_mode=True)  # TensorFlow's "same" padding rounds up
