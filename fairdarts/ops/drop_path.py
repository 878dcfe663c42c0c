"""Drop path: an operation's output is dropped whole, image by image (Larsson et al., arXiv:1605.07648)."""

import torch
from torch import Tensor


def drop_path(x: Tensor, probability: float) -> Tensor:
    """x [B, C, H, W], each image zeroed with `probability` (0 to below 1), the kept ones scaled to the same mean.

    In eager code the probability may be a tensor [] as well: raised in place while training, it neither compiles a
    graph anew nor makes the host wait for the device.
    """
    if (torch.jit.is_scripting() or not isinstance(probability, Tensor)) and probability == 0:
        return x
    keep = 1 - probability
    kept = torch.rand([x.shape[0], 1, 1, 1], device=x.device) < keep
    return x * (kept.to(x.dtype) / keep)
