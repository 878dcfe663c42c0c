"""The sum of terms by native kernels: on the CPU, where a compiler is found.

A unit goes image by image from its depthwise convolution to the pointwise one and the statistics of what that gives,
and back in the same way; BatchNorm, gate and ReLU are part of what reads it next. With r what the pointwise convolution
gives, ŷ = s·(r − mean(r)), s = 1 / √(var(r) + ε), and a pull p on g·ŷ, the gradient of the gate is Σ p·ŷ and that of r
is g·s·(p − mean(p) − ŷ·mean(p·ŷ)) (Ioffe and Szegedy, arXiv:1502.03167, section 3).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from fairdarts.native import calls
from fairdarts.native.calls import Form, Made, Pull
from fairdarts.supernet.kernels.rows import differentiable
from fairdarts.supernet.kernels.terms import Term, Unit, plain_sum


def native_takes(terms: Sequence[Term]) -> bool:
    """Whether native kernels are there for a sum: of tensors of one precision, and of kernels that they know."""
    units = [unit for term in terms for unit in term.units]
    weights = [part for unit in units for part in unit[:2] if part is not None]
    running = [x for unit in units for x in (unit.norm.running_mean, unit.norm.running_var) if x is not None]
    known = all(x.is_contiguous() for x in running)
    known &= all(unit.kernel is None or calls.knows(unit.kernel.shape[-1], unit.stride) for unit in units)
    return known and calls.takes(*(term.input for term in terms), *weights, *running)


class NativePlan(NamedTuple):
    """What a sum is made of besides its tensors."""

    sources: list[int]
    """of every term, the number of its input"""
    inputs: int
    sequences: list[tuple[Unit, ...]]
    recompute: bool

    def forms(self, weights: Iterator[Tensor]) -> list[list[Form]]:
        """The units of every term, with weights in place of their own."""
        return [
            [
                Form(
                    None if unit.kernel is None else next(weights),
                    None if unit.weight is None else next(weights),
                    unit.stride,
                    unit.dilation,
                    unit.norm,
                    limit=unit.limit,
                )
                for unit in units
            ]
            for units in self.sequences
        ]


def native_sum(terms: Sequence[Term], recompute: bool) -> Tensor:
    """Σ gate · units(input) [B, D, H', W'] in channels_last, in training."""
    inputs = {id(term.input): term.input for term in terms}
    numbers = {key: number for number, key in enumerate(inputs)}
    plan = NativePlan(
        [numbers[id(term.input)] for term in terms], len(inputs), [term.units for term in terms], recompute
    )
    weights = [part for term in terms for unit in term.units for part in unit[:2] if part is not None]
    gates = cast("list[Tensor]", [term.gate for term in terms])
    return _NativeSum.apply(plan, torch.stack(gates), *inputs.values(), *weights)


class _NativeSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: NativePlan, gates: Tensor, *tensors: Tensor) -> Tensor:
        inputs = [x.contiguous(memory_format=torch.channels_last) for x in tensors[: plan.inputs]]
        gated: list[calls.Gated] = []
        known: list[Tensor] = []
        kept: list[Tensor] = []
        forms = plan.forms(weight.contiguous() for weight in tensors[plan.inputs :])
        for source, its, gate in zip(plan.sources, forms, gates.tolist(), strict=True):
            x, before = inputs[source], None
            for form in its:
                made = calls.unit_forward(form, x, before)
                known.append(made.known)
                kept += [made.raw] if made.y is None else [made.y, made.raw]
                x, before = made.raw, made.known
            gated.append((x, before, gate))
        ctx.plan = plan
        ctx.save_for_backward(gates, *tensors, *known, *(() if plan.recompute else kept))
        return calls.add_up(gated)

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return differentiable(ctx, pull, 1, partial(_plain, ctx.plan))
        plan, (gates, *saved) = ctx.plan, ctx.saved_tensors
        _, gates_too, *inputs_too = ctx.needs_input_grad[: 2 + plan.inputs]
        weights_too = any(ctx.needs_input_grad[2 + plan.inputs :])
        inputs, forms, made = _passed(plan, saved)
        pull = pull.contiguous(memory_format=torch.channels_last)
        ends = [its[-1][1:] if its else (inputs[source], None) for source, its in zip(plan.sources, made, strict=True)]
        total, dots = calls.dots(pull, [(*end, 0.0) for end in ends])
        of_gates = dots.sum(1)  # where a term is its input; the others follow
        of_inputs: list[Tensor | None] = [None] * plan.inputs
        of_weights: list[Tensor | None] = []
        terms = zip(plan.sources, forms, made, gates.tolist(), dots.unbind(), of_gates.unbind(), strict=True)
        for source, its, passed, gate, dot, of_gate in terms:
            of_x = of_inputs[source]
            if not its:
                if inputs_too[source]:
                    of_inputs[source] = pull * gate if of_x is None else of_x.add_(pull, alpha=gate)
                continue
            arriving, found = Pull(pull, total, dot), list[Tensor | None]()
            for place in reversed(range(len(its))):
                x, before = passed[place - 1][1:] if place else (inputs[source], None)
                last, wanted = place == len(its) - 1, (place > 0 or inputs_too[source], weights_too)
                out = None if place else of_x
                gradients = calls.unit_backward(
                    its[place],
                    arriving,
                    gate if last else 1.0,
                    passed[place],
                    x,
                    before,
                    wanted,
                    out,
                    of_gate if last else None,
                )
                weights = zip(its[place][:2], (gradients.of_kernel, gradients.of_weight), strict=True)
                found = [*(gradient for part, gradient in weights if part is not None), *found]
                if gradients.of_before is not None:
                    assert gradients.of_x is not None
                    arriving = Pull(gradients.of_x, *gradients.of_before)
                else:
                    of_inputs[source] = gradients.of_x
            of_weights += found
        return None, of_gates if gates_too else None, *of_inputs, *of_weights


def _passed(plan: NativePlan, saved: list[Tensor]) -> tuple[list[Tensor], list[list[Form]], list[list[Made]]]:
    """Inputs, units, and what those made, as it was kept or made again."""
    parts = sum(part is not None for units in plan.sequences for unit in units for part in unit[:2])
    inputs = [x.contiguous(memory_format=torch.channels_last) for x in saved[: plan.inputs]]
    weights, rest = saved[plan.inputs : plan.inputs + parts], iter(saved[plan.inputs + parts :])
    forms = plan.forms(weight.contiguous() for weight in weights)
    known = [[next(rest) for _ in its] for its in forms]
    made: list[list[Made]] = []
    for source, its, their_known in zip(plan.sources, forms, known, strict=True):
        x, before, passed = inputs[source], None, []
        for form, of_raw in zip(its, their_known, strict=True):
            if plan.recompute:
                passed.append(calls.unit_forward(form, x, before, of_raw))
            else:
                passed.append(Made(None if form.kernel is None else next(rest), next(rest), of_raw))
            x, before = passed[-1].raw, of_raw
        made.append(passed)
    return inputs, forms, made


def _plain(plan: NativePlan, gates: Tensor, *tensors: Tensor) -> Tensor:
    """The sum in torch's own operations."""
    terms = [
        Term(tensors[source], gate, tuple(Unit(*form[:5], form.limit) for form in its))
        for source, gate, its in zip(
            plan.sources, gates.unbind(), plan.forms(iter(tensors[plan.inputs :])), strict=True
        )
    ]
    return plain_sum(terms, training=True, track=False)
