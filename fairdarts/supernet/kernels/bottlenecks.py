"""Inverted bottlenecks that read one input, under gates, as one function with its gradient written out: for the CPU.

A bottleneck widens its input several times, so what costs is to go over wide tensors. The first BatchNorm needs none of
that: its statistics, and its gradient, follow from mean and covariance of the narrow input, which all bottlenecks of a
layer share. With input rows x [N, C], m = mean(x), V = cov(x) and weights W [E, C], the widened rows are
ReLU6(A·(x − m)), A = s·W, s = 1 / √(diag(W·V·Wᵀ) + ε). Under a pull p [N, E] from behind the ReLU6, of mean p̄, and with
P = pᵀ·(x − m) [E, C] and a = s·Σ_C(W·P) / N, the gradients are

- of W:  s·(P − N·a·s·W·V)
- of x:  (p − p̄)·A − (x − m)·Aᵀ·(a·A)

(Ioffe and Szegedy, arXiv:1502.03167, section 3). The gate is that of the last BatchNorm's output.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.depthwise import convolve, depthwise, input_gradient, is_depthwise, weight_gradient
from fairdarts.ops.mbconv import Bottleneck
from fairdarts.supernet.kernels.rows import check_values, differentiable, images_of, normalized, rows_of
from fairdarts.supernet.kernels.terms import Term, Unit, takes_batches
from fairdarts.supernet.kernels.units import native_sum, native_takes

FORM = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU6, nn.Conv2d, nn.BatchNorm2d, nn.ReLU6, nn.Conv2d, nn.BatchNorm2d)
NORMS = (1, 4, 7)
"""the places of the BatchNorms"""


class Block(Protocol):
    """A bottleneck that `fits`: modules of FORM."""

    def __getitem__(self, place: int, /) -> Any: ...


def fits(module: nn.Module) -> TypeGuard[Bottleneck]:
    """Whether a module is a bottleneck for `gated_bottlenecks`: with an expansion, its BatchNorms without weights."""
    if type(module) is not Bottleneck:
        return False
    known = tuple(map(type, module)) == FORM and is_depthwise(module[3])
    return known and all(takes_batches(module[place]) for place in NORMS)


def gated_bottlenecks(x: Tensor, gates: Tensor, blocks: Sequence[Block], recompute: bool) -> Tensor:
    """Σ gate · bottleneck(x) [B, D, H', W'] in training, for x [B, C, H, W] and gates [K]; the norms follow the batch.

    With `recompute` nothing between input and sum is kept for the backward pass, but made again, block after block.
    """
    terms = [Term(x, gate, _units(block)) for block, gate in zip(blocks, gates.unbind(), strict=True)]
    if native_takes(terms):
        return native_sum(terms, recompute)
    weights = [block[place].weight for block in blocks for place in (0, 3, 6)]
    return _GatedBottlenecks.apply(blocks, recompute, x, gates, *weights)


def _units(block: Block) -> tuple[Unit, ...]:
    return (
        Unit(None, block[0].weight, 1, 1, block[1]),
        Unit(block[3].weight, None, block[3].stride[0], 1, block[4], limit=6.0),
        Unit(None, block[6].weight, 1, 1, block[7], limit=6.0),
    )


class _Moments(NamedTuple):
    """What is known of the input's rows [N, C]."""

    mean: Tensor
    """[C]"""
    spread: Tensor
    """their covariance [C, C]"""


class _Made(NamedTuple):
    """What a bottleneck makes of its input; E channels wide, D in the end."""

    scale: Tensor
    """1 / deviation of what the first convolution would give [E]"""
    wide: Tensor
    """behind the first ReLU6 [B, E, H, W]"""
    spread: Tensor
    """what the depthwise convolution gives [B, E, H', W']"""
    mean: Tensor
    """of that [E]"""
    inverse: Tensor
    """1 / deviation of that [E]"""
    entry: Tensor
    """behind the second ReLU6 [B, E, H', W']"""
    end: Tensor
    """behind the last BatchNorm [B, D, H', W']"""
    end_inverse: Tensor
    """1 / deviation of what that reads [D]"""


def _moments(x: Tensor) -> _Moments:
    check_values(x)
    rows = rows_of(x)
    mean = rows.mean(0)
    return _Moments(mean, torch.addr((rows.t() @ rows).div_(len(rows)), mean, mean, alpha=-1))


def _make(x: Tensor, moments: _Moments, block: Block, weights: Sequence[Tensor], track: bool) -> _Made:
    expand, kernel, project = weights
    narrow = expand.flatten(1)  # [E, C]
    variance = (narrow @ moments.spread).mul_(narrow).sum(1).clamp_(min=0)
    scale = (variance + block[1].eps).rsqrt_()
    scaled = narrow * scale[:, None]
    wide = images_of(torch.addmm(-(scaled @ moments.mean), rows_of(x), scaled.t()).clamp_(0, 6), x)
    if track and block[1].track_running_stats:
        count = x.numel() // x.shape[1]
        block[1].running_mean.lerp_(narrow @ moments.mean, block[1].momentum)
        block[1].running_var.lerp_(variance * (count / (count - 1)), block[1].momentum)
        for place in NORMS:
            block[place].num_batches_tracked.add_(1)
    spread = convolve(wide, kernel, block[3].stride[0], 1)
    entry, mean, inverse = normalized(spread, block[4], track)
    entry.clamp_(0, 6)
    end, _, end_inverse = normalized(images_of(rows_of(entry) @ project.flatten(1).t(), entry), block[7], track)
    return _Made(scale, wide, spread, mean, inverse, entry, end, end_inverse)


class _GatedBottlenecks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, blocks: Sequence[Block], recompute: bool, x: Tensor, gates: Tensor, *weights: Tensor
    ) -> Tensor:
        moments = _moments(x)
        total: Tensor | None = None
        kept: list[Tensor] = []
        for number, (block, gate) in enumerate(zip(blocks, gates.tolist(), strict=True)):
            made = _make(x, moments, block, weights[3 * number : 3 * number + 3], track=True)
            total = made.end * gate if total is None else total.add_(made.end, alpha=gate)
            kept += () if recompute else made
        assert total is not None
        ctx.blocks = blocks
        ctx.save_for_backward(x, gates, *weights, *moments, *kept)
        return total

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return differentiable(ctx, pull, 2, partial(_plain, ctx.blocks))
        count, width = len(ctx.blocks), len(_Made._fields)
        x, gates, *saved = ctx.saved_tensors
        weights, moments, kept = saved[: 3 * count], _Moments(*saved[3 * count : 3 * count + 2]), saved[3 * count + 2 :]
        x_too, weights_too = ctx.needs_input_grad[2], any(ctx.needs_input_grad[4:])
        pull = pull.contiguous(memory_format=torch.channels_last)
        rows = rows_of(pull)
        centred = rows - rows.mean(0)
        of_x = _InputGradient(x, moments) if x_too else None
        of_gates: list[Tensor] = []
        of_weights: list[Tensor | None] = []
        for number, (block, gate) in enumerate(zip(ctx.blocks, gates.tolist(), strict=True)):
            three = weights[3 * number : 3 * number + 3]
            known = kept[number * width : (number + 1) * width]
            made = _Made(*known) if kept else _make(x, moments, block, three, track=False)
            along = (rows * rows_of(made.end)).sum(0)
            of_gates.append(along.sum())
            if x_too or weights_too:
                of_end = torch.addcmul(centred, rows_of(made.end), along, value=-1 / len(rows))
                of_end.mul_(made.end_inverse * gate)
                of_weights += _pull_back(x, moments, block, three, made, of_end, of_x, weights_too)
        if not of_weights:
            of_weights = [None] * len(weights)
        return None, None, of_x.whole() if of_x else None, torch.stack(of_gates), *of_weights


class _InputGradient:
    """The gradient of x, added up over bottlenecks."""

    def __init__(self, x: Tensor, moments: _Moments):
        self.x, self.moments = x, moments
        self.total: Tensor | None = None
        self.bend = torch.zeros_like(moments.spread)
        self.shift = torch.zeros_like(moments.mean)

    def add(self, pull: Tensor, mean: Tensor, scaled: Tensor, along: Tensor) -> None:
        """Of a pull on the widened rows [N, E]: its mean, A [E, C], a [E]."""
        self.total = pull @ scaled if self.total is None else self.total.addmm_(pull, scaled)
        self.bend.addmm_(scaled.t(), scaled * along[:, None], alpha=-1)
        self.shift.sub_(mean @ scaled)

    def whole(self) -> Tensor:
        """[B, C, H, W]"""
        assert self.total is not None
        self.total.addmm_(rows_of(self.x), self.bend).add_(self.shift - self.moments.mean @ self.bend)
        return images_of(self.total, self.x)


def _pull_back(
    x: Tensor,
    moments: _Moments,
    block: Block,
    weights: Sequence[Tensor],
    made: _Made,
    pull: Tensor,
    of_x: _InputGradient | None,
    weights_too: bool,
) -> list[Tensor | None]:
    """The gradients of a bottleneck's weights under a pull [N', D] on what its last BatchNorm reads; adds x's up."""
    expand, kernel, project = weights
    masked, unnormalized = torch.ops.aten.hardtanh_backward, torch.ops.aten.native_batch_norm_backward
    of_entry = masked(images_of(pull @ project.flatten(1), made.entry), made.entry, 0, 6)
    known = (None, None, None, made.mean, made.inverse, True, block[4].eps, (True, False, False))
    of_spread = unnormalized(of_entry, made.spread, *known)[0]
    stride = block[3].stride[0]
    of_wide = rows_of(masked(input_gradient(of_spread, made.wide, kernel, stride, 1), made.wide, 0, 6))
    mean, narrow = of_wide.mean(0), expand.flatten(1)
    cross = torch.addr(of_wide.t() @ rows_of(x), mean, moments.mean, alpha=-len(of_wide))  # P
    along = (cross * narrow).sum(1).mul_(made.scale / len(of_wide))  # a
    if of_x is not None:
        of_x.add(of_wide, mean, narrow * made.scale[:, None], along)
    if not weights_too:
        return [None, None, None]
    turned = narrow * (along * made.scale * len(of_wide))[:, None]
    of_expand = (cross - turned @ moments.spread).mul_(made.scale[:, None])
    of_kernel = weight_gradient(of_spread, made.wide, kernel, stride, 1)
    of_project = pull.t() @ rows_of(made.entry)
    return [of_expand.view_as(expand), of_kernel, of_project.view_as(project)]


def _plain(blocks: Sequence[Block], x: Tensor, gates: Tensor, *weights: Tensor) -> Tensor:
    """The sum in torch's own operations."""
    total: Any = 0
    for number, block in enumerate(blocks):
        expand, kernel, project = weights[3 * number : 3 * number + 3]
        out = F.relu6(F.batch_norm(F.conv2d(x, expand), None, None, training=True, eps=block[1].eps))
        out = depthwise(out, kernel, block[3].stride[0], 1)
        out = F.relu6(F.batch_norm(out, None, None, training=True, eps=block[4].eps))
        out = F.batch_norm(F.conv2d(out, project), None, None, training=True, eps=block[7].eps)
        total = total + gates[number] * out
    return total
