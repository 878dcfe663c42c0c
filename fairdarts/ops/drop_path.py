"""Drop path: an operation's output is dropped whole, image by image (Larsson et al., arXiv:1605.07648)."""

from torch import Tensor


def drop_path(x: Tensor, probability: float) -> Tensor:
    """x [B, C, H, W], each image zeroed with `probability` (0 to below 1), the kept ones scaled to the same mean."""
    if probability == 0:
        return x
    keep = 1 - probability
    mask = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep)
    return x * mask / keep
