"""Depthwise convolution: the one place that decides by which kernel it runs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Depthwise convolution with "same" padding: x [B, C, H, W], weight [C, 1, k, k] → [B, C, ⌈H/stride⌉, ⌈W/stride⌉].

    On the CPU the gradients of dilated depthwise kernels run many times slower than those of plain ones. So where
    gradients will be asked for, the same sums are taken another way: the kernel loses the taps that reach beyond the
    image wherever they stand, and a dilation of 2 becomes a plain convolution of every second row and column.
    """
    radius = (weight.shape[-1] - 1) // 2
    if x.device.type == "cpu" and torch.is_grad_enabled():
        reach = min(radius, (max(x.shape[2:]) - 1) // dilation)
        weight = weight[:, :, radius - reach : radius + reach + 1, radius - reach : radius + reach + 1]
        if reach == 0:
            return x[:, :, ::stride, ::stride] * weight.view(1, -1, 1, 1)
        if dilation == 2:
            return _plain(x[:, :, ::2, ::2], weight) if stride == 2 else _by_phases(x, weight)
        radius = reach
    return F.conv2d(x, weight, None, stride, radius * dilation, dilation, groups=x.shape[1])


def _plain(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, None, 1, weight.shape[-1] // 2, groups=x.shape[1])


def _by_phases(x: Tensor, weight: Tensor) -> Tensor:
    """Dilation 2 at stride 1: a plain convolution of the four images that every second row and column make."""
    batch, channels, height, width = x.shape
    x = F.pad(x, (0, width % 2, 0, height % 2))  # an odd last row or column pairs up with zeros
    h, w = x.shape[2] // 2, x.shape[3] // 2
    phases = x.permute(0, 2, 3, 1).reshape(batch, h, 2, w, 2, channels).permute(2, 4, 0, 1, 3, 5)
    phases = phases.reshape(4 * batch, h, w, channels).permute(0, 3, 1, 2)
    phases = _plain(phases, weight).permute(0, 2, 3, 1).reshape(2, 2, batch, h, w, channels)
    x = phases.permute(2, 3, 0, 4, 1, 5).reshape(batch, 2 * h, 2 * w, channels).permute(0, 3, 1, 2)
    return x[:, :, :height, :width]


class DepthwiseConv2d(nn.Conv2d):
    """nn.Conv2d with one filter a channel, "same" padding and no bias, run by `depthwise`."""

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1):
        padding = dilation * (kernel - 1) // 2
        super().__init__(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])
