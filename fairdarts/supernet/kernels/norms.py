"""A sum of BatchNorms without weights under gates, as one function with its gradient written out: for the CPU.

With rows x [N, D] and ŷ = (x − mean) / deviation the sum is Σ g·ŷ. Its terms see one pull. Of a pull p on that less its
mean, and a = mean(p·ŷ), the gradient of g is N·Σ a, and that of x is g·(p − a·ŷ) / deviation (Ioffe and Szegedy,
arXiv:1502.03167, section 3).
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.supernet.kernels.rows import check_values, images_of, rows_of
from fairdarts.supernet.kernels.terms import Norm


def gated_norms(inputs: Sequence[Tensor], gates: Sequence[Tensor], norms: Sequence[Norm]) -> Tensor:
    """Σ gate · norm(input) [B, D, H, W] in training, in channels_last; the norms follow the batch."""
    return _GatedNorms.apply(norms, torch.stack([*gates]), *inputs)


class _GatedNorms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, norms: Sequence[Norm], gates: Tensor, *inputs: Tensor) -> Tensor:
        total: Tensor | None = None
        normalized, inverses = [], []
        for x, gate, norm in zip(inputs, gates.tolist(), norms, strict=True):
            check_values(x)
            mean, var = (norm.running_mean, norm.running_var) if norm.track_running_stats else (None, None)
            y, _, inverse = torch.native_batch_norm(x, None, None, mean, var, True, norm.momentum, norm.eps)
            if norm.track_running_stats:
                norm.num_batches_tracked.add_(1)
            total = y * gate if total is None else total.add_(y, alpha=gate)
            normalized.append(y)
            inverses.append(inverse)
        assert total is not None
        ctx.norms = norms
        ctx.save_for_backward(gates, *inputs, *normalized, *inverses)
        return total

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return _differentiable(ctx, pull)
        count = len(ctx.norms)
        gates, *saved = ctx.saved_tensors
        normalized, inverses = saved[count : 2 * count], saved[2 * count :]
        rows = rows_of(pull)
        mean = rows.mean(0)
        of_gates: list[Tensor] = []
        of_inputs: list[Tensor | None] = []
        for y, inverse, gate, wanted in zip(
            normalized, inverses, gates.tolist(), ctx.needs_input_grad[2:], strict=True
        ):
            along = (rows * rows_of(y)).sum(0)
            of_gates.append(along.sum())
            if not wanted:
                of_inputs.append(None)
                continue
            scale = inverse * gate
            of_input = torch.addcmul(-mean * scale, rows_of(y), along * scale, value=-1 / len(rows))
            of_inputs.append(images_of(of_input.addcmul_(rows, scale), y))
        return None, torch.stack(of_gates), *of_inputs


def _differentiable(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients as functions of all that they depend on, for second derivatives."""
    tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors[: len(ctx.needs_input_grad) - 1]]
    gates, *inputs = tensors
    total: Any = 0
    for x, gate, norm in zip(inputs, gates, ctx.norms, strict=True):
        total = total + gate * F.batch_norm(x, None, None, training=True, eps=norm.eps)
    wanted = [tensor for tensor, needed in zip(tensors, ctx.needs_input_grad[1:], strict=True) if needed]
    found = iter(torch.autograd.grad(total, wanted, pull, create_graph=True))
    return None, *(next(found) if needed else None for needed in ctx.needs_input_grad[1:])
