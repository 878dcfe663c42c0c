"""What the functions for the CPU share: rows of channels, one for every pixel; BatchNorms; second derivatives."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fairdarts.supernet.kernels.terms import Norm


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


def normalized(x: Tensor, norm: Norm, track: bool) -> tuple[Tensor, Tensor, Tensor]:
    """x under its BatchNorm without weights in training, its mean, and 1 / its deviation."""
    check_values(x)
    mean, var = (norm.running_mean, norm.running_var) if track and norm.track_running_stats else (None, None)
    return torch.native_batch_norm(x, None, None, mean, var, True, norm.momentum, norm.eps)


def differentiable(ctx: Any, pull: Tensor, others: int, total: Callable[..., Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients as functions of all that they depend on, for second derivatives.

    `total` makes the output from the tensors that the function took, which stand behind `others` and were kept first.
    """
    needed = ctx.needs_input_grad[others:]
    tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors[: len(needed)]]  # one may be made of another
    wanted = [tensor for tensor, its in zip(tensors, needed, strict=True) if its]
    gradients = iter(torch.autograd.grad(total(*tensors), wanted, pull, create_graph=True))
    return *(None,) * others, *(next(gradients) if its else None for its in needed)
