"""Images as rows of channels, one for every pixel: how the functions for the CPU see them."""

from torch import Tensor


def rows_of(x: Tensor) -> Tensor:
    """x [B, C, H, W] → [N, C], a row for every pixel: a view where x is in channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def images_of(rows: Tensor, like: Tensor) -> Tensor:
    """rows [N, C] → [B, C, H, W] in channels_last, of the images that `like` is of."""
    return rows.view(like.shape[0], *like.shape[2:], -1).permute(0, 3, 1, 2)


def check_values(x: Tensor) -> None:
    """Raises ValueError where a BatchNorm would take statistics of one value."""
    if x.numel() == x.shape[1]:
        raise ValueError("BatchNorm has no statistics of a single value: more images, or larger ones, are needed")
