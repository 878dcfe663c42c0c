"""A sum of BatchNorms without weights under gates, as one function with its gradient written out: for the CPU.

With rows x [N, D] and ŷ = (x − mean) / deviation the sum is Σ g·ŷ. Its terms see one pull. Of a pull p on that less its
mean, and a = mean(p·ŷ), the gradient of g is N·Σ a, and that of x is g·(p − a·ŷ) / deviation (Ioffe and Szegedy,
arXiv:1502.03167, section 3).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.supernet.kernels.rows import differentiable, images_of, normalized, rows_of
from fairdarts.supernet.kernels.terms import Norm


def gated_norms(inputs: Sequence[Tensor], gates: Sequence[Tensor], norms: Sequence[Norm]) -> Tensor:
    """Σ gate · norm(input) [B, D, H, W] in training, in channels_last; the norms follow the batch."""
    return _GatedNorms.apply(norms, torch.stack([*gates]), *inputs)


class _GatedNorms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, norms: Sequence[Norm], gates: Tensor, *inputs: Tensor) -> Tensor:
        total: Tensor | None = None
        outputs, inverses = [], []
        for x, gate, norm in zip(inputs, gates.tolist(), norms, strict=True):
            y, _, inverse = normalized(x, norm, track=True)
            if norm.track_running_stats:
                norm.num_batches_tracked.add_(1)
            total = y * gate if total is None else total.add_(y, alpha=gate)
            outputs.append(y)
            inverses.append(inverse)
        assert total is not None
        ctx.norms = norms
        ctx.save_for_backward(gates, *inputs, *outputs, *inverses)
        return total

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return differentiable(ctx, pull, 1, partial(_plain, ctx.norms))
        count = len(ctx.norms)
        gates, *saved = ctx.saved_tensors
        outputs, inverses = saved[count : 2 * count], saved[2 * count :]
        rows = rows_of(pull)
        mean = rows.mean(0)
        of_gates: list[Tensor] = []
        of_inputs: list[Tensor | None] = []
        terms = zip(outputs, inverses, gates.tolist(), ctx.needs_input_grad[2:], strict=True)
        for y, inverse, gate, wanted in terms:
            along = (rows * rows_of(y)).sum(0)
            of_gates.append(along.sum())
            if not wanted:
                of_inputs.append(None)
                continue
            scale = inverse * gate
            of_input = torch.addcmul(-mean * scale, rows_of(y), along * scale, value=-1 / len(rows))
            of_inputs.append(images_of(of_input.addcmul_(rows, scale), y))
        return None, torch.stack(of_gates), *of_inputs


def _plain(norms: Sequence[Norm], gates: Tensor, *inputs: Tensor) -> Tensor:
    """The sum in torch's own operations."""
    total: Any = 0
    for x, gate, norm in zip(inputs, gates, norms, strict=True):
        total = total + gate * F.batch_norm(x, None, None, training=True, eps=norm.eps)
    return total
