"""The sum of terms as one function, with its gradient written out: how it trains on the CPU.

Two things cost time there: to go over large tensors, and to call torch for small ones. So an image is a row of channels
throughout, and no pointwise convolution's output is made on its own: what its BatchNorm and the gradients need to know
of it follows from the moments of what it reads, and what is left of gate, BatchNorm and pointwise convolution is one
matrix product, added to the sum as it is computed. And what is small is computed for many units at once.

A unit with rows x [N, C], m = mean(x) and V = cov(x) has ŷ = s·W·(x − m), s = 1 / √(diag(W·V·Wᵀ) + ε), and adds g·ŷ
under gate g. A pull on that less its mean, p [N, D], is for W·x a pull of g·s·(p − a·ŷ), a = mean(p·ŷ), all means over
N (Ioffe and Szegedy, arXiv:1502.03167, section 3). With P = pᵀ·x [D, C] and A = g·s·W the gradients are

- of the gate:  N·Σ a, where a = s·Σ_C(W·P) / N
- of W:         g·s·(P − N·a·s·W·V)
- of x:         p·A − (x − m)·Aᵀ·(a·s·W)
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from fairdarts.ops.depthwise import convolve, input_gradient, weight_gradient
from fairdarts.supernet.kernels.norms import gated_norms
from fairdarts.supernet.kernels.rows import differentiable, images_of, rows_of
from fairdarts.supernet.kernels.terms import Term, Unit, plain_sum
from fairdarts.supernet.kernels.units import native_sum, native_takes


def gated_sum(terms: Sequence[Term], training: bool, recompute: bool) -> Tensor:
    """Σ gate · units(input) [B, D, H', W'], by this function where the CPU trains, else by torch's own.

    With `recompute` nothing between the inputs and the sum is kept for the backward pass, but made again.
    """
    eager = not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
    gated = all(term.gate is not None for term in terms)
    if not (gated and training and eager and terms[0].input.device.type == "cpu"):
        return plain_sum(terms, training)
    alone = [term for term in terms if term.units and term.units[0].weight is None]
    others = [term for term in terms if not (term.units and term.units[0].weight is None)]
    fused = native_sum if native_takes(terms) else fused_sum
    if not alone:
        return fused(others, recompute)
    inputs, gates, units = zip(*alone, strict=True)
    normalized = gated_norms(inputs, gates, [unit.norm for (unit,) in units])
    return normalized.add_(fused(others, recompute)) if others else normalized


def fused_sum(terms: Sequence[Term], recompute: bool) -> Tensor:
    """Σ gate · units(input) [B, D, H', W'] in channels_last, in training."""
    inputs = {id(term.input): term.input for term in terms}
    numbers = {key: number for number, key in enumerate(inputs)}
    sequences = [term.units for term in terms]
    plan = SumPlan([numbers[id(term.input)] for term in terms], len(inputs), sequences, groups_of(sequences), recompute)
    weights = [part for group in plan.groups for unit in group.units for part in unit[:2] if part is not None]
    gates = cast("list[Tensor]", [term.gate for term in terms])
    total, *statistics = _FusedSum.apply(plan, torch.stack(gates), *inputs.values(), *weights)
    with torch.no_grad():
        for group, batch in zip(plan.groups, statistics, strict=True):
            norms = [unit.norm for unit in group.units]
            if norms[0].track_running_stats:
                running = [norm.running_mean for norm in norms] + [norm.running_var for norm in norms]
                torch._foreach_lerp_(running, batch.flatten(0, 1).unbind(), norms[0].momentum)
                torch._foreach_add_([norm.num_batches_tracked for norm in norms], 1)
    return total


class Group(NamedTuple):
    """Units of one form, equally far from the ends of their sequences: what is small of them is computed at once."""

    terms: list[int]
    """the numbers of their terms"""
    units: list[Unit]
    first: list[bool]
    """whether a unit begins its sequence"""
    last: bool
    """whether the units end their sequences"""


class SumPlan(NamedTuple):
    """What a sum is made of besides its tensors."""

    sources: list[int]
    """of every term, the number of its input"""
    inputs: int
    sequences: list[tuple[Unit, ...]]
    groups: list[Group]
    recompute: bool


def groups_of(sequences: Sequence[tuple[Unit, ...]]) -> list[Group]:
    """All units of all sequences; what others read comes first."""
    groups = []
    for place in range(max(map(len, sequences), default=0), 0, -1):
        alike: dict[tuple, list[int]] = {}
        for number, sequence in enumerate(sequences):
            if len(sequence) >= place:
                unit = sequence[-place]
                assert unit.weight is not None
                form = unit.weight.shape, unit.norm.eps, unit.norm.momentum, unit.norm.track_running_stats
                alike.setdefault(form, []).append(number)
        for terms in alike.values():
            first = [len(sequences[number]) == place for number in terms]
            groups.append(Group(terms, [sequences[number][-place] for number in terms], first, place == 1))
    return groups


class _Step(NamedTuple):
    """A group as the forward pass goes through it: K units of C channels in and D out."""

    group: Group
    kernels: list[Tensor | None]
    weight: Tensor
    """of the pointwise convolutions [K, D, C]"""
    entries: list[Tensor]
    """what the units read [B, C, H, W]"""
    reads: list[Tensor]
    """what their pointwise convolutions read [B, C, H', W']"""


class _Moments(NamedTuple):
    """What is known of the rows that K pointwise convolutions read."""

    count: Tensor  # type: ignore[assignment]  # it hides a method of tuples
    """how many they are [K, 1]"""
    mean: Tensor
    """[K, C]"""
    spread: Tensor
    """their covariance [K, C, C]"""
    scale: Tensor
    """1 / deviation of what the convolutions would give [K, D]"""


def _moments(step: _Step) -> tuple[_Moments, Tensor]:
    """The moments; and means and unbiased variances of what the pointwise convolutions would give [2, K, D]."""
    rows = [rows_of(x) for x in step.reads]
    if min(map(len, rows)) < 2:
        raise ValueError("BatchNorm has no statistics of a single value: more images, or larger ones, are needed")
    count = step.weight.new_tensor([[len(x)] for x in rows])
    mean = torch.stack([x.sum(0) for x in rows]).div_(count)
    spread = torch.stack([x.t() @ x for x in rows]).div_(count[..., None])
    spread.baddbmm_(mean[:, :, None], mean[:, None, :], alpha=-1)
    variance = (step.weight @ spread).mul_(step.weight).sum(2).clamp_(min=0)
    moments = _Moments(count, mean, spread, (variance + step.group.units[0].norm.eps).rsqrt_())
    return moments, torch.stack([(step.weight @ mean[..., None])[..., 0], variance * (count / (count - 1))])


def _affine(step: _Step, moments: _Moments, gates: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
    """Gates, BatchNorms and pointwise convolutions as weights [K, D, C] and offsets [K, D] on the rows they read."""
    scaled = step.weight * (moments.scale * gates)[..., None]
    return scaled, -(scaled @ moments.mean[..., None])[..., 0]


class _FusedSum(torch.autograd.Function):
    """Gives the sum; of every group, means and unbiased variances of its pointwise convolutions [2, K, D]."""

    @staticmethod
    def forward(ctx: Any, plan: SumPlan, gates: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        at, weights = [tensors[number] for number in plan.sources], iter(tensors[plan.inputs :])
        total: Tensor | None = None
        saved: list[Tensor] = []
        kept: list[Tensor] = []
        statistics: list[Tensor] = []
        for group in plan.groups:
            step = _enter(group, at, weights)
            moments, batch = _moments(step)
            saved += moments
            kept += [*step.entries, *step.reads]
            statistics.append(batch)
            if not group.last:
                _leave(step, moments, at)
                continue
            scaled, offset = _affine(step, moments, gates[group.terms][:, None])
            for x, product in zip(step.reads, scaled.mT.unbind(), strict=True):
                total = rows_of(x) @ product if total is None else total.addmm_(rows_of(x), product)
            assert total is not None
            total.add_(offset.sum(0))
        for number, sequence, gate in zip(plan.sources, plan.sequences, gates.tolist(), strict=True):
            if not sequence:
                x = tensors[number]
                total = rows_of(x) * gate if total is None else total.add_(rows_of(x), alpha=gate)
        assert total is not None
        ctx.plan = plan
        ctx.save_for_backward(gates, *tensors, *saved, *([] if plan.recompute else kept))
        ctx.mark_non_differentiable(*statistics)
        return images_of(total, x), *statistics

    @staticmethod
    def backward(ctx: Any, pull: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return differentiable(ctx, pull, 1, partial(_plain, ctx.plan))
        plan, (gates, *saved) = ctx.plan, ctx.saved_tensors
        _, gates_too, *inputs_too = ctx.needs_input_grad[: 2 + plan.inputs]
        weights_too = any(ctx.needs_input_grad[2 + plan.inputs :])
        inputs, steps = saved[: plan.inputs], list(_again(plan, saved))
        rows = rows_of(pull)
        # at the ends of the sequences, so far
        arriving = dict.fromkeys(range(len(plan.sequences)), rows - rows.mean(0))
        of_gates: list[Any] = [None] * len(gates)
        of_inputs: list[Tensor | None] = [None] * plan.inputs
        of_weights: list[Tensor | None] = []
        for step, moments in reversed(steps):
            group = step.group
            pulls = [arriving[number] for number in group.terms]
            firsts = zip(group.first, group.terms, strict=True)
            entries_too = [not begins or inputs_too[plan.sources[number]] for begins, number in firsts]
            factors = gates[group.terms][:, None] if group.last else 1.0
            along, of_entries, of_group = _pull_back(step, moments, factors, pulls, entries_too, weights_too)
            of_weights = [*of_group, *of_weights]
            for k, number in enumerate(group.terms):
                of_entry = of_entries[k]
                if group.last:
                    of_gates[number] = along[k]
                if of_entry is None:
                    continue
                if not group.first[k]:  # through the ReLU between two units, in place
                    torch.ops.aten.threshold_backward.grad_input(of_entry, step.entries[k], 0, grad_input=of_entry)
                    arriving[number] = rows_of(of_entry).sub_(rows_of(of_entry).mean(0))
                else:
                    before = of_inputs[plan.sources[number]]
                    of_inputs[plan.sources[number]] = of_entry if before is None else before.add_(of_entry)
        terms = zip(plan.sources, plan.sequences, gates.tolist(), strict=True)
        for number, (source, sequence, gate) in enumerate(terms):
            if not sequence:
                if gates_too:
                    of_gates[number] = torch.dot(rows_of(inputs[source]).reshape(-1), rows.reshape(-1))
                if inputs_too[source]:
                    before = of_inputs[source]
                    of_inputs[source] = pull * gate if before is None else before.add_(pull, alpha=gate)
        return None, torch.stack(of_gates) if gates_too else None, *of_inputs, *of_weights


def _enter(group: Group, at: list[Tensor], weights: Iterator[Tensor], kept: Iterator[Tensor] | None = None) -> _Step:
    """What the units of a group read, where their terms are `at`, or as it was kept."""
    kernels, pointwise = [], []
    for unit in group.units:
        kernels.append(None if unit.kernel is None else next(weights))
        pointwise.append(next(weights))
    entries = [next(kept) if kept else at[number] for number in group.terms]
    reads = [
        next(kept) if kept else entry if kernel is None else convolve(entry, kernel, unit.stride, unit.dilation)
        for entry, kernel, unit in zip(entries, kernels, group.units, strict=True)
    ]
    return _Step(group, kernels, torch.stack(pointwise).flatten(2), entries, reads)


def _leave(step: _Step, moments: _Moments, at: list[Tensor]) -> None:
    """Moves the terms of a group past it and the ReLU behind it."""
    scaled, offset = _affine(step, moments)
    units = zip(step.group.terms, step.reads, scaled.mT.unbind(), offset.unbind(), strict=True)
    for number, x, product, shift in units:
        at[number] = images_of(torch.addmm(shift, rows_of(x), product).relu_(), x)


def _again(plan: SumPlan, saved: list[Tensor]) -> Iterator[tuple[_Step, _Moments]]:
    """The forward pass as it was kept, or made again."""
    parts = sum(1 + (unit.kernel is not None) for group in plan.groups for unit in group.units)
    at, weights = [saved[number] for number in plan.sources], iter(saved[plan.inputs : plan.inputs + parts])
    moments = iter(saved[plan.inputs + parts :])
    kept = None if plan.recompute else iter(saved[plan.inputs + parts + 4 * len(plan.groups) :])
    for group in plan.groups:
        step, known = _enter(group, at, weights, kept), _Moments(*(next(moments) for _ in _Moments._fields))
        yield step, known
        if plan.recompute and not group.last:
            _leave(step, known, at)


def _pull_back(
    step: _Step,
    moments: _Moments,
    gates: Tensor | float,
    pulls: Sequence[Tensor],
    entries_too: list[bool],
    weights_too: bool,
) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
    """The gradients of a group under pulls on gate · ŷ, [N, D] each and of no mean.

    Gives ⟨pull, ŷ⟩ [K]; the gradients of what the units read; those of their kernels and pointwise weights.
    """
    count, mean, spread, scale = moments
    cross = torch.stack([pull.t() @ rows_of(x) for pull, x in zip(pulls, step.reads, strict=True)])
    along = (cross * step.weight).sum(2).mul_(scale)
    scaled, turned = step.weight * (scale * gates)[..., None], step.weight * (along * scale)[..., None]
    bend = (scaled.mT @ turned).div_(-count[..., None])
    shift = -(bend @ mean[..., None])[..., 0]
    of_entries, of_weights = [], []
    if weights_too:
        of_pointwise = (cross - turned @ spread).mul_((scale * gates)[..., None])
    units = zip(step.group.units, step.kernels, step.entries, step.reads, strict=True)
    for k, (unit, kernel, entry, x) in enumerate(units):
        assert unit.weight is not None
        of_entry = of_kernel = None
        if entries_too[k] or (weights_too and kernel is not None):
            of_entry = images_of(torch.addmm(shift[k], pulls[k], scaled[k]).addmm_(rows_of(x), bend[k]), x)
        if kernel is not None:
            of_x, of_entry = of_entry, None
            if of_x is not None:
                stretch = unit.stride, unit.dilation
                of_kernel = weight_gradient(of_x, entry, kernel, *stretch) if weights_too else None
                of_entry = input_gradient(of_x, entry, kernel, *stretch) if entries_too[k] else None
            of_weights.append(of_kernel)
        of_entries.append(of_entry)
        of_weights.append(of_pointwise[k].view_as(unit.weight) if weights_too else None)
    return along.sum(1), of_entries, of_weights


def _plain(plan: SumPlan, gates: Tensor, *tensors: Tensor) -> Tensor:
    """The sum in torch's own operations."""
    weights = iter(tensors[plan.inputs :])
    sequences: list[list[Unit]] = [[] for _ in plan.sequences]
    for group in plan.groups:  # those of a sequence come in its order
        for number, unit in zip(group.terms, group.units, strict=True):
            kernel = None if unit.kernel is None else next(weights)
            sequences[number].append(unit._replace(kernel=kernel, weight=next(weights)))
    terms = zip(plan.sources, gates.unbind(), sequences, strict=True)
    summed = [Term(tensors[source], gate, tuple(sequence)) for source, gate, sequence in terms]
    return plain_sum(summed, training=True, track=False)
