"""Partial channels: of a node's channels candidates read the first 1/K, the others pass by (PC-DARTS, arXiv:1907.05737,
section 3.2, eq. 2; which ones and the shuffle are as in the released experiments).

An edge gives what its candidates make of the first channels, next to the others, and shuffles the two: channel
g·C/K + i becomes i·K + g. All of that is linear, so what arrives at a node is added up before it is shuffled, once.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def parted(x: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """The first 1/parts of the channels of x [B, C, H, W], and the others."""
    first = x.shape[1] // parts
    layout = torch.channels_last if _in_rows(x) else torch.contiguous_format
    return x[:, :first].contiguous(memory_format=layout), x[:, first:].contiguous(memory_format=layout)


def passed(x: Tensor, stride: int) -> Tensor:
    """What passes by a candidate of a stride: x itself, or the largest of every 2×2 pixels, as the released experiments
    have it."""
    return x if stride == 1 else F.max_pool2d(x, stride, ceil_mode=True)


def shuffled(mixed: Tensor, others: Tensor, parts: int) -> Tensor:
    """What candidates gave [B, C/parts, H, W] among the other channels [B, C − C/parts, H, W] → [B, C, H, W]."""
    groups = [mixed, *others.chunk(parts - 1, dim=1)]
    if not _in_rows(others):
        return torch.stack(groups, dim=2).flatten(1, 2)
    return torch.stack([group.permute(0, 2, 3, 1) for group in groups], dim=4).flatten(3).permute(0, 3, 1, 2)


def _in_rows(x: Tensor) -> bool:
    """Whether an image is rows of channels."""
    return x.is_contiguous(memory_format=torch.channels_last)
