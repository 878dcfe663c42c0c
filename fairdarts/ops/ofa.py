"""Convolutions of several kernel sizes that share the largest kernel: Once for All (arXiv:1908.09791, section 3.2).

A smaller kernel is the centre of the largest one, projected by a matrix that is learned and begins as the identity.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.depthwise import depthwise, is_depthwise


def cropped(weight: Tensor, projection: Tensor) -> Tensor:
    """The centre of kernels, projected: weight [O, I, K, K], projection [k², k²] → [O, I, k, k]; K and k are odd."""
    kernel = round(projection.shape[0] ** 0.5)
    margin = (weight.shape[-1] - kernel) // 2
    centre = weight[..., margin : margin + kernel, margin : margin + kernel]
    return (centre.flatten(2) @ projection).view(*weight.shape[:2], kernel, kernel)


class CroppedConv2d(nn.Module):
    """Runs as another convolution does, with a smaller kernel made of its own: x [B, C, H, W] → the same shape."""

    def __init__(self, whole: nn.Conv2d, kernel: int):
        super().__init__()
        self.whole = whole
        self.projection = nn.Parameter(torch.eye(kernel**2))

    def forward(self, x: Tensor) -> Tensor:
        weight, whole = cropped(self.whole.weight, self.projection), self.whole
        if is_depthwise(whole):
            return depthwise(x, weight, whole.stride[0], whole.dilation[0])
        padding = [dilation * (weight.shape[-1] // 2) for dilation in whole.dilation]
        return F.conv2d(x, weight, whole.bias, whole.stride, padding, whole.dilation, whole.groups)


def share_kernels(candidates: Mapping[str, nn.Module], pairs: Mapping[str, str]) -> None:
    """Makes operations of smaller kernels share the convolutions of larger ones: `pairs` are smaller → larger names.

    Of a pair that is there, every convolution of the smaller operation becomes that of the larger one which stands at
    its place: cropped, or where the kernels are equal, itself.
    """
    for small, large in pairs.items():
        if small not in candidates or large not in candidates:
            continue
        wholes = [module for module in candidates[large].modules() if isinstance(module, nn.Conv2d)]
        own = [(name, part) for name, part in candidates[small].named_modules() if isinstance(part, nn.Conv2d)]
        for (name, conv), whole in zip(own, wholes, strict=True):
            kernel = conv.kernel_size[0]
            same = kernel == whole.kernel_size[0]
            candidates[small].set_submodule(name, whole if same else CroppedConv2d(whole, kernel))
