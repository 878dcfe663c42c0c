"""The sum of terms by native kernels, unit by unit: as `fused`, whose docstring has the equations, in fewer passes."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairdarts.native import calls
from fairdarts.supernet.kernels.rows import check_values, differentiable, images_of, rows_of
from fairdarts.supernet.kernels.terms import Term, Unit, plain_sum


class SumPlan(NamedTuple):
    """What a sum is made of besides its tensors."""

    sources: list[int]
    """of every term, the number of its input"""
    inputs: int
    sequences: list[tuple[Unit, ...]]
    recompute: bool


def native_takes(terms: Sequence[Term]) -> bool:
    """Whether native kernels are there for a sum: of tensors of one precision, and of kernels that they know."""
    units = [unit for term in terms for unit in term.units]
    tensors = [part for unit in units for part in unit[:2] if part is not None] + [term.input for term in terms]
    known = all(unit.kernel is None or unit.kernel.shape[-1] in calls.KERNELS for unit in units)
    return known and calls.takes(*tensors)


def native_sum(terms: Sequence[Term], recompute: bool) -> Tensor:
    """Σ gate · units(input) [B, D, H', W'] in channels_last, in training."""
    inputs = {id(term.input): term.input for term in terms}
    numbers = {key: number for number, key in enumerate(inputs)}
    plan = SumPlan([numbers[id(term.input)] for term in terms], len(inputs), [term.units for term in terms], recompute)
    weights = [part for term in terms for unit in term.units for part in unit[:2] if part is not None]
    total = _NativeSum.apply(plan, torch.stack([term.gate for term in terms]), *inputs.values(), *weights)
    tracked = [u.norm.num_batches_tracked for term in terms for u in term.units if u.norm.track_running_stats]
    if tracked:
        torch._foreach_add_(tracked, 1)
    return total


class _Entered(NamedTuple):
    """A unit that was gone into."""

    unit: Unit
    kernel: Tensor | None
    weight: Tensor
    known: Tensor
    matrix: Tensor
    offset: Tensor
    """as in `calls.Entered`"""


class _NativeSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: SumPlan, gates: Tensor, *tensors: Tensor) -> Tensor:
        inputs = [x.contiguous(memory_format=torch.channels_last) for x in tensors[: plan.inputs]]
        weights = iter([weight.contiguous() for weight in tensors[plan.inputs :]])
        total: Tensor | None = None
        pairs: list[tuple[Tensor, Tensor]] = []
        offsets: list[Tensor] = []
        small: list[Tensor] = []
        kept: list[Tensor] = []
        for source, units, gate in zip(plan.sources, plan.sequences, gates.tolist(), strict=True):
            x = inputs[source]
            for place, unit in enumerate(units):
                check_values(x)
                last = place == len(units) - 1
                kernel = None if unit.kernel is None else next(weights)
                stretch, its_gate = (unit.stride, unit.dilation), gate if last else 1.0
                y, known, matrix, offset = calls.enter(x, kernel, next(weights), stretch, unit.norm, its_gate)
                small += [known, matrix, offset]
                kept += [x, y]
                if last:
                    pairs.append((rows_of(y), matrix))
                    offsets.append(offset)
                else:
                    x = images_of(calls.multiply([(rows_of(y), matrix)], offset, limit=calls.RELU), y)
        if pairs:
            total = images_of(calls.multiply(pairs, torch.stack(offsets).sum(0)), y)
        for source, units, gate in zip(plan.sources, plan.sequences, gates.tolist(), strict=True):
            if not units:
                x = inputs[source]
                total = x * gate if total is None else total.add_(x, alpha=gate)
        assert total is not None
        ctx.plan = plan
        ctx.save_for_backward(gates, *inputs, *tensors[plan.inputs :], *small, *(() if plan.recompute else kept))
        return total

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return differentiable(ctx, pull, 1, partial(_plain, ctx.plan))
        plan, (gates, *saved) = ctx.plan, ctx.saved_tensors
        _, gates_too, *inputs_too = ctx.needs_input_grad[: 2 + plan.inputs]
        weights_too = any(ctx.needs_input_grad[2 + plan.inputs :])
        inputs, sequences, kept = _saved(plan, saved)
        pull = pull.contiguous(memory_format=torch.channels_last)
        rows = rows_of(pull)
        centre = calls.mean(rows)
        of_gates: list[Any] = [None] * len(gates)
        of_inputs: list[Tensor | None] = [None] * plan.inputs
        of_weights: list[list[Tensor | None]] = []
        for number, (source, units, gate) in enumerate(zip(plan.sources, sequences, gates.tolist(), strict=True)):
            if not units:
                if gates_too:
                    of_gates[number] = torch.dot(rows_of(inputs[source]).reshape(-1), rows.reshape(-1))
                if inputs_too[source]:
                    before = of_inputs[source]
                    of_inputs[source] = pull * gate if before is None else before.add_(pull, alpha=gate)
                continue
            passed = [*_passed(inputs[source], units)] if plan.recompute else [next(kept) for _ in units]
            arriving = rows, centre
            its_weights: list[Tensor | None] = []
            for place in reversed(range(len(units))):
                (unit, kernel, weight, known, *_), (x, y) = units[place], passed[place]
                last, first = place == len(units) - 1, place == 0
                left = calls.leave(
                    arriving,
                    gate if last else 1.0,
                    x,
                    kernel,
                    y,
                    weight,
                    (unit.stride, unit.dilation),
                    known,
                    (inputs_too[source] if first else True, weights_too),
                    of_inputs[source] if first else None,
                    0.0 if first else calls.RELU,
                )
                if last:
                    of_gates[number] = left.along
                its_weights = [*([] if kernel is None else [left.of_kernel]), left.of_weight, *its_weights]
                if first:
                    of_inputs[source] = left.of_x
                else:
                    assert left.of_x is not None and left.x_mean is not None
                    arriving = rows_of(left.of_x), left.x_mean
            of_weights.append(its_weights)
        found = [its for sequence in of_weights for its in sequence]
        return None, torch.stack(of_gates) if gates_too else None, *of_inputs, *found


def _saved(plan: SumPlan, saved: list[Tensor]) -> tuple[list[Tensor], list[list[_Entered]], Iterator[tuple[Tensor, Tensor]]]:
    """Inputs, units, and of every unit what it read and what its pointwise convolution did, where that was kept."""
    parts = sum(1 + (unit.kernel is not None) for units in plan.sequences for unit in units)
    count = sum(map(len, plan.sequences))
    inputs, weights = saved[: plan.inputs], iter([x.contiguous() for x in saved[plan.inputs : plan.inputs + parts]])
    small, kept = saved[plan.inputs + parts :], iter(saved[plan.inputs + parts + 3 * count :])
    known = iter(zip(*(small[first : 3 * count : 3] for first in range(3)), strict=True))
    sequences = [
        [_Entered(unit, None if unit.kernel is None else next(weights), next(weights), *next(known)) for unit in units]
        for units in plan.sequences
    ]
    return [x.contiguous(memory_format=torch.channels_last) for x in inputs], sequences, zip(kept, kept, strict=True)


def _passed(x: Tensor, units: list[_Entered]) -> Iterator[tuple[Tensor, Tensor]]:
    """Of every unit what it reads and what its pointwise convolution reads, made again."""
    for unit, kernel, _, _, matrix, offset in units:
        y = x if kernel is None else calls.convolve(x, kernel, unit.stride, unit.dilation)
        yield x, y
        x = images_of(calls.multiply([(rows_of(y), matrix)], offset, limit=calls.RELU), y)


def _plain(plan: SumPlan, gates: Tensor, *tensors: Tensor) -> Tensor:
    """The sum in torch's own operations."""
    weights = iter(tensors[plan.inputs :])
    terms = []
    for source, gate, units in zip(plan.sources, gates.unbind(), plan.sequences, strict=True):
        own = [
            unit._replace(kernel=None if unit.kernel is None else next(weights), weight=next(weights)) for unit in units
        ]
        terms.append(Term(tensors[source], gate, tuple(own)))
    return plain_sum(terms, training=True, track=False)
