"""How a convolution and its BatchNorm, made for the largest number of channels, run with fewer.

The ways to make a convolution's weights fewer are those of arXiv:2003.04276, section 4.4.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.ofa import cropped


def first(weight: Tensor, c_out: int, c_in: int, training: bool) -> Tensor:
    """Those of the first channels: weight [O, I, k, k] → [c_out, c_in, k, k]."""
    return weight[:c_out, :c_in]


def shuffled(weight: Tensor, c_out: int, c_in: int, training: bool) -> Tensor:
    """Those of random channels in random order: weight [O, I, k, k] → [c_out, c_in, k, k].

    In training they are drawn anew in every call, by torch's default generator on the CPU, output channels before input
    channels; else they are the same for all weights of a width, so that a path is always judged by the same network.
    All channels are shuffled as well where all of them are wanted.
    """
    for dim, count in enumerate((c_out, c_in)):
        order = torch.randperm(weight.shape[dim]) if training else _order(weight.shape[dim])
        weight = weight.index_select(dim, order[:count].to(weight.device))
    return weight


@lru_cache(maxsize=64)
def _order(channels: int) -> Tensor:
    return torch.randperm(channels, generator=torch.Generator().manual_seed(channels))


def interpolated(weight: Tensor, c_out: int, c_in: int, training: bool) -> Tensor:
    """Means of neighbouring channels: weight [O, I, k, k] → [c_out, c_in, k, k].

    Output channel i is the mean over channels ⌊i·O/c_out⌋ to ⌈(i+1)·O/c_out⌉ − 1; likewise the input channels.
    """
    if weight.shape[:2] == (c_out, c_in):
        return weight
    # bins of both dimensions at once: the mean over a rectangle is the mean of its rows' means
    return F.adaptive_avg_pool2d(weight.permute(2, 3, 0, 1), (c_out, c_in)).permute(2, 3, 0, 1)


CUTS: dict[str, Callable[[Tensor, int, int, bool], Tensor]] = {
    "fixed": first,
    "shuffle": shuffled,
    "interpolate": interpolated,
}
"""the ways to make weights fewer: weight [O, I, k, k], c_out ≤ O, c_in ≤ I, training → [c_out, c_in, k, k]"""


class DynamicConv2d(nn.Conv2d):
    """Convolution with "same" padding, without bias: x [B, c ≤ c_in, H, W] → [B, channels ≤ c_out, H, W]."""

    def __init__(self, c_in: int, c_out: int, kernel: int, cut: str):
        super().__init__(c_in, c_out, kernel, padding=kernel // 2, bias=False)
        self.cut = CUTS[cut]

    def forward(self, x: Tensor, channels: int) -> Tensor:  # type: ignore[override]  # it is told how many it gives
        return self.with_kernels(self.weight, x, channels)

    def with_kernels(self, weight: Tensor, x: Tensor, channels: int) -> Tensor:
        """The convolution with other kernels of odd size for all its channels: weight [c_out, c_in, k, k]."""
        return F.conv2d(x, self.cut(weight, channels, x.shape[1], self.training), padding=weight.shape[-1] // 2)


class CroppedDynamicConv2d(nn.Module):
    """Runs as another convolution does, with a smaller kernel made of its own (see `fairdarts.ops.ofa`)."""

    def __init__(self, whole: DynamicConv2d, kernel: int):
        super().__init__()
        self.whole = whole
        self.projection = nn.Parameter(torch.eye(kernel**2))

    def forward(self, x: Tensor, channels: int) -> Tensor:
        return self.whole.with_kernels(cropped(self.whole.weight, self.projection), x, channels)


class DynamicBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm of the first channels: x [B, c ≤ C, H, W] → the same shape; the memory of the others stays as it is.

    It needs a momentum: an average over all batches would have to count them channel by channel.
    """

    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == self.num_features:
            return super().forward(x)
        if self.training and self.track_running_stats and (tracked := self.num_batches_tracked) is not None:
            tracked.add_(1)
        own = (self.running_mean, self.running_var, self.weight, self.bias)
        mean, var, weight, bias = (None if whole is None else whole[: x.shape[1]] for whole in own)
        return F.batch_norm(x, mean, var, weight, bias, self.training or mean is None, self.momentum, self.eps)
